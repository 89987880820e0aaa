"""Datasets: what there is, a version with its quality report and its examples, what two versions differ in, calls that
became tests; and the form that makes a call one.
"""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import Struct
from starlette.responses import Response

from rondo.console.visit import Page, Visit, go, whole_number
from rondo.control import Connection
from rondo.datasets import browsing, comparing, failures, regressions, store
from rondo.datasets.browsing import ExamplePage, Wanted
from rondo.datasets.languages import with_languages
from rondo.datasets.model import SPLITS, DatasetVersion, Example, parse_version
from rondo.errors import InvalidRequest, RondoError
from rondo.gateway.wire import status_of
from rondo.governance.model import Role
from rondo.records import Call
from rondo.reviews.queue import expected_of
from rondo.traces.search import get_calls

_PAGE = 50
_DIFFERENCES = 100
_VERSIONS = 100
_HAND_OVER = {"yes": True, "no": False, "": None}


class VersionPage(Struct, frozen=True, kw_only=True):
    """A version among the others of its dataset, and a page of its examples."""

    versions: list[DatasetVersion]
    page: ExamplePage


async def list_datasets(visit: Visit) -> Response:
    def read(connection: Connection) -> tuple[list[DatasetVersion], list[regressions.Regression]]:
        found = store.list_datasets(connection, visit.project)
        return found, regressions.list_regressions(connection, visit.project, limit=_PAGE)

    datasets, broken = await visit.control.read(read)
    return visit.page("datasets.html", datasets=datasets, regressions=broken)


async def show(visit: Visit) -> Response:
    name, version = visit.path("name"), parse_version(visit.query("version"))
    wanted = _wanted(visit)
    after = visit.query("after")
    start = whole_number(after, "after") if after else 0

    def read(connection: Connection) -> VersionPage:
        page = browsing.page_of(connection, visit.project, name, version, wanted=wanted, after=start, limit=_PAGE)
        return VersionPage(versions=store.list_versions(connection, visit.project, name, limit=_VERSIONS), page=page)

    found = await visit.control.read(read)
    told = await asyncio.to_thread(with_languages, visit.control.catalog, found.page.version)
    return visit.page(
        "dataset.html",
        it=found,
        version=told,
        report=told.report,
        splits=SPLITS,
        filtered=wanted != browsing.EVERYTHING,
    )


async def show_example(visit: Visit) -> Response:
    name, id_ = visit.path("name"), visit.path("id")

    def read(connection: Connection) -> Example:
        return store.get_example(connection, visit.project, id_)

    return visit.page("dataset_example.html", name=name, example=await visit.control.read(read))


async def diff(visit: Visit) -> Response:
    name = visit.path("name")
    before, after = parse_version(visit.query("from")), parse_version(visit.query("to"))

    def read(connection: Connection) -> comparing.Compared:
        return comparing.compare(connection, visit.project, name, before, after, limit=_DIFFERENCES)

    return visit.page("dataset_diff.html", name=name, it=await visit.control.read(read), most=_DIFFERENCES)


async def test_form(visit: Visit) -> Response:
    """With what reviewers said should have been answered, where they did."""
    said = await asyncio.to_thread(expected_of, visit.control.catalog, visit.project, visit.path("trace_id"))
    return await _test_page(visit, {"expected": said} if said else {}, None)


async def make_test(visit: Visit) -> Response:
    """Make the call a test of a dataset."""
    sent = await visit.form()
    try:
        added = await asyncio.to_thread(
            failures.add_call,
            visit.control.catalog,
            visit.control.records,
            visit.project,
            sent.get("dataset", "").strip(),
            trace_id=visit.path("trace_id"),
            expectation=_expectation(sent),
            actor=visit.actor,
        )
    except RondoError as error:
        return await _test_page(visit, sent, error)
    return go(
        f"/datasets/{added.version.dataset}", text=added.example.id, did="tested" if added.created else "unchanged"
    )


async def _test_page(visit: Visit, sent: dict[str, str], error: RondoError | None) -> Response:
    def names(connection: Connection) -> list[str]:
        return [version.dataset for version in store.list_datasets(connection, visit.project)]

    call: Call = (await asyncio.to_thread(get_calls, visit.control.records, visit.project, visit.path("trace_id")))[0]
    known = await visit.control.read(names)
    return visit.page(
        "call_test.html",
        status=200 if error is None else status_of(error),
        call=call,
        names=known,
        sent=sent,
        suggested=next((name for name in known if "regression" in name or "failure" in name), "failures"),
        error=error,
    )


def _expectation(sent: dict[str, str]) -> failures.Expectation:
    """Raises InvalidRequest."""
    hand_over = sent.get("hand_over", "")
    if hand_over not in _HAND_OVER:
        raise InvalidRequest("`hand_over` is neither yes nor no.", param="hand_over")
    return failures.Expectation(
        expected=sent.get("expected", "").strip() or None,
        hand_over=_HAND_OVER[hand_over],
        contains=_lines(sent.get("contains", "")),
        lacks=_lines(sent.get("lacks", "")),
    )


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _wanted(visit: Visit) -> Wanted:
    split, tag = visit.query("split"), visit.query("tag")
    name, equals, value = (tag or "").partition("=")
    given: dict[str, Any] = {
        "text": visit.query("text"),
        "split": next((each for each in SPLITS if each == split), None),
        "tag": (name, value if equals else None) if tag else None,
        "must_pass": True if visit.query("must_pass") else None,
    }
    return Wanted(**given)


PAGES = [
    Page("GET", "/datasets", Role.VIEWER, list_datasets),
    Page("GET", "/datasets/{name}", Role.VIEWER, show),
    Page("GET", "/datasets/{name}/diff", Role.VIEWER, diff),
    Page("GET", "/datasets/{name}/examples/{id}", Role.VIEWER, show_example),
    Page("GET", "/calls/{trace_id}/test", Role.DEVELOPER, test_form),
    Page("POST", "/calls/{trace_id}/test", Role.DEVELOPER, make_test),
]
