"""Reviews: the queue, one answer with its form, and how far reviewers agree.

A reviewer works off the queue by keys: a form that is sent leads to the next answer that waits. What others and judges
said of an answer is not on the page before its reader has said something.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from rondo.console.cites import cite
from rondo.console.visit import Page, Visit, go, with_query
from rondo.control import Connection
from rondo.errors import Conflict, Forbidden, InvalidRequest, NotFound, RondoError
from rondo.evals.judges.model import Criterion
from rondo.gateway.wire import status_of
from rondo.governance.model import Role
from rondo.monitoring.story import why
from rondo.reviews import export, label_studio, queue
from rondo.reviews.answering import Words
from rondo.reviews.label_studio import conversation
from rondo.reviews.model import SOURCES, WRITER, Item
from rondo.reviews.queue import Shown
from rondo.reviews.store import ItemFilter
from rondo.traces.why import Story

_PAGE = 50
_NONE = "none"
"""What a form sends for a criterion that the answer gives no ground to score."""

VIEWS = {
    "waiting": "Waiting for you",
    "open": "Open",
    "disputed": "Disputed",
    "done": "Done",
    "dismissed": "Dismissed",
    "all": "All",
}
_FILES: dict[export.Format, tuple[str, str]] = {
    "jsonl": ("reviews.jsonl", "application/x-ndjson"),
    "csv": ("reviews.csv", "text/csv"),
    "label-studio": ("tasks.json", "application/json"),
}
_CARRIED = ("view", "app", "source")
"""What goes along from the queue to an item, and from there to the next."""


async def show_queue(visit: Visit) -> Response:
    control, wanted = visit.control, _filter(visit)
    page = await asyncio.to_thread(
        queue.page,
        control.catalog,
        control.records,
        visit.project,
        wanted,
        reader=visit.actor,
        limit=_PAGE,
        after=visit.query("after"),
    )
    totals = await asyncio.to_thread(queue.totals, control.catalog, visit.project, app=wanted.app, reader=visit.actor)
    apps = await asyncio.to_thread(queue.apps, control.catalog, visit.project)
    return visit.page(
        "reviews.html",
        page=page,
        totals={**totals, "all": sum(number for name, number in totals.items() if name != "waiting")},
        views=VIEWS,
        view=_view(visit),
        apps=apps,
        sources=SOURCES,
        filtered=bool(wanted.app or wanted.source),
    )


async def add(visit: Visit) -> Response:
    """The button on the page of a call."""
    sent, control = await visit.form(), visit.control
    item, _ = await asyncio.to_thread(
        queue.add,
        control.catalog,
        control.records,
        visit.project,
        sent.get("trace_id", ""),
        note=sent.get("note", "").strip(),
        actor=visit.actor,
    )
    return go(f"/reviews/{item.id}", did="asked")


async def collect(visit: Visit) -> Response:
    found = await visit.control.reviews.collect(visit.project, actor=visit.actor)
    return go("/reviews", did="collected" if found.added else "nothing-collected", **_carried(visit))


async def follow(visit: Visit) -> Response:
    """On to the next item that waits for the visitor: after `after`, and from the front where that was the last."""
    wanted = ItemFilter(app=visit.query("app"), source=visit.query("source"), waits_for=visit.actor)
    control, last = visit.control, visit.query("after")
    beyond = None
    if last is not None:
        beyond = (await asyncio.to_thread(queue.show, control.catalog, visit.grant, last)).item
    found = await asyncio.to_thread(queue.neighbour, control.catalog, visit.project, wanted, beyond=beyond)
    if found is None and beyond is not None:
        found = await asyncio.to_thread(queue.neighbour, control.catalog, visit.project, wanted)
    if found is None:
        return go("/reviews", did="all-reviewed", app=wanted.app, source=wanted.source)
    return go(f"/reviews/{found.id}", did=visit.query("did"), app=wanted.app, source=wanted.source)


async def show(visit: Visit) -> Response:
    return await _page(visit, {})


async def answer(visit: Visit) -> Response:
    sent = await visit.form()
    item_id = visit.path("id")
    try:
        item = (await asyncio.to_thread(queue.show, visit.control.catalog, visit.grant, item_id)).item
        await visit.control.reviews.answer(visit.grant, item_id, _words(item, sent))
    except (InvalidRequest, Conflict) as error:
        return await _page(visit, sent, error)
    return go("/reviews/next", after=item_id, did="reviewed", **_carried(visit))


async def adjudicate(visit: Visit) -> Response:
    sent = await visit.form()
    item_id = visit.path("id")
    try:
        item = (await asyncio.to_thread(queue.show, visit.control.catalog, visit.grant, item_id)).item
        await visit.control.reviews.adjudicate(visit.grant, item_id, _words(item, sent))
    except (InvalidRequest, Conflict) as error:
        return await _page(visit, sent, error)
    return go(f"/reviews/{item_id}", did="settled", **_carried(visit))


async def dismiss(visit: Visit) -> Response:
    sent = await visit.form()
    item_id, reason = visit.path("id"), sent.get("reason", "").strip()
    try:
        await asyncio.to_thread(queue.dismiss, visit.control.catalog, visit.grant, item_id, reason=reason)
    except (InvalidRequest, Conflict, Forbidden) as error:
        return await _page(visit, sent, error)
    return go("/reviews/next", after=item_id, did="dismissed", **_carried(visit))


async def reopen(visit: Visit) -> Response:
    sent = await visit.form()
    item_id, reason = visit.path("id"), sent.get("reason", "").strip()
    try:
        await visit.control.reviews.reopen(visit.grant, item_id, reason)
    except (InvalidRequest, Conflict) as error:
        return await _page(visit, sent, error)
    return go(f"/reviews/{item_id}", did="reopened", **_carried(visit))


async def show_agreement(visit: Visit) -> Response:
    from rondo.reviews import agreement

    wanted = queue.parse_filter({"app": visit.query("app") or "", "since": visit.query("since") or ""}, visit.actor)
    found = await asyncio.to_thread(agreement.agreement, visit.control.catalog, visit.project, wanted)
    apps = await asyncio.to_thread(queue.apps, visit.control.catalog, visit.project)
    return visit.page("reviews_agreement.html", found=found, apps=apps)


async def download(visit: Visit) -> Response:
    control, wanted, kind = visit.control, _filter(visit), visit.query("format") or "jsonl"
    if kind == "label-studio-config":
        rubric = await asyncio.to_thread(export.rubric_of, control.catalog, visit.project, wanted)
        headers = {"content-disposition": 'attachment; filename="labeling.xml"'}
        return Response(label_studio.configuration(rubric), media_type="application/xml", headers=headers)
    if kind not in _FILES:
        raise InvalidRequest("There is no such format.", remedy=f"Use one of: {', '.join(_FILES)}.", param="format")
    name, media_type = _FILES[kind]
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="rondo-export-"))
    try:
        await asyncio.to_thread(
            export.export,
            control.catalog,
            control.records,
            visit.project,
            wanted,
            format=kind,
            target=folder / name,
        )
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, folder, True)
        raise
    after = BackgroundTask(shutil.rmtree, folder, True)
    return FileResponse(folder / name, media_type=media_type, filename=name, background=after)


async def _page(visit: Visit, sent: dict[str, str], error: RondoError | None = None) -> Response:
    """An item: with what was entered and what is wrong with it, where a form was refused."""
    control, item_id = visit.control, visit.path("id")
    shown = await asyncio.to_thread(queue.show, control.catalog, visit.grant, item_id)
    story = await visit.control.read(lambda connection: _story(visit, connection, shown.item))
    call = story.call if story is not None else None
    wanted = _filter(visit)
    before, after = [
        await asyncio.to_thread(
            queue.neighbour, control.catalog, visit.project, wanted, beyond=shown.item, backwards=backwards
        )
        for backwards in (True, False)
    ]
    return visit.page(
        "review.html",
        status=status_of(error) if error else 200,
        shown=shown,
        item=shown.item,
        story=story,
        call=call,
        cited=cite(call.answer, (passage.chunk.number for passage in story.passages)) if call and story else None,
        talk=conversation(call.input, call.question) if call else [],
        judged=_judged(story, shown),
        entered=sent or _mine(visit, shown),
        before=before,
        after=after,
        here=with_query(_carried(visit)),
        longest_choices=label_studio.LONGEST_CHOICES,
        error=error,
    )


def _story(visit: Visit, connection: Connection, item: Item) -> Story | None:
    """The story of the item's call; None where the records no longer have it."""
    try:
        return why(connection, visit.control.records, visit.project, item.trace_id)
    except NotFound:
        return None


