"""What the reading pages show: with nothing there, with real calls, and with hostile ones."""

from __future__ import annotations

import html
import json
from pathlib import Path

import httpx2
import pytest

from console.visiting import Visitor, Visitors
from live_server import Live
from rondo.server.app import open_server

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}</textarea>"
MARKUP = ("<script>alert", "<img src=x", "<b>evil", "</textarea>&", "<i>tag", "<u>why")

EMPTY = [
    ("/", "rondo init"),
    ("/calls", "/v1/chat/completions"),
    ("/calls?live=1", "/calls/tail"),
    ("/calls?app=bot", "No call fits"),
    ("/batches", "client.batches.create"),
    ("/releases", "rondo release"),
    ("/prompts", "rondo release"),
    ("/knowledge", "rondo release"),
    ("/playground", "rondo release"),
    ("/keys", "Make a key"),
    ("/audit?verify=1", "The chain is whole"),
]


def asking(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


def drawn(page: str) -> str:
    """The page, which must hold no markup that came from data."""
    for markup in MARKUP:
        assert markup not in page
    return page


async def test_every_page_helps_where_there_is_nothing(tmp_path: Path) -> None:
    async with open_server(tmp_path / "data") as server:
        key = (tmp_path / "data" / "admin.key").read_text().strip()
        transport = httpx2.ASGITransport(server)
        async with httpx2.AsyncClient(transport=transport, base_url="http://rondo.test") as client:
            visitor = Visitor(client)
            await visitor.post("/login", key=key)
            for path, words in EMPTY:
                assert words in await visitor.get(path), path
            for path in ("/releases/bot", "/releases/bot/1", "/prompts/x", "/knowledge/x", "/calls/" + "0" * 32):
                assert "did not work" in await visitor.get(path, 404)


async def test_the_overview_tells_how_it_goes(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("viewer")
    for question in ("one", "two", "three"):
        await live.chat(user=question)
    trace = (await live.chat()).headers["x-rondo-trace-id"]
    await live.chat("nope")
    await live.post("/v1/feedback", {"trace_id": trace, "name": "helpful", "value": False})
    await live.drained()
    page = await visitor.get("/?window=1h")
    assert '<span class="label">Calls</span><span class="value">4</span>' in page
    assert "bot#1" in page
    assert "100 %" in page
    assert "unknown" not in page  # the call of no model cost nothing, and that is known
    assert "good of 1" in page
    assert "Models called by name" in page
    assert ">6</span> accepted" in page
    assert "24h" in await visitor.get("/?window=nonsense")


async def test_a_call_tells_why(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("developer")
    trace = (await live.chat(messages=asking("Can I return a bike?"))).headers["x-rondo-trace-id"]
    page = await visitor.get(f"/calls/{trace}")
    for words in (
        "You asked: Can I return a bike?",
        "within 30 days",
        "bot#1",
        "intact",
        "rondo up",
        "Be kind.",
        "parrot",
    ):
        assert words in page, words
    assert "retrieve" in page
    judged = await visitor.post(f"/calls/{trace}/feedback", value="bad", comment="<u>why</u>")
    assert judged.headers["location"] == f"/calls/{trace}?did=feedback"
    after = drawn(await visitor.get(judged.headers["location"]))
    assert "helpful: no" in after
    assert "&lt;u&gt;why" in after
    assert "Thank you" in after
    again = await visitor.post(f"/calls/{trace}/feedback", value="good")
    assert again.status_code == 303
    assert "helpful: yes" in await visitor.get(f"/calls/{trace}")
    (score,) = (await live.get("/api/feedback"))["items"]
    assert score["kind"] == "human"


async def test_feedback_that_is_none_is_refused(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("developer")
    trace = (await live.chat()).headers["x-rondo-trace-id"]
    for fields in (
        {},
        {"value": "perhaps"},
        {"value": "good", "comment": "x" * 10_001},
        {"value": "good", "comment": "\0"},
    ):
        assert (await visitor.post(f"/calls/{trace}/feedback", **fields)).status_code == 400
    assert (await visitor.post("/calls/nonsense/feedback", value="good")).status_code == 400
    part = await visitor.client.post(
        f"/calls/{trace}/feedback",
        data={"value": "good"},
        headers={"origin": "http://rondo.test", "hx-request": "true"},
    )
    assert "Kept" in part.text
    assert "<html" not in part.text


async def test_hostile_records_stay_text(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("viewer")
    response = await live.chat(
        messages=asking(HOSTILE),
        user="<b>evil</b>",
        session='"><b>evil',
        metadata={"<i>tag": HOSTILE},
        inputs={"<i>tag": HOSTILE},
    )
    trace = response.headers["x-rondo-trace-id"]
    await live.post(
        "/v1/feedback", {"trace_id": trace, "name": "mood", "value": HOSTILE, "comment": HOSTILE, "user": "<b>evil"}
    )
    await live.chat(HOSTILE)
    await live.drained()
    for path in (
        f"/calls/{trace}",
        "/calls",
        "/calls?live=1",
        "/calls/tail?after=0",
        "/",
        "/calls?" + str(httpx2.QueryParams({"text": HOSTILE, "user": HOSTILE})),
        "/calls?" + str(httpx2.QueryParams({"min_ms": HOSTILE})),
        "/knowledge/facts?" + str(httpx2.QueryParams({"q": HOSTILE})),
        "/audit?" + str(httpx2.QueryParams({"subject": HOSTILE})),
    ):
        response = await visitor.client.get(path)
        assert response.status_code in (200, 400), path
        drawn(response.text)
    assert html.escape("<script>alert(1)</script>") in await visitor.get(f"/calls/{trace}")
    for path in ("/releases/<script>alert(1)", "/prompts/<img src=x>", "/nowhere/<script>alert(1)"):
        drawn(await visitor.get(path, 404))


async def test_calls_are_filtered_paged_and_tailed(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("viewer")
    for number in range(55):
        await live.chat(user=f"user-{number % 2}", messages=asking(f"question {number}"))
    await live.drained()
    first = await visitor.get("/calls")
    assert first.count("<tr data-row") == 50
    older = first.split('rel="next" href="')[1].split('"')[0]
    assert (await visitor.get(html.unescape(older))).count("<tr data-row") == 5
    assert (await visitor.get("/calls?user=user-1")).count("<tr data-row") == 27
    assert (await visitor.get("/calls?text=question+54&window=1h&status=ok")).count("<tr data-row") == 1
    live_page = await visitor.get("/calls?live=1&user=user-1")
    poll = html.unescape(live_page.split('hx-get="')[1].split('"')[0])
    assert "<tr data-row" not in await visitor.get(poll)
    await live.chat(user="user-1", messages=asking("a new one"))
    await live.chat(user="user-0", messages=asking("not this"))
    await live.drained()
    new = await visitor.get(poll)
    assert "a new one" in new
    assert "not this" not in new
    assert html.unescape(new.split('hx-get="')[1].split('"')[0]) != poll


@pytest.mark.parametrize("query", ["min_ms=abc", "since=yesterday", "release=x", "before=x", "after=x&live=1"])
async def test_a_filter_that_cannot_be_is_explained(live: Live, visitors: Visitors, query: str) -> None:
    visitor = await visitors("viewer")
    path = "/calls/tail?" if "after" in query else "/calls?"
    assert query.split("=", maxsplit=1)[0] in await visitor.get(path + query, 400)
    if "after" not in query and "before" not in query:
        await visitor.get("/calls/export?" + query, 400)


async def test_exports(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("viewer")
    await live.chat(user="a")
    await live.chat(user="b")
    await live.drained()
    lines = await visitor.client.get("/calls/export?format=jsonl&user=a")
    assert [json.loads(line)["user"] for line in lines.text.splitlines()] == ["a"]
    assert "attachment" in lines.headers["content-disposition"]
    parquet = await visitor.client.get("/calls/export?format=parquet")
    assert parquet.content[:4] == b"PAR1"
    assert "jsonl or parquet" in await visitor.get("/calls/export?format=xls", 400)


async def test_prompts_and_their_changes(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("viewer")
    await live.release(prompt="# system\nBe brief.\n\n# user\n{{ question }}\n")
    assert "/prompts/prompt" in await visitor.get("/prompts")
    history = await visitor.get("/prompts/prompt")
    assert "bot#1" in history
    assert "bot#2" in history
    versions = [each["version"] for each in (await live.get("/api/prompts/prompt"))["versions"]]
    page = await visitor.get(f"/prompts/prompt/{versions[0][:12]}")
    assert "Be brief." in page
    assert "Changes since" in page
    changes = await visitor.get(f"/prompts/prompt/diff?from={versions[1]}&to={versions[0]}")
    assert "-Be kind." in changes
    assert "+Be brief." in changes
    assert "same" in await visitor.get(f"/prompts/prompt/diff?from={versions[0]}&to={versions[0]}")
    await visitor.get("/prompts/prompt/diff", 400)
    await visitor.get("/prompts/prompt/ffffffffffff", 404)


async def test_knowledge_is_searched(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("viewer")
    assert "/knowledge/facts" in await visitor.get("/knowledge")
    page = await visitor.get("/knowledge/facts?q=return+a+bike&k=1")
    assert "within 30 days" in page
    assert page.count('class="passage"') == 1
    part = await visitor.get("/knowledge/facts?q=delivery", headers={"hx-request": "true"})
    assert "29 pounds" in part
    assert "<html" not in part
    assert "Nothing fits" in await visitor.get("/knowledge/facts?q=zorkmid")
    await visitor.get("/knowledge/facts?version=ffff", 404)
    await visitor.get("/knowledge/facts?k=many", 400)
    await visitor.get("/knowledge/facts?q=" + "x" * 5_000, 400)


async def test_the_audit_trail_names_what_was_done(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("viewer")
    page = await visitor.get("/audit?verify=1")
    assert "release.create" in page
    assert "The chain is whole" in page
    only = await visitor.get("/audit?subject=app:bot")
    assert "traffic.release" in only
    assert "release.create" not in only
    await visitor.get("/audit?before=x", 400)
