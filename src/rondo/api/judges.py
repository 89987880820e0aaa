"""Judges: which there are, how well they agree with people, and calibrating them."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from msgspec import Struct

from rondo import clock
from rondo.api.door import Asked, Door
from rondo.control import Connection
from rondo.errors import InvalidRequest
from rondo.evals.judges.calibrations import Wanted
from rondo.evals.judges.labels import Label
from rondo.gateway.reading import UNREADABLE
from rondo.governance.model import Role
from rondo.releases import judged
from rondo.releases.judged import CalibrationLine, JudgeStory

MAX_LABELS = 50_000_000
"""Bytes of a body with labels."""


class Calibrate(Struct, forbid_unknown_fields=True):
    """`on` names a release or a draft (`7`, `production`, a hash); without it, what was frozen last.

    Without `labels`, what reviewers said counts; `since` (`30d`, or ISO 8601) leaves out what they said before.
    """

    app: str
    on: str | None = None
    labels: list[Label] | None = None
    since: str | None = None
    run: str | None = None
    budget_usd: float | None = None


async def list_judges(asked: Asked) -> dict[str, Any]:
    """The judges of an app, or of all, as they were frozen last: whether each counts, and why."""
    app = asked.query("app")
    return {"judges": await asked.control.read(lambda connection: judged.list_judges(connection, asked.project, app))}


async def show(asked: Asked) -> JudgeStory:
    """One judge with its calibrations, newest first."""
    name, app = asked.path("name"), asked.query("app")
    if app is None:
        raise InvalidRequest("Say whose judge it is.", remedy="Send `app`.", param="app")
    return await asked.control.read(lambda connection: judged.tell(connection, asked.project, app, name))


async def calibrate(asked: Asked) -> CalibrationLine:
    """Ask a judge about answers that people have labelled, and keep how well it agreed with them."""
    name = asked.path("name")
    wanted = await _body(asked)
    calibrations = asked.control.calibrations
    target = None
    if wanted.on is not None:
        target = await asyncio.to_thread(calibrations.subjects.resolve, asked.project, wanted.app, wanted.on)

    def read(connection: Connection) -> judged.Judges:
        return judged.judges_of(connection, asked.project, wanted.app, target.hash if target is not None else None)

    found = await asked.control.read(read)
    calibration = await calibrations.calibrate(
        asked.grant,
        found.target,
        found.judge(name),
        Wanted(labels=wanted.labels, since=_since(wanted.since), run=wanted.run, budget_usd=wanted.budget_usd),
    )
    return judged.told(calibration)


async def _body(asked: Asked) -> Calibrate:
    data = await asked.body_of_at_most(MAX_LABELS)
    try:
        return msgspec.json.decode(data or b"{}", type=Calibrate)
    except UNREADABLE as error:
        raise InvalidRequest(f"The body cannot be read: {error}.") from None


def _since(word: str | None) -> int | None:
    try:
        return None if word is None else clock.parse_time(word)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"`since` is not a time: {word!r:.60}.", remedy="Write it as 30d, or 2026-11-21T10:00:00Z.", param="since"
        ) from None


DOORS = [
    Door("GET", "/api/judges", Role.VIEWER, list_judges),
    Door("GET", "/api/judges/{name}", Role.VIEWER, show),
    Door("POST", "/api/judges/{name}/calibrations", Role.DEVELOPER, calibrate),
]
