"""What tests of rollouts are given."""

from __future__ import annotations

import pytest

from rollout.evidence_house import Kept
from rondo.store.base import RecordStore


@pytest.fixture
def kept(store: RecordStore) -> Kept:
    return Kept(store)
