"""Calibrations: kept, found again, weighed; and a whole one over the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import to_builtins
from msgspec.structs import replace
from sqlalchemy import delete, select

from journeys.running import make_project
from judge_makers import ACCURACY, judge
from live_server import Live, live_on
from record_makers import make_call, make_score
from rondo.catalog.engine import Catalog
from rondo.catalog.schema_evals import eval_asks
from rondo.evals.judges import calibrate, calibration_store, calibrations
from rondo.evals.judges.labels import checked, parse
from rondo.evals.judges.measure import measure
from rondo.evals.judges.model import Judge
from rondo.evals.judges.report import Measured
from rondo.evals.judges.standing import standing
from rondo.evals.judges.version import version_of
from rondo.evals.model import Scored
from rondo.governance import projects
from rondo.records import Kind, to_json

ONE = judge(criteria=[ACCURACY], mark=0.6, least_labels=2)


def measured(people: list[int], said: list[int]) -> Measured:
    lines = (
        json.dumps({"question": "?", "answer": str(at), "scores": {"accuracy": score}})
        for at, score in enumerate(people)
    )
    scores = [{"accuracy": Scored(value=ACCURACY.share(score))} for score in said]
    return measure(ONE, checked(ONE, parse(lines)), scores, source="labels")


@pytest.fixture
def two_projects(catalog: Catalog) -> Catalog:
    with catalog.begin() as connection:
        for name in ("p", "q"):
            projects.add(connection, name, actor="tests")
    return catalog


def test_the_newest_calibration_of_a_version_holds(two_projects: Catalog) -> None:
    good, bad = measured([1, 5, 3], [1, 5, 3]), measured([1, 5, 3], [5, 1, 3])
    first = calibrate.keep(two_projects, "p", "bot", ONE, good, actor="ann")
    second = calibrate.keep(two_projects, "p", "bot", ONE, bad, actor="ben")
    other = replace(ONE, instructions="Be strict.")
    third = calibrate.keep(two_projects, "p", "bot", other, good, actor="ann")
    assert (first.passed, second.passed, third.passed) == (True, False, True)
    with two_projects.read() as connection:
        latest = calibration_store.latest(connection, "p", "bot", "quality", version_of(ONE))
        assert latest is not None
        assert replace(latest, report={}) == replace(second, report={})
        assert Measured.of(latest.report) == bad
        assert calibration_store.latest(connection, "q", "bot", "quality", version_of(ONE)) is None
        assert calibration_store.latest(connection, "p", "other", "quality", version_of(ONE)) is None
        found = calibration_store.history(connection, "p", "bot", "quality", limit=2)
        assert [each.id for each in found] == [third.id, second.id]


def test_whether_it_counts(two_projects: Catalog) -> None:
    def now(one: Judge) -> tuple[bool, str]:
        with two_projects.read() as connection:
            found = standing(connection, "p", "bot", one)
        assert found.version == version_of(one)
        return found.counts, found.sentence

    assert now(replace(ONE, mark=None)) == (True, now(replace(ONE, mark=None))[1])
    counts, sentence = now(ONE)
    assert (counts, "has not been compared" in sentence, "rondo judges calibrate quality" in sentence) == (
        False,
        True,
        True,
    )
    calibrate.keep(two_projects, "p", "bot", ONE, measured([1, 5, 3, 2], [1, 5, 3, 3]), actor="ann")
    counts, sentence = now(ONE)
    assert counts
    assert "of at least 0.6" in sentence
    counts, sentence = now(replace(ONE, mark=0.99))
    assert not counts, "the mark that holds now decides"
    assert "below 0.99" in sentence
    counts, sentence = now(replace(ONE, least_labels=30))
    assert not counts
    assert "4 answers of at least 30" in sentence
    assert not now(replace(ONE, votes=3))[0], "another version has to be calibrated anew"
    calibrate.keep(two_projects, "p", "bot", ONE, measured([1, 5], [5, 1]), actor="ann")
    assert not now(ONE)[0], "what was true once is not true for ever"


ECHO = """
[models.examiner]
provider = "scripted"
params = { script = ["{question}"] }

