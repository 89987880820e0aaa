"""Evaluation runs end to end, in one process: what they ask, what they keep, and what they say."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from evaluating_house import Evaluating, example, metric, said
from rondo.releases import bundle
from scripted_upstream import whole


async def draft(evaluating: Evaluating, **options: str) -> dict[str, Any]:
    archive = bundle.to_zip(bundle.read_folder(evaluating.live.project))
    response = await evaluating.live.ask("POST", "/api/drafts", content=archive, params=options)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_a_suite_is_run_on_production(evaluating: Evaluating) -> None:
    evaluating.numbers(6)
    run = await evaluating.run(targets=["production"])
    assert (run["status"], run["done"], run["failed"]) == ("finished", 6, 0)
    assert metric(run, "contains")["estimate"]["value"] == 1.0
    assert sorted(evaluating.asked("good")) == [f"What is {number}?" for number in range(6)]
    assert run["spent_usd"] == pytest.approx(6 * 20e-6)
    assert metric(run, "cost.per_request_usd")["estimate"]["value"] == pytest.approx(20e-6)
    assert metric(run, "errors.rate")["estimate"]["value"] == 0


async def test_who_waits_for_a_run_is_told_of_every_change_of_its_status(
    evaluating: Evaluating, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rondo.evals.runner._LOOK_EVERY_S", 3600.0)  # or else it would be seen by looking
    evaluating.numbers(6)
    run = await evaluating.start(targets=["production"])
    statuses = [run["status"]]
    async with asyncio.timeout(30):
        while statuses[-1] in ("queued", "running"):
            path = f"/api/runs/{run['id']}"
            run = await evaluating.live.get(path, wait=10, done=run["total"], status=run["status"])
            statuses.append(run["status"])
    assert statuses in (["queued", "running", "finished"], ["queued", "finished"])


async def test_a_draft_is_compared_with_production(evaluating: Evaluating) -> None:
    evaluating.numbers(40)
    made = await draft(evaluating, route="poor")
    run = await evaluating.run(targets=[made["hash"]], against="production")
    assert [target.get("number") for target in run["targets"]] == [None, 1]
    assert run["baseline"] == 1
    mine = metric(run, "contains")
    assert mine["estimate"]["value"] == 0.0
    assert mine["comparison"]["outcome"] == "worse"
    assert metric(run, "contains", 1)["comparison"] is None


async def test_a_draft_has_the_hash_of_the_release_to_come_and_changes_nothing(evaluating: Evaluating) -> None:
    (evaluating.live.project / "prompt.md").write_text("# system\nBe terse.\n\n# user\n{{ question }}\n")
    before = await evaluating.live.get("/api/models")
    made = await draft(evaluating)
    assert made["number"] is None
    assert await evaluating.live.get("/api/models") == before
    assert (await evaluating.live.get("/api/apps/bot/releases"))["releases"][0]["number"] == 1
    number = await evaluating.live.release()
    release = await evaluating.live.get(f"/api/apps/bot/releases/{number}")
    assert release["hash"] == made["hash"]


async def test_an_answer_is_paid_once_and_repeats_are_asked_each(evaluating: Evaluating) -> None:
    evaluating.numbers(3)
    first = await evaluating.run(targets=["production"], suite={"repeats": 2})
    assert len(evaluating.asked("good")) == 6
    second = await evaluating.run(targets=["production"], suite={"repeats": 3})
    assert len(evaluating.asked("good")) == 9
    assert second["spent_usd"] == pytest.approx(3 * 20e-6)
    rows = await evaluating.results(second["id"])
    assert sum(row["result"]["answer"].get("cached", False) for row in rows) == 6
    assert all(row["result"]["answer"]["cost_usd"] == 20e-6 for row in rows)
    assert metric(first, "contains")["flaky"] == 0.0
    fresh = await evaluating.run(targets=["production"], fresh=True)
    assert len(evaluating.asked("good")) == 12
    assert fresh["spent_usd"] == pytest.approx(3 * 20e-6)


async def test_errors_are_a_third_state(evaluating: Evaluating) -> None:
    too_long = {"error": {"message": "maximum context length is 10 tokens", "code": "context_length_exceeded"}}

    def answer(question: str) -> Any:
        number = int(question.removeprefix("What is ").rstrip("?"))
        if number == 0:
            return whole({"error": {"message": "down"}}, status=500)
        return whole(too_long, status=400) if number == 1 else f"It is {number}."

    from evaluating_house import answering

    evaluating.upstream.plays["good"] = answering(answer)
    evaluating.numbers(10)
    run = await evaluating.run(targets=["production"])
    assert (run["status"], run["done"], run["failed"]) == ("finished", 10, 2)
    (target,) = run["report"]["targets"]
    assert target["errors"] == {"upstream_500": 1, "context_window": 1}
    assert metric(run, "errors.rate")["estimate"]["value"] == 0.2
    contains = metric(run, "contains")["estimate"]
    assert (contains["value"], contains["n"], contains["missing"]) == (1.0, 8, 2)
    rows = await evaluating.results(run["id"], failed="true")
    assert {row["result"]["error"] for row in rows} == {"upstream_500", "context_window"}


async def test_bare_models_get_the_messages_as_they_are(evaluating: Evaluating) -> None:
    evaluating.dataset(example(1, params={"temperature": 0.5, "stream": True}))
    run = await evaluating.run(targets=["model:good", "model:poor"], against="model:poor")
    assert [target["label"] for target in run["targets"]] == ["good", "poor"]
    assert run["baseline"] == 1
    body = next(heard.json for heard in evaluating.upstream.heard if heard.json["model"] == "good")
    assert body["messages"] == [{"role": "user", "content": "What is 1?"}]
    assert body["temperature"] == 0.5
    assert "stream" not in body


async def test_records_of_evaluations_are_no_live_traffic(evaluating: Evaluating) -> None:
    evaluating.numbers(3)
    run = await evaluating.run(targets=["production", "model:poor"])
    await evaluating.live.drained()
    calls = (await evaluating.live.get("/api/calls", arm="eval"))["items"]
    assert len(calls) == 6
    status = await evaluating.live.get("/api/status")
    assert status["overview"]["totals"]["calls"] == 0
    assert status["overview"]["others"] == status["overview"]["apps"][0]["releases"] == []
    assert (await evaluating.live.get("/api/calls"))["items"] == []
    assert run["status"] == "finished"


async def test_must_pass_and_reports_in_words(evaluating: Evaluating) -> None:
    evaluating.dataset(example(1), example(2, expected="never", must_pass=True))
    run = await evaluating.run(targets=["production"])
    (target,) = run["report"]["targets"]
    assert (target["must_pass"], len(target["must_pass_failed"])) == (1, 1)
    rows = await evaluating.results(run["id"], must_pass="true", failed="true")
    assert [row["result"]["example"] for row in rows] == target["must_pass_failed"]
    response = await evaluating.live.ask("GET", f"/api/runs/{run['id']}/report", params={"format": "markdown"})
    assert "1 of 1 must-pass examples failed" in response.text
    assert said("x")
