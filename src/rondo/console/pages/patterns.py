"""Patterns of calls that went wrong: found, shown, and turned into tests."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from starlette.responses import Response

from rondo import clock
from rondo.console.visit import Page, Visit, go, whole_number
from rondo.control import Connection
from rondo.datasets import store as datasets
from rondo.datasets.failures import Expectation
from rondo.errors import Conflict, InvalidRequest, RondoError
from rondo.gateway.wire import status_of
from rondo.governance.model import Role
from rondo.improve import store
from rondo.improve.model import USUAL, WHYS, Found, Why
from rondo.improve.patterns import Wanted
from rondo.improve.turning import add
from rondo.monitoring.drift.clusters_at_hand import is_installed
from rondo.releases import store as releases
from rondo.traces.filter import parse_time

_LISTED = 20
_CALLS = 50
_WINDOWS = ("24h", "7d", "30d")


async def show(visit: Visit) -> Response:
    """The newest run, or the one that is asked for by its id."""
    return await _page(visit, None, {})


async def find(visit: Visit) -> Response:
    """Look for patterns, then show them."""
    sent = await visit.form()
    try:
        whys: list[Why] = [why for why in WHYS if sent.get(why) == "yes"]
        wanted = Wanted(
            project=visit.project,
            app=sent.get("app") or None,
            since=parse_time("since", sent.get("since") or "7d"),
            until=clock.now_us(),
            whys=whys,
        )
        found = await visit.control.watching.patterns.find(wanted, actor=visit.actor)
    except (InvalidRequest, Conflict) as error:
        return await _page(visit, error, sent)
    return go("/patterns", id=found.id)


async def show_one(visit: Visit) -> Response:
    return await _one(visit, None, {})


async def make_tests(visit: Visit) -> Response:
    """Make the chosen calls tests; what is expected is the same for all."""
    sent = await visit.form()
    found = await visit.control.read(lambda connection: store.get(connection, visit.project, visit.path("id")))
    pattern = store.pattern(found, whole_number(visit.path("number"), "number"))
    wishes = {"yes": True, "no": False}
    expectation = Expectation(
        expected=sent.get("expected", "").strip() or None,
        contains=_lines(sent.get("contains", "")),
        lacks=_lines(sent.get("lacks", "")),
        hand_over=wishes.get(sent.get("hand_over", "")),
    )
    traces = [trace for trace in pattern.traces if sent.get(f"call-{trace}") == "yes"]
    try:
        if not traces:
            raise InvalidRequest("No call is chosen.", remedy="Choose at least one.", param="traces")
        made = await asyncio.to_thread(
            add,
            visit.control.catalog,
            visit.control.records,
            visit.project,
            sent.get("dataset", ""),
            pattern=pattern,
            traces=traces,
            expectation=expectation,
            actor=visit.actor,
        )
    except (InvalidRequest, Conflict) as error:
        return await _one(visit, error, sent)
    return go(f"/datasets/{quote(made.dataset, safe='')}", did="pattern-tested")


async def _page(visit: Visit, error: RondoError | None, sent: dict[str, str]) -> Response:
    wanted = visit.query("id")

    def read(connection: Connection) -> tuple[Found | None, list[Found], list[str]]:
        runs = store.listed(connection, visit.project, limit=_LISTED)
        found = store.get(connection, visit.project, wanted) if wanted else runs[0] if runs else None
        return found, runs, [app.name for app in releases.list_apps(connection, visit.project)]

    found, runs, apps = await visit.control.read(read)
    return visit.page(
        "patterns.html",
        status=200 if error is None else status_of(error),
        found=found,
        runs=runs,
        apps=apps,
        windows=_WINDOWS,
        whys=WHYS,
        usual=USUAL,
        can_find=is_installed(),
        error=error,
        sent=sent,
    )


async def _one(visit: Visit, error: RondoError | None, sent: dict[str, str]) -> Response:
    def read(connection: Connection) -> tuple[Found, list[str]]:
        found = store.get(connection, visit.project, visit.path("id"))
        return found, [row.dataset for row in datasets.list_datasets(connection, visit.project)]

    found, names = await visit.control.read(read)
    pattern = store.pattern(found, whole_number(visit.path("number"), "number"))
    traces = ",".join(pattern.traces[:_CALLS])
    query = {"project": visit.project, "traces": traces, "longest": 200}
    rows = await asyncio.to_thread(visit.control.records.query, "calls_by_traces", query) if traces else []
    return visit.page(
        "pattern.html",
        status=200 if error is None else status_of(error),
        found=found,
        pattern=pattern,
        rows=sorted(rows, key=lambda row: -row["started_at"]),
        names=names,
        suggested=f"{found.app}-failures" if found.app else "failures",
        error=error,
        sent=sent,
    )


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


PAGES = [
    Page("GET", "/patterns", Role.VIEWER, show),
    Page("POST", "/patterns", Role.DEVELOPER, find),
    Page("GET", "/patterns/{id}/{number}", Role.VIEWER, show_one),
    Page("POST", "/patterns/{id}/{number}/tests", Role.DEVELOPER, make_tests),
]
