"""The pages of reviews: the queue, an answer and its form, what is hidden from whom, how far reviewers agree."""

from __future__ import annotations

import re
from typing import Any

from console.visiting import Visitor, Visitors
from live_server import Live

HOSTILE = "<script>alert(1)</script>"
GOOD = {"score.accuracy": "4", "score.clarity": "5", "score.professionalism": "5", "score.helpfulness": "none"}


async def call(live: Live, text: str = "May I return it?") -> str:
    response = await live.chat(messages=[{"role": "user", "content": text}])
    await live.drained()
    return str(response.headers["x-rondo-trace-id"])


async def item(live: Live, text: str = "May I return it?", note: str = "") -> str:
    """The id of an item that waits."""
    made = await live.post("/api/reviews", {"trace_id": await call(live, text), "note": note})
    return str(made["item"]["id"])


async def person(live: Live, visitors: Visitors, name: str, role: str = "developer") -> Visitor:
    return await visitors(None, secret=(await live.key(name, role=role))[1])


async def test_where_there_is_none_it_says_how_they_come(visitors: Visitors) -> None:
    page = await (await visitors("viewer")).get("/reviews")
    for words in ("No reviews yet", "sample_percent = 5", "rondo reviews add TRACE"):
        assert words in page, words
    assert "Look for calls now" not in page, "a viewer changes nothing"
    assert "Nothing to compare yet" in await (await visitors("viewer")).get("/reviews/agreement")


async def test_a_call_is_asked_for_from_its_page(live: Live, visitors: Visitors) -> None:
    trace = await call(live)
    visitor = await visitors("developer")
    assert "Ask for a review" in await visitor.get(f"/calls/{trace}")
    assert "Ask for a review" not in await (await visitors("viewer")).get(f"/calls/{trace}")
    for _ in range(2):
        sent = await visitor.post("/reviews", trace_id=trace)
        assert sent.status_code == 303
        page = await visitor.get(sent.headers["location"])
        assert "The call is in the queue of reviews." in page
    assert (await live.get("/api/reviews"))["totals"]["open"] == 1
    assert (await visitor.post("/reviews", trace_id="0" * 32)).status_code == 404
    refused = await visitor.client.post("/reviews", data={"trace_id": trace}, headers={"origin": "http://evil.test"})
    assert refused.status_code == 403


async def test_two_people_work_off_the_queue(live: Live, visitors: Visitors) -> None:
    first, second = await item(live), await item(live, HOSTILE, note=HOSTILE)
    anna, ben = await person(live, visitors, "anna"), await person(live, visitors, "ben")
    queue = await anna.get("/reviews")
    assert queue.count("data-row") == 2
    assert "0 of 2" in queue
    assert HOSTILE not in queue

    sent = await anna.get("/reviews/next", 303)
    assert sent == ""
    page = await anna.get(f"/reviews/{first}")
    for words in (
        "Review an answer",
        'name="score.accuracy" value="5"',
        "can't say",
        "You asked: May I return it?",
    ):
        assert words in page, words
    assert f"/reviews/{second}" in page, "the next one"
    assert f"/calls/{first}" not in page
    sent_on = await anna.post(f"/reviews/{first}/answer?app=bot", **GOOD, comment="anna's words", expected="Say more.")
    assert sent_on.headers["location"] == f"/reviews/next?after={first}&did=reviewed&app=bot"
    onward = await anna.client.get(sent_on.headers["location"])
    assert onward.headers["location"] == f"/reviews/{second}?did=reviewed&app=bot"
    assert HOSTILE not in await anna.get(f"/reviews/{second}")
    await anna.post(f"/reviews/{second}/answer", **GOOD)
    last = await anna.client.get(f"/reviews/next?after={second}")
    assert last.headers["location"] == "/reviews?did=all-reviewed"
    assert "Nothing waits for you" in await anna.get("/reviews")

    page = await ben.get(f"/reviews/{first}")
    assert "anna" not in page.replace("anna's", "")
    assert "Say more." not in page
    assert "once you have answered" in page
    await ben.post(f"/reviews/{first}/answer", **{**GOOD, "score.accuracy": "5"})
    page = await ben.get(f"/reviews/{first}")
    for words in ("What people said", "anna&#39;s words", "Say more.", "4.5", "Stands", ">done<"):
        assert words in page, words
    assert "data-review" not in page, "there is no form any more"
    agreed = await ben.get("/reviews/agreement?app=bot")
    assert "anna and ben" in agreed
    form = await ben.get(f"/calls/{(await live.get(f'/api/reviews/{first}'))['item']['trace_id']}/test")
    assert "Say more." in form, "what people expected is in the form that makes it a test"


