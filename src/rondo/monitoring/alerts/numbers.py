"""The numbers that rules look at, each read once per look: metrics over a window, and what they usually are."""

from __future__ import annotations

from typing import Any

from rondo.monitoring.alerts.declared import COUNTED
from rondo.monitoring.alerts.model import Rule
from rondo.monitoring.alerts.usual import DAYS, earlier
from rondo.monitoring.goals import standing
from rondo.store.base import RecordStore

_DAY_US = 86_400_000_000
_KEPT_US = 300_000_000


class Numbers:
    """Of one project. `usual` is kept for a few minutes, everything else for one look at `now`. Blocks."""

    def __init__(self, records: RecordStore, project: str) -> None:
        self._records = records
        self._project = project
        self._now = 0
        self._metrics: dict[tuple[str, float], dict[str, Any]] = {}
        self._series: dict[tuple[str, float], tuple[int, list[dict[str, Any]]]] = {}

    def begin(self, now: int) -> None:
        """A new look, in microseconds."""
        self._now = now
        self._metrics.clear()

    def since(self, window_s: float) -> int:
        """When a window that ends now has begun."""
        return max(0, self._now - int(window_s * 1_000_000))

    @property
    def now(self) -> int:
        return self._now

    def metrics(self, app: str, window_s: float) -> dict[str, Any]:
        """The row of `goal_metrics`, of the live calls of the window."""
        found = self._metrics.get((app, window_s))
        if found is None:
            params = {**self._asked(app), "since": self.since(window_s), "until": self._now}
            found = self._metrics[app, window_s] = self._records.query("goal_metrics", params)[0]
        return found

    def measured(self, rule: Rule) -> tuple[float | None, int]:
        """The value of the rule's metric, as the app's goals have it, and of how many calls or judgements it is."""
        metric, window_s = rule.metric or "", rule.window_s
        row = self.metrics(rule.app, window_s)
        if metric in row:
            value, (column, _) = row[metric], COUNTED.get(metric, ("calls.count", True))
            return (None if value is None else float(value)), int(row[column] or 0)
        goal = {"metric": metric, "at_most": rule.above, "at_least": rule.below}
        (found,) = standing(
            self._records,
            self._project,
            rule.app,
            [goal],
            since=self.since(window_s),
            until=self._now,
            sample_percent=rule.sample_percent,
            live_percent=rule.live_percent,
            measured=row,
        )
        return found.value, found.scored.calls if found.scored is not None else 0

    def usual(self, app: str, window_s: float, metric: str, *, least: int) -> list[float]:
        """What it was in comparable windows before, the oldest first; `least` is how many calls such a window needs.
        Windows without calls are zero of what is counted, once the app was called at all."""
        width = int(window_s * 1_000_000)
        rows = self._rows(app, window_s, width)
        if not rows:
            return []
        known = {row["bucket_at"]: float(row[metric]) for row in rows
                 if row[metric] is not None and row["calls.count"] >= least}  # fmt: skip
        if metric in ("calls.count", "cost.total_usd"):
            first = min(row["bucket_at"] for row in rows)
            begun = dict.fromkeys(range(first, self.since(window_s) // width * width, width), 0.0)
            known = {**begun, **known}
        return earlier(known, self._now - width // 2, width)

    def _rows(self, app: str, window_s: float, width: int) -> list[dict[str, Any]]:
        kept = self._series.get((app, window_s))
        if kept is not None and 0 <= self._now - kept[0] < min(_KEPT_US, width):
            return kept[1]
        until = self.since(window_s) // width * width
        since = max(0, until - max(DAYS * _DAY_US + width, 50 * width))
        params = {**self._asked(app), "since": since, "until": until, "bucket_us": width}
        found = self._records.query("goal_series", params) if until > since else []
        rows = [row for row in found if row["bucket_at"] is not None]  # one is over all of it
        self._series[app, window_s] = self._now, rows
        return rows

    def _asked(self, app: str) -> dict[str, Any]:
        return {"project": self._project, "app": app, "release": None}
