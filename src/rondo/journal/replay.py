"""Reading journals back, from a position on, while their writers go on writing.

Nothing is passed over in silence: damaged bytes are counted, and where whole segments are gone the sequence jumps,
which the store sees. A batch never spans two segments. The newest segment is never deleted.
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

from msgspec import Struct

from rondo.journal.files import SegmentFile, segment_files
from rondo.journal.segment import HEADER_BYTES, Decoded, check_header, decode
from rondo.records import Entry, Position


class Batch(Struct, frozen=True):
    """Entries between two positions; `damaged` bytes among them could not be read."""

    entries: list[Entry]
    start: Position
    end: Position
    damaged: int


class Journals:
    """The journals of all writers under one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._readers: dict[str, Reader] = {}

    def readers(self) -> dict[str, Reader]:
        """A reader per writer that is there now, by the writer's name; the same ones on every call."""
        try:
            names = sorted(entry.name for entry in os.scandir(self.root) if entry.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            names = []
        self._readers = {name: self._readers.get(name) or Reader(self.root / name) for name in names}
        return self._readers


class Reader:
    """Reads one writer's journal. Holds nothing open between calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen = Position(0, 0, 0)  # how far `end` has counted

    def read(self, position: Position | None = None, *, max_entries: int = 20_000, max_bytes: int = 32 << 20) -> Batch:
        """The next entries after `position` (None: from the oldest there is); none where all have been read.

        The bounds are kept but for one entry: a batch has at least one if there is one. Raises CorruptData where
        a newer Rondo wrote the segment.
        """
        damaged = 0
        # The list is taken before the read: if it has a newer segment, this one had its last entry by then.
        files = segment_files(self.folder)
        here = _locate(files, position)
        while True:
            following = next((file for file in files if file.number > here.segment), None)
            file = next((file for file in files if file.number == here.segment), None)
            if file is not None:
                decoded, left = _read(file.path, here.offset, max_entries=max_entries, max_bytes=max_bytes)
                damaged += decoded.damaged
                if decoded.entries:
                    count = len(decoded.entries)
                    end = Position(here.segment, here.offset + decoded.consumed, here.sequence + count)
                    return Batch(decoded.entries, here, end, damaged)
                damaged += left
            if following is None:
                return Batch([], here, here, 0)
            here = _start(following)

    def end(self) -> Position:
        """The position behind the newest whole entry. Its sequence is how many the writer accepted."""
        files = segment_files(self.folder)
        if not files:
            return Position(0, 0, 0)
        newest = files[-1]
        here = self._seen if self._seen.segment == newest.number else _start(newest)
        while True:
            decoded, _ = _read(newest.path, here.offset, max_entries=100_000, max_bytes=8 << 20)
            if not decoded.entries:
                self._seen = here
                return here
            here = Position(here.segment, here.offset + decoded.consumed, here.sequence + len(decoded.entries))

    def locate(self, position: Position | None) -> Position:
        """`position` as far as the folder still has it, else the start of the next segment that is there."""
        files = segment_files(self.folder)
        here = _locate(files, position)
        for file, following in pairwise(files):
            if file.number == here.segment and here.offset >= _size(file.path):
                return _start(following)
        return here

    def oldest_at(self, position: Position | None) -> int | None:
        """When the first entry after `position` was accepted (microseconds); None where there is none."""
        batch = self.read(position, max_entries=1, max_bytes=4096)
        return batch.entries[0].accepted_at if batch.entries else None

    def delete_drained(self, position: Position) -> int:
        """Delete the segments that lie wholly before `position`, except the newest; how many went."""
        files = segment_files(self.folder)
        deleted = 0
        for file in files[:-1]:
            if file.number > position.segment:
                break
            if file.number == position.segment and position.offset < _size(file.path):
                break
            file.path.unlink(missing_ok=True)
            deleted += 1
        return deleted

    def torn_bytes(self) -> int:
        """Bytes that starts of the writer cut off; they are kept in `.torn` files."""
        try:
            with os.scandir(self.folder) as entries:
                return sum(entry.stat().st_size for entry in entries if entry.name.endswith(".torn"))
        except FileNotFoundError:
            return 0


def _start(file: SegmentFile) -> Position:
    return Position(file.number, HEADER_BYTES, file.first_sequence)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # drained and deleted since it was listed
        return 0


def _locate(files: list[SegmentFile], position: Position | None) -> Position:
    if position is None:
        position = Position(0, 0, 0)
    for file in files:
        if file.number == position.segment:
            return position
        if file.number > position.segment:
            return _start(file)
    return position


def _read(path: Path, offset: int, *, max_entries: int, max_bytes: int) -> tuple[Decoded, int]:
    """Entries from `offset` on, and how many bytes are left behind the last one if there were none."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # drained and deleted since it was listed
        return Decoded([], 0, 0, 0), 0
    try:
        check_header(os.pread(descriptor, HEADER_BYTES, 0))
        size = max_bytes
        while True:
            data = os.pread(descriptor, min(size, max(os.fstat(descriptor).st_size - offset, 1)), offset)
            at_end = offset + len(data) >= os.fstat(descriptor).st_size
            decoded = decode(data, at_end=at_end, max_entries=max_entries)
            if decoded.damaged and os.pread(descriptor, len(data), offset) != data:
                continue  # the writer was cutting off a failed append meanwhile
            if decoded.entries or at_end:
                return decoded, 0 if decoded.entries else len(data)
            size = max(size * 2, decoded.wants)
    finally:
        os.close(descriptor)
