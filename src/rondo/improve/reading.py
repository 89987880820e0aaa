"""The calls that went wrong, from the record store. Call this in a thread."""

from __future__ import annotations

from collections.abc import Collection

from rondo.improve.model import WHYS, Side, Why, Wrong
from rondo.store.base import RecordStore

MOST_EACH = 2_500
"""Calls of the window, and of the one before it: 5,000 together."""


def read(
    store: RecordStore,
    project: str,
    app: str | None,
    *,
    since: int,
    until: int,
    whys: Collection[Why],
    score: str | None,
    below: float | None,
    is_now: bool,
) -> Side:
    """Raises Unavailable."""
    window: dict[str, object] = {"project": project, "app": app, "since": since, "until": until}
    asked: dict[str, object] = {each: each in whys for each in WHYS}
    rows = store.query("pattern_calls", {**window, **asked, "score": score, "below": below, "limit": MOST_EACH})
    (totals,) = store.query("pattern_totals", window)
    fields = set(Wrong.__struct_fields__) - {"is_now"}
    drawn = [Wrong(**{name: row[name] for name in fields}, is_now=is_now) for row in rows]
    matching = rows[0]["matching"] if rows else 0
    return Side(since=since, until=until, calls=totals["calls"], matching=matching, drawn=drawn)
