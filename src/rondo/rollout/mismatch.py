"""Sample-ratio mismatch: are there as many callers on each side as the shares promise? Pure.

Where callers get lost on one side (a crash before the record, a cache, a client that tries again), those who are left
are no fair sample, and no difference between the sides can be trusted.

The test may be looked at all the time: a mixture over all other shares against the promised one (Lindon & Malek 2022,
Anytime-valid inference for multinomial count data). Its p-value is the inverse of how much better the mixture explains
the counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, lgamma, log

from rondo.releases.slots import WHOLE_BP
from rondo.rollout.model import Mismatch
from rondo.settings.steps import Step

SUSPECT = 0.001
"""A p-value at most this is no chance: a mismatch stops all conclusions, so it has to be certain."""

_PRIOR = 50.0
"""How strongly the mixture keeps to shares near the promised one: as if it had seen so many callers."""


def mismatch(candidate: int, baseline: int, expected_share: float) -> Mismatch:
    """`expected_share` is the candidate's part of the callers of both sides."""
    a, b = _PRIOR * expected_share, _PRIOR * (1 - expected_share)
    mixed = _log_beta(a + candidate, b + baseline) - _log_beta(a, b)
    promised = candidate * log(expected_share) + baseline * log(1 - expected_share)
    p_value = min(1.0, exp(min(0.0, promised - mixed)))
    return Mismatch(
        candidate=candidate,
        baseline=baseline,
        expected_share=expected_share,
        p_value=p_value,
        suspected=p_value <= SUSPECT,
    )


def expected_share(steps: Sequence[Step], share_bp: int) -> float | None:
    """The candidate's part of the callers of both sides, where it has been the same all along; else None: what to
    expect then depends on how many callers came during each step. Up to half of the traffic, both sides are as large.
    """
    shares = {share_bp, *(step.share_bp for step in steps if step.kind == "split" and step.share_bp <= share_bp)}
    parts = {max(0.5, share / WHOLE_BP) for share in shares}
    return parts.pop() if len(parts) == 1 and 0 < share_bp < WHOLE_BP else None


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