async def test_an_answer_can_be_changed_until_the_other_one_is_there(live: Live, visitors: Visitors) -> None:
    waiting = await item(live)
    anna = await person(live, visitors, "anna")
    await anna.post(f"/reviews/{waiting}/answer", **GOOD, comment="first")
    page = await anna.get(f"/reviews/{waiting}")
    assert "Change my answer" in page
    assert re.search(r'name="score.accuracy" value="4" required checked', page)
    assert re.search(r'name="score.helpfulness" value="none" checked', page)
    assert ">first</textarea>" in page
    await anna.post(f"/reviews/{waiting}/answer", **{**GOOD, "score.accuracy": "2"})
    shown = (await live.get(f"/api/reviews/{waiting}"))["answered"]
    assert shown == 1


async def test_a_form_that_is_refused_comes_back_as_it_was(live: Live, visitors: Visitors) -> None:
    waiting = await item(live)
    anna = await person(live, visitors, "anna")
    wrong: list[tuple[dict[str, str], str]] = [
        ({**GOOD, "score.accuracy": ""}, "`accuracy` has no score."),
        ({**GOOD, "score.accuracy": "9"}, "&#39;accuracy&#39; cannot be 9."),
        ({**GOOD, "score.accuracy": "-1"}, "`accuracy` has no score."),
        (dict.fromkeys(GOOD, "none"), "There is no score."),
        ({**GOOD, "comment": "c" * 5_000}, "comment has 5,000 characters."),
    ]
    for fields, words in wrong:
        sent = await anna.post(f"/reviews/{waiting}/answer", **{"expected": "Kept " + HOSTILE, **fields})
        assert sent.status_code == 400
        text = sent.text.replace("<code>", "`").replace("</code>", "`")
        assert words in text, words
        assert "Kept &lt;script&gt;" in sent.text
        assert re.search(r'name="score.clarity" value="(5" required|none") checked', sent.text)
    assert (await live.get(f"/api/reviews/{waiting}"))["answered"] == 0


async def test_a_dispute_is_settled_by_someone_else(live: Live, visitors: Visitors) -> None:
    torn = await item(live)
    anna, ben = await person(live, visitors, "anna", "approver"), await person(live, visitors, "ben")
    cleo = await person(live, visitors, "cleo", "approver")
    await anna.post(f"/reviews/{torn}/answer", **GOOD)
    await ben.post(f"/reviews/{torn}/answer", **{**GOOD, "score.accuracy": "1"})
    for party in (anna, ben):
        page = await party.get(f"/reviews/{torn}")
        assert "too far apart" in page
        assert "data-review" not in page
    assert (await anna.post(f"/reviews/{torn}/adjudicate", **GOOD)).status_code == 409
    assert (await ben.post(f"/reviews/{torn}/adjudicate", **GOOD)).status_code == 403
    page = await cleo.get(f"/reviews/{torn}")
    for words in ("Settle a dispute", "What the reviewers said", 'class="apart"', "anna", "ben"):
        assert words in page, words
    assert "1 <" not in page.split("Settle a dispute")[0]
    sent = await cleo.post(f"/reviews/{torn}/adjudicate", **{**GOOD, "score.accuracy": "2"})
    assert sent.headers["location"] == f"/reviews/{torn}?did=settled"
    page = await cleo.get(sent.headers["location"])
    assert "The dispute is settled." in page
    assert "settled it" in page
    assert (await cleo.post(f"/reviews/{torn}/adjudicate", **GOOD)).status_code == 409


async def test_judgements_are_shown_after_the_answer(live: Live, visitors: Visitors) -> None:
    waiting = await item(live)
    trace = (await live.get(f"/api/reviews/{waiting}"))["item"]["trace_id"]
    await live.post("/v1/feedback", {"trace_id": trace, "name": "helpful", "value": False, "comment": "useless"})
    await live.drained()
    anna = await person(live, visitors, "anna")
    assert "useless" not in await anna.get(f"/reviews/{waiting}")
    await anna.post(f"/reviews/{waiting}/answer", **GOOD)
    assert "useless" in await anna.get(f"/reviews/{waiting}")


async def test_dismissing_asks_for_a_reason(live: Live, visitors: Visitors) -> None:
    waiting = await item(live)
    anna = await person(live, visitors, "anna")
    refused = await anna.post(f"/reviews/{waiting}/dismiss", reason=" ")
    assert refused.status_code == 400
    assert "reason is empty" in refused.text
    sent = await anna.post(f"/reviews/{waiting}/dismiss", reason="spam")
    assert sent.headers["location"] == f"/reviews/next?after={waiting}&did=dismissed"
    assert ">dismissed<" in await anna.get(f"/reviews/{waiting}")
    assert (await live.get("/api/audit"))["entries"][0]["action"] == "review.dismiss"


async def test_reopening_asks_for_a_reason(live: Live, visitors: Visitors) -> None:
    waiting = await item(live)
    cleo = await person(live, visitors, "cleo", "approver")
    assert "/reopen" not in await cleo.get(f"/reviews/{waiting}")
    await cleo.post(f"/reviews/{waiting}/dismiss", reason="spam")
    assert "/reopen" in await cleo.get(f"/reviews/{waiting}")
    refused = await cleo.post(f"/reviews/{waiting}/reopen", reason=" ")
    assert (refused.status_code, "reason is empty" in refused.text) == (400, True)
    sent = await cleo.post(f"/reviews/{waiting}/reopen", reason="it is none")
    assert sent.headers["location"] == f"/reviews/{waiting}?did=reopened"
    assert "It is in the queue again." in await cleo.get(f"/reviews/{waiting}?did=reopened")


