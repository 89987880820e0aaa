"""What has been spent, from store and journal: exactly what every call was charged, once."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from record_makers import make_call
from rondo import clock
from rondo.errors import Unavailable
from rondo.journal.append import Journal
from rondo.journal.replay import Reader
from rondo.limits.model import DAY_US, periods_of, to_nano, to_usd
from rondo.limits.spent import Spent
from rondo.records import Call, Kind, to_json
from rondo.store.duckdb import DuckDBStore
from rondo.traces.drain import Drain
from rondo.traces.spent import add_up, add_up_at_start

NOW = 1_796_054_400_000_000 + 11 * DAY_US // 10  # 2026-12-01, 26 hours and a bit later

AMOUNTS = st.one_of(
    st.none(), st.floats(0, 3), st.integers(0, 10**15).map(to_usd), st.sampled_from([0.0, 5e-10, 1.5e-9, 2.5e-9, 1e-12])
)
CALLS = st.lists(
    st.builds(
        make_call,
        project=st.sampled_from(["p", "p", "q"]),
        key_id=st.sampled_from(["k1", "k2"]),
        app=st.sampled_from([None, "bot"]),
        user=st.sampled_from([None, "", "anna", "x" * 300, "ü/😀"]),
        started_at=st.integers(NOW - 40 * DAY_US, NOW + 2 * DAY_US),
        arm=st.sampled_from(["live", "live", "shadow"]),
        cost_usd=AMOUNTS,
        charged_usd=AMOUNTS,
    ),
    max_size=25,
)


def oracle(calls: list[Call], *, users: bool) -> dict[tuple[str, str], int]:
    """The money of each subject, call by call, of yesterday, today and this month."""
    sums: dict[tuple[str, str], int] = {}
    with clock.at(NOW):
        yesterday = (clock.now_us() // DAY_US - 1) * DAY_US
    month = 1_796_083_200_000_000
    for call in calls:
        usd = call.cost_usd if call.charged_usd is None else call.charged_usd
        if call.arm != "live" or usd is None or call.started_at < min(yesterday, month):
            continue
        one = Spent(read_at=0, users=users)
        one.add(call.project, call.key_id, call.app, call.user, at=call.started_at, nano=to_nano(usd))
        for place, nano in one.nano.items():
            sums[place] = sums.get(place, 0) + nano
    return sums


def write(folder: Path, calls: list[Call]) -> None:
    async def work() -> None:
        journal = Journal(folder, segment_bytes=4_000, min_free_bytes=1)
        for call in calls:
            await journal.write(Kind.CALL, to_json(call))
        await journal.write(Kind.CALL, b"{broken")
        journal.close()

    asyncio.run(work())


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=CALLS, second=CALLS, stored=st.integers(0, 60), users=st.booleans())
def test_what_is_added_up_is_what_was_charged(
    tmp_path_factory: pytest.TempPathFactory, first: list[Call], second: list[Call], stored: int, users: bool
) -> None:
    """Whatever part of two journals has reached the store."""
    folder = tmp_path_factory.mktemp("spent")
    store = DuckDBStore(folder / "records.duckdb")
    try:
        with clock.at(NOW):
            write(folder / "journal" / "control", first)
            write(folder / "journal" / "worker-0", second)
        drain = Drain(folder / "journal", store, batch_records=7)
        for _ in range(stored // 7):
            drain.step()
        with clock.at(NOW):
            found = add_up_at_start(store, folder / "journal", ["p", "q"], users=users)
            again = asyncio.run(add_up(store, folder / "journal", ["p", "q"], users=users))
        expected = oracle(first + second, users=users)
        assert found.nano == expected
        assert again.nano == expected
    finally:
        store.close()


async def test_it_stays_exact_while_calls_are_written_and_drained(store: DuckDBStore, tmp_path: Path) -> None:
    """Each look, at whatever moment: all calls up to `read_at`, and none after it."""
    journal = Journal(tmp_path / "journal" / "control", segment_bytes=60_000, min_free_bytes=1)
    drain = Drain(tmp_path / "journal", store, batch_records=500)
    chance = random.Random(1)
    written: list[int] = []
    stop = asyncio.Event()

    async def writing() -> None:
        while not stop.is_set():
            written.append(chance.randrange(1, 9))
            at = clock.now_us()
            await journal.write(Kind.CALL, to_json(make_call(started_at=at, cost_usd=to_usd(written[-1]))))
            await asyncio.sleep(0.003)

    async def draining() -> None:
        while not stop.is_set():
            await asyncio.to_thread(drain.step)
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(writing()), asyncio.create_task(draining())]
    try:
        for _ in range(5):
            await asyncio.sleep(0.02)
            before = sum(written)
            try:
                spent = await add_up(store, tmp_path / "journal", ["p"], users=False)
            except Unavailable:
                continue
            month = periods_of(spent.read_at)[1]
            assert before <= spent.nano.get((month, "p/project"), 0) <= sum(written)
    finally:
        stop.set()
        await asyncio.gather(*tasks)
        journal.close()
    while drain.step():
        pass
    spent = await add_up(store, tmp_path / "journal", ["p"], users=False)
    assert spent.nano[periods_of(spent.read_at)[1], "p/project"] == sum(written)


def test_nothing_there_is_nothing_spent(store: DuckDBStore, tmp_path: Path) -> None:
    assert add_up_at_start(store, tmp_path / "nowhere", ["p"], users=True).nano == {}


def test_segments_that_are_gone_hold_up_no_start(store: DuckDBStore, tmp_path: Path) -> None:
    with clock.at(NOW):
        write(tmp_path / "journal" / "control", [make_call(started_at=NOW, cost_usd=0.5) for _ in range(30)])
        drain = Drain(tmp_path / "journal", store, batch_records=3)
        drain.step()
        segments = sorted((tmp_path / "journal" / "control").glob("*"))
        assert len(segments) > 3
        [each for each in segments if each.suffix not in (".lock", ".torn")][1].unlink()
        assert Reader(tmp_path / "journal" / "control").read().entries
        spent = add_up_at_start(store, tmp_path / "journal", ["p"], users=False)
        assert 0 < spent.nano[periods_of(NOW)[1], "p/project"] < 30 * to_nano(0.5)
