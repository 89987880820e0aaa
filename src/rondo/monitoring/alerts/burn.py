"""How fast a goal's room for failure is used up, over several windows at once. Pure.

A goal of at most 1 % errors has an error budget: one call in a hundred. A burn rate of 1 uses it up exactly; 14.4 uses
up two percent of thirty days' budget in an hour. It fires where both windows of a pair are above the pair's rate: the
long one says that it matters, the short one that it still goes on (Beyer et al., "The Site Reliability Workbook",
2018, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts").
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, structs

HOUR_S = 3_600.0


class Pair(Struct, frozen=True, kw_only=True):
    """A long and a short window, and the rate that both must be above."""

    long_s: float
    short_s: float
    rate: float
    words: str


PAIRS = (
    Pair(long_s=HOUR_S, short_s=300.0, rate=14.4, words="1 h and 5 min"),
    Pair(long_s=6 * HOUR_S, short_s=1_800.0, rate=6.0, words="6 h and 30 min"),
    Pair(long_s=72 * HOUR_S, short_s=6 * HOUR_S, rate=1.0, words="3 d and 6 h"),
)
WINDOWS_S = tuple(sorted({window for pair in PAIRS for window in (pair.long_s, pair.short_s)}))


class Window(Struct, frozen=True):
    """What was measured in one: the share that went wrong, of so many."""

    bad: float | None
    n: int


class Burn(Struct, frozen=True, kw_only=True):
    """The fastest pair that fires, or else the one nearest to it. `rate` is the smaller of its two windows' rates;
    `share` is such a rate over the pair's own, the largest of all pairs, so that above 1 fires."""

    pair: Pair
    rate: float
    share: float
    n: int


def burning(windows: Mapping[float, Window], allowed: float, *, least: int) -> Burn | None:
    """`allowed` is the share that may go wrong, above 0. None where nothing is known: no pair has `least` in its long
    window, or one burns in its long window, its short one has too few to say whether it goes on, and no other fires.

    The short window only says whether it goes on, so it needs a fifth of that.
    """
    found: list[Burn] = []
    is_open = False
    for pair in PAIRS:
        long, short = windows[pair.long_s], windows[pair.short_s]
        if long.bad is None or long.n < least:
            continue
        is_known = short.bad is not None and short.n >= max(1, least // 5)
        if not is_known and long.bad / allowed > pair.rate:
            is_open = True
            continue
        rate = min(long.bad, short.bad if is_known and short.bad is not None else 0.0) / allowed
        found.append(Burn(pair=pair, rate=rate, share=rate / pair.rate, n=long.n))
    if not found:
        return None
    largest = max(found, key=lambda each: each.share)
    if is_open and largest.share <= 1:
        return None
    told = next((each for each in found if each.share > 1), largest)
    return structs.replace(told, share=largest.share)
