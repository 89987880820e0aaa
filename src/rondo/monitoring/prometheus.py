"""`/metrics`: counters from the stored records and the journal, in Prometheus' text format.

Counted from the records rather than in the process, they hold for all gateway processes together, and go on where
they were after a restart.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from rondo.store.base import RecordStore
from rondo.traces.drain import Drain

BUCKETS_MS = (10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000)

__all__ = ["BUCKETS_MS", "CONTENT_TYPE", "exposition"]


def exposition(store: RecordStore, drain: Drain, project: str) -> bytes:
    """The metrics of a project, and of the journal."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Metrics(store, drain, project))
    return generate_latest(registry)


class _Metrics(Collector):
    def __init__(self, store: RecordStore, drain: Drain, project: str) -> None:
        self._store = store
        self._drain = drain
        self._project = project

    def collect(self) -> Iterator[Metric]:
        yield from self._calls()
        yield from self._journal()

    def _calls(self) -> Iterator[Metric]:
        labels = ["app", "release", "model", "status"]
        calls = CounterMetricFamily("rondo_calls", "Recorded calls.", labels=labels)
        tokens = CounterMetricFamily("rondo_tokens", "Tokens of recorded calls.", labels=labels)
        cost = CounterMetricFamily("rondo_cost_usd", "Known cost of recorded calls, US dollars.", labels=labels)
        unknown = CounterMetricFamily("rondo_cost_unknown_calls", "Recorded calls of unknown cost.", labels=labels)
        duration = HistogramMetricFamily("rondo_call_duration_seconds", "Duration of calls.", labels=labels)
        for row in self._store.query("metrics", {"project": self._project}):
            values = [row["app"] or "", str(row["release"] or ""), row["model"] or "", str(row["status"])]
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
