"""The journal of one process: a record is appended here before the last byte of its answer leaves.

One writer owns a folder (a lock tells others off). Entries go to the newest segment file without a buffer of our
own, so what has been written survives the death of the process; with durability "power" it is also on the disk.
What cannot be written whole is cut off again and refused. Reading is in `replay.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rondo import clock
from rondo.errors import Conflict, Unavailable
from rondo.journal.files import SegmentFile, segment_files
from rondo.journal.flush import GroupFlush
from rondo.journal.segment import HEADER_BYTES, check_header, decode, encode, file_name, header

PROBE_EVERY_S = 0.5
_AT_ONCE_BYTES = 256 << 10

_REMEDY = "Free disk space in the data folder; serving resumes by itself."


class Journal:
    """One writer. Not for use from several threads at once.

    `accepted` counts the entries this journal ever took, over all its processes; `torn_bytes` what this start had
    to cut off the end of the last segment (it stays beside it in a `.torn` file). Raises Conflict where another
    process writes to `folder`, CorruptData where a newer Rondo has, Unavailable where the disk takes nothing.
    """

    def __init__(
        self,
        folder: Path,
        *,
        durability: Literal["process", "power"] = "process",
        segment_bytes: int = 64 << 20,
        min_free_bytes: int = 64 << 20,
    ) -> None:
        self.folder = folder
        self.accepted = 0
        self.torn_bytes = 0
        self._segment_bytes = segment_bytes
        self._min_free_bytes = min_free_bytes
        self._refusal: str | None = None
        self._torn = False  # the file may be longer than `_size`
        self._probe_at = 0.0
        self._closed = False
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _lock(folder)
        try:
            self._segment, empty = self._recover()
            self._descriptor = self._begin_segment(self._segment, power=durability == "power")
            if empty is not None:
                empty.unlink(missing_ok=True)
        except OSError as error:
            os.close(self._lock)
            raise Unavailable(f"The journal cannot start: {error.strerror or error}.", remedy=_REMEDY) from error
        except BaseException:
            os.close(self._lock)
            raise
        self._size = HEADER_BYTES
        self._flush = GroupFlush() if durability == "power" else None

    async def write(self, kind: int, payload: bytes) -> None:
        """Append one record; it is safe, as far as `durability` promises, when this returns.

        Raises Unavailable where the disk does not take it; nothing of it is kept then (or, where only the sync
        failed, perhaps). Raises InvalidRequest for a payload above 1 GiB.
        """
        frame = encode(kind, clock.now_us(), payload)
        size = len(frame)
        if self._closed or self._torn:
            self._require_sound()
        if self._size + size > self._segment_bytes and self._size > HEADER_BYTES:
            self._rotate()
        try:
            written = os.write(self._descriptor, frame)
        except OSError as error:
            raise self._refused(error.strerror or str(error)) from error
        if written != size:
            self._torn = True
            raise self._refused("no space left on the disk")
        self._size += size
        self.accepted += 1
        if self._flush is not None:
            try:
                await self._flush.flushed(self._descriptor)
            except OSError as error:
                raise self._refused(f"the disk failed to sync: {error.strerror or error}") from error

    async def write_all(self, entries: Sequence[tuple[int, bytes]]) -> None:
        """Append many records (kind, payload), with few writes; all are safe when this returns.

        Raises as `write` does; some of them may be kept then, so whoever sends them again sends some twice.
        """
        frames: list[bytes] = []
        size = 0
        at = clock.now_us()
        for kind, payload in entries:
            frame = encode(kind, at, payload)
            if frames and size + len(frame) > _AT_ONCE_BYTES:
                await self._write_frames(frames, size)
                frames, size = [], 0
            frames.append(frame)
            size += len(frame)
        if frames:
            await self._write_frames(frames, size)

    async def _write_frames(self, frames: list[bytes], size: int) -> None:
        if self._closed or self._torn:
            self._require_sound()
        if self._size + size > self._segment_bytes and self._size > HEADER_BYTES:
            self._rotate()
        try:
            written = os.write(self._descriptor, b"".join(frames))
        except OSError as error:
            raise self._refused(error.strerror or str(error)) from error
        if written != size:
            self._torn = True
            raise self._refused("no space left on the disk")
        self._size += size
        self.accepted += len(frames)
        if self._flush is None:
            await asyncio.sleep(0)  # others' turn
            return
        try:
            await self._flush.flushed(self._descriptor)
        except OSError as error:
            raise self._refused(f"the disk failed to sync: {error.strerror or error}") from error

    def check(self) -> None:
        """Admission: may a new request be served? Raises Unavailable while the journal cannot take its record.

        Looks at the disk at most twice a second.
        """
        now = clock.monotonic()
        if now >= self._probe_at:
            self._probe_at = now + PROBE_EVERY_S
            self._refusal = self._probe()
        if self._refusal is not None:
            raise Unavailable(f"The journal takes no records: {self._refusal}.", remedy=_REMEDY)

    def close(self) -> None:
        """Let go of the folder. Entries stay where they are, for the drain."""
        if self._closed:
            return
        self._closed = True
        if self._flush is not None:
            self._flush.retire(self._descriptor)
            self._flush.close()
        else:
            os.close(self._descriptor)
        os.close(self._lock)

    def _recover(self) -> tuple[int, Path | None]:
        """Cut the torn end of the last process's segment, and set `accepted`.

        Returns the number for our own segment, and the last one's path if it is empty and can go.
        """
        files = segment_files(self.folder)
        if not files:
            # A number from the clock: if the folder was emptied by hand, a position in the old files must not
            # look like one in ours.
            return max(1, clock.now_us() // 1_000_000), None
        last = files[-1]
        entries = self._cut_torn(last)
        self.accepted = last.first_sequence + entries
        return last.number + 1, last.path if entries == 0 else None

    def _cut_torn(self, last: SegmentFile) -> int:
        """How many whole entries the segment has; what follows them goes to a `.torn` file."""
        data = last.path.read_bytes()
        if not check_header(data) and len(data) <= HEADER_BYTES:
            return 0
        decoded = decode(data[HEADER_BYTES:])
        end = HEADER_BYTES + decoded.consumed
        torn = data[end:]
        if torn:
            with contextlib.suppress(OSError):  # on a full disk the copy is worth less than the start
                last.path.with_suffix(".torn").write_bytes(torn)
            os.truncate(last.path, end)
        self.torn_bytes = len(torn)
        return len(decoded.entries)

    def _begin_segment(self, number: int, *, power: bool) -> int:
        path = self.folder / file_name(number, self.accepted)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            if os.write(descriptor, header(self.accepted)) != HEADER_BYTES:
                raise OSError("no space left on the disk")
            if power:
                os.fsync(descriptor)
                _sync_folder(self.folder)
        except OSError:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        return descriptor

    def _require_sound(self) -> None:
        if self._closed:
            raise Unavailable("The journal is closed.", remedy="The server is shutting down; try again in a moment.")
        if not self._mend():
            raise self._refused("a torn record cannot be cut off")

    def _rotate(self) -> None:
        """Begin the next segment. Raises Unavailable, and stays with this one, where that fails."""
        try:
            descriptor = self._begin_segment(self._segment + 1, power=self._flush is not None)
        except OSError as error:
            raise self._refused(error.strerror or str(error)) from error
        old, self._descriptor = self._descriptor, descriptor
        self._segment += 1
        self._size = HEADER_BYTES
        if self._flush is not None:
            self._flush.retire(old)
        else:
            os.close(old)

    def _refused(self, reason: str) -> Unavailable:
        """Refuse from now on until a probe finds the disk well; the error to raise."""
        self._refusal = reason
        self._probe_at = clock.monotonic() + PROBE_EVERY_S
        self._mend()
        return Unavailable(f"The journal could not take the record: {reason}.", remedy=_REMEDY)

    def _mend(self) -> bool:
        """Cut off what a failed append may have left behind."""
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            self._torn = True
        else:
            self._torn = False
        return not self._torn

    def _probe(self) -> str | None:
        """What is wrong with the disk, or None."""
        if self._torn and not self._mend():
            return "a torn record cannot be cut off"
        try:
            disk = os.statvfs(self.folder)
        except OSError as error:
            return error.strerror or str(error)
        free = disk.f_bavail * disk.f_frsize
        if free < self._min_free_bytes:
            return f"{free >> 20} MiB of disk are free, {self._min_free_bytes >> 20} MiB are the least"
        return None


def _lock(folder: Path) -> int:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Conflict(
            f"Another process writes to the journal {folder.name!r}.",
            remedy="Stop the other server, or give this one a data folder of its own (RONDO_DATA).",
        ) from None
    return descriptor


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
