"""`/metrics`: counters from the stored records and the journal, for Prometheus, as text or as OpenMetrics.

Counted from the records rather than in the process, they hold for all gateway processes together, and go on where
they were after a restart. What was counted before is not counted again, so a scrape costs the same over any number of
calls. As OpenMetrics, the buckets of durations name a recent trace each (exemplars).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from msgspec import Struct
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from rondo import clock
from rondo.gateway.deployments import Standing
from rondo.limits.status import Status
from rondo.monitoring.dashboards.quality import NOTHING, AppGoals, Estimated, is_met, measured
from rondo.rollout.model import Opinion
from rondo.rollout.report import RolloutView
from rondo.store.base import RecordStore
from rondo.store.rolled import BUCKETS_MS, DAY_US, HOUR_US
from rondo.traces.drain import DrainView

__all__ = ["BUCKETS_MS", "Exposition", "Rollouts", "exposition"]

_AHEAD_US = DAY_US  # calls of machines whose clocks are ahead count too
_RECENT_US = HOUR_US
LABELS = ("app", "release", "model", "status", "arm")

Row = Mapping[str, Any]


class Exposition(Struct, frozen=True):
    """What a scrape is answered with."""

    text: bytes
    content_type: str


class Rollouts(Struct, frozen=True):
    """A project's rollouts that go on, and by app how many ended in which way."""

    under_way: Sequence[RolloutView]
    ended: Mapping[str, Mapping[str, int]]


def exposition(
    store: RecordStore,
    drain: DrainView,
    project: str,
    limits: Status | None = None,
    deployments: Sequence[Standing] = (),
    *,
    goals: Sequence[AppGoals] = (),
    rollouts: Rollouts | None = None,
    alerts: Collector | None = None,
    accept: str = "",
) -> Exposition:
    """The metrics of a project with its goals, limits, rollouts and alerts, of the journal, and of the deployments that
    this process calls; in the format that `accept` (the header) asks for."""
    encode, content_type = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Metrics(store, drain, project, with_exemplars="openmetrics" in content_type))
    registry.register(_Goals(store, project, goals))
    if rollouts is not None:
        registry.register(_Rollouts(rollouts))
    if alerts is not None:
        registry.register(alerts)
    if limits is not None:
        registry.register(_Limits(limits))
    registry.register(_Deployments([each for each in deployments if each.project == project]))
    return Exposition(encode(registry), content_type)


class _Metrics(Collector):
    def __init__(self, store: RecordStore, drain: DrainView, project: str, *, with_exemplars: bool) -> None:
        self._store = store
        self._drain = drain
        self._project = project
        self._with_exemplars = with_exemplars

    def collect(self) -> Iterator[Metric]:
        now = clock.now_us()
        rows = self._store.query("metrics", {"project": self._project, "since": 0, "until": now + _AHEAD_US})
        yield from self._calls(rows)
        yield self._durations(rows, self._exemplars(now) if self._with_exemplars else {})
        yield _first_tokens(rows)
        yield self._feedback(now)
        yield from self._journal()

    def _calls(self, rows: Sequence[Row]) -> Iterator[Metric]:
        calls = CounterMetricFamily("rondo_calls", "Recorded calls.", labels=LABELS)
        tokens = CounterMetricFamily("rondo_tokens", "Tokens of recorded calls.", labels=LABELS)
        cost = CounterMetricFamily("rondo_cost_usd", "Known cost of recorded calls, US dollars.", labels=LABELS)
        unknown = CounterMetricFamily("rondo_cost_unknown_calls", "Recorded calls of unknown cost.", labels=LABELS)
        hits = CounterMetricFamily("rondo_cache_hits", "Calls answered from the cache.", labels=LABELS)
        saved = CounterMetricFamily("rondo_cache_saved_usd", "What the cache's answers had cost.", labels=LABELS)
        for row in rows:
            values = _labels(row)
            calls.add_metric(values, row["calls"])
            tokens.add_metric(values, row["tokens"] or 0)
            cost.add_metric(values, row["cost_usd"] or 0.0)
            unknown.add_metric(values, row["cost_unknown"])
            if row["cache_hits"]:
                hits.add_metric(values, row["cache_hits"])
                saved.add_metric(values, row["saved_usd"] or 0.0)
        yield from (calls, tokens, cost, unknown, hits, saved)

    def _durations(self, rows: Sequence[Row], exemplars: Mapping[tuple[str, ...], Exemplar]) -> Metric:
        family = HistogramMetricFamily("rondo_call_duration_seconds", "Duration of calls.", labels=LABELS)
        for row in rows:
            values = _labels(row)
            counts = [(str(limit / 1_000), row[f"le_{limit}"]) for limit in BUCKETS_MS]
            buckets = [
                (le, count, exemplar) if (exemplar := exemplars.get((*values, le))) is not None else (le, count)
                for le, count in [*counts, ("+Inf", row["calls"])]
            ]
            family.add_metric(values, buckets, row["duration_ms"] / 1_000)
        return family

    def _exemplars(self, now: int) -> dict[tuple[str, ...], Exemplar]:
        """A recent trace for each bucket, by its labels."""
        rows = self._store.query("exemplars", {"project": self._project, "since": now - _RECENT_US})
        return {
            (*_labels(row), "+Inf" if row["le"] is None else str(row["le"] / 1_000)): Exemplar(
                {"trace_id": row["trace_id"]}, row["duration_ms"] / 1_000, row["started_at"] / 1_000_000
            )
            for row in rows
        }

    def _feedback(self, now: int) -> Metric:
        family = CounterMetricFamily(
            "rondo_feedback", "Scores for and against answers.", labels=["app", "release", "name", "kind", "verdict"]
        )
        within = {"project": self._project, "since": 0, "until": now + _AHEAD_US}
        for row in self._store.query("metrics_feedback", within):
            values = [row["app"] or "", str(row["release"] or ""), row["name"], row["kind"]]
            family.add_metric([*values, "positive"], row["positive"])
            family.add_metric([*values, "negative"], row["negative"])
        return family

    def _journal(self) -> Iterator[Metric]:
        state = self._drain.status()
        yield CounterMetricFamily("rondo_records_accepted", "Records that the journals took.", state.accepted)
        yield CounterMetricFamily("rondo_records_stored", "Records in the record store.", state.stored)
        yield GaugeMetricFamily("rondo_records_queued", "Records not yet stored.", state.queued)
        yield GaugeMetricFamily("rondo_records_quarantined", "Records kept whole but unreadable.", state.quarantined)
        oldest = state.oldest_queued_s or 0.0
        yield GaugeMetricFamily("rondo_oldest_queued_seconds", "Age of the oldest record not yet stored.", oldest)
        yield CounterMetricFamily("rondo_torn_bytes", "Bytes that crashes tore off journals.", state.torn_bytes)


