"""The pages of batches: how far each is, its files, what was wrong, and cancelling it."""

from __future__ import annotations

import json
import re

from msgspec import structs

from console.console_batches import batch_of, changed, request, under_way
from console.visiting import Visitor, Visitors
from live_server import Live
from rondo import clock
from rondo.batches.model import Problem
from rondo.catalog import schema
from rondo.governance import projects

POLLS = 'hx-trigger="every 2s"'
HOSTILE = '<b>evil</b>"'
PART = {"hx-request": "true"}


async def test_where_there_is_none_it_says_how_to_make_one(visitors: Visitors) -> None:
    page = await (await visitors("viewer")).get("/batches")
    for words in (
        "No batches yet",
        "curl http://rondo.test/v1/files",
        "client.batches.create",
        "&#34;model&#34;: &#34;bot&#34;",
    ):
        assert words in page, words
    assert POLLS not in page


async def test_a_batch_from_its_requests_to_its_results(live: Live, visitors: Visitors) -> None:
    content = request(1) + request(2) + request(3, "nobody")
    batch = await batch_of(live, content, name=f"{HOSTILE}.jsonl", metadata={"night": HOSTILE})
    visitor = await visitors("viewer")
    listed = await visitor.get("/batches")
    for words in (batch, ">completed<", "3 <span", "1 failed", "/v1/chat/completions"):
        assert words in listed, words
    page = await visitor.get(f"/batches/{batch}")
    for words in (">completed<", "1 failed", "Ended", "night", f"tag=batch%3D{batch}"):
        assert words in page, words
    for text in (listed, page):
        assert POLLS not in text, "what has ended is not asked for again"
        assert "<b>evil" not in text
    assert "Cancel" not in page

    got = await visitor.client.get(f"/batches/{batch}/files/input")
    assert got.content == content
    assert got.headers["content-disposition"].startswith("attachment")
    assert (got.headers["content-type"], got.headers["x-content-type-options"]) == (
        "application/octet-stream",
        "nosniff",
    )
    answers = (await visitor.get(f"/batches/{batch}/files/output")).splitlines()
    assert {json.loads(line)["custom_id"] for line in answers} == {"r1", "r2"}
    assert json.loads(await visitor.get(f"/batches/{batch}/files/error"))["response"]["status_code"] == 404
    await live.drained()
    input_file = (await live.get(f"/v1/batches/{batch}"))["input_file_id"]
    assert (await live.ask("DELETE", f"/v1/files/{input_file}")).status_code == 200
    assert ">deleted<" in await visitor.get(f"/batches/{batch}")
    (link,) = re.findall(r'id="failed" href="([^"]+)"', page)
    assert (await visitor.get(link.replace("&amp;", "&"))).count("data-row") == 1


async def test_a_file_that_cannot_be_used_is_told_line_by_line(live: Live, visitors: Visitors) -> None:
    batch = await batch_of(live, b'{"custom_id"\n' + request(1) + request(1))
    page = await (await visitors("viewer")).get(f"/batches/{batch}")
    for words in (">failed<", "Why it failed", "invalid_json_line", "duplicate_custom_id", '<td class="num">3</td>'):
        assert words in page, words


async def test_what_is_under_way_is_asked_for_again(live: Live, visitors: Visitors) -> None:
    catalog = live.server.control.catalog
    batch = under_way(catalog, metadata={"a": "b"})
    visitor = await visitors("viewer")
    for path in ("/batches", f"/batches/{batch.id}"):
        page = await visitor.get(path)
        assert POLLS in page
        assert f'hx-get="{path}"' in page.replace("/batches?", "/batches")
        assert 'aria-valuenow="15"' in page
        assert "in 23 h" in page
        assert page.count("key_gone") == 1
        part = await visitor.get(path, headers=PART)
        assert POLLS in part
        assert "<html" not in part
    page = await visitor.get(f"/batches/{batch.id}")
    assert "there.jsonl" in page
    assert "not in this server" in page
    assert f"/batches/{batch.id}/files/" not in page
    changed(catalog, batch, status="completed", completed=37, ended_at=clock.now_us())
    for path in ("/batches", f"/batches/{batch.id}"):
        part = await visitor.get(path, headers=PART)
        assert POLLS not in part
        assert ">completed<" in part