async def test_a_viewer_reads_only(live: Live, visitors: Visitors) -> None:
    waiting = await item(live)
    viewer = await visitors("viewer")
    page = await viewer.get(f"/reviews/{waiting}")
    assert "Rubric" in page
    assert "data-review" not in page
    assert "/dismiss" not in page
    for path in ("answer", "adjudicate", "dismiss", "reopen"):
        assert (await viewer.post(f"/reviews/{waiting}/{path}", **GOOD)).status_code == 403
    assert (await viewer.post("/reviews/collect")).status_code == 403
    assert (await viewer.post("/reviews", trace_id="0" * 32)).status_code == 403


async def test_views_filters_and_pages(live: Live, visitors: Visitors) -> None:
    for number in range(3):
        await item(live, f"question {number}")
    visitor = await visitors("developer")
    for view in ("waiting", "open", "disputed", "done", "dismissed", "all", "nonsense"):
        page = await visitor.get(f"/reviews?view={view}")
        assert page.count("data-row") == (0 if view in ("disputed", "done", "dismissed") else 3), view
    assert "Nothing fits these filters" in await visitor.get("/reviews?source=sampled")
    assert (await visitor.get("/reviews?source=asked&app=bot&view=all")).count("data-row") == 3
    await visitor.get("/reviews?source=nonsense", 400)
    await visitor.get("/reviews?after=nonsense", 400)
    order = re.findall(r">question (\d)<", await visitor.get("/reviews"))
    assert order == ["0", "1", "2"], "who waits longest comes first"
    assert re.findall(r">question (\d)<", await visitor.get("/reviews?view=all")) == ["2", "1", "0"]


async def test_collecting_and_downloads(live: Live, visitors: Visitors) -> None:
    trace = await call(live)
    await live.post("/v1/feedback", {"trace_id": trace, "name": "helpful", "value": False})
    await live.drained()
    visitor = await visitors("developer")
    sent = await visitor.post("/reviews/collect")
    assert "did=collected" in sent.headers["location"]
    assert "thumbs down" in await visitor.get("/reviews")
    assert "did=nothing-collected" in (await visitor.post("/reviews/collect")).headers["location"]
    for kind, words in {
        "jsonl": '"source":"thumbs_down"',
        "csv": "thumbs_down",
        "label-studio": '"review"',
        "label-studio-config": "<View>",
    }.items():
        response = await visitor.client.get(f"/reviews/export?format={kind}&view=all")
        assert response.status_code == 200
        assert words in response.text
        assert response.headers["content-disposition"].startswith("attachment")
    await visitor.get("/reviews/export?format=pdf", 400)
    await visitor.get("/reviews/export?format=label-studio-config&view=done", 400)


async def test_what_is_not_there(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("admin")
    for path in ("/reviews/review_none", "/reviews/next?after=review_none", "/reviews/%3Cb%3Eevil"):
        assert "<b>evil" not in await visitor.get(path, 404)
    fields: dict[str, Any] = {**GOOD}
    assert (await visitor.post("/reviews/review_none/answer", **fields)).status_code == 404


async def test_a_long_scale_takes_a_number_or_none(live: Live, visitors: Visitors) -> None:
    toml = (live.project / "rondo.toml").read_text()
    more = (
        '[reviews]\nrubric = "r"\nreviewers = 1\n'
        '[[rubrics.r.criteria]]\nname = "percent"\nquestion = "How much?"\nlowest = 0\nhighest = 100\n'
        '[[rubrics.r.criteria]]\nname = "kind"\nquestion = "Is it?"\nlowest = 0\nhighest = 1\n'
    )
    (live.project / "rondo.toml").write_text(toml + more)
    await live.release()
    first, second = await item(live), await item(live)
    anna = await person(live, visitors, "anna")
    assert 'type="number" name="score.percent" min="0" max="100"' in await anna.get(f"/reviews/{first}")
    for wrong in ("101", "4.5", "", "²"):
        sent = await anna.post(f"/reviews/{first}/answer", **{"score.percent": wrong, "score.kind": "1"})
        assert sent.status_code == 400, wrong
    await anna.post(f"/reviews/{first}/answer", **{"score.percent": "42", "score.kind": "1"})
    fields = {"score.percent": ["", "none"], "score.kind": "0"}  # as a browser sends an empty number and a ticked box
    await anna.post(f"/reviews/{second}/answer", **fields)
    scores = [(await live.get(f"/api/reviews/{each}"))["answers"][0]["scores"] for each in (first, second)]
    assert scores == [{"percent": 42, "kind": 1}, {"percent": None, "kind": 0}]