[judges.quality]
model = "examiner"
mark = 0.9
least_labels = 4
rubric = "one"

[judges.garbage]
kind = "yes_no"
question = "Is it right?"
model = "parrot"

[rubrics.one]
criteria = [{ name = "accuracy", question = "Is it true?" }]
"""
"""The examiner repeats what it was asked, so its verdict is the one that the answer holds."""


@pytest.fixture
async def judged(tmp_path: Path) -> AsyncIterator[Live]:
    project = make_project(tmp_path / "project", more=ECHO)
    async with live_on(project) as opened:
        yield opened


def label(said: int, people: int, at: int = 0, **more: Any) -> dict[str, Any]:
    answer = json.dumps({"accuracy": {"reason": f"r{at}", "score": said}})
    return {"question": "?", "answer": answer, "scores": {"accuracy": people}, **more}


LABELS = [label(score, score, at) for at, score in enumerate([1, 2, 3, 4, 5, 1])]


async def test_a_whole_calibration(judged: Live) -> None:
    before = (await judged.get("/api/judges"))["judges"]
    assert [(line["judge"]["name"], line["counts"]) for line in before] == [("garbage", True), ("quality", False)]
    told = await judged.post("/api/judges/quality/calibrations", {"app": "bot", "labels": LABELS})
    assert (told["passed"], told["kappa"], told["created_by"]) == (True, 1.0, "admin")
    assert told["measured"]["answers"] == 6
    story = await judged.get("/api/judges/quality", app="bot")
    assert story["line"]["counts"]
    assert story["line"]["answers"] == 6
    assert [each["id"] for each in story["calibrations"]] == [told["id"]]
    off = [*LABELS, label(5, 1, 7), label(1, 5, 8)]
    told = await judged.post("/api/judges/quality/calibrations", {"app": "bot", "labels": off, "on": "1"})
    assert not told["passed"]
    line = (await judged.get("/api/judges", app="bot"))["judges"][1]
    assert (line["counts"], line["kappa"]) == (False, told["kappa"])
    actions = [each["action"] for each in (await judged.get("/api/audit"))["entries"]][:2]
    assert actions == ["judge.calibrate", "judge.calibrate"]


async def test_what_it_asks_is_recorded_and_not_asked_again(judged: Live) -> None:
    def calibrated() -> Any:
        return judged.post("/api/judges/quality/calibrations", {"app": "bot", "labels": LABELS})

    await asyncio.gather(calibrated(), calibrated())  # as of a client that left and came back
    with judged.server.control.catalog.begin() as connection:
        connection.execute(delete(eval_asks))  # as of a server that died before it kept them
    assert (await calibrated())["passed"]
    await judged.drained()
    calls = (await judged.get("/api/calls", arm="eval"))["items"]
    assert len(calls) == len(LABELS)
    assert {call["model"] for call in calls} == {"examiner"}


async def test_what_was_said_is_kept_while_more_is_asked(judged: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that dies in the midst has paid for nothing that the next one asks again."""
    monkeypatch.setattr(calibrations, "KEEP_EVERY_S", 0.01)
    made = judged.server.control.calibrations
    whole, held = made._evaluate, asyncio.Event()

    async def evaluate(grant: Any, path: Any, body: bytes, *given: Any, **more: Any) -> Any:
        if b"r5" in body:
            await held.wait()
        return await whole(grant, path, body, *given, **more)

    monkeypatch.setattr(made, "_evaluate", evaluate)
    asking = asyncio.create_task(judged.post("/api/judges/quality/calibrations", {"app": "bot", "labels": LABELS}))
    async with asyncio.timeout(10):
        while True:
            with judged.server.control.catalog.read() as connection:
                if len(connection.execute(select(eval_asks.c.key)).all()) == len(LABELS) - 1:
                    break
            await asyncio.sleep(0.01)
    held.set()
    assert (await asking)["passed"]


