"""Reviews over the API, on a whole server: from a call to scores in the records; and who is let in."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from live_server import Live
from rondo.evals.judges.rubric import DEFAULT

SCORES = {"accuracy": 4, "clarity": 5, "professionalism": 5, "helpfulness": None}


async def asked(live: Live, text: str = "May I return it?") -> str:
    """The trace of a call that is in the records."""
    response = await live.chat(messages=[{"role": "user", "content": text}])
    await live.drained()
    return str(response.headers["x-rondo-trace-id"])


async def added(live: Live) -> str:
    """The id of an item that waits."""
    item: dict[str, Any] = (await live.post("/api/reviews", {"trace_id": await asked(live)}))["item"]
    return str(item["id"])


async def test_from_a_call_to_the_records(live: Live) -> None:
    trace = await asked(live)
    _, anna = await live.key("anna", role="developer")
    _, ben = await live.key("ben", role="developer")
    _, vera = await live.key("vera", role="viewer")
    made = await live.post("/api/reviews", {"trace_id": trace, "note": "look"}, key=anna)
    item = made["item"]
    assert (made["created"], item["source"], item["reviewers"]) == (True, "asked", 2)
    assert [each["name"] for each in item["rubric"]] == [each.name for each in DEFAULT]
    here = f"/api/reviews/{item['id']}"

    await live.post(f"{here}/answer", {"scores": SCORES, "comment": "fine", "expected": "Yes."}, key=anna)
    hidden = (await live.ask("GET", here, key=ben)).json()
    assert (hidden["answers"], hidden["answered"], hidden["may_answer"]) == ([], 1, True)
    assert (await live.ask("GET", "/api/reviews", key=ben, params={"waiting": "true"})).json()["totals"]["waiting"] == 1
    assert (await live.ask("GET", "/api/reviews", key=anna, params={"waiting": "true"})).json()["items"] == []
    done = await live.post(f"{here}/answer", {"scores": {**SCORES, "accuracy": 5}}, key=ben)
    assert done["item"]["status"] == "done"

    await live.drained()
    scores = {
        (each["author"], each["name"]): each["value"]
        for each in (await live.get("/api/feedback", trace_id=trace, kind="human"))["items"]
    }
    assert scores == {
        ("anna", "human.accuracy"): 0.75,
        ("ben", "human.accuracy"): 1.0,
        **{(who, f"human.{name}"): 1.0 for who in ("anna", "ben") for name in ("clarity", "professionalism")},
    }
    shown = (await live.ask("GET", here, key=vera)).json()
    assert shown["final"] == {"accuracy": 4.5, "clarity": 5.0, "professionalism": 5.0}
    assert shown["expected"] == "Yes."
    (row,) = (await live.get("/api/reviews", status="done"))["items"]
    assert (row["question"], row["answers"]) == ("May I return it?", 2)
    agreed = await live.get("/api/reviews/agreement")
    assert {each["criterion"] for each in agreed["criteria"]} == {"accuracy", "clarity", "professionalism"}
    lines = (await live.ask("GET", "/api/reviews/export")).text.splitlines()
    assert json.loads(lines[0])["scores"]["accuracy"] == 4.5


async def test_roles(live: Live) -> None:
    item = await added(live)
    here = f"/api/reviews/{item}"
    _, viewer = await live.key("vera", role="viewer")
    _, developer = await live.key("dora", role="developer")
    _, app = await live.key("app")
    body = {"scores": SCORES}
    writes = [
        ("/api/reviews", {"trace_id": "0" * 32}),
        (f"{here}/answer", body),
        (f"{here}/dismiss", {"reason": "x"}),
        ("/api/reviews/collect", {}),
    ]
    approvals = [(f"{here}/adjudicate", body), (f"{here}/reopen", {"reason": "x"}), ("/api/reviews/import", [])]
    for path, sent in [*writes, *approvals]:
        for key in (viewer, app):
            assert (await live.ask("POST", path, json=sent, key=key)).status_code == 403, path
    for path, sent in approvals:
        assert (await live.ask("POST", path, json=sent, key=developer)).status_code == 403, path
    for path in ("/api/reviews", here, "/api/reviews/agreement", "/api/reviews/export"):
        assert (await live.ask("GET", path, key=viewer)).status_code == 200, path
        assert (await live.ask("GET", path, key=app)).status_code == 403, path
        assert (await live.ask("GET", path, key=None)).status_code == 401, path


async def test_a_dispute(live: Live) -> None:
    item = await added(live)
    here = f"/api/reviews/{item}"
    _, anna = await live.key("anna", role="approver")
    _, ben = await live.key("ben", role="developer")
    await live.post(f"{here}/answer", {"scores": {"accuracy": 5}}, key=anna)
    told = await live.post(f"{here}/answer", {"scores": {"accuracy": 1}}, key=ben)
    assert told["item"]["status"] == "disputed"
    refused = await live.ask("POST", f"{here}/adjudicate", json={"scores": {"accuracy": 5}}, key=anna)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    settled = await live.post(f"{here}/adjudicate", {"scores": {"accuracy": 2}})
    assert settled["item"]["status"] == "done"
    actions = [entry["action"] for entry in (await live.get("/api/audit"))["entries"]]
    assert actions.count("review.adjudicate") == 1


async def test_what_is_done_can_be_reopened(live: Live) -> None:
    item = await added(live)
    here = f"/api/reviews/{item}"
    refused = await live.ask("POST", f"{here}/reopen", json={"reason": "a slip"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    _, anna = await live.key("anna", role="approver")
    _, ben = await live.key("ben", role="developer")
    await live.post(f"{here}/answer", {"scores": {"accuracy": 5}}, key=anna)
    await live.post(f"{here}/answer", {"scores": {"accuracy": 5}, "comment": "fine"}, key=ben)
    shown = await live.get(here)
    trace = shown["item"]["trace_id"]
    assert (shown["item"]["status"], shown["may_reopen"]) == ("done", True)
    assert (await live.ask("GET", here, key=ben)).json()["may_reopen"] is False
    assert await human_scores(live, trace) == {"anna": 1.0, "ben": 1.0}

    told = await live.post(f"{here}/reopen", {"reason": "a slip"})
    assert (told["item"]["status"], told["item"]["ended_at"]) == ("open", None)
    assert await human_scores(live, trace) == {"anna": "withdrawn", "ben": "withdrawn"}
    shown = await live.get(here)
    assert (shown["answered"], shown["answers"], shown["final"]) == (0, [], {})
    entry = (await live.get("/api/audit"))["entries"][0]
    assert (entry["action"], entry["details"]["reason"], entry["details"]["was"]) == ("review.reopen", "a slip", "done")
    assert [each["reviewer"] for each in entry["details"]["answers"]] == ["anna", "ben"]

    _, cleo = await live.key("cleo", role="developer")
    await live.post(f"{here}/answer", {"scores": {"accuracy": 1}}, key=cleo)
    assert (await live.post(f"{here}/answer", {"scores": {"accuracy": 1}}, key=ben))["item"]["status"] == "done"
    assert await human_scores(live, trace) == {"anna": "withdrawn", "ben": 0.0, "cleo": 0.0}


async def test_what_was_dismissed_can_be_reopened(live: Live) -> None:
    item = await added(live)
    await live.post(f"/api/reviews/{item}/dismiss", {"reason": "spam"})
    told = await live.post(f"/api/reviews/{item}/reopen", {"reason": "it is none"})
    assert told["item"]["status"] == "open"


async def human_scores(live: Live, trace_id: str) -> dict[str, Any]:
    """What the records have of reviewers, by author."""
    await live.drained()
    found = (await live.get("/api/feedback", trace_id=trace_id, kind="human"))["items"]
    return {each["author"]: each["label"] or each["value"] for each in found if each["name"] == "human.accuracy"}


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("", {"trace_id": "nope"}, "trace_id"),
        ("", {}, None),
        ("", {"trace_id": "0" * 32, "why": 1}, None),
        ("/ITEM/answer", {"scores": {"accuracy": 6}}, "scores.accuracy"),
        ("/ITEM/answer", {"scores": {"accuracy": 4.5}}, "scores.accuracy"),
        ("/ITEM/answer", {"scores": {}}, "scores"),
        ("/ITEM/answer", {"scores": {"manners": 1}}, "scores"),
        ("/ITEM/answer", {"scores": [4]}, None),
        ("/ITEM/dismiss", {"reason": ""}, "reason"),
        ("/ITEM/reopen", {"reason": " "}, "reason"),
        ("/ITEM/reopen", {}, None),
        ("/collect", {"since": "soon"}, "since"),
        ("/import", {"tasks": []}, None),
        ("/import?reviewers=[]", [], "reviewers"),
    ],
)
async def test_bad_input_is_named(live: Live, path: str, body: Any, param: str | None) -> None:
    item = await added(live)
    response = await live.ask("POST", "/api/reviews" + path.replace("ITEM", item), json=body)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == param
    assert (await live.get(f"/api/reviews/{item}"))["answered"] == 0


async def test_bad_questions_are_named(live: Live) -> None:
    for query in ({"limit": "0"}, {"after": "x"}, {"source": "x"}, {"colour": "x"}, {"format": "pdf"}):
        path = "/api/reviews/export" if "format" in query else "/api/reviews"
        response = await live.ask("GET", path, params=query)
        assert response.status_code == 400, query
        assert response.json()["error"]["param"] == next(iter(query))
    assert (await live.ask("GET", "/api/reviews/review_none")).status_code == 404
    assert (await live.ask("GET", "/api/reviews/export", params={"format": "label-studio-config"})).status_code == 400


async def test_votes_fill_the_queue_and_label_studio_empties_it(live: Live) -> None:
    trace = await asked(live)
    await live.post("/v1/feedback", {"trace_id": trace, "name": "helpful", "value": False, "comment": "No!"})
    await live.drained()
    assert await live.post("/api/reviews/collect", {}) == {"added": {"thumbs_down": 1}, "left_over": False}
    assert (await live.post("/api/reviews/collect", {"since": "24h"}))["added"] == {}
    (row,) = (await live.get("/api/reviews", source="thumbs_down"))["items"]
    assert (row["item"]["note"], row["item"]["created_by"]) == ("No!", "admin")

    exported = await live.ask("GET", "/api/reviews/export", params={"format": "label-studio", "status": "open"})
    assert (exported.headers["x-rondo-items"], exported.headers["x-rondo-left-out"]) == ("1", "0")
    (task,) = exported.json()
    config = (await live.ask("GET", "/api/reviews/export", params={"format": "label-studio-config"})).text
    assert '<Choices name="accuracy" toName="Answer"' in config
    assert task["data"]["conversation"][-1] == {"author": "user", "text": "May I return it?"}
    result = [{"from_name": "accuracy", "to_name": "Answer", "type": "choices", "value": {"choices": ["2"]}}]
    task["annotations"] = [
        {"completed_by": {"id": number, "email": f"{number}@x.org"}, "result": result} for number in (1, 2)
    ]
    taken = await live.post('/api/reviews/import?reviewers={"1@x.org": "anna"}', [task])
    assert (taken["answers"], taken["done"], taken["failed"]) == (2, 1, 0)
    await live.drained()
    kept = (await live.get("/api/feedback", trace_id=trace, kind="human"))["items"]
    assert {(each["author"], each["value"]) for each in kept} == {("anna", 0.25), ("label-studio:2@x.org", 0.25)}


async def test_a_release_says_how_its_answers_are_reviewed(live: Live) -> None:
    toml = (live.project / "rondo.toml").read_text()
    more = """
