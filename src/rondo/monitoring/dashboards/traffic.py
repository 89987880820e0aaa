"""The dashboard of traffic: load, users, errors by kind, latency, tokens, cost and savings over time.

Each number is one column of one named query (`dash_*.sql`); here they are only put in line with the buckets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from rondo.monitoring.dashboards.window import DAY_US, Chosen, Window
from rondo.store.at_once import Asked, Rows, ask_at_once
from rondo.store.base import RecordStore

_KINDS = 6
_COUNTS = ("calls", "errors", "cost_unknown", "cache_hits", "handed_over", "handed_over_known")
_KNOWN = ("tokens", "input_tokens", "cached_tokens", "output_tokens", "cost_usd", "saved_usd")
_LATENCIES = ("p50_ms", "p95_ms", "p99_ms", "first_token_p50_ms", "first_token_p95_ms")

Values = list[float | None]


class Users(Struct, frozen=True, kw_only=True):
    """Distinct users by bucket, which is never shorter than a day where the window has several.

    `total` is of all of the window, to within about 3 %.
    """

    buckets: list[int]
    users: list[int]
    total: int


class TrafficBoard(Struct, frozen=True, kw_only=True):
    """`series` has a value per bucket: counts are 0 where nothing came, the rest None where nothing is known.

    `errors` are failed calls by kind, the most frequent kinds by name and the rest as `other`. `totals` are over the
    window. Latency is of answered calls, in milliseconds, to within 2 %.
    """

    window: Window
    chosen: Chosen
    buckets: list[int]
    series: dict[str, Values]
    errors: dict[str, list[int]]
    users: Users
    totals: dict[str, float | None]


def traffic(store: RecordStore, project: str, window: Window, chosen: Chosen) -> TrafficBoard:
    """Reads the store; blocks."""
    buckets = window.buckets
    asked = {"project": project, "since": window.since, "until": window.until}
    within = {**asked, "bucket_us": window.bucket_us}
    users_us = window.bucket_us if window.until - window.since <= DAY_US else DAY_US
    by_user = {**asked, "bucket_us": users_us, "app": chosen.app, "arm": chosen.arm}
    rows, latency, errors, users, users_total = ask_at_once(
        store,
        Asked("dash_traffic", within, chosen.filters()),
        Asked("dash_latency", within, chosen.filters()),
        Asked("dash_errors", within, chosen.filters()),
        Asked("dash_users", by_user),
        Asked("dash_users_total", asked, chosen.narrow_filters()),
    )
    series = {name: lined_up(rows, buckets, name, 0) for name in _COUNTS}
    series.update({name: lined_up(rows, buckets, name) for name in _KNOWN})
    series.update({name: lined_up(latency, buckets, name) for name in _LATENCIES})
    totals: dict[str, float | None] = {name: summed(series[name]) for name in (*_COUNTS, *_KNOWN)}
    overall = next((row for row in latency if row["bucket_at"] is None), dict.fromkeys(_LATENCIES))
    totals.update({name: overall[name] for name in _LATENCIES})
    return TrafficBoard(
        window=window,
        chosen=chosen,
        buckets=buckets,
        series=series,
        errors=_by_kind(errors, buckets),
        users=_users(users, int(users_total[0]["users"]), window, users_us),
        totals=totals,
    )


def lined_up(
    rows: Sequence[Mapping[str, Any]], buckets: Sequence[int], name: str, empty: float | None = None
) -> Values:
    """A column of rows by `bucket_at`, with a value for every bucket."""
    by_bucket = {row["bucket_at"]: row[name] for row in rows}
    return [by_bucket.get(bucket, empty) for bucket in buckets]


def summed(values: Sequence[float | None]) -> float | None:
    """None where nothing is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _by_kind(rows: Sequence[Mapping[str, Any]], buckets: Sequence[int]) -> dict[str, list[int]]:
    totals: dict[str, int] = {}
    for row in rows:
        totals[row["error"]] = totals.get(row["error"], 0) + row["calls"]
    named = sorted(totals, key=lambda kind: (-totals[kind], kind))[:_KINDS]
    places = {bucket: place for place, bucket in enumerate(buckets)}
    found = {kind: [0] * len(buckets) for kind in named}
    if len(totals) > len(named):
        found["other"] = [0] * len(buckets)
    for row in rows:
        if row["bucket_at"] in places:
            found[row["error"] if row["error"] in named else "other"][places[row["bucket_at"]]] += row["calls"]
    return found


def _users(rows: Rows, total: int, window: Window, bucket_us: int) -> Users:
    buckets = list(range(window.since // bucket_us * bucket_us, window.until, bucket_us))
    return Users(
        buckets=buckets,
        users=[int(value or 0) for value in lined_up(rows, buckets, "users", 0)],
        total=total,
    )
