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
from rondo.monitoring.drift.schedule import window_before

_BELOW = 0.99
_ALPHA = 0.05


def newest(connection: Connection, project: str, app: str) -> list[Drifted]:
    """The newest word on each check of an app; empty where there is no scheduled report with enough calls."""
    latest = store.newest(connection, project, app, clock.now_us(), scheduled=True)
    if latest is None:
        return []
    before = previous(connection, latest)
    return [_told(check, before, latest) for check in latest.checks if check.corrected is not None]


def latest(connection: Connection, project: str, app: str) -> tuple[Report | None, list[str]]:
    """The newest report, scheduled or not, and which checks of it have drifted two windows in a row."""
    found = store.newest(connection, project, app, clock.now_us())
    return (None, []) if found is None else (found, lasting(found, previous(connection, found)))


def known(connection: Connection, project: str, app: str, report: str) -> tuple[Report, list[str]]:
    """The same of one report. Raises NotFound."""
    found = store.get(connection, project, app, report)
    return found, lasting(found, previous(connection, found))


def previous(connection: Connection, report: Report) -> Report | None:
    """The scheduled report of the window before."""
    earliest, last = window_before(report.since, report.until)
    return store.ended_between(connection, report.project, report.app, earliest, last)


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
