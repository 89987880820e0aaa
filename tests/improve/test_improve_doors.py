"""Drift and patterns on a whole server: the API, the console's pages, and who may ask."""

from __future__ import annotations

import pytest

from console.conftest import visitors
from console.visiting import Visitors
from live_server import Live

__all__ = ["visitors"]


async def disliked(live: Live, count: int) -> None:
    """Calls with a thumb down."""
    for number in range(count):
        asked = [{"role": "user", "content": f"the <b>refund</b> of order {number} is late"}]
        response = await live.chat(messages=asked, user=f"user-{number}")
        trace = response.headers["x-rondo-trace-id"]
        await live.post("/v1/feedback", {"trace_id": trace, "name": "thumbs", "value": False, "user": "x"})
    await live.drained()


async def test_a_look_is_kept_and_shown(live: Live, visitors: Visitors) -> None:
    assert await live.get("/api/apps/bot/drift") == {"report": None, "lasting": []}
    visitor = await visitors("developer")
    assert "There is no report yet" in await visitor.get("/drift/bot")
    await disliked(live, 3)
    report = await live.post("/api/apps/bot/drift", {"window": "1h", "reference": "2h"})
    assert (report["verdict"], report["calls"]) == ("not_enough", [0, 3])
    assert (await live.get("/api/apps/bot/drift"))["report"] == report
    listed = (await live.get("/api/apps/bot/drift/reports", scheduled="false"))["reports"]
    assert [each["id"] for each in listed] == [report["id"]]
    assert (await live.get("/api/apps/bot/drift/reports", scheduled="true"))["reports"] == []
    assert await live.get(f"/api/apps/bot/drift/reports/{report['id']}") == report
    response = await visitor.post("/drift/bot", window="2h", reference="")
    assert response.status_code == 303, response.text
    page = await visitor.get(response.headers["location"])
    for text in ("not enough", "Too few in the window", "Nothing looks by itself", "Here is what was found"):
        assert text in page
    refused = await visitor.post("/drift/bot", window="soon")
    assert refused.status_code == 400
    assert "Write it as 90m, 24h or 7d" in refused.text
    assert (await visitor.client.get("/drift")).headers["location"] == "/drift/bot"


async def test_patterns_are_found_shown_and_made_tests(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("developer")
    assert "Nobody has looked for patterns yet" in await visitor.get("/patterns")
    await disliked(live, 8)
    response = await visitor.post("/patterns", app="bot", since="24h", disliked="yes")
    assert response.status_code == 303, response.text
    page = await visitor.get(response.headers["location"])
    assert "1 pattern" in page
    assert "refund" in page
    (found,) = (await live.get("/api/patterns", app="bot"))["runs"]
    (pattern,) = found["patterns"]
    assert (pattern["calls"], pattern["users"], pattern["trend"]) == (8, 8, "unknown")
    assert await live.get(f"/api/patterns/{found['id']}") == found
    page = await visitor.get(f"/patterns/{found['id']}/1")
    assert "&lt;b&gt;refund" in page
    assert "<b>refund" not in page
    chosen = {f"call-{pattern['traces'][0]}": "yes"}
    where = f"/patterns/{found['id']}/1/tests"
    refused = await visitor.post(where, dataset="failures", expected="soon")
    assert refused.status_code == 400
    assert "No call is chosen" in refused.text
    made = await visitor.post(where, dataset="failures", expected="soon", **chosen)
    assert made.headers["location"] == "/datasets/failures?did=pattern-tested", made.text
    assert "are tests now" in await visitor.get(made.headers["location"])
    more = await live.post(f"/api{where}", {"dataset": "failures", "expectation": {"lacks": ["never"]}})
    assert len(more["tests"]) == len(pattern["examples"])
    await visitor.get(f"/patterns/{found['id']}/9", 404)


async def test_a_viewer_looks_and_does_nothing(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("viewer")
    assert "Look now" not in await visitor.get("/drift/bot")
    assert "Find patterns" not in await visitor.get("/patterns")
    for path in ("/drift/bot", "/patterns", "/patterns/x/1/tests"):
        assert (await visitor.post(path)).status_code == 403


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/api/patterns", {"since": "soon"}, "since"),
        ("/api/patterns", {"score": "x"}, "below"),
        ("/api/apps/bot/drift", {"window": "-1d"}, "window"),
        ("/api/apps/bot/drift", {"until": "2999-01-01"}, "until"),
        ("/api/apps/bot/drift", {"odd": 1}, None),
    ],
)
async def test_bad_input_is_named(live: Live, path: str, body: dict[str, object], param: str | None) -> None:
    response = await live.ask("POST", path, json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
