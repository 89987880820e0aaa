"""Reviews: the queue of answers that people look at, what they say, how far they agree; to files and back.

Whoever may answer is a developer, whoever settles a dispute or brings in answers of others an approver. Answers of
others are not shown before the last reviewer has given theirs.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from rondo import clock
from rondo.api.door import Asked, Door
from rondo.errors import InvalidRequest
from rondo.gateway.reading import UNREADABLE
from rondo.governance.model import Role
from rondo.reviews import export, label_studio, queue
from rondo.reviews.answering import Words
from rondo.reviews.collect import Collected
from rondo.reviews.importing import Taken
from rondo.reviews.model import ReviewersAgreement
from rondo.reviews.store import ItemFilter

MOST_BYTES = 64_000_000
"""Of a file with annotations."""

_PAGING = ("limit", "after", "format", "predictions")
_FILES: dict[export.Format, tuple[str, str]] = {
    "jsonl": ("reviews.jsonl", "application/x-ndjson"),
    "csv": ("reviews.csv", "text/csv"),
    "label-studio": ("tasks.json", "application/json"),
}


class NewItem(Struct, forbid_unknown_fields=True):
    trace_id: str
    note: str = ""


class Said(Struct, forbid_unknown_fields=True):
    """`scores` by criterion, null where the answer gives no ground for one; `expected`: what should have been said."""

    scores: dict[str, Any]
    comment: str = ""
    expected: str | None = None


class Dismissal(Struct, forbid_unknown_fields=True):
    reason: str


class Reopening(Struct, forbid_unknown_fields=True):
    reason: str


class Look(Struct, forbid_unknown_fields=True):
    """`since` is a time, `24h` (ago) or ISO 8601; a week ago by default, and at most."""

    since: str | None = None


async def list_items(asked: Asked) -> dict[str, Any]:
    """A page of the queue, and how many items there are by status. What waits is listed oldest first."""
    control, wanted = asked.control, filter_of(asked)
    page = await asyncio.to_thread(
        queue.page,
        control.catalog,
        control.records,
        asked.project,
        wanted,
        reader=asked.actor,
        limit=asked.query_number("limit", 50, most=queue.MAX_PAGE),
        after=asked.query("after"),
    )
    totals = await asyncio.to_thread(queue.totals, control.catalog, asked.project, app=wanted.app, reader=asked.actor)
    return {"items": page.items, "after": page.after, "totals": totals}


async def add(asked: Asked) -> dict[str, Any]:
    """Put a call into the queue. One that is there already stays as it is."""
    wanted, control = await asked.body(NewItem), asked.control
    item, created = await asyncio.to_thread(
        queue.add,
        control.catalog,
        control.records,
        asked.project,
        wanted.trace_id,
        note=wanted.note,
        actor=asked.actor,
    )
    return {"item": item, "created": created}


async def show(asked: Asked) -> queue.Shown:
    """One item: its rubric, and the answers that the reader may see."""
    return await asyncio.to_thread(queue.show, asked.control.catalog, asked.grant, asked.path("id"))


async def answer(asked: Asked) -> dict[str, Any]:
    """Say what one thinks of an item; again, in the place of what one said before."""
    words = _words(await asked.body(Said))
    return {"item": await asked.control.reviews.answer(asked.grant, asked.path("id"), words)}


async def adjudicate(asked: Asked) -> dict[str, Any]:
    """Settle a dispute of others: these scores stand."""
    words = _words(await asked.body(Said))
    return {"item": await asked.control.reviews.adjudicate(asked.grant, asked.path("id"), words)}


async def dismiss(asked: Asked) -> dict[str, Any]:
    """Take an item out of the queue without a verdict."""
    wanted = await asked.body(Dismissal)
    item = await asyncio.to_thread(
        queue.dismiss, asked.control.catalog, asked.grant, asked.path("id"), reason=wanted.reason
    )
    return {"item": item}


async def reopen(asked: Asked) -> dict[str, Any]:
    """Have an item that is done or dismissed reviewed anew. What was said of it stays in the audit trail."""
    wanted = await asked.body(Reopening)
    return {"item": await asked.control.reviews.reopen(asked.grant, asked.path("id"), wanted.reason)}


async def show_agreement(asked: Asked) -> ReviewersAgreement:
    """How far reviewers agree, by criterion: Krippendorff's alpha over all, Cohen's kappa of each two."""
    from rondo.reviews import agreement

    return await asyncio.to_thread(agreement.agreement, asked.control.catalog, asked.project, filter_of(asked))


async def collect(asked: Asked) -> Collected:
    """Look for calls that belong into the queue now, rather than at the next look."""
    wanted = await asked.body(Look)
    try:
        since = None if wanted.since is None else clock.parse_time(wanted.since)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"`since` is not a time: {wanted.since!r:.60}.", remedy="Write it as 24h or 7d (ago).", param="since"
        ) from None
    return await asked.control.reviews.collect(asked.project, actor=asked.actor, since=since)


async def export_items(asked: Asked) -> Response:
    """All items that match: JSON lines, CSV, tasks for Label Studio, or the configuration for those."""
    control, wanted, kind = asked.control, filter_of(asked), asked.query("format") or "jsonl"
    if kind == "label-studio-config":
        rubric = await asyncio.to_thread(export.rubric_of, control.catalog, asked.project, wanted)
        headers = {"content-disposition": 'attachment; filename="labeling.xml"'}
        return Response(label_studio.configuration(rubric), media_type="application/xml", headers=headers)
    if kind not in _FILES:
        formats = ", ".join((*_FILES, "label-studio-config"))
        raise InvalidRequest(f"There is no format {kind!r:.40}.", remedy=f"Use one of: {formats}.", param="format")
    name, media_type = _FILES[kind]
    folder = tempfile.TemporaryDirectory(prefix="rondo-export-")
    target = Path(folder.name) / name
    try:
        written = await asyncio.to_thread(
            export.export,
            control.catalog,
            control.records,
            asked.project,
            wanted,
            format=kind,
            target=target,
            predictions=asked.query("predictions") == "true",
        )
    except BaseException:
        folder.cleanup()
        raise
    headers = {"x-rondo-items": str(written.items), "x-rondo-left-out": str(written.left_out)}
    after = BackgroundTask(folder.cleanup)
    return FileResponse(target, media_type=media_type, filename=name, headers=headers, background=after)


async def import_annotations(asked: Asked) -> Taken:
    """Take the annotations of a Label Studio export; `reviewers={"1": "anna"}` says who annotators are here."""
    try:
        reviewers = msgspec.json.decode(asked.query("reviewers") or "{}", type=dict[str, str])
    except UNREADABLE as error:
        raise InvalidRequest(
            f"`reviewers` cannot be read: {error}.", remedy='Write it as {"1": "anna"}.', param="reviewers"
        ) from None
    return await asked.control.reviews.take(asked.grant, await asked.body_of_at_most(MOST_BYTES), reviewers)


def filter_of(asked: Asked) -> ItemFilter:
    """The filter in the query string. Raises InvalidRequest."""
    given = {name: value for name, value in asked.request.query_params.items() if name not in _PAGING}
    return queue.parse_filter(given, asked.actor)


def _words(said: Said) -> Words:
    return Words(scores=said.scores, comment=said.comment, expected=said.expected)


DOORS = [
    Door("GET", "/api/reviews", Role.VIEWER, list_items),
    Door("POST", "/api/reviews", Role.DEVELOPER, add),
    Door("GET", "/api/reviews/agreement", Role.VIEWER, show_agreement),
    Door("POST", "/api/reviews/collect", Role.DEVELOPER, collect),
    Door("GET", "/api/reviews/export", Role.VIEWER, export_items),
    Door("POST", "/api/reviews/import", Role.APPROVER, import_annotations),
    Door("GET", "/api/reviews/{id}", Role.VIEWER, show),
    Door("POST", "/api/reviews/{id}/answer", Role.DEVELOPER, answer),
    Door("POST", "/api/reviews/{id}/adjudicate", Role.APPROVER, adjudicate),
    Door("POST", "/api/reviews/{id}/dismiss", Role.DEVELOPER, dismiss),
    Door("POST", "/api/reviews/{id}/reopen", Role.APPROVER, reopen),
]
