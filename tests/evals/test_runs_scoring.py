"""What scores a run: judges, scorers of the project's own, played users; and everything that can be wrong with them."""

from __future__ import annotations

import json
from array import array
from math import nan
from typing import Any

import pytest

from evaluating_house import Evaluating, answering, example, make_project, metric, said
from rondo.datasets.model import Example, Persona
from rondo.evals.columns import Column
from rondo.evals.model import Scored
from rondo.releases import bundle
from scripted_upstream import whole

JUDGE = """
[models.judge]
provider = "openai"
model = "judge"
base_url = "{url}"
retries = 0
price = {{ input = 1.0, output = 2.0 }}

[judges.right]
kind = "yes_no"
model = "judge"
question = "Is the answer right?"
"""
PERSONA = Persona(who="A hurried customer", goal="Know what 7 is", max_turns=3)


async def judged(evaluating: Evaluating) -> str:
    """A draft of the project with a judge; its hash."""
    make_project(evaluating.live.project, evaluating.upstream.url, JUDGE.format(url=evaluating.upstream.url))
    archive = bundle.to_zip(bundle.read_folder(evaluating.live.project))
    response = await evaluating.live.ask("POST", "/api/drafts", content=archive)
    assert response.status_code == 200, response.text
    return str(response.json()["hash"])


def verdict(evaluating: Evaluating, **said_by_judge: Any) -> None:
    evaluating.upstream.plays["judge"] = whole(said(json.dumps({"reason": "so", "verdict": "yes", **said_by_judge})))


async def test_a_judge_of_the_draft_scores_and_is_not_asked_twice(evaluating: Evaluating) -> None:
    verdict(evaluating)
    evaluating.numbers(4)
    hash_ = await judged(evaluating)
    suite = {"scorers": [{"kind": "judge", "judge": "right"}]}
    run = await evaluating.run(targets=[hash_], suite=suite)
    assert run["status"] == "finished", run
    found = metric(run, "right")
    assert (found["estimate"]["value"], found["judge"]) == (1.0, "right"), found
    asked = [heard for heard in evaluating.upstream.heard if heard.json["model"] == "judge"]
    assert len(asked) == 4
    again = await evaluating.run(targets=[hash_], suite=suite)
    assert metric(again, "right")["estimate"]["value"] == 1.0
    assert again["spent_usd"] == 0
    assert len([heard for heard in evaluating.upstream.heard if heard.json["model"] == "judge"]) == 4
    await evaluating.live.drained()
    calls = (await evaluating.live.get("/api/calls", arm="eval", model="judge"))["items"]
    assert len(calls) == 4


async def test_a_judge_that_answers_garbage_gives_no_score(evaluating: Evaluating) -> None:
    evaluating.upstream.plays["judge"] = whole(said("I like turtles."))
    evaluating.numbers(3)
    run = await evaluating.run(
        targets=[await judged(evaluating)],
        suite={"scorers": [{"kind": "judge", "judge": "right"}, {"kind": "contains"}]},
    )
    found = metric(run, "right")
    assert (found["estimate"]["value"], found["estimate"]["missing"]) == (None, 3)
    assert sum(found["details"]["errors"].values()) == 3
    assert metric(run, "contains")["estimate"]["value"] == 1.0


async def test_a_suite_that_names_no_judge_of_the_target_is_refused(evaluating: Evaluating) -> None:
    evaluating.numbers(3)
    body = {
        "app": "bot",
        "name": "s",
        "suite": {"dataset": "questions", "scorers": [{"kind": "judge", "judge": "nobody"}]},
    }
    response = await evaluating.live.ask("POST", "/api/runs", json=body)
    assert response.status_code == 400
    assert "nobody" in response.text


