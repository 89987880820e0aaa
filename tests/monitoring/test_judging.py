"""Live judging on a whole server: scores land on the calls, once, within the budget, and feed goals and reviews."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from journeys.running import make_project
from live_server import Live, live_on
from record_makers import make_call
from rondo import clock
from rondo.errors import Unavailable
from rondo.monitoring.judging import judging, scoring
from rondo.monitoring.judging.model import LiveStatus, is_chosen
from rondo.records import Kind, to_json
from rondo.settings.live import LiveSettings

JUDGED = """
[models.examiner]
provider = "scripted"
price = {{ input = 100, output = 10000 }}
params = {{ script = [{script}] }}

[judges.polite]
kind = "yes_no"
question = "Is it polite?"
model = "examiner"
params = {{ max_tokens = 10 }}

[live]
sample_percent = {percent}
{more}

[[live.scorers]]
kind = "contains"
name = "says.asked"
value = "asked"

[[live.scorers]]
kind = "judge"
judge = "polite"

[[goals]]
metric = "polite"
at_least = 0.5

[[goals]]
metric = "says.asked"
at_least = 0.5
"""


def project(folder: Path, *, script: str = '"yes"', percent: float = 100, more: str = "") -> Path:
    return make_project(folder, more=JUDGED.format(script=script, percent=percent, more=more))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "EVERY_S", 0.02)
    monkeypatch.setattr(judging, "_SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(judging, "_RETRIES_S", (0.01, 0.01))
    monkeypatch.setattr("rondo.gateway.pace._BACKOFF_S", 0.0)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Live]:
    async with live_on(folder) as live:
        live.server.control.watching.judging._retries_s = (0.01, 0.01)
        while live.server.control.watching.judging._seen is None:
            await asyncio.sleep(0.01)
        yield live


def standing(live: Live) -> LiveStatus:
    (found,) = live.server.control.watching.judging.status("default")
    return found


async def until(live: Live, holds: Callable[[LiveStatus], bool]) -> LiveStatus:
    await live.drained()
    try:
        async with asyncio.timeout(10):
            while not holds(standing(live)):
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"still {standing(live)}")
    await live.drained()
    return standing(live)


def scores(live: Live) -> list[dict[str, Any]]:
    rows = live.server.control.records.query("scores_list", {"project": "default", "limit": 1000})
    return sorted(rows, key=lambda row: (row["trace_id"], row["name"]))


async def ask(live: Live, count: int = 1, **fields: Any) -> list[str]:
    """The traces of so many answers, each to a question of its own."""
    found = []
    for at in range(count):
        messages = [{"role": "user", "content": f"question {at} {clock.now_us()}"}]
        response = await live.chat(messages=messages, **fields)
        assert response.status_code == 200, response.text
        found.append(response.headers["x-rondo-trace-id"])
    return found


async def evals_asked(live: Live) -> int:
    await live.drained()
    rows = live.server.control.records.query("calls_tail", {"project": "default", "after": 0, "limit": 1000})
    return sum(row["arm"] == "eval" for row in rows)


async def test_scores_land_on_calls_and_feed_goals(tmp_path: Path) -> None:
    async with served(project(tmp_path)) as live:
        traces = await ask(live, 3, user="ann")
        told = await until(live, lambda now: now.scored == 3)
        found = scores(live)
        assert [(row["trace_id"], row["name"], row["kind"], row["value"]) for row in found] == [
            (trace, name, kind, 1.0)
            for trace in sorted(traces)
            for name, kind in (("polite", "judge"), ("says.asked", "code"))
        ]
        assert {row["key_id"] for row in found} == {"live"}
        assert (told.errors, told.failed, told.waiting, told.resting, told.fault) == (0, 0, 0, None, None)
        assert told.spent_usd > 0
        assert await evals_asked(live) == 3, "what judges are asked is judged by nobody"
        status = await live.get("/api/status")
        assert status["live"][0]["scored"] == 3
        polite, asked = status["overview"]["apps"][0]["goals"]
        assert (polite["value"], polite["met"], polite["scored"]["calls"], polite["scored"]["users"]) == (1, True, 3, 1)
        assert polite["scored"]["low"] < 0.3, "three calls of one user say little"
        assert asked["met"]
        checks = (await live.get("/api/doctor"))["checks"]
        assert [check["ok"] for check in checks if check["name"] == "live judging bot"] == [True]


async def test_nothing_is_read_without_scorers(live: Live) -> None:
    await asyncio.sleep(0.05)
    assert live.server.control.watching.judging.status("default") == []
    assert live.server.control.watching.judging._windows == {}
    assert (await live.get("/api/status"))["live"] == []


async def test_what_the_user_says_against_the_judge_is_reviewed(tmp_path: Path) -> None:
    async with served(project(tmp_path)) as live:
        (trace,) = await ask(live)
        await until(live, lambda now: now.scored == 1)
        await live.post("/v1/feedback", {"trace_id": trace, "name": "helpful", "value": False})
        await live.drained()
        await live.server.control.reviews.collect("default", actor="tests")
        (item,) = [row["item"] for row in (await live.get("/api/reviews"))["items"]]
        assert (item["trace_id"], item["source"]) == (trace, "disputed")
        assert "polite" in item["note"]


async def test_a_restart_goes_on_and_pays_for_nothing_twice(tmp_path: Path) -> None:
    folder = project(tmp_path)
    async with served(folder) as live:
        await ask(live, 2)
        await until(live, lambda now: now.scored == 2)
        await live.server.control.watching.judging.finish()
        spent = standing(live).spent_usd
        assert await evals_asked(live) == 2
        # As after a crash: the cursor stands before the last call, whose scores are in the journal.
        control = live.server.control
        with control.catalog.begin() as connection:
            from rondo.traces import cursors

            at = cursors.find(connection, "default", "live")
            assert at is not None
            cursors.save(connection, "default", "live", 0)
        control.watching.judging._windows.clear()
    async with served(folder) as live:
        told = await until(live, lambda now: now.scored == 2)
        assert len(scores(live)) == 4, "a call that is scored again has the same scores"
        assert await evals_asked(live) == 2, "what was said is found in the records"
        assert told.spent_usd == pytest.approx(spent), "what an earlier life spent counts"
        await ask(live)
        await until(live, lambda now: now.scored == 3)
        assert await evals_asked(live) == 3


async def test_only_what_comes_after_it_was_turned_on(tmp_path: Path) -> None:
    folder = make_project(tmp_path)
    async with live_on(folder) as live:
        await ask(live, 2)
    text = (folder / "rondo.toml").read_text()
    project(tmp_path / "other")
    (folder / "rondo.toml").write_text(text + JUDGED.format(script='"yes"', percent=100, more=""))
    async with live_on(folder) as live:
        await live.release()
        watching = live.server.control.watching.judging
        while not watching.status("default"):
            await asyncio.sleep(0.01)
        await ask(live)
        await until(live, lambda now: now.scored == 1)
        assert len(scores(live)) == 2


async def test_the_budget_of_a_day_is_never_exceeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions side by side reserve before they are asked; then judges rest, and what only computes goes on."""
    folder = project(tmp_path, more="budget_usd_per_day = 0.5\nmax_concurrency = 8")
    async with served(folder) as live:
        await asyncio.gather(*(ask(live) for _ in range(24)))
        told = await until(live, lambda now: now.scored + now.skipped == 24)
        assert told.resting is not None
        assert "next one" in told.resting
        assert told.skipped > 0
        assert 0 < told.spent_usd <= 0.5
        paid = await live.get("/api/status")
        assert paid["live"][0]["resting"] == told.resting
        names = [row["name"] for row in scores(live)]
        assert names.count("says.asked") == 24
        assert names.count("polite") == told.scored
        checks = (await live.get("/api/doctor"))["checks"]
        assert [check["ok"] for check in checks if check["name"] == "live judging bot"] == [True], "it was wished for"
        tomorrow = clock.now_us() + scoring._DAY_US
        monkeypatch.setattr("rondo.monitoring.judging.scoring.clock.now_us", lambda: tomorrow)
        assert standing(live).resting is None
        await ask(live)
        await until(live, lambda now: now.scored == told.scored + 1)


