"""The records' process dies, or its parent does, at the worst of times: no record is lost, none is stored twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from journeys.running import Running, make_project, serving
from record_makers import after, entry, make_call
from rondo.errors import InvalidRequest, NotFound, Unavailable
from rondo.journal.append import Journal
from rondo.records import Kind, to_json
from rondo.server import records_process
from rondo.server.records_main import RecordsServer
from rondo.server.records_process import RecordsProcess
from rondo.store.duckdb import DuckDBStore
from rondo.traces.drain import Drain

TOTALS = {"project": "p", "since": 0, "until": 1 << 60}

PARENT = """
import sys
from pathlib import Path
from rondo.server.records_process import RecordsProcess
records = RecordsProcess(Path(sys.argv[1]) / "journal", Path(sys.argv[1]) / "records.duckdb")
records.start()
records.store.positions()
print(records.pid, flush=True)
sys.stdin.read()
"""


def opened(folder: Path) -> RecordsProcess:
    return RecordsProcess(folder / "journal", folder / "records.duckdb")


@pytest.fixture
def records(tmp_path: Path) -> Iterator[RecordsProcess]:
    running = opened(tmp_path)
    yield running
    running.close()


def until(condition: Callable[[], Any], *, most_s: float = 120.0) -> None:
    deadline = time.monotonic() + most_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def answers(records: RecordsProcess) -> bool:
    try:
        records.store.positions()
    except Unavailable:
        return False
    return True


def kill(records: RecordsProcess) -> None:
    assert records.pid is not None
    os.kill(records.pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def write(journal: Journal, count: int) -> list[str]:
    calls = [make_call() for _ in range(count)]

    async def all_of_them() -> None:
        for call in calls:
            await journal.write(Kind.CALL, to_json(call))

    asyncio.run(all_of_them())
    return [call.trace_id for call in calls]


def traces(records: RecordsProcess) -> Counter[str]:
    rows = records.store.query("calls_list", {"project": "p", "limit": 100_000})
    return Counter(row["trace_id"] for row in rows)


def test_records_are_drained_and_asked_for(records: RecordsProcess, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal" / "w")
    written = write(journal, 5)
    assert records.drain.status().queued == 5, "it waits to be told"
    records.start()
    records.drain.wake()
    until(lambda: records.drain.status().queued == 0)
    status = records.drain.status()
    assert (status.accepted, status.stored, status.last_error) == (5, 5, None)
    assert traces(records) == Counter(written)
    journal.close()


def test_errors_come_out_as_what_they_were(records: RecordsProcess, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as wrong:
        records.store.query("totals", {"project": "p"})
    assert wrong.value.param == "since"
    with pytest.raises(NotFound):
        records.store.export("export_calls", {"project": "p"}, {}, format="jsonl", target=tmp_path / "no" / "where")
    with pytest.raises(InvalidRequest):
        records.store.query("totals", {**TOTALS, "project": object()})


def test_a_call_under_way_when_it_dies_fails_at_once_and_the_next_one_works(records: RecordsProcess) -> None:
    records.store.insert("w", [entry(make_call())], after(1))
    assert records.pid is not None
    os.kill(records.pid, signal.SIGSTOP)  # it has the question, and no answer yet
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(records.store.query, "totals", TOTALS)
        time.sleep(0.1)
        kill(records)
        with pytest.raises(Unavailable):
            asked.result(10)
    until(lambda: answers(records))
    assert records.store.query("totals", TOTALS)[0]["calls"] == 1


def test_killed_again_and_again_under_load_it_stores_each_record_once(records: RecordsProcess, tmp_path: Path) -> None:
    records.start()
    journal = Journal(tmp_path / "journal" / "w", segment_bytes=200_000)
    written: list[str] = []
    ended = threading.Event()

    def load() -> None:
        while not ended.wait(0.02):
            written.extend(write(journal, 20))

    loading = threading.Thread(target=load)
    loading.start()
    for _ in range(4):
        before = records.drain.status().stored
        until(lambda: answers(records) and records.drain.status().stored > before)  # noqa: B023
        kill(records)
    ended.set()
    loading.join()
    until(lambda: answers(records) and records.drain.status().queued == 0)
    assert records.drain.status().accepted == len(written)
    assert traces(records) == Counter(written)
    journal.close()


def test_while_it_is_away_the_counters_hold(
    records: RecordsProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.start()
    journal = Journal(tmp_path / "journal" / "w")
    write(journal, 3)
    until(lambda: records.drain.status().stored == 3)
    monkeypatch.setattr(records_process, "_FIRST_BACKOFF_S", 60)
    monkeypatch.setattr(records, "_command", ["/nowhere/to/be/found"])
    kill(records)
    until(lambda: records.pid is None)
    write(journal, 2)
    status = records.drain.status()
    assert (status.accepted, status.stored, status.queued) == (5, 3, 2)
    assert status.last_error is not None
    assert status.oldest_queued_s is not None
    journal.close()


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere/to/be/found"])
def test_a_process_that_cannot_start_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    records = opened(tmp_path)
    records.start()
    with pytest.raises(Unavailable):
        records.store.query("totals", TOTALS)
    records.drain.wake()
    assert records.drain.status().last_error is not None
    records.close()


def test_modules_in_the_folder_it_is_started_in_are_not_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "duckdb.py").write_text("raise SystemExit('somebody else wrote this')")
    monkeypatch.chdir(tmp_path)
    records = opened(tmp_path)
    try:
        assert records.store.positions() == {}
    finally:
        records.close()


def test_signals_are_its_parents_business(records: RecordsProcess) -> None:
    records.store.positions()
    before = records.pid
    assert before is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(before, number)
    records.store.positions()
    assert records.pid == before


def test_signals_that_come_before_it_is_up(records: RecordsProcess) -> None:
    before = records.pid
    assert before is not None
    os.kill(before, signal.SIGINT)
    records.store.positions()
    assert records.pid == before


def test_it_ends_with_its_parent_and_the_next_has_everything(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal" / "w")
    written = write(journal, 200)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    records = opened(tmp_path)  # at once: the other may have the lock yet
    records.store.positions()
    assert not is_alive(child)
    records.start()
    until(lambda: records.drain.status().queued == 0)
    assert traces(records) == Counter(written)
    records.close()
    journal.close()


def test_it_closes_in_good_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal" / "w")
    records = opened(tmp_path)
    records.start()
    write(journal, 100)
    records.close()
    records.close()
    with pytest.raises(Unavailable):
        records.store.positions()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal", "records.duckdb"], "no log, no scratch file"
    store = DuckDBStore(tmp_path / "records.duckdb")
    assert store.query("totals", TOTALS)[0]["calls"] == 100
    store.close()
    journal.close()


def test_a_close_before_the_start_drains_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal" / "w")
    write(journal, 3)
    opened(tmp_path).close()
    store = DuckDBStore(tmp_path / "records.duckdb")
    assert store.query("totals", TOTALS)[0]["calls"] == 0
    store.close()
    journal.close()


def test_a_path_too_long_for_a_socket_is_none_of_its_concern(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 150)
    folder.mkdir()
    records = opened(folder)
    assert records.store.positions() == {}
    records.close()


def test_a_store_that_is_let_go_of_soon_is_never_seen_locked(tmp_path: Path) -> None:
    path = tmp_path / "records.duckdb"
    program = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        records = opened(tmp_path)
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(records.store.positions)
            time.sleep(0.5)
            holder.stdin.close()
            assert asked.result(20) == {}
    records.close()


def test_a_store_that_stays_locked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rondo.server.records_main._PATIENCE_S", 0.1)
    path = tmp_path / "records.duckdb"
    path.mkdir()
    store = DuckDBStore(path)
    server = RecordsServer(store, Drain(tmp_path / "journal", store))
    server._open()
    with pytest.raises(Unavailable):
        store.positions()
    store.close()


def test_whatever_keeps_the_store_from_opening_is_told_to_who_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DuckDBStore(tmp_path / "records.duckdb")

    def odd() -> None:
        raise ValueError("a name that is none")

    monkeypatch.setattr(store, "positions", odd)
    server = RecordsServer(store, Drain(tmp_path / "journal", store))
    server._open()
    assert server._opened.is_set()
    store.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start `rondo up`; servers still running at the end are killed."""
    with serving(make_project(tmp_path / "project")) as begin:
        yield begin


