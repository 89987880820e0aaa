"""The state of a project at a glance: what serves whom, under what load, how well, at what price.

Numbers come from the record store's named queries; what serves whom from the catalog.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import Connection

from rondo.monitoring.goals import Evaluated, GoalStatus, by_evaluation, live_percent, standing
from rondo.releases import store as releases
from rondo.releases.gate_model import Named
from rondo.releases.gate_view import GateSummary, summary
from rondo.releases.slots import WHOLE_BP
from rondo.releases.state import NOTHING, Traffic
from rondo.reviews.model import rules_of
from rondo.store.at_once import Asked, Rows, ask_at_once
from rondo.store.base import RecordStore

DAY_US = 86_400_000_000


class Serving(Struct, frozen=True, kw_only=True):
    """An app as the catalog has it: its traffic, what it must reach, and what evaluations of what serves have found."""

    app: str
    traffic: Traffic
    settings: dict[str, Any]
    gate: GateSummary
    evaluated: dict[str, Evaluated] = {}


class AppOverview(Struct, frozen=True, kw_only=True):
    """An app and its numbers: `releases` has a row of the query `overview_apps` for each release that was called, and
    one for each that got copies of requests (its `arm` is `shadow`)."""

    app: str
    stable: int | None
    shares: dict[int, float]
    """Percent of the traffic, of each release that has any."""
    shadows: dict[str, float]
    """Percent of the requests that are copied to a release (by number) or a model."""
    use_case: dict[str, Any]
    goals: list[GoalStatus]
    gate: GateSummary
    releases: list[dict[str, Any]]


class Overview(Struct, frozen=True, kw_only=True):
    """`others` has the rows of models that were called by name; times are microseconds."""

    since: int
    until: int
    apps: list[AppOverview]
    others: list[dict[str, Any]]
    totals: dict[str, Any]


def serving(connection: Connection, project: str, app: str | None = None) -> list[Serving]:
    """What serves whom, for every app of the project by name, or for one. Raises NotFound."""
    rows = releases.list_apps(connection, project) if app is None else [releases.get_app(connection, project, app)]
    return [
        Serving(
            app=row.name,
            traffic=current.traffic if current else NOTHING,
            settings=row.settings,
            gate=summary(connection, project, row.name),
            evaluated=_evaluated(
                connection, project, row.name, current.traffic.stable if current else None, row.settings
            ),
        )
        for row in rows
        for current in (releases.current_traffic(connection, project, row.name),)
    ]


def _evaluated(
    connection: Connection, project: str, app: str, stable: int | None, settings: dict[str, Any]
) -> dict[str, Evaluated]:
    """Of the stable release, where there are goals that it could tell something of."""
    if stable is None or not settings.get("goals"):
        return {}
    release = releases.get_release(connection, project, app, stable)
    return by_evaluation(connection, project, app, Named(hash=release.hash, number=stable))


class Measured(Struct, frozen=True):
    """The metrics that goals can name, of one app: over a whole window, and by bucket. Rows of `goal_series`."""

    overall: dict[str, Any]
    buckets: list[dict[str, Any]]


class Look(Struct, frozen=True):
    """An overview, and what it rests on by app; apps without calls are not in `measured`."""

    overview: Overview
    measured: dict[str, Measured]


def overview(store: RecordStore, project: str, apps: list[Serving], *, since: int, until: int) -> Overview:
    """The numbers of the calls in [since, until) for these apps."""
    return look(store, project, apps, since=since, until=until, bucket_us=DAY_US).overview


def look(store: RecordStore, project: str, apps: list[Serving], *, since: int, until: int, bucket_us: int) -> Look:
    """The same with what was measured, over all and by bucket. All apps at once: one costs as much."""
    window = {"project": project, "since": since, "until": until}
    of_goals = {**window, "app": None, "release": None, "bucket_us": bucket_us}
    series, rows, totals = ask_at_once(
        store, Asked("goal_series", of_goals), Asked("overview_apps", window), Asked("totals", window)
    )
    measured = _by_app(series)
    found = Overview(
        since=since,
        until=until,
        apps=[
            AppOverview(
                app=each.app,
                stable=each.traffic.stable,
                shares=shares(each.traffic),
                shadows={shadow.name: shadow.share_bp / 100 for shadow in each.traffic.shadows},
                use_case=each.settings.get("use_case") or {},
                goals=standing(
                    store,
                    project,
                    each.app,
                    each.settings.get("goals") or [],
                    since=since,
                    until=until,
                    sample_percent=rules_of(each.settings).sample_percent,
                    live_percent=live_percent(each.settings),
                    evaluated=each.evaluated,
                    measured=measured[each.app].overall if each.app in measured else {},
                ),
                gate=each.gate,
                releases=[row for row in rows if row["app"] == each.app],
            )
            for each in apps
        ],
        others=[row for row in rows if row["app"] is None],
        totals=totals[0],
    )
    return Look(found, measured)


def _by_app(series: Rows) -> dict[str, Measured]:
    found: dict[str, Measured] = {}
    for row in sorted(series, key=lambda row: row["bucket_at"] is not None):
        if row["bucket_at"] is None:
            found[row["app"]] = Measured(row, [])
        else:
            found[row["app"]].buckets.append(row)
    return found


def shares(traffic: Traffic) -> dict[int, float]:
    """Percent of the traffic that each release has now; releases without any are left out."""
    if traffic.stable is None:
        return {}
    rest_bp = WHOLE_BP - sum(arm.share_bp for arm in traffic.arms)  # whole numbers: sums of percents leave crumbs
    percents = {arm.release: arm.share_bp / 100 for arm in traffic.arms}
    return {traffic.stable: rest_bp / 100, **percents} if rest_bp else percents