async def test_scorers_of_the_projects_own_are_waited_for(evaluating: Evaluating) -> None:
    evaluating.numbers(3)
    suite = {"scorers": [{"kind": "contains"}, {"kind": "python", "file": "mine.py", "name": "mine"}]}
    run = await evaluating.run(targets=["production"], suite=suite)
    assert (run["status"], run["own_scorers"]) == ("awaiting_scores", ["mine"])
    rows = await evaluating.results(run["id"])
    path = f"/api/runs/{run['id']}/scores"
    places = [{name: row["result"][name] for name in ("target", "example", "repeat")} for row in rows]
    response = await evaluating.live.ask("POST", path, json={"scores": [], "last": True})
    assert response.status_code == 409
    scores = [{**place, "scores": {"other": {"value": 1.0}}} for place in places]
    response = await evaluating.live.ask("POST", path, json={"scores": scores})
    assert response.status_code == 400
    dear = [{**place, "scores": {"mine": {"value": 0.5, "cost_usd": -1}}} for place in places]
    response = await evaluating.live.ask("POST", path, json={"scores": dear})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "scores")
    scores = [{**place, "scores": {"mine": {"value": 0.5, "passed": True, "cost_usd": 0.25}}} for place in places]
    spent = run["progress"]["spent_usd"]
    await evaluating.live.post(path, {"scores": scores[:1], "versions": {"mine": "a" * 64}})
    again = await evaluating.live.post(path, {"scores": scores[:1], "versions": {"mine": "a" * 64}})
    assert again["spent_usd"] == pytest.approx(spent + 0.25)  # what is sent twice is paid once
    for versions, status in (({"mine": "b" * 64}, 409), ({"other": "a" * 64}, 400), ({"mine": "x"}, 400)):
        response = await evaluating.live.ask("POST", path, json={"scores": scores, "versions": versions})
        assert response.status_code == status, response.text
    ended = await evaluating.live.post(path, {"scores": scores[1:], "versions": {"mine": "a" * 64}, "last": True})
    assert ended["status"] == "finished"
    assert ended["spent_usd"] == pytest.approx(spent + 0.75)
    assert ended["suite"]["own_versions"] == {"mine": "a" * 64}
    assert metric(ended, "mine")["estimate"]["value"] == 0.5


async def test_a_played_user_leads_the_conversation(evaluating: Evaluating) -> None:
    lines = iter(["What is 7?", "DONE"])
    evaluating.upstream.plays["poor"] = answering(lambda question: next(lines))
    evaluating.dataset(Example(messages=[], expected="7", persona=PERSONA).identified())
    run = await evaluating.run(targets=["production"], suite={"user": {"model": "poor"}})
    assert (run["status"], run["failed"]) == ("finished", 0), await evaluating.results(run["id"])
    (row,) = await evaluating.results(run["id"])
    turns = row["result"]["answer"]["turns"]
    assert [turn["role"] for turn in turns] == ["user", "assistant"]
    assert metric(run, "contains")["estimate"]["value"] == 1.0


async def test_a_persona_needs_somebody_who_plays_it(evaluating: Evaluating) -> None:
    evaluating.dataset(example(1), Example(messages=[], expected="7", persona=PERSONA).identified())
    run = await evaluating.run(targets=["production"])
    assert (run["status"], run["done"], run["failed"]) == ("finished", 2, 1)
    assert run["report"]["targets"][0]["errors"] == {"invalid_request": 1}


async def test_slices_are_reported_and_small_ones_not_compared(evaluating: Evaluating) -> None:
    evaluating.dataset(*(example(number, tags={"topic": "odd" if number % 2 else "even"}) for number in range(60)))
    run = await evaluating.run(
        targets=["model:poor"],
        against="model:good",
        suite={"slices": ["topic"]},
        guarded_slices=["topic"],
        least_slice=30,
        goals=[{"metric": "contains", "at_least": 0.5}],
    )
    found = metric(run, "contains")
    assert (found["standing"], found["guarded"]) == ("missed", True)
    assert {(each["tag"], each["value"], each["guarded"]) for each in found["slices"]} == {
        ("topic", "odd", True),
        ("topic", "even", True),
    }
    assert all(each["comparison"]["outcome"] == "worse" for each in found["slices"])
    small = await evaluating.run(
        targets=["model:poor"], against="model:good", suite={"slices": ["topic"]}, least_slice=31
    )
    assert all(each["comparison"] is None for each in metric(small, "contains")["slices"])


