"""A goal's verdict on an estimate. Pure."""

from __future__ import annotations

from rondo.errors import InvalidRequest
from rondo.evals.evidence import Comparison, Estimate, Standing


def margin_of(bound: float, margin: float | None = None) -> float:
    """The margin that a goal asks for; a tenth of its bound by default, 0.01 where the bound is 0."""
    if margin is not None:
        return margin
    return abs(bound) / 10 if bound else 0.01


def standing(
    estimate: Estimate, *, at_least: float | None = None, at_most: float | None = None, margin: float | None = None
) -> Standing:
    """Whether a goal is met.

    - `met`: the value satisfies the bound, and its interval does not reach beyond the bound by more than the margin.
    - `missed`: the whole interval is beyond the bound, by however little.
    - `not_enough_evidence`: anything else. A value beyond its bound whose interval still touches it could be met in
      truth; a value within, whose interval reaches far beyond, could be missed. More examples tell.

    An end of the interval that is not known reaches as far as can be. Exactly one bound must be given.
    """
    if (at_least is None) == (at_most is None):
        raise InvalidRequest("Give exactly one of `at_least` and `at_most`.", param="at_least")
    if at_least is not None:
        bound, value, near, far = at_least, estimate.value, estimate.low, estimate.high
    else:
        assert at_most is not None
        # Mirrored, so that there is one rule: larger is better.
        bound = -at_most
        value, near, far = (None if end is None else -end for end in (estimate.value, estimate.high, estimate.low))
    if value is None:
        return "not_enough_evidence"
    if value >= bound:
        within = near is not None and near >= bound - margin_of(bound, margin) - 1e-12
        return "met" if within else "not_enough_evidence"
    return "missed" if far is not None and far < bound else "not_enough_evidence"


def is_worse(comparison: Comparison, margin: float | None) -> bool:
    """Whether a guarded metric has become worse by what counts: significantly, and by no less than the margin that its
    goal names. A goal that names none forgives nothing."""
    if comparison.outcome != "worse" or comparison.difference is None:
        return False
    return margin is None or abs(comparison.difference) >= margin
