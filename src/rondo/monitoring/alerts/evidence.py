"""What an alert links: the calls behind it, and the change of traffic that came before it."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from rondo.errors import InvalidRequest
from rondo.monitoring.alerts.model import Behind, Seen
from rondo.releases import store as releases
from rondo.store.base import RecordStore
from rondo.traces.filter import parse_filter
from rondo.traces.search import CallRow, list_calls

LINKED = 10
_LOOKED_THROUGH = 300


def calls_behind(store: RecordStore, project: str, seen: Seen) -> list[str]:
    """The traces of up to ten calls: the slowest or dearest where that is what is wrong, else the newest. Blocks."""
    if seen.traces or seen.calls is None:
        return seen.traces[:LINKED]
    try:
        filter = parse_filter(seen.calls)
    except InvalidRequest:
        return []
    worst = _ORDERS.get(next((name for name in _ORDERS if name in seen.calls), ""))
    page = list_calls(store, project, filter, limit=_LOOKED_THROUGH if worst else LINKED)
    rows = sorted(page.items, key=worst, reverse=True) if worst else page.items
    return list(dict.fromkeys(row.trace_id for row in rows))[:LINKED]


def change_before(connection: Connection, project: str, app: str, at: int) -> Behind | None:
    """The last change of the app's traffic up to a moment."""
    changes = [each for each in releases.traffic_history(connection, project, app) if each.at <= at]
    if not changes:
        return None
    last = changes[-1]
    trial = last.traffic.trial
    return Behind(
        at=last.at,
        action=last.action,
        actor=last.actor,
        reason=last.reason,
        stable=last.traffic.stable,
        candidates=[arm.release for arm in last.traffic.arms],
        rollout=None if trial is None else trial.rollout,
    )


_ORDERS: dict[str, Callable[[CallRow], float]] = {
    "min_ms": lambda row: row.duration_ms,
    "min_cost": lambda row: row.cost_usd or 0.0,
}
