"""The pages of datasets, and the form that makes a call a test."""

from __future__ import annotations

import json

import pytest

from console.visiting import Visitors
from live_server import Live

ROWS = [
    {"question": "Do you take back <b>bikes</b>?", "expected": "Within 14 days.", "topic": "returns"},
    {"question": "Do you take back <b>bikes</b>?", "expected": "Never.", "topic": "returns"},
    {"question": "Where is the depot? Write to zoe@example.com", "split": "test"},
]


async def upload(live: Live, *rows: dict[str, str], name: str = "questions") -> None:
    content = "".join(json.dumps(row) + "\n" for row in rows)
    response = await live.ask("POST", f"/api/datasets/{name}/versions", content=content, params={"filename": "x.jsonl"})
    assert response.status_code == 200, response.text


async def test_looking_at_datasets(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("viewer")
    assert "No dataset yet" in await visitor.get("/datasets")
    await upload(live, *ROWS)
    await upload(live, *ROWS[:2], {"question": "What else is new in the shop?"})
    assert 'href="/datasets/questions"' in await visitor.get("/datasets")
    page = await visitor.get("/datasets/questions?version=1")
    for words in ("&lt;b&gt;bikes", "email: 1", "One input, different answers", "Never.", "topic: returns"):
        assert words in page
    assert "<b>bikes" not in page
    found = await visitor.get("/datasets/questions?version=1&split=test")
    assert "Where is the depot?" in found
    assert "No example matches" in await visitor.get("/datasets/questions?text=nowhere")
    changes = await visitor.get("/datasets/questions/diff")
    assert "What else is new" in changes
    assert "Where is the depot?" in changes
    examples = (await live.get("/api/datasets/questions/versions/1/examples"))["items"]
    shown = await visitor.get(f"/datasets/questions/examples/{examples[0]['id']}")
    assert "Within 14 days." in shown
    assert "x.jsonl, line 1" in shown
    await visitor.get("/datasets/nothing", status=404)
    await visitor.get("/datasets/questions?after=x", status=400)
    await visitor.get("/datasets/questions/examples/nothing", status=404)


async def test_a_call_becomes_a_test(live: Live, visitors: Visitors) -> None:
    answer = await live.chat(messages=[{"role": "user", "content": "Do you take back bikes, zoe@example.com?"}])
    trace = answer.headers["x-rondo-trace-id"]
    await live.drained()
    visitor = await visitors("developer")
    assert f"/calls/{trace}/test" in await visitor.get(f"/calls/{trace}")
    assert "Make it a test" in await visitor.get(f"/calls/{trace}/test")
    refused = await visitor.post(f"/calls/{trace}/test", dataset="failures", expected=" ")
    assert refused.status_code == 400
    assert "What should have been answered is not said." in refused.text
    done = await visitor.post(
        f"/calls/{trace}/test", dataset="failures", expected="Yes.", contains="14 days\n\n30 days", hand_over="no"
    )
    assert done.status_code == 303, done.text
    page = await visitor.get(done.headers["location"])
    assert "The call is a test now." in page
    (example,) = (await live.get("/api/datasets/failures/versions/latest/examples"))["items"]
    assert (example["expected"], example["hand_over"], example["must_pass"]) == ("Yes.", False, True)
    assert [each["value"] for each in example["expect"]] == ["14 days", "30 days"]
    assert "bot#1" in await visitor.get("/datasets")


@pytest.mark.parametrize(
    "fields", [{"dataset": "Not A Name"}, {"dataset": ""}, {"hand_over": "perhaps"}, {"expected": "\0"}]
)
async def test_a_wrong_form_says_why(live: Live, visitors: Visitors, fields: dict[str, str]) -> None:
    trace = (await live.chat()).headers["x-rondo-trace-id"]
    await live.drained()
    visitor = await visitors("developer")
    response = await visitor.post(f"/calls/{trace}/test", **{"dataset": "d", "expected": "x", **fields})
    assert response.status_code == 400
    assert (await live.get("/api/datasets"))["datasets"] == []


async def test_a_viewer_makes_no_tests(live: Live, visitors: Visitors) -> None:
    trace = (await live.chat()).headers["x-rondo-trace-id"]
    await live.drained()
    visitor = await visitors("viewer")
    assert f"/calls/{trace}/test" not in await visitor.get(f"/calls/{trace}")
    await visitor.get(f"/calls/{trace}/test", status=403)
    assert (await visitor.post(f"/calls/{trace}/test", dataset="d", expected="x")).status_code == 403