def _first_tokens(rows: Sequence[Row]) -> Metric:
    """Statuses together: only what was answered has a first token."""
    sums: dict[tuple[str, ...], dict[str, float]] = {}
    for row in rows:
        if row["first_tokens"]:
            app, release, model, _, arm = _labels(row)
            into = sums.setdefault((app, release, model, arm), {})
            for name in ("first_tokens", "first_token_ms", *(f"first_le_{limit}" for limit in BUCKETS_MS)):
                into[name] = into.get(name, 0) + row[name]
    family = HistogramMetricFamily(
        "rondo_first_token_seconds", "Time to the first token of an answer.", labels=["app", "release", "model", "arm"]
    )
    for values, each in sums.items():
        buckets = [(str(limit / 1_000), each[f"first_le_{limit}"]) for limit in BUCKETS_MS]
        family.add_metric(list(values), [*buckets, ("+Inf", each["first_tokens"])], each["first_token_ms"] / 1_000)
    return family


def _labels(row: Row) -> list[str]:
    return [row["app"] or "", str(row["release"] or ""), row["model"] or "", str(row["status"]), row["arm"]]


class _Goals(Collector):
    """Goals over the last 24 hours; one that is not measured is left out."""

    def __init__(self, store: RecordStore, project: str, goals: Sequence[AppGoals]) -> None:
        self._store = store
        self._project = project
        self._goals = [each for each in goals if each.goals]

    def collect(self) -> Iterator[Metric]:
        labels = ["app", "metric"]
        value = GaugeMetricFamily("rondo_goal_value", "A goal's metric over the last 24 hours.", labels=labels)
        met = GaugeMetricFamily("rondo_goal_met", "1 while a goal is met over the last 24 hours.", labels=labels)
        bound = GaugeMetricFamily(
            "rondo_goal_bound", "What a goal's metric must reach or keep to.", labels=[*labels, "kind"]
        )
        if self._goals:
            now = clock.now_us()
            asked = {"project": self._project, "app": None, "release": None, "since": now - DAY_US, "until": now}
            found = measured(self._store, {**asked, "bucket_us": DAY_US}, self._goals)
            for each in self._goals:
                for goal in each.goals:
                    self._add(each.app, goal, found.get(each.app, {}).get(None, {}), (value, met, bound))
        yield from (value, met, bound)

    @staticmethod
    def _add(
        app: str, goal: Mapping[str, Any], known: Mapping[str, Estimated], into: tuple[GaugeMetricFamily, ...]
    ) -> None:
        value, met, bound = into
        for kind in ("at_least", "at_most"):
            if goal.get(kind) is not None:
                bound.add_metric([app, goal["metric"], kind], goal[kind])
        found = known.get(goal["metric"], NOTHING).value
        if found is not None:
            value.add_metric([app, goal["metric"]], found)
            met.add_metric([app, goal["metric"]], float(bool(is_met(goal, found))))


