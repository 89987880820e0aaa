"""The drain: journal entries into the record store, in batches, each exactly once.

Every batch commits together with the position behind it, and the drain asks the store for that position at the
start and after every error; so a crash or a failed commit at any point only means that a batch is tried again.
Segments are deleted once the store has all of them. The counters always add up: accepted = stored + queued + missing,
where `missing` is zero unless someone removed segment files.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from rondo import clock
from rondo.errors import RondoError
from rondo.journal.replay import Journals, Reader
from rondo.records import Position
from rondo.store.base import Holdings, RecordStore

_log = logging.getLogger(__name__)

_FIRST_BACKOFF_S = 0.2
_LONGEST_BACKOFF_S = 5.0
_LAST_PASS_S = 5.0
_REST = 10  # times as long as the work before it
_LONGEST_REST_S = 1.0
_WORTH_GOING_ON = 2_000  # records in a batch


class WriterStatus(Struct, frozen=True):
    """The counters of one writer's journal."""

    accepted: int
    stored: int
    queued: int


class DrainStatus(Struct, frozen=True, kw_only=True):
    """Where the records are. `stored` includes the `quarantined` ones, which are kept whole but cannot be read.

    `oldest_queued_s` is how long the oldest queued record has waited, in seconds; None where none does. `torn_bytes`
    were cut off or passed over as damaged. `last_error` is None while the drain works.
    """

    accepted: int
    stored: int
    queued: int
    missing: int
    quarantined: int
    torn_bytes: int
    oldest_queued_s: float | None
    last_error: str | None
    writers: dict[str, WriterStatus]


class DrainView(Protocol):
    """A drain as others see it, in this process or in another. From any thread."""

    def status(self) -> DrainStatus:
        """The counters now. May take a while, so call it in a thread; it raises nothing that a store may raise.

        While the store cannot be reached, what it held last counts as stored.
        """
        ...

    def wake(self) -> None:
        """Drain now rather than at the next look. Does not wait for it."""
        ...


