"""What can never be negative has no interval that says so."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.evals.statistics.estimate import estimate
from rondo.evals.statistics.sample import Mean, sample

COUNTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=12)


@settings(max_examples=25, deadline=None)
@given(COUNTS)
def test_the_interval_of_counts_ends_at_nothing_and_holds_the_value(counts: list[int]) -> None:
    values = {f"e{at}": [count] for at, count in enumerate(counts)}
    free, kept = (estimate(sample(values, each, {}), draws=200) for each in (Mean(), Mean(least=0.0)))
    assert kept.value is not None
    assert kept.low is not None
    assert kept.high is not None
    assert 0 <= kept.low <= kept.value <= kept.high
    assert (kept.value, kept.high, kept.method) == (free.value, free.high, free.method)
    assert kept.low == max(free.low or 0.0, 0.0)
