"""Alerts for `/metrics`: what fires, and what could not be told. Read from the catalog, so alike on every server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from rondo.monitoring.alerts import store, view

_DAY_US = 86_400_000_000
_STATUSES = {"waiting": "waiting", "dead": "given_up", "sent": "partly"}


class AlertMetrics(Collector):
    """Of one project, as it is at `now` (microseconds). Whatever there is none of has no sample."""

    def __init__(self, connection: Connection, project: str, now: int) -> None:
        firing, late = view.firing(connection, project, now), store.undelivered(connection, project, now - _DAY_US)
        self._firing = Counter(
            (each.alert.app, each.alert.rule, each.alert.severity, each.state.replace(" ", "_")) for each in firing
        )
        self._late = Counter((each.app, each.channel, _STATUSES[each.status]) for each in late)

    def collect(self) -> Iterator[Metric]:
        firing = GaugeMetricFamily(
            "rondo_alerts_firing", "Alerts that fire.", labels=["app", "rule", "severity", "state"]
        )
        late = GaugeMetricFamily(
            "rondo_alerts_undelivered", "Notices that did not arrive.", labels=["app", "channel", "status"]
        )
        for family, counts in ((firing, self._firing), (late, self._late)):
            for values, count in counts.items():
                family.add_metric(list(values), count)
        yield from (firing, late)
