"""The console in a real browser: what a person clicks through, with scripts and the content security policy on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from console.console_batches import batch_of, changed, request, under_way
from evaluating_house import Evaluating, evaluating
from live_server import Live
from rondo import clock
from rondo.server.listener import HttpServer
from scripted_upstream import Talk

__all__ = ["evaluating"]

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium at /usr/bin/chromium: apt-get install chromium"),
]


@asynccontextmanager
async def on_a_port(live: Live) -> AsyncIterator[str]:
    """The live server, reachable by a browser."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = asyncio.Event()
    http = HttpServer(live.server, on_ready=lambda: None, on_stop=stop.set)
    serving = asyncio.create_task(http.serve([listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        http.should_exit = True
        await serving
        listener.close()


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Any]:
    """A page in a fresh browser; what its console complains of, or asks of other hosts, fails the test."""
    playwright = pytest.importorskip("playwright.async_api", reason="pip install playwright")
    async with playwright.async_playwright() as driver:
        context = await driver.chromium.launch_persistent_context(
            str(tmp_path / "browser"), executable_path=str(CHROMIUM), args=FLAGS, headless=True
        )
        context.set_default_timeout(15_000)
        opened = await context.new_page()
        complaints: list[str] = []
        elsewhere: list[str] = []
        opened.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        opened.on("request", lambda asked: elsewhere.append(asked.url) if "//127.0.0.1:" not in asked.url else None)
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        yield opened
        await context.close()
        assert complaints == []
        assert elsewhere == []


async def test_a_person_clicks_through(live: Live, page: Any) -> None:
    await live.release(prompt="# system\nBe brief.\n\n# user\n{{ question }}\n")
    await live.chat(
        messages=[{"role": "user", "content": "Is <b>this</b> <script>document.title='taken'</script> text?"}]
    )
    await live.chat(messages=[{"role": "user", "content": "Can I return a bike?"}], user="ann")
    await live.drained()
    async with on_a_port(live) as url:
        await page.goto(url)
        await page.get_by_label("Key").fill(live.admin)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("heading", name="Overview").wait_for()
        assert await page.locator(".tile .value").first.inner_text() == "2"

        await page.get_by_role("link", name="Calls", exact=True).click()
        await page.get_by_label("Text").fill("return")
        await page.get_by_role("button", name="Filter").click()
        rows = page.locator("tr[data-row]")
        assert await rows.count() == 1
        await rows.get_by_role("link").first.click()
        await page.get_by_role("heading", name="Why this answer").wait_for()
        assert "within 30 days" in await page.locator("#sources").inner_text()
        await page.get_by_role("button", name="Good").click()
        await page.get_by_text("helpful: yes").wait_for()
        await page.goto(f"{url}/calls?text=script")
        await page.locator("tr[data-row] .question a").click()
        await page.get_by_role("heading", name="Why this answer").wait_for()
        assert await page.title() != "taken"

        await move_traffic(live, page)
        await play(live, page, url)


async def move_traffic(live: Live, page: Any) -> None:
    """Split, promote, roll back."""
    served = live.server.control.gateway
    await page.wait_for_load_state()  # scripts come last
    await page.keyboard.press("g")
    await page.keyboard.press("r")
    await page.get_by_role("link", name="bot", exact=True).click()
    await page.get_by_role("link", name="Split traffic").click()
    await page.get_by_label("#2").fill("25")
    await page.get_by_role("button", name="Split").click()
    await page.get_by_text("The new shares hold.").wait_for()
    assert served.plan.apps["default", "bot"].arms
    await page.locator("tr", has_text="#2").get_by_role("link", name="Promote").first.click()
    await page.get_by_label("Reason").fill("good numbers")
    await page.get_by_role("button", name="Promote").click()
    await page.get_by_text("serves everyone now").wait_for()
    assert served.plan.apps["default", "bot"].stable.number == 2
    await page.get_by_role("link", name="Roll back").click()
    await page.get_by_role("button", name="Roll back").click()
    await page.get_by_text("Traffic has gone back.").wait_for()
    assert served.plan.apps["default", "bot"].stable.number == 1


async def play(live: Live, page: Any, url: str) -> None:
    """Ask, streamed, and find the call in the live list of another tab."""
    tail = await page.context.new_page()
    await tail.goto(f"{url}/calls?live=1")
    await page.get_by_role("link", name="Playground").click()
    await page.get_by_label("Question").fill("Can I return <b>this</b>?")
    await page.get_by_role("button", name="Ask").click()
    await page.locator(".answer-panel").wait_for()
    assert "You asked: Can I return <b>this</b>?" in await page.locator("#answer").inner_text()
    await page.locator(".answer-panel").get_by_role("button", name="Bad").click()
    await page.get_by_text("Kept. Thank you.").wait_for()
    await tail.locator("tr.new", has_text="Can I return <b>this</b>?").wait_for()
    await page.get_by_role("button", name="Light or dark").click()
    theme = await page.evaluate("document.documentElement.dataset.theme")
    await page.reload()
    assert await page.evaluate("document.documentElement.dataset.theme") == theme == "dark"
    await page.set_viewport_size({"width": 390, "height": 844})
    for path in ("/", "/calls", "/batches", "/releases/bot", "/keys", "/knowledge/facts", "/audit"):
        await page.goto(url + path)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_label("Key").wait_for()


async def test_a_batch_is_watched_by_keyboard_until_it_has_ended(live: Live, page: Any) -> None:
    catalog = live.server.control.catalog
    await batch_of(live, request(1))
    batch = under_way(catalog)
    async with on_a_port(live) as url:
        await page.goto(url)
        await page.get_by_label("Key").fill(live.admin)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("heading", name="Overview").wait_for()
        await page.wait_for_load_state()  # scripts come last
        await page.keyboard.press("g")
        await page.keyboard.press("b")
        await page.get_by_role("heading", name="Batches").wait_for()
        await page.wait_for_load_state()
        assert await page.locator(".wide .counts").first.inner_text() == "15 of 40, 3 failed"
        await page.keyboard.press("j")
        changed(catalog, batch, completed=17)
        await page.get_by_text("20 of 40").wait_for()
        await page.keyboard.press("Enter")  # the link has kept the focus, though its row is a new one
        await page.get_by_role("heading", name=batch.id).wait_for()
        fits = "document.documentElement.scrollWidth <= innerWidth"
        await page.set_viewport_size({"width": 390, "height": 844})
        assert await page.evaluate(fits)

        bar = page.get_by_role("progressbar")
        assert await bar.get_attribute("aria-valuetext") == "17 answered and 3 failed of 40"
        await page.locator("#cancel").focus()
        changed(catalog, batch, completed=30)
        await page.get_by_text("33 of 40").wait_for()
        await page.keyboard.press("Enter")
        await page.get_by_text("It cannot be undone.").wait_for()
        assert await page.evaluate(fits)
        await page.get_by_role("button", name="Cancel the batch").press("Enter")
        await page.get_by_text("No more of its requests are asked.").wait_for()
        assert await page.locator("#cancel").count() == 0
        changed(catalog, structs.replace(batch, status="cancelling"), status="cancelled", ended_at=clock.now_us())
        await page.get_by_text("cancelled", exact=True).wait_for()
        assert await page.locator("[hx-get]").count() == 0, "what has ended is not asked for again"

        await page.goto(f"{url}/batches")
        await page.locator("tr[data-row] a").last.click()
        async with page.expect_download() as downloading:
            await page.locator("#file-input").click()
        kept = await (await downloading.value).path()
        assert kept.read_bytes() == request(1)


async def test_answers_are_reviewed_by_keys(live: Live, page: Any) -> None:
    items = []
    for number in range(3):
        answered = await live.chat(messages=[{"role": "user", "content": f"Question {number}"}])
        await live.drained()
        made = await live.post("/api/reviews", {"trace_id": answered.headers["x-rondo-trace-id"]})
        items.append(made["item"]["id"])
    fits = "document.documentElement.scrollWidth <= innerWidth"
    async with on_a_port(live) as url:
        await page.goto(url)
        await page.get_by_label("Key").fill(live.admin)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("heading", name="Overview").wait_for()
        await page.wait_for_load_state()
        for key in "gv":
            await page.keyboard.press(key)
        await page.get_by_role("heading", name="Reviews").wait_for()
        await page.locator("#start").press("Enter")
        await page.get_by_role("heading", name="Review an answer").wait_for()
        await page.wait_for_load_state()
        assert page.url.endswith(f"/reviews/{items[0]}")

        await page.keyboard.press("?")
        assert "can't say" in await page.locator("#shortcuts").inner_text()
        await page.keyboard.press("Escape")
        for key in ("2", "5", "9", "x", "4", "k", "k", "k", "3"):  # 9 is no score; then back to the first one
            await page.keyboard.press(key)
        checked = "[...document.querySelectorAll('[data-review] :checked')].map((each) => each.value)"
        assert await page.evaluate(checked) == ["3", "5", "none", "4"]
        await page.keyboard.press("e")
        await page.keyboard.type("n, 1 and x are text here")
        await page.keyboard.press("Escape")
        await page.keyboard.press("ArrowDown")
        assert await page.evaluate("document.activeElement.closest('[data-criterion]').dataset.criterion") == "clarity"
        await page.keyboard.press("Enter")
        await page.get_by_text("Your answer is kept. Here is the next one.").wait_for()
        await page.wait_for_load_state()
        assert items[1] in page.url

        await page.keyboard.press("n")
        await page.wait_for_url(f"**/{items[2]}*")
        await page.wait_for_load_state()
        await page.keyboard.press("p")
        await page.wait_for_url(f"**/{items[1]}*")
        await page.wait_for_load_state()
        await page.keyboard.press("1")
        await page.keyboard.press("Enter")  # the other criteria have no score: the browser does not send it
        assert await page.evaluate("document.querySelector('[data-review]').checkValidity()") is False
        await page.set_viewport_size({"width": 390, "height": 844})
        for path in ("/reviews", f"/reviews/{items[0]}", f"/reviews/{items[1]}", "/reviews/agreement"):
            await page.goto(url + path)
            assert await page.evaluate(fits), path
    (said,) = (await live.get(f"/api/reviews/{items[0]}"))["answers"]
    assert said["scores"] == {"accuracy": 3, "clarity": 5, "professionalism": None, "helpfulness": 4}
    assert said["expected"] == "n, 1 and x are text here"
    assert (await live.get(f"/api/reviews/{items[1]}"))["answered"] == 0


async def test_a_run_is_started_and_watched(evaluating: Evaluating, page: Any) -> None:
    evaluating.numbers(40)
    first = await evaluating.run(targets=["model:good"], suite={"max_concurrency": 2})
    answers, go_on = evaluating.upstream.plays["good"], asyncio.Event()

    async def held(talk: Talk) -> None:
        await go_on.wait()
        await answers(talk)

    evaluating.upstream.plays["good"] = held
    async with on_a_port(evaluating.live) as url:
        await page.goto(url)
        await page.get_by_label("Key").fill(evaluating.live.admin)
        await page.get_by_role("button", name="Sign in").click()
        await page.goto(f"{url}/runs")
        await page.get_by_role("link", name="Start a run").click()
        await page.get_by_role("heading", name="Start a run").wait_for()
        assert await page.get_by_label("What serves now").is_checked()
        await page.get_by_label("What serves now").uncheck()
        await page.get_by_label("The model good alone").check()
        await page.get_by_label("Compared with").select_option("")
        await page.get_by_label("Budget, in dollars").fill("3")
        await page.get_by_label("Ask anew").check()
        await page.get_by_role("button", name="Start", exact=True).click()
        await page.get_by_role("button", name="Pause").click()
        await page.get_by_text("paused by").wait_for()
        await page.get_by_role("button", name="Resume").wait_for()
        go_on.set()
        await page.get_by_role("button", name="Resume").click()
        await page.get_by_text("of $3.00").wait_for()
        await page.get_by_role("progressbar").wait_for()
        await page.get_by_text("finished").wait_for()
        assert "40 of 40" in await page.locator(".strip").inner_text()
        run_id = page.url.rpartition("/")[2].partition("?")[0]
    run = await evaluating.until_still(run_id)
    assert (run["id"] != first["id"], run["status"], run["budget_usd"]) == (True, "finished", 3.0)


async def test_a_rollout_is_started_held_up_and_ended(live: Live, page: Any) -> None:
    number = await live.release(prompt="# system\nBe brief.\n\n# user\n{{ question }}\n")
    gateway = live.server.control.gateway
    async with on_a_port(live) as url:
        await page.goto(url)
        await page.get_by_label("Key").fill(live.admin)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("link", name="Releases", exact=True).click()
        await page.get_by_role("link", name="bot", exact=True).click()
        await page.get_by_role("link", name="Rollout", exact=True).click()
        await start_rollout(page, number, "50% 1h\napprove\n100%", why="shorter answers")
        await page.get_by_text("The rollout has begun").wait_for()
        assert {release.variant for release, _ in gateway.plan.apps["default", "bot"].arms} == {"candidate", "baseline"}
        now = page.locator("ol.steps [aria-current=step]")
        assert "50 % for 1 h" in await now.inner_text()

        for user in range(12):  # the page asks again by itself
            await live.chat(user=str(user))
        await page.get_by_text("calls of").first.wait_for()

        await act(page, "Pause", why="let me look first")
        await page.get_by_text("let me look first").first.wait_for()
        assert await page.get_by_role("link", name="Pause", exact=True).count() == 0
        await act(page, "Resume")
        await page.get_by_role("link", name="Pause", exact=True).wait_for()
        await act(page, "Abort", why="not today")
        await page.get_by_role("heading", name="aborted").wait_for()
        assert gateway.plan.apps["default", "bot"].stable.number == 1
        assert gateway.plan.apps["default", "bot"].arms == ()

        await start_rollout(page, number, "50% 1h\n100%")
        await act(page, "Promote now")
        await page.get_by_role("heading", name="promoted").wait_for()
        assert gateway.plan.apps["default", "bot"].stable.number == number
        assert await page.locator("tr[data-row]").count() == 2


async def start_rollout(page: Any, number: int, steps: str, *, why: str = "") -> None:
    await page.locator("#start").first.click()
    await page.get_by_label("Release to try").select_option(str(number))
    await page.get_by_label("Steps").fill(steps)
    await page.get_by_label("Reason").first.fill(why)
    await page.get_by_role("button", name="Start").click()
    await page.get_by_role("heading", name="running").wait_for()


async def act(page: Any, title: str, *, why: str = "") -> None:
    """As a person does: the button on the rollout's page, then the one on the page that says what it will do."""
    await page.get_by_role("link", name=title, exact=True).click()
    await page.get_by_role("heading", name=title, exact=True).wait_for()
    await page.get_by_label("Reason").first.fill(why)
    await page.get_by_role("button", name=title, exact=True).click()
    await page.locator("#rollout").wait_for()


async def test_a_span_far_down_a_trace_is_shown_beside_its_row(live: Live, page: Any) -> None:
    trace, now = "1" * 32, clock.now_us() * 1_000
    spans = [
        {"traceId": trace, "spanId": f"{place + 1:016x}", "name": f"step {place}",
         "startTimeUnixNano": str(now + place), "endTimeUnixNano": str(now + place + 1_000)}
        for place in range(600)
    ]  # fmt: skip
    await live.post("/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
    await live.drained()
    async with on_a_port(live) as url:
        await page.goto(f"{url}/traces/{trace}")
        await page.get_by_label("Key").fill(live.admin)
        await page.get_by_role("button", name="Sign in").click()
        for width in (1280, 800):
            await page.set_viewport_size({"width": width, "height": 700})
            await page.goto(f"{url}/traces/{trace}")
            await page.get_by_role("link", name="100 more", exact=True).click()
            await page.get_by_role("link", name="step 599", exact=True).click()
            shown = page.locator("#span", has_text="step 599")
            await shown.wait_for()
            box = await shown.bounding_box()
            assert 0 <= box["y"] < box["y"] + box["height"] <= 700
            rows = page.locator("table.waterfall tbody tr")
            assert await rows.count() == 600