async def test_a_judge_that_fails_gives_no_score(tmp_path: Path) -> None:
    broken = '{ text = "down", status = 500 }, { text = "down", status = 500 }, { text = "down", status = 500 }'
    async with served(project(tmp_path, script=f"{broken}, {broken}, {broken}")) as live:
        await ask(live)
        told = await until(live, lambda now: now.failed == 1)
        assert told.scored == 0
        assert told.errors == 3
        assert "polite" in (told.last_error or "")
        assert [row["name"] for row in scores(live)] == ["says.asked"]
        (check,) = [each for each in (await live.get("/api/doctor"))["checks"] if each["name"] == "live judging bot"]
        assert not check["ok"]
        assert "polite" in check["detail"]


async def test_a_judge_that_comes_round_is_asked_again(tmp_path: Path) -> None:
    async with served(project(tmp_path, script='"rubbish", "rubbish", "yes"')) as live:
        await ask(live)
        told = await until(live, lambda now: now.scored == 1)
        assert told.errors == 1
        assert told.last_error is None
        assert len(scores(live)) == 2


async def test_while_the_journal_is_full_the_cursor_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "_WAIT_S", 0.01)
    async with served(project(tmp_path)) as live:
        watching = live.server.control.watching.judging
        real, is_full = watching._judge, True

        async def judge(*given: Any, **more: Any) -> Any:
            if is_full:
                raise Unavailable("full")
            return await real(*given, **more)

        watching._judge = judge
        (window,) = watching._windows.values()
        before = window.done
        await ask(live)
        await until(live, lambda now: now.waiting == 1)
        await asyncio.sleep(0.05)
        assert window.done == before
        is_full = False
        await until(live, lambda now: now.scored == 1)
        assert len(scores(live)) == 2


