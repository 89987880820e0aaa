"""The drain: every accepted record reaches the store once, whatever fails and whoever restarts, and the counters
add up at every moment."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from record_makers import make_call, make_score
from rondo import clock
from rondo.errors import Unavailable
from rondo.journal.append import Journal
from rondo.journal.files import segment_files
from rondo.records import Entry, Kind, Position, to_json
from rondo.store.base import NO_FILTERS, ExportFormat, Holdings
from rondo.store.duckdb import DuckDBStore
from rondo.traces.drain import Drain


class MemoryStore:
    """A store that fails when told to: before a batch, or after its commit (which the caller cannot know)."""

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self.places: dict[str, Position] = {}
        self.fail: str | None = None
        self.error: Exception = Unavailable("locked")

    def insert(self, writer: str, batch: Sequence[Entry], position: Position) -> None:
        if self.fail in ("before", "all"):
            raise self.error
        known = self.places.get(writer)
        if known is None or (known.segment, known.offset) < (position.segment, position.offset):
            self.rows += [each.payload for each in batch]
            self.places[writer] = position
        if self.fail == "after":
            raise self.error

    def holdings(self) -> Holdings:
        if self.fail == "all":
            raise self.error
        return Holdings(dict(self.places), 0, 0)

    def positions(self) -> dict[str, Position]:
        return self.holdings().positions

    def query(
        self, name: str, params: Mapping[str, object], filters: Mapping[str, object] = NO_FILTERS
    ) -> list[dict[str, Any]]:
        return []

    def export(
        self,
        name: str,
        params: Mapping[str, object],
        filters: Mapping[str, object],
        *,
        format: ExportFormat,
        target: Path,
    ) -> int:
        return 0

    def close(self) -> None: ...


WRITERS = ("one", "two", "three")


class Interleavings(RuleBasedStateMachine):
    """Several writers write, crash in the midst of a frame and restart; the drain moves, fails and restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.store = MemoryStore()
        self.drain = self.new_drain()
        self.journals: dict[str, Journal] = {}
        self.accepted: list[bytes] = []

    def new_drain(self) -> Drain:
        return Drain(self.root, self.store, batch_records=3, batch_bytes=120)

    def journal(self, writer: str) -> Journal:
        if writer not in self.journals:
            self.journals[writer] = Journal(self.root / writer, segment_bytes=150, min_free_bytes=0)
        return self.journals[writer]

    @rule(writer=st.sampled_from(WRITERS), count=st.integers(1, 6))
    def write(self, writer: str, count: int) -> None:
        async def write() -> None:
            for _ in range(count):
                payload = b'{"n":%d}' % len(self.accepted)
                await self.journal(writer).write(1, payload)
                self.accepted.append(payload)

        asyncio.run(write())

    @rule(writer=st.sampled_from(WRITERS), torn=st.binary(max_size=40))
    def crash(self, writer: str, torn: bytes) -> None:
        """The process dies while it writes a frame: part of it may be there, and nobody was told that it is."""
        journal = self.journals.pop(writer, None)
        if journal is None:
            return
        journal.close()
        newest = segment_files(self.root / writer)[-1].path
        with newest.open("ab") as file:
            file.write(b"\xff" + torn)

    @rule(writer=st.sampled_from(WRITERS))
    def disk_full(self, writer: str) -> None:
        journal = self.journal(writer)
        real, descriptor = os.write, journal._descriptor

        def short(fd: int, data: bytes) -> int:
            if fd != descriptor:
                raise OSError(errno.ENOSPC, "full")
            return real(fd, data[:9])

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(os, "write", short)
            with pytest.raises(Unavailable):
                asyncio.run(journal.write(1, b'{"never":"acknowledged"}'))

    @rule(count=st.integers(1, 4))
    def move(self, count: int) -> None:
        self.store.fail = None
        for _ in range(count):
            self.drain.step()

    @rule(how=st.sampled_from(["before", "after", "all"]))
    def fail(self, how: str) -> None:
        self.store.fail = how
        try:
            self.drain.step()
        except Unavailable:
            pass
        finally:
            self.store.fail = None

    @rule()
    def restart_drain(self) -> None:
        self.drain = self.new_drain()

    @invariant()
    def counters_add_up(self) -> None:
        status = self.drain.status()
        assert status.accepted == len(self.accepted)
        assert status.stored == len(self.store.rows)
        assert status.queued == status.accepted - status.stored
        assert status.missing == 0
        assert (status.oldest_queued_s is None) == (status.queued == 0)

    @invariant()
    def nothing_twice_and_in_order(self) -> None:
        assert len(set(self.store.rows)) == len(self.store.rows)
        assert set(self.store.rows) <= set(self.accepted)

    @precondition(lambda self: len(self.accepted) % 3 == 0)
    @rule()
    def drain_all(self) -> None:
        while self.drain.step():
            pass
        assert sorted(self.store.rows) == sorted(self.accepted)
        self.drain.step()
        assert all(len(segment_files(self.root / writer)) <= 2 for writer in WRITERS)

    def teardown(self) -> None:
        self.drain_all()
        for journal in self.journals.values():
            journal.close()
        shutil.rmtree(self.root)


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


