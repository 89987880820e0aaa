"""What was spent, by user, key, app, release, model, provider, tag or day: read from the stored calls."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from rondo import clock
from rondo.errors import InvalidRequest
from rondo.monitoring.costs.model import BY, By, CostRow, Costs
from rondo.monitoring.dashboards.window import Chosen, Window
from rondo.store.base import RecordStore

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_COLUMNS = ("name", "calls", "errors", "tokens", "cost_usd", "cost_unknown", "saved_usd")
_NARROW = {"user": "cost_by_user", "tag": "cost_by_tag"}


def parse_by(word: str | None) -> By:
    """Raises InvalidRequest."""
    for by in BY:
        if (word or "model") == by:
            return by
    raise InvalidRequest(f"Costs cannot be told by {word!r:.40}.", remedy=f"By: {', '.join(BY)}.", param="by")


def costs(store: RecordStore, project: str, window: Window, chosen: Chosen, by: By, *, limit: int = 100) -> Costs:
    """Reads the store; blocks. By user and by tag, a release or a model cannot be chosen: raises InvalidRequest."""
    asked = {"project": project, "since": window.since, "until": window.until}
    days = store.query("cost_days", {**asked, "by": "all"}, chosen.filters())
    if by == "day":
        rows = [{**row, "name": clock.iso(row["day_at"])[:10]} for row in days]
    elif by in _NARROW:
        if chosen.release is not None or chosen.model is not None:
            raise InvalidRequest(
                f"By {by}, costs are not counted per release or model.", remedy="Leave them out.", param="by"
            )
        rows = store.query(_NARROW[by], {**asked, "limit": limit}, chosen.narrow_filters())
    else:
        rows = store.query("cost_by", {**asked, "by": by, "limit": limit}, chosen.filters())
    return Costs(
        by=by,
        since=window.since,
        until=window.until,
        rows=[_row(row) for row in rows],
        total=_row({"name": None, **_total(days)}),
    )


def as_csv(told: Costs) -> str:
    """The rows as CSV. A name that a spreadsheet would take for a formula has an apostrophe before it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([told.by, *_COLUMNS[1:]])
    for row in told.rows:
        values = [getattr(row, column) for column in _COLUMNS]
        name = row.name or ""
        values[0] = f"'{name}" if name.startswith(_FORMULA) else name
        writer.writerow(["" if value is None else value for value in values])
    return text.getvalue()


def _row(row: Mapping[str, Any]) -> CostRow:
    return CostRow(**{column: row[column] for column in _COLUMNS})


def _total(days: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    rows = list(days)
    found: dict[str, Any] = {}
    for column in _COLUMNS[1:]:
        known = [row[column] for row in rows if row[column] is not None]
        found[column] = sum(known) if known else (0 if column in ("calls", "errors", "cost_unknown") else None)
    return found