def children(pid: int) -> list[int]:
    """Of all its threads."""
    return [int(child) for each in Path(f"/proc/{pid}/task").glob("*/children") for child in each.read_text().split()]


def ask(server: Running) -> str:
    body = {"model": "bot", "messages": [{"role": "user", "content": "hello"}]}
    answer = httpx2.post(f"{server.url}/v1/chat/completions", headers=server.headers, json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.headers["x-rondo-trace-id"])


def listed(server: Running, count: int) -> Counter[str]:
    """The traces that the server's own list has, once it has so many."""
    found: list[str] = []

    def enough() -> bool:
        answer = httpx2.get(f"{server.url}/api/calls", headers=server.headers, params={"limit": 200})
        assert answer.status_code in (200, 503), answer.text  # 503: it is being started again
        found[:] = [call["trace_id"] for call in answer.json().get("items", [])]
        return len(found) >= count

    until(enough)
    return Counter(found)


def test_a_server_outlives_its_records_process_and_leaves_none_behind(serve: Callable[..., Running]) -> None:
    server = serve()
    (child,) = children(server.process.pid)
    asked = [ask(server)]
    os.kill(child, signal.SIGKILL)
    asked += [ask(server) for _ in range(3)]
    assert httpx2.get(f"{server.url}/readyz").status_code == 200, "records wait, requests need not"
    assert listed(server, 4) == Counter(asked)
    (child,) = children(server.process.pid)
    os.killpg(server.process.pid, signal.SIGINT)  # as a terminal does
    assert server.process.wait(30) == 0
    assert not is_alive(child)

    server = serve()
    asked.append(ask(server))
    (child,) = children(server.process.pid)
    server.process.kill()  # alone, not its group
    server.process.wait()
    server = serve()
    asked.append(ask(server))
    assert listed(server, 6) == Counter(asked)
    assert not is_alive(child)
    assert server.stop() == 0


def test_with_workers_too(serve: Callable[..., Running]) -> None:
    server = serve("--workers", "2")
    asked = [ask(server) for _ in range(4)]
    assert listed(server, 4) == Counter(asked)
    assert server.stop() == 0