class _Rollouts(Collector):
    """Gauges are of rollouts that go on; one that ends leaves them, and is counted."""

    def __init__(self, rollouts: Rollouts) -> None:
        self._rollouts = rollouts

    def collect(self) -> Iterator[Metric]:
        of = ["app", "release"]
        status = GaugeMetricFamily("rondo_rollout_status", "1: where a rollout stands.", labels=[*of, "status"])
        step = GaugeMetricFamily("rondo_rollout_step", "The present step, from 1.", labels=of)
        steps = GaugeMetricFamily("rondo_rollout_steps", "How many steps there are.", labels=of)
        passed = GaugeMetricFamily("rondo_rollout_step_seconds", "How long the step has lasted.", labels=of)
        share = GaugeMetricFamily("rondo_rollout_share", "Share of the traffic, 0 to 1.", labels=[*of, "side"])
        goals = GaugeMetricFamily("rondo_rollout_goals", "Goals by their verdict.", labels=[*of, "verdict"])
        watched = GaugeMetricFamily("rondo_rollout_watched", "0 while something keeps it from going on.", labels=of)
        for it in self._rollouts.under_way:
            values = [it.app, str(it.release)]
            status.add_metric([*values, it.status], 1.0)
            step.add_metric(values, it.step + 1 if it.began_at is not None else 0)
            steps.add_metric(values, len(it.steps))
            passed.add_metric(values, it.elapsed_s)
            share.add_metric([*values, "candidate"], it.share / 100)
            share.add_metric([*values, "baseline"], it.baseline_share / 100)
            told = [goal.verdict for goal in it.reading.goals] if it.reading is not None else []
            for verdict in get_args(Opinion):
                goals.add_metric([*values, verdict], told.count(verdict))
            watched.add_metric(values, float(it.fault is None))
        yield from (status, step, steps, passed, share, goals, watched)
        ended = CounterMetricFamily("rondo_rollouts_ended", "Rollouts that are over.", labels=["app", "status"])
        for app, ways in self._rollouts.ended.items():
            for way, count in ways.items():
                ended.add_metric([app, way], count)
        yield ended


class _Limits(Collector):
    """What the limits say now, as opposed to the records."""

    def __init__(self, limits: Status) -> None:
        self._limits = limits

    def collect(self) -> Iterator[Metric]:
        labels = ["limit", "of", "period"]
        ratio = GaugeMetricFamily("rondo_budget_used_ratio", "Share of a budget that has been spent.", labels=labels)
        spent = GaugeMetricFamily("rondo_budget_spent_usd", "Money spent of a budget, US dollars.", labels=labels)
        reserved = GaugeMetricFamily("rondo_budget_reserved_usd", "Money held for calls under way.", labels=labels)
        minute = GaugeMetricFamily("rondo_limit_used", "Use of a limit now.", labels=["limit", "of", "what"])
        for use in self._limits.uses:
            for budget in use.budgets:
                values = [use.scope, use.of, budget.period]
                ratio.add_metric(values, budget.share)
                spent.add_metric(values, budget.spent_usd)
                reserved.add_metric(values, budget.reserved_usd)
            counts = (("requests", use.requests), ("tokens", use.tokens), ("concurrent", use.concurrent))
            for what, used in counts:
                minute.add_metric([use.scope, use.of, what], used)
        yield from (ratio, spent, reserved, minute)
        ledger = self._limits.ledger
        yield GaugeMetricFamily("rondo_limits_checked", "1 while limits can be checked.", float(not ledger.away_since))
        unchecked = CounterMetricFamily(
            "rondo_limits_unchecked", "Requests that met limits nobody could check.", labels=["outcome"]
        )
        unchecked.add_metric(["refused"], ledger.refused)
        unchecked.add_metric(["passed"], ledger.passed)
        yield unchecked


class _Deployments(Collector):
    """Only of named models: clients make up `provider/model` as they like."""

    def __init__(self, deployments: Sequence[Standing]) -> None:
        self._deployments = [each for each in deployments if "/" not in each.model]

    def collect(self) -> Iterator[Metric]:
        labels = ["model", "address"]
        open_ = GaugeMetricFamily("rondo_deployment_open", "1 while it is left alone, 0.5 while probed.", labels=labels)
        failures = GaugeMetricFamily("rondo_deployment_failures", "Failures in a row.", labels=labels)
        calls = GaugeMetricFamily("rondo_deployment_calls", "Calls under way.", labels=labels)
        waiting = GaugeMetricFamily("rondo_model_waiting", "Calls in the queue of a model.", labels=["model"])
        places = {"closed": 0.0, "half_open": 0.5, "open": 1.0}
        alike: dict[tuple[str, str], list[Standing]] = {}  # with another key or model id, they look the same here
        for each in self._deployments:
            alike.setdefault((each.model, each.address or each.provider), []).append(each)
        for values, group in alike.items():
            open_.add_metric(values, max(places[each.state] for each in group))
            failures.add_metric(values, max(each.failures for each in group))
            calls.add_metric(values, sum(each.in_flight for each in group))
        for model, count in {each.model: each.model_waiting for each in self._deployments}.items():
            waiting.add_metric([model], count)
        yield from (open_, failures, calls, waiting)