async def fill(journal: Journal, count: int) -> None:
    for _ in range(count):
        await journal.write(Kind.CALL, to_json(make_call()))


async def test_into_the_real_store(tmp_path: Path, store: DuckDBStore) -> None:
    root = tmp_path / "journal"
    journals = [Journal(root / name, segment_bytes=4000) for name in ("a", "b")]
    for journal in journals:
        await fill(journal, 20)
    call = make_call()
    await journals[0].write(Kind.CALL, to_json(call))
    await journals[1].write(Kind.SCORE, to_json(make_score(call)))
    await journals[1].write(Kind.CALL, b"poison")
    drain = Drain(root, store, batch_records=7)
    while drain.step():
        pass
    status = drain.status()
    assert (status.accepted, status.stored, status.queued, status.quarantined) == (43, 43, 0, 1)
    assert status.writers["a"].stored == 21
    (totals,) = store.query("totals", {"project": "p", "since": 0, "until": 1 << 60})
    assert (totals["calls"], totals["feedback"]) == (41, 1)
    assert max(len(segment_files(root / name)) for name in ("a", "b")) <= 2
    for journal in journals:
        journal.close()


async def test_a_store_restored_from_a_backup_counts_what_is_missing(tmp_path: Path) -> None:
    store = MemoryStore()
    journal = Journal(tmp_path / "j" / "w", segment_bytes=100)
    for number in range(20):
        await journal.write(1, b'{"n":%d}' % number)
    drain = Drain(tmp_path / "j", store, batch_records=2)
    drain.step()
    old, rows = dict(store.places), list(store.rows)
    while drain.step():
        pass
    assert drain.status().accepted == 20
    store.places, store.rows = old, rows
    status = drain.status()
    assert status.accepted == 20
    assert status.stored + status.queued == 20
    journal.close()


async def test_waits_are_measured(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j" / "w")
    drain = Drain(tmp_path / "j", MemoryStore())
    with clock.at(1_000_000_000) as advance:
        await journal.write(1, b"{}")
        advance(2_000_000)
        await journal.write(1, b"{}")
        advance(1_000_000)
        assert drain.status().oldest_queued_s == 3.0
        drain.step()
        assert drain.status().oldest_queued_s is None
    journal.close()


async def until(condition: Any) -> None:
    for _ in range(400):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never happened")


async def test_runs_until_told_to_stop_and_drains_what_is_left(tmp_path: Path) -> None:
    journal, store = Journal(tmp_path / "j" / "w"), MemoryStore()
    drain = Drain(tmp_path / "j", store, idle_s=60)
    await journal.write(1, b'{"n":0}')
    running = threading.Thread(target=drain.run)
    running.start()
    await until(lambda: len(store.rows) == 1)
    await journal.write(1, b'{"n":1}')
    drain.wake()
    await until(lambda: len(store.rows) == 2)
    await journal.write(1, b'{"n":2}')
    drain.stop()
    running.join(5)
    assert not running.is_alive()
    assert len(store.rows) == 3
    drain.wake()
    journal.close()


@pytest.mark.parametrize("error", [Unavailable("locked"), ValueError("never thought of"), OSError(5, "broken")])
async def test_no_error_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr("rondo.traces.drain._FIRST_BACKOFF_S", 0.001)
    journal, store = Journal(tmp_path / "j" / "w"), MemoryStore()
    store.fail, store.error = "all", error
    drain = Drain(tmp_path / "j", store, idle_s=0.001)
    running = threading.Thread(target=drain.run)
    running.start()
    await journal.write(1, b"{}")
    await until(lambda: drain._last_error is not None)
    assert str(error) in (drain._last_error or "")
    if isinstance(error, Unavailable):
        status = drain.status()
        assert (status.accepted, status.queued) == (1, 1)
        assert status.last_error is not None
    store.fail = None
    await until(lambda: store.rows)
    await until(lambda: drain.status().last_error is None)
    drain.stop()
    running.join()
    journal.close()


async def test_a_store_that_is_locked_at_first_gets_everything_later(tmp_path: Path) -> None:
    """The database file is a folder until someone puts that right."""
    path = tmp_path / "records.duckdb"
    path.mkdir()
    journal = Journal(tmp_path / "j" / "w")
    await fill(journal, 3)
    store = DuckDBStore(path)
    drain = Drain(tmp_path / "j", store)
    with pytest.raises(Unavailable):
        drain.step()
    assert drain.status().queued == 3
    path.rmdir()
    assert drain.step() == 3
    assert drain.status().stored == 3
    store.close()
    journal.close()


async def test_a_run_that_is_stopped_before_it_begins_makes_one_pass(tmp_path: Path) -> None:
    journal, store = Journal(tmp_path / "j" / "w"), MemoryStore()
    await journal.write(1, b"{}")
    drain = Drain(tmp_path / "j", store, idle_s=60)
    drain.stop()
    drain.run()
    assert len(store.rows) == 1
    journal.close()


def test_nothing_there_is_nothing_to_do(tmp_path: Path) -> None:
    drain = Drain(tmp_path / "nowhere", MemoryStore())
    assert drain.step() == 0
    assert drain.status().accepted == 0
    drain.wake()