async def test_every_state_is_drawn(live: Live, visitors: Visitors) -> None:
    catalog = live.server.control.catalog
    under_way(catalog, "batch_v", status="validating", total=0, completed=0, failed=0)
    under_way(catalog, "batch_c", status="cancelling", cancelling_at=clock.now_us())
    under_way(catalog, "batch_f", status="finalizing")
    under_way(catalog, "batch_x", status="expired", ended_at=clock.now_us())
    problems = [Problem(code="not_started", message=HOSTILE, param=HOSTILE)]
    under_way(catalog, "batch_e", status="failed", total=0, completed=0, failed=0, errors=problems, ended_at=1)
    visitor = await visitors("developer")
    for name, words in {
        "batch_v": "Nothing has been asked yet",
        "batch_c": "requests under way end",
        "batch_f": ">finalizing<",
        "batch_x": ">expired<",
        "batch_e": "&lt;b&gt;evil",
    }.items():
        page = await visitor.get(f"/batches/{name}")
        assert words in page
        assert "<b>evil" not in page
        assert (f"/batches/{name}/cancel" in page) == (name == "batch_v"), name


async def test_cancelling_asks_first_and_is_kept_in_the_audit(live: Live, visitors: Visitors) -> None:
    batch = under_way(live.server.control.catalog)
    visitor = await visitors("developer")
    here = f"/batches/{batch.id}"
    assert f'href="{here}/cancel"' in await visitor.get(here)
    assert "cannot be undone" in await visitor.get(f"{here}/cancel")
    assert ">in progress<" in await visitor.get(here), "looking at the form changes nothing"
    refused = await visitor.client.post(f"{here}/cancel", headers={"origin": "http://evil.test"})
    assert refused.status_code == 403
    assert ">in progress<" in await visitor.get(here)

    sent = await visitor.post(f"{here}/cancel")
    assert sent.headers["location"] == f"{here}?did=cancelled"
    page = await visitor.get(sent.headers["location"])
    assert "No more of its requests are asked." in page
    assert ">cancelling<" in page
    assert (await live.get("/api/audit"))["entries"][0]["action"] == "batch.cancel"

    changed(live.server.control.catalog, structs.replace(batch, status="cancelling"), status="cancelled")
    again = await visitor.post(f"{here}/cancel")
    assert again.status_code == 409
    assert "There is nothing left to cancel." in again.text


async def test_a_viewer_cancels_only_what_its_own_key_made(live: Live, visitors: Visitors) -> None:
    key_id, secret = await live.key("watcher", role="viewer")
    visitor = await visitors(None, secret=secret)
    catalog = live.server.control.catalog
    under_way(catalog, "batch_other")
    under_way(catalog, "batch_own", key_id=key_id)
    assert "/cancel" not in await visitor.get("/batches/batch_other")
    await visitor.get("/batches/batch_other/cancel", 403)
    assert (await visitor.post("/batches/batch_other/cancel")).status_code == 403
    page = await visitor.get("/batches/batch_own")
    assert "watcher" in page
    assert "/batches/batch_own/cancel" in page
    assert (await visitor.post("/batches/batch_own/cancel")).status_code == 303


async def test_what_is_not_there(live: Live, visitors: Visitors) -> None:
    visitor = await visitors()
    other = under_way(live.server.control.catalog, "batch_p", project="default")
    for path in (
        "/batches/batch_none",
        "/batches/batch_none/cancel",
        "/batches/batch_none/files/input",
        "/batches?after=batch_none",
        f"/batches/{other.id}/files/output",
        f"/batches/{other.id}/files/folder",
        f"/batches/{other.id}/files/input",
        f"/batches/{other.id}/files/..%2f..%2fadmin.key",
        "/batches/%3Cb%3Eevil",
    ):
        assert "<b>evil" not in await visitor.get(path, 404), path
    assert (await visitor.post("/batches/batch_none/cancel")).status_code == 404


async def test_another_projects_batches_stay_unseen(live: Live, visitors: Visitors) -> None:
    batch = await batch_of(live, request(1))
    projects.create(live.server.control.catalog, "other", actor="tests")
    with live.server.control.catalog.begin() as connection:
        connection.execute(schema.batches.update().values(project="other"))
        connection.execute(schema.files.update().values(project="other"))
    visitor: Visitor = await visitors()
    assert "No batches yet" in await visitor.get("/batches")
    for path in (f"/batches/{batch}", f"/batches/{batch}/files/input", f"/batches/{batch}/cancel"):
        await visitor.get(path, 404)


async def test_a_long_list_has_pages(live: Live, visitors: Visitors) -> None:
    now = clock.now_us()
    for number in range(53):
        under_way(live.server.control.catalog, f"batch_{number:03}", created_at=now + number)
    visitor = await visitors("viewer")
    first = await visitor.get("/batches")
    assert first.count("data-row") == 50
    second = await visitor.get("/batches?after=batch_003")
    assert second.count("data-row") == 3
    assert "?after=batch_003" in first
    assert "Newest" in second
    assert "Newest" not in first
    assert 'hx-get="/batches?after=batch_003"' in second, "a page stays the page that it is"