class Drain:
    """Moves records of all journals under `journal_root` into `store`. One per store."""

    def __init__(
        self,
        journal_root: Path,
        store: RecordStore,
        *,
        batch_records: int = 20_000,
        batch_bytes: int = 32 << 20,
        idle_s: float = 0.1,
    ) -> None:
        self._journals = Journals(journal_root)
        self._store = store
        self._batch_records = batch_records
        self._batch_bytes = batch_bytes
        self._idle_s = idle_s
        self._stepping = threading.Lock()
        self._turn = 0
        self._damaged_bytes = 0
        self._last_error: str | None = None
        self._known = Holdings({}, 0, 0)
        self._positions: dict[str, Position] | None = None  # what the store has, where that is known
        self._stopping = threading.Event()
        self._awake = threading.Event()

    def step(self) -> int:
        """Move one batch of one writer; how many records it had, 0 where all are stored.

        Writers take turns. Raises Unavailable while the store cannot be reached, CorruptData where a newer Rondo
        wrote the journal.
        """
        with self._stepping:
            positions = self._positions
            self._positions = None  # whatever fails from here on: ask again
            if positions is None:
                positions = dict(self._store.positions())
            readers = list(self._journals.readers().items())
            moved = 0
            for turn in range(len(readers)):
                writer, reader = readers[(self._turn + turn) % len(readers)]
                moved = self._move(writer, reader, positions)
                if moved:
                    self._turn += turn + 1
                    break
            self._positions = positions
            return moved

    def _move(self, writer: str, reader: Reader, positions: dict[str, Position]) -> int:
        position = positions.get(writer)
        if position is not None:
            reader.delete_drained(position)
        batch = reader.read(position, max_entries=self._batch_records, max_bytes=self._batch_bytes)
        if not batch.entries:
            return 0
        self._store.insert(writer, batch.entries, batch.end)
        positions[writer] = batch.end
        self._damaged_bytes += batch.damaged
        if batch.damaged:
            _log.error("journal %s: %d damaged bytes were passed over", writer, batch.damaged)
        return len(batch.entries)

    def run(self) -> None:
        """Drain until `stop`, then what is left as far as five seconds go (the journal keeps the rest). Blocks.

        Errors are kept in `status`, and tried again.
        """
        backoff = _FIRST_BACKOFF_S
        while not self._stopping.is_set():
            self._awake.clear()
            began = clock.monotonic()
            if self._attempt(self._stopping.is_set):
                backoff = _FIRST_BACKOFF_S
                # Rows are cheap, batches are not: under load, rest until the next batch is worth its fixed cost.
                rest = min(max(self._idle_s, (clock.monotonic() - began) * _REST), _LONGEST_REST_S)
                if not self._stopping.is_set():  # or `stop` came before the clear
                    self._awake.wait(rest)
            else:
                self._stopping.wait(backoff)
                backoff = min(backoff * 2, _LONGEST_BACKOFF_S)
        deadline = clock.monotonic() + _LAST_PASS_S
        self._attempt(lambda: clock.monotonic() > deadline, to_the_end=True)

    def stop(self) -> None:
        """Let `run` come to its end. From any thread."""
        self._stopping.set()
        self._awake.set()

    def wake(self) -> None:
        """Drain now rather than at the next look. From any thread."""
        self._awake.set()

    def _attempt(self, enough: Callable[[], bool], *, to_the_end: bool = False) -> bool:
        """Drain a batch of every writer, more while they are large, or until `enough`; whether that went well.

        Never raises: the loop must outlive every error.
        """
        try:
            batches = 0
            while moved := self.step():
                self._last_error = None
                batches += 1
                if enough():
                    break
                if not to_the_end and moved < _WORTH_GOING_ON and batches >= len(self._journals.readers()):
                    break
        except Exception as error:
            text = str(error) if isinstance(error, RondoError) else f"{type(error).__name__}: {error}"
            if text != self._last_error:
                _log.warning("the drain waits: %s", text, exc_info=not isinstance(error, RondoError))
            self._last_error = text
            return False
        self._last_error = None
        return True

    @property
    def known(self) -> Holdings:
        """What the store held at the last look."""
        return self._known

    def status(self) -> DrainStatus:
        """As `DrainView` says."""
        last_error = self._last_error
        try:
            self._known = self._store.holdings()
        except RondoError as error:
            last_error = last_error or str(error)
        return count(self._journals, self._known, damaged_bytes=self._damaged_bytes, last_error=last_error)


def count(journals: Journals, held: Holdings, *, damaged_bytes: int = 0, last_error: str | None = None) -> DrainStatus:
    """The counters of journals of which a store has `held`. Reads the journals' folders."""
    readers = journals.readers()
    writers = {name: _count(reader, held.positions.get(name)) for name, reader in readers.items()}
    for name, position in held.positions.items():  # journals whose folder is gone
        writers.setdefault(name, WriterStatus(position.sequence, position.sequence, 0))
    return DrainStatus(
        accepted=sum(writer.accepted for writer in writers.values()),
        stored=sum(writer.stored for writer in writers.values()) - held.missing,
        queued=sum(writer.queued for writer in writers.values()),
        missing=held.missing,
        quarantined=held.quarantined,
        torn_bytes=damaged_bytes + sum(reader.torn_bytes() for reader in readers.values()),
        oldest_queued_s=_oldest(readers, held.positions, writers),
        last_error=last_error,
        writers=writers,
    )


def _count(reader: Reader, position: Position | None) -> WriterStatus:
    here = reader.locate(position)
    end = reader.end()
    queued = max(0, end.sequence - here.sequence)
    return WriterStatus(here.sequence + queued, here.sequence, queued)


def _oldest(
    readers: Mapping[str, Reader], positions: Mapping[str, Position], writers: Mapping[str, WriterStatus]
) -> float | None:
    times = [
        accepted_at
        for name, reader in readers.items()
        if writers[name].queued and (accepted_at := reader.oldest_at(positions.get(name))) is not None
    ]
    return max(0.0, (clock.now_us() - min(times)) / 1e6) if times else None