def trace_id(at: int) -> str:
    return f"{at:032x}"


def row(**fields: Any) -> dict[str, Any]:
    return {"answered": True, "arm": "live", "rollout": None, "trace_id": trace_id(1), **fields}


def test_which_calls_are_chosen() -> None:
    every = LiveSettings(sample_percent=100, rollout_percent=100)
    none = LiveSettings(sample_percent=0, rollout_percent=100)
    assert is_chosen(row(), every)
    assert not is_chosen(row(), none)
    assert is_chosen(row(rollout="r"), none)
    assert is_chosen(row(rollout="r", arm="shadow"), none)
    for arm in ("eval", "traced"):
        assert not is_chosen(row(arm=arm, rollout="r"), every)
    assert not is_chosen(row(arm="shadow"), every), "a copy that is no evidence for anything"
    assert not is_chosen(row(answered=False), every)
    some = LiveSettings(sample_percent=30, rollout_percent=0)
    chosen = {at for at in range(500) if is_chosen(row(trace_id=trace_id(at)), some)}
    assert 100 < len(chosen) < 200
    assert chosen == {at for at in range(500) if is_chosen(row(trace_id=trace_id(at), rollout="r"), some)}


async def test_goals_rest_on_the_base_sample(tmp_path: Path) -> None:
    """All of a rollout's calls are scored; the goals are measured on those that are drawn anyway."""
    async with served(project(tmp_path, percent=30)) as live:
        control = live.server.control
        for at in range(60):
            call = make_call(
                project="default",
                trace_id=trace_id(at + 1),
                app="bot",
                rollout="r1",
                variant="candidate",
                started_at=clock.now_us(),
                question="?",
                output='{"content": "I am asked"}',
            )
            await control.gateway._journal.write(Kind.CALL, to_json(call))
        await until(live, lambda now: now.scored == 60)
        asked = (await live.get("/api/status"))["overview"]["apps"][0]["goals"][1]
        assert 0 < asked["scored"]["calls"] < 40


