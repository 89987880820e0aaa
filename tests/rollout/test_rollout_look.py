"""One look at a rollout beside its goals: guards, shares, a bandit, and how much is read each time."""

from __future__ import annotations

import pytest

from record_makers import START
from rollout.evidence_house import COST, ERRORS, NOW, SECOND, Kept, call, fill, terms
from rondo.evals.goals import Goal
from rondo.rollout.evidence import Reader
from rondo.rollout.model import Guards, Reading


def test_hard_guards_see_calls_at_once_and_name_them(kept: Kept) -> None:
    now = START + 30 * SECOND
    bad = [
        call(user=f"u{at}", status=504, error_code="upstream_timeout", started_at=now - 1000 + at) for at in range(40)
    ]
    kept.add(*bad, *[call("baseline", started_at=now - 1000) for _ in range(40)])
    reading = kept.read(ERRORS, now=now)
    assert [each.guard for each in reading.breaches] == ["errors", "timeouts"]
    assert reading.breaches[0].traces == [each.trace_id for each in reversed(bad)][:5]
    assert reading.goals[0].candidate_units == 0
    assert kept.read(now=now, guards=Guards(errors_at_most=1.0, timeouts_at_most=1.0)).breaches == []


def test_guards_see_the_copies_of_a_shadow(kept: Kept) -> None:
    kept.add(*[call(arm="shadow", status=500, user=f"u{at}") for at in range(30)])
    reading = kept.read(ERRORS)
    assert [each.guard for each in reading.breaches] == ["errors"]
    assert len(reading.breaches[0].traces) == 5
    assert (reading.shadow_calls, reading.candidate.calls) == (30, 0)


def test_a_warm_cache_breaks_no_guard(kept: Kept) -> None:
    """A provider that fails both sides is not the candidate's doing, nor is what the cache saves the other side."""
    now = START + 30 * SECOND
    ours = [call(user=f"u{at}", started_at=now - 1000 + at, cost_usd=0.01, status=500 if at % 2 else 200)
            for at in range(60)]  # fmt: skip
    asked = [call("baseline", started_at=now - 1000 + at, cost_usd=0.01, status=500 if at % 2 else 200)
             for at in range(60)]  # fmt: skip
    repeated = [call("baseline", started_at=now - 1000, cost_usd=0.0, cache="exact") for _ in range(600)]
    kept.add(*ours, *asked, *repeated)
    assert kept.read(now=now).breaches == []


def test_callers_that_do_not_fit_the_shares_are_told(kept: Kept) -> None:
    kept.add(*[call(user=f"c{at}") for at in range(150)], *[call("baseline", user=f"b{at}") for at in range(50)])
    found = kept.read().mismatch
    assert found is not None
    assert (found.candidate, found.baseline, found.expected_share, found.suspected) == (150, 50, 0.5, True)
    assert kept.read(kind="bandit").mismatch is None
    assert kept.read(baseline=False).mismatch is None


def test_a_bandit_has_a_share_once_its_guards_hold(kept: Kept) -> None:
    fill(kept, 100, cost_usd=0.004)
    dear = Goal(metric="cost.per_request_usd", at_most=1.0, guarded=False)
    assert kept.read(dear).bandit_share is None
    assert kept.read(dear, kind="bandit").bandit_share == pytest.approx(0.1)
    assert kept.read(ERRORS, kind="bandit", reward="cost.per_request_usd").bandit_share == pytest.approx(0.1)
    assert kept.read(COST, kind="bandit").goals[0].verdict == "worse"
    assert kept.read(COST, kind="bandit").bandit_share is None
    assert kept.read(kind="bandit").bandit_share is None


def test_a_reader_looks_at_the_guards_each_time_and_at_the_rest_when_it_is_cheap(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 0.0

    def monotonic() -> float:
        nonlocal moment
        moment += 1.0
        return moment

    monkeypatch.setattr("rondo.rollout.evidence.clock.monotonic", monotonic)
    reader = Reader()

    def look(now: int) -> Reading:
        share = {"since": START, "now": now, "candidate_share_bp": 1000}
        return reader(kept.store, "p", "bot", "r", terms(ERRORS), **share)

    fill(kept, 5)
    first = look(NOW)
    assert first.candidate.calls == 5
    kept.add(*[call(user=f"u{at}", status=500, started_at=NOW + at) for at in range(40)])
    second = look(NOW + SECOND)
    assert (second.at, second.candidate.calls) == (NOW + SECOND, 5)
    assert [each.guard for each in second.breaches] == ["errors"]
    moment += 100.0
    assert look(NOW + SECOND).candidate.calls == 45


def test_what_ends_a_rollout_is_told_with_all_numbers_if_they_are_soon_there(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 0.0

    def monotonic() -> float:
        nonlocal moment
        moment += 0.01
        return moment

    monkeypatch.setattr("rondo.rollout.evidence.clock.monotonic", monotonic)
    reader = Reader()

    def look(now: int) -> Reading:
        share = {"since": START, "now": now, "candidate_share_bp": 1000}
        return reader(kept.store, "p", "bot", "r", terms(ERRORS), **share)

    fill(kept, 5)
    assert look(NOW).candidate.calls == 5
    kept.add(*[call(user=f"u{at}", status=500, started_at=NOW + at) for at in range(40)])
    told = look(NOW + SECOND)
    assert ([each.guard for each in told.breaches], told.candidate.calls) == (["errors"], 45)