def _judged(story: Story | None, shown: Shown) -> list[Any]:
    """What users and judges said of the call, once it can sway nobody; reviewers' own words stand elsewhere."""
    return [] if story is None or shown.blind else [each for each in story.scores if each.key_id != WRITER]


def _mine(visit: Visit, shown: Shown) -> dict[str, str]:
    """What the visitor said before, as the form sends it."""
    mine = next((each for each in shown.answers if each.reviewer == visit.actor), None)
    if mine is None:
        return {}
    scores = {f"score.{name}": _NONE if score is None else str(score) for name, score in mine.scores.items()}
    return {**scores, "comment": mine.comment, "expected": mine.expected or ""}


def _words(item: Item, sent: dict[str, str]) -> Words:
    """Raises InvalidRequest for a criterion without a word."""
    scores = {each.name: _score(each, sent.get(f"score.{each.name}", "")) for each in item.rubric}
    return Words(scores=scores, comment=sent.get("comment", ""), expected=sent.get("expected", ""))


def _score(criterion: Criterion, word: str) -> int | None:
    if word == _NONE:
        return None
    if not (word.isascii() and word.isdigit() and len(word) < 4):
        raise InvalidRequest(
            f"`{criterion.name}` has no score.", remedy="Choose one, or that you can't say.", param=criterion.name
        )
    return int(word)


def _filter(visit: Visit) -> ItemFilter:
    """What the address asks for. Raises InvalidRequest."""
    words = {"app": visit.query("app") or "", "source": visit.query("source") or ""}
    view = _view(visit)
    if view == "waiting":
        words["waiting"] = "true"
    elif view != "all":
        words["status"] = view
    return queue.parse_filter(words, visit.actor)


def _view(visit: Visit) -> str:
    view = visit.query("view") or "waiting"
    return view if view in VIEWS else "waiting"


def _carried(visit: Visit) -> dict[str, str]:
    return {name: value for name in _CARRIED if (value := visit.query(name))}


PAGES = [
    Page("GET", "/reviews", Role.VIEWER, show_queue),
    Page("POST", "/reviews", Role.DEVELOPER, add),
    Page("POST", "/reviews/collect", Role.DEVELOPER, collect),
    Page("GET", "/reviews/next", Role.VIEWER, follow),
    Page("GET", "/reviews/agreement", Role.VIEWER, show_agreement),
    Page("GET", "/reviews/export", Role.VIEWER, download),
    Page("GET", "/reviews/{id}", Role.VIEWER, show),
    Page("POST", "/reviews/{id}/answer", Role.DEVELOPER, answer),
    Page("POST", "/reviews/{id}/adjudicate", Role.APPROVER, adjudicate),
    Page("POST", "/reviews/{id}/dismiss", Role.DEVELOPER, dismiss),
    Page("POST", "/reviews/{id}/reopen", Role.APPROVER, reopen),
]
