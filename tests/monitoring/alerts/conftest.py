"""A clock that a test moves, and alarms on either catalog."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from monitoring.alerts.alerts_house import Records, Time, Watch, fill, held_time
from rondo.catalog.engine import Catalog


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    with held_time(monkeypatch) as held:
        yield held


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def watch(catalog: Catalog, records: Records, time: Time) -> Watch:
    return Watch(fill(catalog), records, time)
