"""How many examples it takes to see a difference, and how small a difference a number of examples can show. Pure.

Two-sided tests at `alpha`, with a power of 80 % unless told otherwise: of a hundred changes of that size, eighty are
seen. Normal approximations, a few examples short where there are under thirty.
"""

from __future__ import annotations

from math import ceil, inf, sqrt

from rondo.errors import InvalidRequest
from rondo.evals.statistics.distributions import normal_quantile
from rondo.evals.statistics.significance import ALPHA

POWER = 0.8


def pairs_needed_for_means(variance: float, margin: float, *, alpha: float = ALPHA, power: float = POWER) -> int:
    """Pairs to see a mean difference of `margin`; `variance` is that of the differences of pairs."""
    _positive(margin)
    return max(2, _whole(variance * (_sum_of_quantiles(alpha, power) / margin) ** 2))


def visible_mean_difference(error: float, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """The smallest difference seen with this power, for a standard error of the difference."""
    return _sum_of_quantiles(alpha, power) * error


def pairs_needed_for_shares(discordance: float, margin: float, *, alpha: float = ALPHA, power: float = POWER) -> int:
    """Pairs to see shares differ by `margin`; `discordance` is the share of pairs that differ, either way.

    Source: Connor (1987), Sample size for testing differences in proportions for the paired-sample design.
    """
    _positive(margin)
    discordance = min(1.0, max(discordance, margin))  # a difference cannot exceed the pairs that make it
    z_alpha, z_power = normal_quantile(1 - alpha / 2), normal_quantile(power)
    root = z_alpha * sqrt(discordance) + z_power * sqrt(max(0.0, discordance - margin**2))
    return max(2, _whole((root / margin) ** 2))


def visible_share_difference(n: int, discordance: float, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """The smallest difference of shares that `n` pairs show; 1 where they show none."""
    low, high = 1e-6, 1.0
    if n < 1 or pairs_needed_for_shares(discordance, high, alpha=alpha, power=power) > n:
        return 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if pairs_needed_for_shares(discordance, middle, alpha=alpha, power=power) > n:
            low = middle
        else:
            high = middle
    return high


def examples_needed_unpaired(
    variance: float, other_variance: float, margin: float, *, alpha: float = ALPHA, power: float = POWER
) -> int:
    """Examples in each of two groups of different examples, to see their means differ by `margin`.

    For shares the variance is p (1 - p). Pairing needs fewer, as soon as examples differ in how hard they are.
    """
    _positive(margin)
    return max(2, _whole((variance + other_variance) * (_sum_of_quantiles(alpha, power) / margin) ** 2))


def examples_needed_for_width(variance: float, half_width: float, *, alpha: float = ALPHA) -> int:
    """Examples until the interval reaches `half_width` to either side of the value."""
    _positive(half_width)
    return max(2, _whole(variance * (normal_quantile(1 - alpha / 2) / half_width) ** 2))


def _whole(examples: float) -> int:
    return ceil(examples - 1e-9)  # rounding asks for no example more


def _sum_of_quantiles(alpha: float, power: float) -> float:
    return normal_quantile(1 - alpha / 2) + normal_quantile(power)


def _positive(margin: float) -> None:
    if not 0 < margin < inf:
        raise InvalidRequest("The difference to be seen must be larger than zero.", param="margin")
