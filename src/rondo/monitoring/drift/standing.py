"""What alerts are told of drift: the newest report's checks, and whether two windows in a row say the same.

One window may drift by chance, or for a day. So a check counts fully (1 and above) only where the window before, with
no call in common, had drifted too; until then it stays below.
"""

from __future__ import annotations

from math import log

from sqlalchemy import Connection

from rondo import clock
from rondo.monitoring.alerts.surroundings import Drifted
from rondo.monitoring.drift import store
from rondo.monitoring.drift.model import Check, Report
from rondo.monitoring.drift.schedule import follows

_LOOKED_BACK = 50
_BELOW = 0.99
_ALPHA = 0.05


def newest(connection: Connection, project: str, app: str) -> list[Drifted]:
    """The newest word on each check of an app; empty where there is no scheduled report with enough calls."""
    reports = _scheduled(connection, project, app)
    if not reports:
        return []
    latest = reports[0]
    before = previous(latest, reports[1:])
    return [_told(check, before, latest) for check in latest.checks if check.corrected is not None]


def latest(connection: Connection, project: str, app: str) -> tuple[Report | None, list[str]]:
    """The newest report, scheduled or not, and which checks of it have drifted two windows in a row."""
    found = store.listed(connection, project, app, limit=1)
    if not found:
        return None, []
    return found[0], _lasting(connection, found[0])


def known(connection: Connection, project: str, app: str, report: str) -> tuple[Report, list[str]]:
    """The same of one report. Raises NotFound."""
    found = store.get(connection, project, app, report)
    return found, _lasting(connection, found)


def _lasting(connection: Connection, report: Report) -> list[str]:
    return lasting(report, previous(report, _scheduled(connection, report.project, report.app)))


def _scheduled(connection: Connection, project: str, app: str) -> list[Report]:
    """The newest first, but for those that a wrong clock put into the future."""
    now = clock.now_us()
    kept = store.listed(connection, project, app, limit=_LOOKED_BACK, scheduled=True)
    return [report for report in kept if report.until <= now]


def previous(report: Report, earlier: list[Report]) -> Report | None:
    """The report of the window before, among earlier ones, the newest first."""
    return next((each for each in earlier if follows(each.until, report.since, report.until)), None)


def lasting(report: Report, before: Report | None) -> list[str]:
    """The checks that have drifted in two windows in a row."""
    known = {check.name for check in before.drifted} if before is not None else set()
    return [check.name for check in report.drifted if check.name in known]


def _told(check: Check, before: Report | None, latest: Report) -> Drifted:
    """The share grows with how unlikely chance is: 1 at the promised rate of false alarms."""
    twice = check.name in lasting(latest, before)
    share = log(max(check.corrected or 1.0, 1e-6)) / log(_ALPHA)
    words = "" if check.verdict != "drifted" else ", two windows in a row" if twice else ", in this window only so far"
    return Drifted(
        part=check.name,
        share=max(1.0, share) if twice else min(_BELOW, share),
        sentence=check.sentence.rstrip(".") + words + ".",
        traces=[example.trace_id for example in check.examples],
    )
