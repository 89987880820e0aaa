"""Costs: by user, key, app, release, model, tag or day; the month's forecast; another model in the place of these."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from rondo.api.dashboards import CHOSEN, WINDOW, choose, words_of
from rondo.api.door import Asked, Door
from rondo.errors import InvalidRequest
from rondo.governance.model import Role
from rondo.monitoring.costs.model import Costs
from rondo.monitoring.costs.outlook import Outlook, instead, outlook
from rondo.monitoring.costs.spending import as_csv, costs, parse_by
from rondo.monitoring.costs.what_if import WhatIf
from rondo.monitoring.dashboards.window import parse_window

MOST_ROWS = 10_000


async def show(asked: Asked) -> Costs | Response:
    """What calls of all arms cost, by whatever is asked for; `format=csv` for a spreadsheet."""
    words = words_of(asked, (*WINDOW, *CHOSEN, "by", "limit", "format"))
    kind = words.get("format") or "json"
    if kind not in ("json", "csv"):
        raise InvalidRequest(f"There is no format {kind!r:.20}.", remedy="Use json or csv.", param="format")
    found = await asyncio.to_thread(
        costs,
        asked.control.records,
        asked.project,
        parse_window({"window": "30d", **words}),
        await choose(asked, words, arm="all"),
        parse_by(words.get("by")),
        limit=asked.query_number("limit", 100, most=MOST_ROWS),
    )
    if kind == "json":
        return found
    disposition = {"content-disposition": f'attachment; filename="rondo-costs-by-{found.by}.csv"'}
    return Response(as_csv(found), media_type="text/csv; charset=utf-8", headers=disposition)


async def show_outlook(asked: Asked) -> Outlook:
    """What the month will have cost, and the days that stand out."""
    chosen = await choose(asked, words_of(asked, CHOSEN), arm="all")
    return await asyncio.to_thread(outlook, asked.control.records, asked.project, chosen)


async def show_instead(asked: Asked) -> WhatIf:
    """What the same traffic would have cost on the model `instead`, from its recorded tokens."""
    words = words_of(asked, (*WINDOW, *CHOSEN, "instead"))
    return await asyncio.to_thread(
        instead,
        asked.control.records,
        asked.control.gateway.plan,
        asked.project,
        parse_window({"window": "30d", **words}),
        await choose(asked, words, arm="all"),
        model=words.get("instead"),
    )


DOORS = [
    Door("GET", "/api/costs", Role.VIEWER, show),
    Door("GET", "/api/costs/outlook", Role.VIEWER, show_outlook),
    Door("GET", "/api/costs/what-if", Role.VIEWER, show_instead),
]
