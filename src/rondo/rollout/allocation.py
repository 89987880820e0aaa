"""How much of the traffic a bandit gives the candidate. Pure.

Thompson sampling draws from what is believed of each side's mean reward and sends the caller to the higher draw
(Thompson 1933). With two sides and beliefs that are normal, the share of callers that go to the candidate is known
without drawing: the probability that it is the better one. So the same callers always give the same share, and the
gateway's own assignment is the only lot that is cast.

Both sides keep a floor, so that the evidence never dries up, and a side that was unlucky at first is not starved.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from rondo.evals.statistics.distributions import normal_cdf
from rondo.evals.statistics.sample import Floats
from rondo.rollout.matched import Observed
from rondo.rollout.model import Measure

FLOOR = 0.1
LEAST_UNITS = 30
"""Callers of each side before the shares move."""


def candidate_share(
    candidate: Observed, baseline: Observed, measure: Measure, *, higher_is_better: bool, floor: float = FLOOR
) -> float | None:
    """The candidate's part of the callers of both sides; None while there are too few to move it."""
    if min(len(candidate), len(baseline)) < LEAST_UNITS:
        return None
    ours, theirs = (_believed(_rewards(side.values, measure, candidate, baseline)) for side in (candidate, baseline))
    lead = ours[0] - theirs[0] if higher_is_better else theirs[0] - ours[0]
    spread = sqrt(ours[1] + theirs[1])
    probability = normal_cdf(lead / spread) if spread else 0.5 + 0.5 * float(np.sign(lead))
    return min(1 - floor, max(floor, probability))


def _rewards(values: Floats, measure: Measure, candidate: Observed, baseline: Observed) -> Floats:
    """A mean to go by. For a quantile, the share above the quantile of both sides together."""
    if measure.kind != "quantile":
        return values
    both = np.concatenate([candidate.values, baseline.values])
    above: Floats = (values > np.quantile(both, measure.level)).astype(np.float64)
    return above


def _believed(values: Floats) -> tuple[float, float]:
    """Mean and variance of what is believed of the mean."""
    return float(values.mean()), float(values.var(ddof=1)) / len(values)