[reviews]
rubric = "short"
reviewers = 1
sample_percent = 100.0
[[rubrics.short.criteria]]
name = "correct"
question = "Is it?"
lowest = 0
highest = 1
"""
    (live.project / "rondo.toml").write_text(toml + more)
    await live.release()
    trace = await asked(live)
    assert (await live.post("/api/reviews/collect", {}))["added"] == {"sampled": 1}
    (row,) = (await live.get("/api/reviews"))["items"]
    item = row["item"]
    assert (item["trace_id"], item["reviewers"], item["rubric"][0]["name"]) == (trace, 1, "correct")
    told = await live.post(f"/api/reviews/{item['id']}/answer", {"scores": {"correct": 1}})
    assert told["item"]["status"] == "done"


async def test_the_server_looks_by_itself(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = await asked(live)
    await live.post("/v1/feedback", {"trace_id": trace, "name": "helpful", "value": False})
    await live.drained()
    reviews = live.server.control.reviews
    monkeypatch.setattr("rondo.reviews.reviews._EVERY_S", 0.01)
    stop = asyncio.Event()
    running = asyncio.create_task(reviews.run(stop))
    async with asyncio.timeout(10):
        while not (await live.get("/api/reviews"))["items"]:
            await asyncio.sleep(0.01)
    stop.set()
    await running