async def test_a_judge_that_answers_garbage_is_told_by_its_errors(judged: Live) -> None:
    labels = [{"question": "?", "answer": str(at), "verdict": "yes"} for at in range(3)]
    told = await judged.post("/api/judges/garbage/calibrations", {"app": "bot", "labels": labels})
    assert (told["passed"], told["kappa"]) == (False, None)
    assert told["measured"]["errors"] == {"unreadable_verdict": 3}


async def test_what_reviewers_said_is_labels(judged: Live) -> None:
    refused = await judged.ask("POST", "/api/judges/quality/calibrations", json={"app": "bot"})
    assert refused.status_code == 404
    assert "reviewed" in refused.json()["error"]["message"]
    journal = judged.server.journal
    for at, (said, people) in enumerate([(1, 0.0), (5, 1.0), (3, 0.5), (4, 0.75)]):
        trace = f"{at:032x}"
        answer = label(said, 1, at)["answer"]
        call = make_call(trace_id=trace, project="default", app="bot", question="?", answer=answer)
        await journal.write(Kind.CALL, to_json(call))
        for who in ("ann", "ben"):
            given = {"name": "human.accuracy", "kind": "human", "data_type": "number", "value": people, "author": who}
            score = make_score(call, **given)
            await journal.write(Kind.SCORE, to_json(score))
    await judged.drained()
    told = await judged.post("/api/judges/quality/calibrations", {"app": "bot"})
    (aspect,) = told["measured"]["aspects"]
    assert (told["measured"]["source"], aspect["compared"], aspect["annotated"]) == ("reviews", 4, 4)
    assert told["kappa"] == 1.0


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 400, "app"),
        ({"app": "nobody"}, 404, "nobody"),
        ({"app": "bot", "labels": []}, 400, "no labels"),
        ({"app": "bot", "labels": [{"question": "?"}]}, 400, "answer"),
        ({"app": "bot", "labels": [label(1, 9)]}, 400, "label 1"),
        ({"app": "bot", "labels": LABELS, "on": "99"}, 404, "99"),
        ({"app": "bot", "labels": LABELS, "on": "x y"}, 400, "evaluated"),
        ({"app": "bot", "labels": LABELS, "run": "run_none"}, 404, "run_none"),
        ({"app": "bot", "labels": LABELS, "budget_usd": -1}, 400, "budget_usd"),
        ({"app": "bot", "since": "soon"}, 400, "since"),
        ({"app": "bot", "typo": 1}, 400, "typo"),
        ([], 400, "body"),
    ],
)
async def test_bad_requests_keep_nothing(judged: Live, body: Any, status: int, words: str) -> None:
    response = await judged.ask("POST", "/api/judges/quality/calibrations", json=body)
    assert response.status_code == status, response.text
    assert words in response.text
    assert (await judged.get("/api/judges/quality", app="bot"))["calibrations"] == []


async def test_who_may_and_what_there_is(judged: Live) -> None:
    _, viewer = await judged.key("viewer", role="viewer")
    sent = {"app": "bot", "labels": LABELS}
    assert (await judged.ask("POST", "/api/judges/quality/calibrations", json=sent, key=viewer)).status_code == 403
    assert (await judged.ask("GET", "/api/judges/quality", key=viewer)).status_code == 400
    missing = await judged.ask("GET", "/api/judges/qualty", params={"app": "bot"})
    assert missing.status_code == 404
    assert "Did you mean 'quality'?" in missing.text
    assert (await judged.ask("GET", "/api/judges", params={"app": "nobody"})).status_code == 404


def test_a_report_holds_nothing_that_json_has_not() -> None:
    text = json.dumps(to_builtins(measured([3, 3], [3, 3])), allow_nan=False)
    assert Measured.of(json.loads(text)).kappa is None
