"""`/metrics`: counters from the stored records and the journal, in Prometheus' text format.

Counted from the records rather than in the process, they hold for all gateway processes together, and go on where
they were after a restart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from rondo.gateway.deployments import Standing
from rondo.limits.status import Status
from rondo.store.base import RecordStore
from rondo.traces.drain import DrainView

BUCKETS_MS = (10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000)

__all__ = ["BUCKETS_MS", "CONTENT_TYPE", "exposition"]


def exposition(
    store: RecordStore,
    drain: DrainView,
    project: str,
    limits: Status | None = None,
    deployments: Sequence[Standing] = (),
) -> bytes:
    """The metrics of a project and its limits, of the journal, and of the deployments that this process calls."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Metrics(store, drain, project))
    if limits is not None:
        registry.register(_Limits(limits))
    registry.register(_Deployments([each for each in deployments if each.project == project]))
    return generate_latest(registry)


class _Metrics(Collector):
    def __init__(self, store: RecordStore, drain: DrainView, project: str) -> None:
        self._store = store
        self._drain = drain
        self._project = project

    def collect(self) -> Iterator[Metric]:
        yield from self._calls()
        yield from self._journal()

    def _calls(self) -> Iterator[Metric]:
        labels = ["app", "release", "model", "status", "arm"]
        calls = CounterMetricFamily("rondo_calls", "Recorded calls.", labels=labels)
        tokens = CounterMetricFamily("rondo_tokens", "Tokens of recorded calls.", labels=labels)
        cost = CounterMetricFamily("rondo_cost_usd", "Known cost of recorded calls, US dollars.", labels=labels)
        unknown = CounterMetricFamily("rondo_cost_unknown_calls", "Recorded calls of unknown cost.", labels=labels)
        duration = HistogramMetricFamily("rondo_call_duration_seconds", "Duration of calls.", labels=labels)
        for row in self._store.query("metrics", {"project": self._project}):
            values = [row["app"] or "", str(row["release"] or ""), row["model"] or "", str(row["status"]), row["arm"]]
            calls.add_metric(values, row["calls"])
            tokens.add_metric(values, row["tokens"] or 0)
            cost.add_metric(values, row["cost_usd"] or 0.0)
            unknown.add_metric(values, row["cost_unknown"])
            buckets = [(str(limit / 1_000), row[f"le_{limit}"]) for limit in BUCKETS_MS]
            duration.add_metric(values, [*buckets, ("+Inf", row["calls"])], row["duration_ms"] / 1_000)
        yield from (calls, tokens, cost, unknown, duration)

    def _journal(self) -> Iterator[Metric]:
        state = self._drain.status()
        yield CounterMetricFamily("rondo_records_accepted", "Records that the journals took.", state.accepted)
        yield CounterMetricFamily("rondo_records_stored", "Records in the record store.", state.stored)
        yield GaugeMetricFamily("rondo_records_queued", "Records not yet stored.", state.queued)
        yield GaugeMetricFamily("rondo_records_quarantined", "Records kept whole but unreadable.", state.quarantined)
        oldest = state.oldest_queued_s or 0.0
        yield GaugeMetricFamily("rondo_oldest_queued_seconds", "Age of the oldest record not yet stored.", oldest)
        yield CounterMetricFamily("rondo_torn_bytes", "Bytes that crashes tore off journals.", state.torn_bytes)


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
