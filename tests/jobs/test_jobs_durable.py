"""Durable jobs: each runs to its end, over as many starts as it takes; and DBOS comes with the first of them only."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from rondo.catalog.engine import sqlite_url
from rondo.errors import Conflict
from rondo.jobs.durable import Jobs


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "jobs.db")


class Work:
    """Counts, and holds on until it may go on."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.ended: list[str] = []
        self.at_once = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, subject: str) -> None:
        self.began.append(subject)
        self.at_once = max(self.at_once, len(self.began) - len(self.ended))
        await self.go_on.wait()
        if subject == "broken":
            raise ValueError("broken")
        self.ended.append(subject)


def jobs_on(url: str, work: Work, *, at_once: int = 4) -> Jobs:
    jobs = Jobs(url)
    jobs.define("count", work, at_once=at_once)
    return jobs


async def until(jobs_done: list[str], *names: str) -> None:
    async with asyncio.timeout(10):
        while not set(names) <= set(jobs_done):
            await asyncio.sleep(0.01)


async def test_a_job_runs_on_our_loop_and_once_and_nothing_is_pickled(url: str, tmp_path: Path) -> None:
    work = Work()
    jobs = jobs_on(url, work)
    assert not jobs.is_started
    await jobs.submit("count", "a")
    await until(work.ended, "a")
    work.go_on.clear()
    await jobs.submit("count", "b")
    await until(work.began, "b")
    work.go_on.set()
    await until(work.ended, "b")
    await jobs.close()
    assert work.began == ["a", "b"]
    kept = (tmp_path / "jobs.db").read_bytes()
    assert b"portable_json" in kept
    assert b"py_pickle" not in kept


async def test_a_job_that_is_submitted_as_it_ends_is_run_again(url: str) -> None:
    """Between the end of its work and the note of it, a job is neither running nor over."""
    work = Work()
    jobs = jobs_on(url, work)
    for number in range(1, 6):
        await jobs.submit("count", "a")
        async with asyncio.timeout(10):
            while len(work.ended) < number:
                await asyncio.sleep(0)
    await jobs.close()
    assert work.began == ["a"] * 5


async def test_a_job_that_is_submitted_while_it_runs_looks_once_more(url: str) -> None:
    """It may have seen already that there is nothing to be done, when there is again."""
    work = Work()
    work.go_on.clear()
    jobs = jobs_on(url, work)
    await jobs.submit("count", "a")
    await until(work.began, "a")
    for _ in range(3):
        await jobs.submit("count", "a")
    work.go_on.set()
    async with asyncio.timeout(10):
        while len(work.ended) < 2:
            await asyncio.sleep(0.01)
    await jobs.close()
    assert work.began == ["a", "a"]


async def test_what_was_cut_off_goes_on_at_the_next_start(url: str) -> None:
    work = Work()
    work.go_on.clear()
    jobs = jobs_on(url, work)
    await jobs.submit("count", "long")
    await until(work.began, "long")
    await jobs.close()
    assert work.ended == []

    work.go_on.set()
    jobs = jobs_on(url, work)
    await jobs.submit("count", "other")  # any job opens the database, and with it come those that were left
    await until(work.ended, "long", "other")
    await jobs.close()
    assert work.began.count("long") == 2


async def test_only_so_many_run_at_once(url: str) -> None:
    work = Work()
    work.go_on.clear()
    jobs = jobs_on(url, work, at_once=2)
    for name in "abcd":
        await jobs.submit("count", name)
    await until(work.began, "a", "b")
    await asyncio.sleep(0.6)
    work.go_on.set()
    await until(work.ended, *"abcd")
    await jobs.close()
    assert work.at_once == 2


async def test_a_job_that_fails_can_be_submitted_again(url: str, caplog: pytest.LogCaptureFixture) -> None:
    work = Work()
    jobs = jobs_on(url, work)
    await jobs.submit("count", "broken")
    await until(work.began, "broken")
    async with asyncio.timeout(10):
        while work.began.count("broken") < 2:
            await jobs.submit("count", "broken")
            await asyncio.sleep(0.05)
    await jobs.close()
    assert "count:broken has failed" in caplog.text


async def test_one_set_of_jobs_in_a_process(url: str, tmp_path: Path) -> None:
    work = Work()
    first, second = jobs_on(url, work), jobs_on(sqlite_url(tmp_path / "other.db"), work)
    await first.submit("count", "a")
    with pytest.raises(Conflict):
        await second.submit("count", "b")
    await until(work.ended, "a")
    await second.close()
    await first.submit("count", "c")
    await until(work.ended, "c")
    await first.close()


async def test_closing_what_never_began(url: str, tmp_path: Path) -> None:
    jobs = jobs_on(url, Work())
    await jobs.close()
    await jobs.submit("count", "late")  # nothing runs any more
    assert not jobs.is_started
    assert list(tmp_path.iterdir()) == []


def test_dbos_is_not_imported_before_there_is_a_job() -> None:
    code = "import sys, rondo.jobs.durable, rondo.batches.batches; sys.exit('dbos' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
