"""The record store is locked, gone or broken for a while: serving goes on, and the drain catches up, once each."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from journeys.running import make_project
from live_server import Live, live_on
from rondo.errors import Unavailable
from rondo.traces import drain

HOLD = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("create table if not exists foreign_table (x int)")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "_FIRST_BACKOFF_S", 0.02)
    monkeypatch.setattr(drain, "_LONGEST_BACKOFF_S", 0.05)


async def ask(live: Live, count: int) -> list[str]:
    replies = [await live.chat(user=f"u{n}") for n in range(count)]
    assert {reply.status_code for reply in replies} == {200}
    return [reply.headers["x-rondo-trace-id"] for reply in replies]


async def stored(live: Live) -> Counter[str]:
    await live.drained()
    listed = await live.get("/api/calls", limit=200)
    return Counter(call["trace_id"] for call in listed["items"])


async def test_a_store_that_another_process_holds_at_the_start(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    async with live_on(project) as live:
        before = await ask(live, 2)
        assert await stored(live) == Counter(before)
    records = project / ".rondo" / "records.duckdb"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(records)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    async with live_on(project) as live:
        meanwhile = await ask(live, 3)
        status = await live.ask("GET", "/api/calls")
        assert status.status_code == 503
        assert status.json()["error"]["code"] == "unavailable"
        assert (await live.ask("GET", "/healthz", key=None)).status_code == 200
        holder.stdin.close()
        holder.wait()
        holder.stdout.close()
        assert await stored(live) == Counter([*before, *meanwhile])


async def test_a_store_that_fails_for_a_while(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await ask(live, 2)
    await live.drained()

    def broken(*_: object) -> None:
        raise Unavailable("The record store is away.")

    with monkeypatch.context() as patch:
        patch.setattr(live.server.records.store, "insert", broken)
        meanwhile = await ask(live, 3)
        status = (await live.get("/api/status"))["drain"]
        assert status["accepted"] == status["stored"] + status["queued"] == 5
        assert status["queued"] == 3
    assert await stored(live) == Counter([*before, *meanwhile])


async def test_a_stop_with_the_store_away_keeps_the_records_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "project")

    def broken(*_: object) -> None:
        raise Unavailable("The record store is away.")

    async with live_on(project) as live:
        monkeypatch.setattr(live.server.records.store, "insert", broken)
        asked = await ask(live, 3)
    async with live_on(project) as live:
        assert await stored(live) == Counter(asked)


async def test_a_deleted_store_does_not_stop_serving(tmp_path: Path) -> None:
    """Whoever deletes the database loses what was in it; what comes after is kept, and the server says what is gone."""
    project = make_project(tmp_path / "project")
    async with live_on(project) as live:
        await ask(live, 2)
        await live.drained()
    for file in (project / ".rondo").glob("records.duckdb*"):
        file.unlink()
    async with live_on(project) as live:
        after = await ask(live, 2)
        found = await stored(live)
        assert {trace: found[trace] for trace in after} == dict.fromkeys(after, 1)
        status = (await live.get("/api/status"))["drain"]
        assert status["accepted"] == status["stored"] + status["queued"] + status["missing"]


async def test_a_torn_journal_tail_is_cut_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path / "project")
    with monkeypatch.context() as patch:
        patch.setattr(drain.Drain, "step", lambda _: 0)
        async with live_on(project) as live:
            asked = await ask(live, 3)
    segment = max((project / ".rondo" / "journal" / "control").glob("*-*"), key=lambda path: path.name, default=None)
    assert segment is not None
    data = segment.read_bytes()
    segment.write_bytes(data[:-7])  # power went away in the middle of the last record
    async with live_on(project) as live:
        assert await stored(live) == Counter(asked[:-1])
        more = await ask(live, 1)
        assert await stored(live) == Counter([*asked[:-1], *more])
        assert (await live.get("/api/status"))["drain"]["torn_bytes"] > 0
