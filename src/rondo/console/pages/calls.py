"""Calls: a filtered list, newest first; a tail that shows new ones as they are stored; exports of what is listed."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from rondo import clock
from rondo.console.pages.overview import WINDOWS
from rondo.console.visit import Page, Visit, whole_number
from rondo.errors import InvalidRequest
from rondo.governance.model import Role
from rondo.monitoring.overview import DAY_US
from rondo.store.base import ExportFormat
from rondo.traces import search
from rondo.traces.filter import FIELDS, CallFilter, parse_filter

_PAGE = 50
_TAIL = 50
_FORMATS: dict[str, tuple[ExportFormat, str]] = {
    "jsonl": ("jsonl", "application/x-ndjson"),
    "parquet": ("parquet", "application/vnd.apache.parquet"),
}


async def show(visit: Visit) -> Response:
    wanted, error = _filter(visit)
    page = search.Page([], None)
    if error is None:
        page = await asyncio.to_thread(
            search.list_calls, visit.control.records, visit.project, wanted, limit=_PAGE, before=visit.query("before")
        )
    now = clock.now_us()
    recent = {"project": visit.project, "since": now - 30 * DAY_US, "until": now}
    facets = await asyncio.to_thread(visit.control.records.query, "facets", recent)
    return visit.page(
        "calls.html",
        status=400 if error else 200,
        page=page,
        windows=WINDOWS.values(),
        facets=_by_facet(facets),
        filtered=[name for name in (*FIELDS, "window") if visit.query(name)],
        live=visit.query("live") is not None,
        after=max((row.arrival for row in page.items), default=None),
        error=error,
    )


async def tail(visit: Visit) -> Response:
    """For htmx: the rows that are new since `after`, and the next poll."""
    wanted, error = _filter(visit)
    if error is not None:
        raise error
    after = visit.query("after")
    new = await asyncio.to_thread(
        search.tail,
        visit.control.records,
        visit.project,
        wanted,
        after=whole_number(after, "after") if after else None,
        limit=_TAIL,
    )
    return visit.page("calls_tail.html", rows=new.items[::-1], after=new.after)


async def export(visit: Visit) -> Response:
    wanted, error = _filter(visit)
    if error is not None:
        raise error
    if (visit.query("format") or "jsonl") not in _FORMATS:
        raise InvalidRequest("There is no such format.", remedy="Use jsonl or parquet.", param="format")
    kind, media_type = _FORMATS[visit.query("format") or "jsonl"]
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="rondo-export-"))
    try:
        target = folder / f"calls.{kind}"
        await asyncio.to_thread(search.export_calls, visit.control.records, visit.project, wanted, kind, target)
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, folder, True)
        raise
    moment = datetime.fromtimestamp(clock.now_us() / 1_000_000, UTC)
    return FileResponse(
        target,
        media_type=media_type,
        filename=f"rondo-calls-{moment:%Y%m%d-%H%M%S}.{kind}",
        background=BackgroundTask(shutil.rmtree, folder, True),
    )


def _filter(visit: Visit) -> tuple[CallFilter, InvalidRequest | None]:
    """What the address asks for; with what is wrong, where it asks for something that cannot be."""
    words = {name: value.strip() for name in FIELDS if (value := visit.query(name))}
    window = WINDOWS.get(visit.query("window") or "")
    if window is not None and "since" not in words:
        words["since"] = clock.iso(clock.now_us() - window.length_us)
    try:
        return parse_filter(words), None
    except InvalidRequest as error:
        return CallFilter(), error


def _by_facet(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["facet"], []).append(row["value"])
    return found


PAGES = [
    Page("GET", "/calls", Role.VIEWER, show),
    Page("GET", "/calls/tail", Role.VIEWER, tail),
    Page("GET", "/calls/export", Role.VIEWER, export),
]
