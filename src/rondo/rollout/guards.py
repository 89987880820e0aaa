"""Hard guards: a candidate that fails, times out or costs far too much is known within seconds. Pure.

They look at calls as they come, whoever makes them, over the whole rollout and over its last moments: a candidate that
breaks after a day is not excused by the day. A guard is broken where chance does not explain it: the lower end of a
confidence sequence is above the limit, and above what the baseline has just now. An outage that strikes both sides is
not the candidate's doing, and going back would not end it. Answers from the cache are left out: they never fail, so the
side that has more of them would look better than it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Literal

from msgspec import Struct

from rondo.rollout.model import Breach, Guards
from rondo.rollout.sequential import LEAST_ASYMPTOTIC, asymptotic_radius, share_at_least

SPANS_S = (0, 2, 10, 60, 600)
"""The spans that are looked at, in seconds before now; 0 is the whole rollout."""

GUARDS_PART = 0.1
"""How much of a rollout's false alarms the guards have."""

_NAMES = 3


class Counted(Struct, frozen=True, kw_only=True):
    """The calls of one side in a span; `cached` ones asked no model. `cost_variance` is that of one call with a known
    price. Callers are of the whole rollout: `fresh` and `immature` as of `Side`."""

    units: int = 0
    fresh: int = 0
    immature: int = 0
    calls: int = 0
    failed: int = 0
    timeouts: int = 0
    priced: int = 0
    cost: float = 0.0
    cost_variance: float = 0.0
    cached: int = 0

    @property
    def made(self) -> int:
        """The calls that asked a model."""
        return self.calls - self.cached


class Span(Struct, frozen=True, kw_only=True):
    """Both sides in the last `seconds`; 0 is the whole rollout."""

    seconds: int
    candidate: Counted = Counted()
    baseline: Counted = Counted()


def breaches(guards: Guards, spans: Sequence[Span], false_alarms: float) -> list[Breach]:
    """The guards that are broken, each in the first span that shows it."""
    alpha = GUARDS_PART * false_alarms / (_NAMES * len(SPANS_S))
    found: dict[str, Breach] = {}
    for span in spans:
        if span.candidate.made < guards.least_calls:
            continue
        for breach in (
            _share("errors", guards.errors_at_most, span, guards.least_calls, alpha),
            _share("timeouts", guards.timeouts_at_most, span, guards.least_calls, alpha),
            _cost(guards.cost_ratio_at_most, span, guards.least_calls, alpha),
        ):
            if breach is not None:
                found.setdefault(breach.guard, breach)
    return list(found.values())


def _share(
    guard: Literal["errors", "timeouts"], limit: float, span: Span, least_calls: int, alpha: float
) -> Breach | None:
    ours, theirs = span.candidate, span.baseline
    bad, bad_theirs = (ours.failed, theirs.failed) if guard == "errors" else (ours.timeouts, theirs.timeouts)
    usual = bad_theirs / theirs.made if theirs.made >= least_calls else 0.0
    if bad <= max(limit, usual) * ours.made or share_at_least(bad, ours.made, alpha) <= max(limit, usual):
        return None
    what = "failed" if guard == "errors" else "timed out"
    beside = f" Of the baseline's, {usual:.1%} did." if theirs.made >= least_calls else ""
    return Breach(
        guard=guard,
        observed=bad / ours.made,
        limit=limit,
        calls=ours.made,
        sentence=f"{bad:,} of the candidate's {ours.made:,} calls{_when(span)} {what} ({bad / ours.made:.1%}), and at"
        f" most {limit:.1%} may.{beside}",
    )


def _cost(limit: float, span: Span, least_calls: int, alpha: float) -> Breach | None:
    ours, theirs = span.candidate, span.baseline
    least = min(ours.priced, theirs.priced)
    if least < max(least_calls, LEAST_ASYMPTOTIC) or theirs.cost <= 0:
        return None
    mean, usual = ours.cost / ours.priced, theirs.cost / theirs.priced
    error = sqrt(ours.cost_variance / ours.priced + limit * limit * theirs.cost_variance / theirs.priced)
    if mean - limit * usual <= error * sqrt(least) * asymptotic_radius(least, alpha):
        return None
    return Breach(
        guard="cost",
        observed=mean / usual,
        limit=limit,
        calls=ours.priced,
        sentence=f"A call of the candidate's{_when(span)} cost ${mean:.6f} on average, {mean / usual:.1f} times the"
        f" baseline's ${usual:.6f}, and at most {limit:g} times is allowed.",
    )


def _when(span: Span) -> str:
    if not span.seconds:
        return ""
    return (
        f" of the last {span.seconds} seconds" if span.seconds < 120 else f" of the last {span.seconds // 60} minutes"
    )