@pytest.mark.parametrize(
    ("scorer", "param", "words"),
    [
        ('kind = "token_f1"', "live.scorers[0].kind", "right answer"),
        ('kind = "retrieval"', "live.scorers[0].kind", "`sources`"),
        ('kind = "refusal"', "live.scorers[0].kind", "`should`"),
        ('kind = "perplexity"', "live.scorers[0].kind", "one call"),
        ('kind = "latency"', "live.scorers[0].kind", "anyway"),
        ('kind = "python"\nfile = "a.py"', "live.scorers[0].kind", "command line"),
        ('kind = "judge"\njudge = "polit"', "live.scorers[0].judge", "polite"),
        ('kind = "judge"\njudge = "either"', "live.scorers[0].judge", "compares two"),
        ('kind = "faithfulness"\nmodel = "examinr"', "live.scorers[0].model", "examiner"),
        ('kind = "contains"\nvalue = "a"\nname = "at@5"', "live.scorers[0].name", "name of a score"),
        ('kind = "nonsense"', "live.scorers[0].kind", "no scorer"),
    ],
)
async def test_scorers_that_could_score_no_call(tmp_path: Path, scorer: str, param: str, words: str) -> None:
    from rondo.errors import SettingsError
    from rondo.evals import alone
    from rondo.settings.project import read

    folder = project(tmp_path)
    text = (folder / "rondo.toml").read_text()
    start = text.index("[[live.scorers]]")
    (folder / "rondo.toml").write_text(
        text[:start]
        + f'[[live.scorers]]\n{scorer}\n[judges.either]\nkind = "pairwise"\nmodel = "examiner"\nquestion = "Which?"\n'
    )
    with pytest.raises(SettingsError, match=words) as caught:
        alone.check(read(folder))
    assert caught.value.param == param


def test_two_of_one_name(tmp_path: Path) -> None:
    from rondo.errors import SettingsError
    from rondo.evals import alone
    from rondo.settings.project import read

    folder = project(tmp_path)
    file = folder / "rondo.toml"
    file.write_text(file.read_text() + '[[live.scorers]]\nkind = "contains"\nvalue = "b"\nname = "polite"\n')
    with pytest.raises(SettingsError, match="two scorers"):
        alone.check(read(folder))


def test_a_folder_is_checked_before_it_is_released(tmp_path: Path) -> None:
    from rondo.cli.check import findings_in

    folder = project(tmp_path)
    assert ("ok", "live", "2 scorers") in list(findings_in(folder))
    file = folder / "rondo.toml"
    file.write_text(file.read_text().replace('kind = "contains"', 'kind = "token_f1"').replace('value = "asked"', ""))
    assert ("wrong", "live.scorers[0].kind") in [(each.state, each.what) for each in findings_in(folder)]


async def test_a_judge_without_a_price_is_not_asked_under_a_budget(tmp_path: Path) -> None:
    folder = project(tmp_path, more="budget_usd_per_day = 1.0")
    file = folder / "rondo.toml"
    dear = "price = { input = 100, output = 10000 }\nparams"
    unknown = file.read_text().replace(dear, "params").replace('[models.examiner]\nprovider = "scripted"', EXAMINER)
    file.write_text(unknown)
    async with served(folder) as live:
        await ask(live)
        told = await until(live, lambda now: now.skipped == 1)
        assert told.resting is not None
        assert "price" in told.resting
        assert not told.is_spent
        (check,) = [each for each in (await live.get("/api/doctor"))["checks"] if each["name"] == "live judging bot"]
        assert not check["ok"]
        assert [row["name"] for row in scores(live)] == ["says.asked"]


EXAMINER = """[models.examiner]
provider = "openai"
model = "nobody-knows-me"
base_url = "http://127.0.0.1:9/v1"
"""


async def test_the_overview_says_how_it_stands(tmp_path: Path) -> None:
    async with served(project(tmp_path)) as live:
        await ask(live)
        await until(live, lambda now: now.scored == 1)
        origin = {"origin": "http://rondo.test"}
        signed = await live.ask("POST", "/login", data={"key": live.admin}, key=None, headers=origin)
        page = await live.ask("GET", "/", key=None, headers={"cookie": signed.headers["set-cookie"].partition(";")[0]})
        assert "Judged live: 1 call by says.asked, polite" in page.text
        assert "1 judged call<" in page.text
