"""Judges: which there are, whether their word counts, and how well they have agreed with people over time."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from rondo.console import charts
from rondo.console.visit import Page, Visit
from rondo.control import Connection
from rondo.governance.model import Role
from rondo.releases import judged
from rondo.releases.judged import CalibrationLine

_WIDTH, _HEIGHT = 480.0, 96.0


async def list_judges(visit: Visit) -> Response:
    def read(connection: Connection) -> list[judged.JudgeLine]:
        return judged.list_judges(connection, visit.project)

    return visit.page("judges.html", judges=await visit.control.read(read))


async def show(visit: Visit) -> Response:
    app, name = visit.path("app"), visit.path("name")

    def read(connection: Connection) -> judged.JudgeStory:
        return judged.tell(connection, visit.project, app, name)

    story = await visit.control.read(read)
    return visit.page(
        "judge.html",
        line=story.line,
        judge=story.line.judge,
        calibrations=story.calibrations,
        newest=next((each for each in story.calibrations if each.version == story.line.version), None),
        chart=_over_time(story.calibrations, story.line.judge.mark),
    )


def _over_time(calibrations: list[CalibrationLine], mark: float | None) -> dict[str, Any] | None:
    """Kappa from the oldest calibration to the newest, and where the mark is; None where there is too little to see.

    Agreement that is worse than chance is drawn at the bottom.
    """
    values = [None if each.kappa is None else max(each.kappa, 0.0) for each in calibrations[::-1]]
    if len(values) < 2:
        return None
    line = charts.line(values, width=_WIDTH, height=_HEIGHT, most=1.0)
    return {"line": line, "mark": None if mark is None else _HEIGHT - max(mark, 0.0) * _HEIGHT}


PAGES = [
    Page("GET", "/judges", Role.VIEWER, list_judges),
    Page("GET", "/judges/{app}/{name}", Role.VIEWER, show),
]
