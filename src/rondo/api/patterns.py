"""Patterns among the calls that went wrong: found, listed, shown, turned into tests."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import Struct

from rondo import clock
from rondo.api.door import Asked, Door
from rondo.datasets.failures import Expectation
from rondo.governance.model import Role
from rondo.improve import store
from rondo.improve.model import USUAL, Found, Why
from rondo.improve.patterns import Wanted
from rondo.improve.turning import Made, add
from rondo.traces.filter import parse_time


class Find(Struct, forbid_unknown_fields=True):
    """Which calls: of `app` (by default all), from `since` to `until` (times, or how long ago). `why` is in which ways
    they went wrong; `score` with `below` counts calls with a lower value as `low`."""

    app: str | None = None
    since: str = "7d"
    until: str | None = None
    why: tuple[Why, ...] = USUAL
    score: str | None = None
    below: float | None = None


class Tests(Struct, forbid_unknown_fields=True):
    """`traces` are calls of the pattern, by default its examples; what is expected of them is the same for all."""

    dataset: str
    expectation: Expectation
    traces: list[str] = []


async def find(asked: Asked) -> Found:
    """Put failing, disliked and low-scored calls together to named patterns. The run is kept."""
    wanted = await asked.body(Find)
    until = clock.now_us() if wanted.until is None else parse_time("until", wanted.until)
    return await asked.control.watching.patterns.find(
        Wanted(
            project=asked.project,
            app=wanted.app,
            since=parse_time("since", wanted.since),
            until=until,
            whys=tuple(dict.fromkeys(wanted.why)),
            score=wanted.score,
            below=wanted.below,
        ),
        actor=asked.actor,
    )


async def list_runs(asked: Asked) -> dict[str, Any]:
    """The runs, newest first, with their patterns; `app` only those of it."""
    limit, app = asked.query_number("limit", 20, most=100), asked.query("app")
    return {
        "runs": await asked.control.read(
            lambda connection: store.listed(connection, asked.project, limit=limit, app=app)
        )
    }


async def show(asked: Asked) -> Found:
    """One run by its id."""
    return await asked.control.read(lambda connection: store.get(connection, asked.project, asked.path("id")))


async def make_tests(asked: Asked) -> Made:
    """Make the examples of a pattern must-pass tests of a dataset."""
    wanted, number = await asked.body(Tests), asked.number("number")
    pattern = store.pattern(await show(asked), number)
    return await asyncio.to_thread(
        add,
        asked.control.catalog,
        asked.control.records,
        asked.project,
        wanted.dataset,
        pattern=pattern,
        traces=wanted.traces,
        expectation=wanted.expectation,
        actor=asked.actor,
    )


DOORS = [
    Door("GET", "/api/patterns", Role.VIEWER, list_runs),
    Door("POST", "/api/patterns", Role.DEVELOPER, find),
    Door("GET", "/api/patterns/{id}", Role.VIEWER, show),
    Door("POST", "/api/patterns/{id}/{number}/tests", Role.DEVELOPER, make_tests),
]
