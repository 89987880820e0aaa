"""A batch runs to its end from every state, asks nothing twice whose result it has, and waits where waiting helps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from batches_house import NOW, BatchHouse, line
from rondo import clock
from rondo.batches import runner
from rondo.batches.model import WINDOW_US
from rondo.catalog.engine import Catalog
from rondo.errors import (
    BudgetExceeded,
    NotFound,
    Overloaded,
    RateLimited,
    UpstreamError,
    UpstreamTimeout,
    unexpected,
)
from rondo.gateway import pace


@pytest.fixture
def house(catalog: Catalog, tmp_path: Path) -> BatchHouse:
    return BatchHouse(catalog, tmp_path)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_BACKOFF_S", 0.001)
    monkeypatch.setattr(runner, "_TICK_S", 0.02)


def lines(count: int) -> bytes:
    return b"".join(line(number) for number in range(count))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.005)


async def test_every_request_is_asked_once_and_so_many_at_a_time(house: BatchHouse) -> None:
    house.desk.pause_s = 0.002
    house.batch(lines(40), at=clock.now_us())
    await house.runner.run("batch_1")
    batch = house.get()
    assert (batch.status, batch.total, batch.completed, batch.failed) == ("completed", 40, 40, 0)
    assert (batch.output_file_id, batch.error_file_id) == ("file-1-output", None)
    assert sorted(house.desk.asked) == house.ids("output") == sorted(f"r{number}" for number in range(40))
    assert house.desk.most_at_once == 4
    assert house.results("output")[0]["response"]["request_id"].startswith("trace-r")
    assert house.desk.tags[0] == {"batch": "batch_1", "custom_id": house.desk.asked[0]}
    await house.runner.run("batch_1")  # once more changes nothing
    assert len(house.desk.asked) == 40
    assert house.get() == batch


async def test_batches_share_the_places(house: BatchHouse) -> None:
    house.desk.pause_s = 0.002
    names = [house.batch(lines(20), at=clock.now_us(), name=f"batch_{number}") for number in range(3)]
    await asyncio.gather(*(house.runner.run(name) for name in names))
    assert house.desk.most_at_once == 4
    assert len(house.desk.asked) == 60


async def test_a_file_with_problems_is_not_asked(house: BatchHouse) -> None:
    house.batch(line(1) + b"x\n", at=clock.now_us())
    await house.runner.run("batch_1")
    batch = house.get()
    assert (batch.status, [each.line for each in batch.errors]) == ("failed", [2])
    assert house.desk.asked == []


async def test_a_file_that_is_gone(house: BatchHouse) -> None:
    house.batch(lines(1), at=clock.now_us())
    house.folder.path("p", "file-in-batch_1").unlink()
    await house.runner.run("batch_1")
    assert (house.get().status, house.get().errors[0].code) == ("failed", "input_file_missing")


@pytest.mark.parametrize(
    "passing",
    [
        RateLimited("slow", retry_after=0),
        Overloaded("full"),
        UpstreamError("slow", status=429, retry_after=0),
        UpstreamError("away", status=503),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_limit_is_waited_out(house: BatchHouse, passing: Exception) -> None:
    if isinstance(passing, Overloaded):
        passing.retry_after = 0
    house.desk.script["r1"] = [passing, passing, passing]  # type: ignore[list-item]
    house.batch(lines(3), at=clock.now_us())
    await house.runner.run("batch_1")
    assert house.get().completed == 3
    assert house.desk.asked.count("r1") == 4


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BudgetExceeded("spent", retry_after=60), 429),
        (NotFound("no such model"), 404),
        (UpstreamError("bad", status=400), 400),
        (UpstreamTimeout("late"), 504),
        (unexpected(), 500),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_any_other_refusal_is_the_result(house: BatchHouse, error: Exception, status: int) -> None:
    house.desk.script["r1"] = [error]  # type: ignore[list-item]
    house.batch(lines(3), at=clock.now_us())
    await house.runner.run("batch_1")
    batch = house.get()
    assert (batch.status, batch.completed, batch.failed) == ("completed", 2, 1)
    (failed,) = house.results("error")
    assert (failed["custom_id"], failed["response"]["status_code"]) == ("r1", status)
    assert failed["response"]["body"]["error"]["message"]
    assert house.desk.asked.count("r1") == 1


async def test_a_stream_is_refused_for_its_line(house: BatchHouse) -> None:
    house.batch(line(1, stream=True) + line(2), at=clock.now_us())
    await house.runner.run("batch_1")
    assert (house.ids("error"), house.ids("output")) == (["r1"], ["r2"])
    assert house.desk.asked == ["r2"]


async def test_a_revoked_key_fails_the_rest(house: BatchHouse) -> None:
    async def revoke() -> None:
        house.grants.clear()

    house.desk.script["r9"] = [revoke]
    house.batch(lines(40), at=clock.now_us())
    await house.runner.run("batch_1")
    batch = house.get()
    assert batch.status == "completed"
    assert batch.completed + batch.failed == 40
    assert batch.failed >= 24
    assert {each["response"]["status_code"] for each in house.results("error")} == {401}
    assert "revoked" in house.results("error")[0]["response"]["body"]["error"]["message"]


async def test_what_is_left_when_the_window_ends_is_told(house: BatchHouse) -> None:
    with clock.at(NOW) as advance:

        async def end_of_window() -> None:
            advance(WINDOW_US)

        house.desk.script["r9"] = [end_of_window]
        house.batch(lines(40), at=NOW)
        await house.runner.run("batch_1")
    batch = house.get()
    assert batch.status == "expired"
    assert batch.completed == len(house.results("output")) >= 10
    assert batch.completed + batch.failed == 40
    assert {each["error"]["code"] for each in house.results("error")} == {"batch_expired"}


async def test_the_end_of_the_window_ends_a_wait(house: BatchHouse) -> None:
    with clock.at(NOW) as advance:
        house.desk.script["r0"] = [RateLimited("slow", retry_after=3_600)]
        house.batch(lines(1), at=NOW)
        running = asyncio.create_task(house.runner.run("batch_1"))
        await until(lambda: house.desk.asked == ["r0"])
        advance(WINDOW_US)
        await asyncio.wait_for(running, 5)
    assert house.get().status == "expired"


async def test_cancel_ends_at_once_and_keeps_what_there_is(house: BatchHouse) -> None:
    house.desk.pause_s = 0.01
    house.batch(lines(200), at=clock.now_us())
    running = asyncio.create_task(house.runner.run("batch_1"))
    await until(lambda: len(house.desk.asked) > 20)
    house.set("batch_1", status="cancelling", cancelling_at=clock.now_us())
    house.runner.cancel("batch_1")
    await asyncio.wait_for(running, 5)
    batch = house.get()
    assert batch.status == "cancelled"
    assert batch.completed == len(house.desk.asked) < 200
    assert batch.failed == 200 - batch.completed
    assert {each["error"]["code"] for each in house.results("error")} == {"batch_cancelled"}


async def test_a_cancellation_by_another_server_is_seen(house: BatchHouse) -> None:
    house.desk.pause_s = 0.01
    house.batch(lines(400), at=clock.now_us())
    running = asyncio.create_task(house.runner.run("batch_1"))
    await until(lambda: len(house.desk.asked) > 20)
    house.set("batch_1", status="cancelling", cancelling_at=clock.now_us())
    await asyncio.wait_for(running, 5)
    assert house.get().status == "cancelled"


async def test_a_cancellation_before_anything_was_read(house: BatchHouse) -> None:
    house.batch(lines(3), at=clock.now_us())
    house.set("batch_1", status="cancelling", cancelling_at=clock.now_us())
    await house.runner.run("batch_1")
    assert (house.get().status, house.get().total, house.desk.asked) == ("cancelled", 0, [])


async def test_a_restart_asks_only_for_what_is_left(house: BatchHouse) -> None:
    house.desk.pause_s = 0.01
    house.batch(lines(60), at=clock.now_us())
    running = asyncio.create_task(house.runner.run("batch_1"))
    await until(lambda: len(house.desk.asked) > 20)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert house.get().status == "in_progress"
    under_way_ended = len(house.desk.asked)
    assert under_way_ended < 60
    await house.new_runner().run("batch_1")
    assert sorted(house.desk.asked) == house.ids("output")  # each once: those under way could end
    assert len(house.desk.asked) == 60
    assert house.get().status == "completed"


async def test_a_cancelled_batch_stays_so_over_a_restart(house: BatchHouse) -> None:
    house.desk.pause_s = 0.01
    house.batch(lines(60), at=clock.now_us())
    running = asyncio.create_task(house.runner.run("batch_1"))
    await until(lambda: len(house.desk.asked) > 20)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    house.set("batch_1", status="cancelling", cancelling_at=clock.now_us())
    asked = len(house.desk.asked)
    await house.new_runner().run("batch_1")
    assert len(house.desk.asked) == asked
    batch = house.get()
    assert (batch.status, batch.completed, batch.failed) == ("cancelled", asked, 60 - asked)


async def test_an_end_that_was_cut_off_is_done_once(house: BatchHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result files have their names, the catalog does not know yet."""
    house.batch(lines(5), at=clock.now_us())

    def die(*args: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(house.runner, "_end", die)
        with pytest.raises(asyncio.CancelledError):
            await house.runner.run("batch_1")
    assert house.get().status == "finalizing"
    await house.new_runner().run("batch_1")
    assert (house.get().status, house.get().completed) == ("completed", 5)
    assert len(house.desk.asked) == 5


async def test_a_fault_of_the_machine_is_waited_out(house: BatchHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    house.batch(lines(5), at=clock.now_us())
    monkeypatch.setattr(runner, "_LONGEST_WAIT_S", 0.01)
    real, faults = house.runner._results, [OSError(28, "full"), OSError(28, "full")]

    def sometimes(batch: object) -> object:
        if faults:
            raise faults.pop()
        return real(batch)  # type: ignore[arg-type]

    monkeypatch.setattr(house.runner, "_results", sometimes)
    await house.runner.run("batch_1")
    assert (house.get().status, faults) == ("completed", [])


async def test_a_fault_of_ours_fails_the_batch(house: BatchHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    house.batch(lines(5), at=clock.now_us())

    def broken(batch: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(house.runner, "_results", broken)
    await house.runner.run("batch_1")
    batch = house.get()
    assert (batch.status, batch.errors[0].code) == ("failed", "internal_error")
    assert "oops" not in batch.errors[0].message


async def test_a_file_that_changed_after_it_was_checked(house: BatchHouse) -> None:
    house.batch(lines(5), at=clock.now_us())
    house.set("batch_1", status="in_progress", in_progress_at=1, total=5)
    house.folder.path("p", "file-in-batch_1").write_bytes(b"x\n")
    await house.runner.run("batch_1")
    assert (house.get().status, house.get().errors[0].code) == ("failed", "input_file_changed")