async def test_what_is_wrong_with_an_order_is_told_at_once(evaluating: Evaluating) -> None:
    evaluating.numbers(3)

    async def refused(status: int, words: str, **changed: Any) -> None:
        suite = {"dataset": "questions", "scorers": [{"kind": "contains"}], **changed.pop("suite", {})}
        body = {"app": "bot", "name": "s", "suite": suite, **changed}
        response = await evaluating.live.ask("POST", "/api/runs", json=body)
        assert response.status_code == status, response.text
        assert words in response.text

    await refused(404, "suites/s.toml: dataset: There is no dataset called 'nothing'", dataset="nothing")
    await refused(404, "release 9", targets=["9"])
    await refused(400, "names nothing", targets=["what"])
    await refused(404, "deadbeef", targets=["deadbeef00"])
    await refused(404, "no model", targets=["model:none"])
    await refused(400, "suites/s.toml: dataset: the suite asks for no example of questions", suite={"split": "test"})
    await refused(400, "kind", suite={"scorers": [{"kind": "vibes"}]})
    await refused(400, "timeout_s", suite={"timeout_s": -1})
    await refused(400, "scorers", suite={"scorers": []})
    await refused(400, "1 to 20 targets", targets=[])


async def test_a_viewer_may_look_and_not_start(evaluating: Evaluating) -> None:
    evaluating.numbers(1)
    _, viewer = await evaluating.live.key("eye", role="viewer")
    body = {"app": "bot", "name": "s", "suite": {"dataset": "questions", "scorers": [{"kind": "contains"}]}}
    assert (await evaluating.live.ask("POST", "/api/runs", json=body, key=viewer)).status_code == 403
    assert (await evaluating.live.ask("GET", "/api/runs", key=viewer)).status_code == 200


async def test_the_tags_of_a_run_cannot_be_forged_by_an_example(evaluating: Evaluating) -> None:
    forged = {"eval_run": "run_other", "eval_key": "k", "mine": "yes"}
    evaluating.dataset(example(1, params={"metadata": forged}))
    run = await evaluating.run(targets=["production"])
    await evaluating.live.drained()
    (call,) = (await evaluating.live.get("/api/calls", arm="eval"))["items"]
    told = (await evaluating.live.get(f"/api/calls/{call['trace_id']}"))["calls"][0]["tags"]
    assert (told["eval_run"], told["mine"]) == (run["id"], "yes")
    assert told["eval_key"] != "k"


async def test_a_cost_that_nobody_knows_is_missing_and_not_passed_over(evaluating: Evaluating) -> None:
    unpriced = {**said("It is 1!"), "usage": None}
    evaluating.upstream.plays["good"] = answering(
        lambda question: whole(unpriced) if question in ("What is 1?", "What is 2?") else "It is so."
    )
    evaluating.numbers(10)
    run = await evaluating.run(targets=["production"])
    cost = metric(run, "cost.per_request_usd")
    assert (cost["estimate"]["n"], cost["estimate"]["missing"], cost["lost"]) == (8, 2, 0.2)


def test_scores_that_are_lost_in_some_repeats_are_counted() -> None:
    values = array("d", [1.0, nan, nan, 1.0, 0.0, 1.0, nan, 1.0])
    assert Column(values=values, places=array("q", [0, 0, 0, 0, 1, 1, 1, 1])).lost == 0.375
    assert (
        Column(scored={"a": [Scored(value=1.0), None], "b": [Scored(error="timeout"), Scored(value=0.0)]}).lost == 0.5
    )
    assert Column().lost == 0.0
