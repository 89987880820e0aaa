"""What becomes of an alert from one look to the next. Pure.

    (none) -> pending -> firing -> resolved

It fires once it has been bad for as long as its rule says, without a good look between. It resolves once it has been
clearly good (beyond the bound by a small share) for a while, or merely good for four times as long: a value that
dances on the bound keeps one alert open instead of opening many. One that comes back soon after it was resolved takes
twice as long to be resolved, each time. Time is what passed between two looks, at most `LONGEST_S`, so neither a
clock that jumps nor a server that slept fires or resolves anything. No data is not good: nothing counts on meanwhile,
unless the rule says what it means.
"""

from __future__ import annotations

from msgspec import structs

from rondo.monitoring.alerts.model import Acknowledged, Level, NoticeKind, Progress, Rule

LONGEST_S = 60.0
"""The most that one look counts for."""

CLEAR_SHARE = 0.05
_LEAST_RESOLVE_S = 60.0
_LONGEST_RESOLVE_S = 7_200.0
_MERELY_GOOD = 4
_FORGET_PENDING_S = 3_600.0
_WORSE = 1.5
_WORSE_BY = 0.1


def after(before: Progress | None, level: Level, passed_s: float, rule: Rule, *, flaps: int = 0) -> Progress | None:
    """How far it is after this look; None where there is no alert. `flaps` is for one that begins."""
    passed_s = min(max(passed_s, 0.0), LONGEST_S)
    known = _meant(level, rule)
    if before is None or before.status == "resolved":
        begun = Progress(status="pending", flaps=flaps, no_data=level == "no_data")
        return _fired(begun, rule) if known == "bad" else None
    now = structs.replace(before, told_s=before.told_s + passed_s, no_data=level == "no_data")
    if known == "no_data":
        silent = structs.replace(now, silent_s=now.silent_s + passed_s)
        return None if before.status == "pending" and silent.silent_s >= _FORGET_PENDING_S else silent
    now = structs.replace(now, silent_s=0.0)
    if known == "bad":
        return _fired(structs.replace(now, bad_s=now.bad_s + passed_s, good_s=0.0, clear_s=0.0), rule)
    if before.status == "pending":
        return None
    clear_s = now.clear_s + passed_s if known == "clear" else 0.0
    now = structs.replace(now, good_s=now.good_s + passed_s, clear_s=clear_s)
    wanted = resolves_after_s(rule, before.flaps)
    over = clear_s >= wanted or now.good_s >= _MERELY_GOOD * wanted
    return structs.replace(now, status="resolved") if over else now


def resolves_after_s(rule: Rule, flaps: int) -> float:
    """How long it must be clearly good."""
    usual = max(rule.lasting_s, _LEAST_RESOLVE_S)
    return min(usual * 2.0 ** min(flaps, 16), max(usual, _LONGEST_RESOLVE_S))


def due(
    now: Progress,
    *,
    told: NoticeKind | None,
    repeat_s: float,
    excess: float,
    acknowledged: Acknowledged | None,
) -> NoticeKind | None:
    """What is to be told now, were nothing silenced. `told` is what was told last.

    An alert that was kept silent is told when the silence ends, if it still fires. Its end is told where its
    beginning was.
    """
    if now.status == "resolved":
        return "resolved" if told not in (None, "resolved") else None
    if now.status != "firing":
        return None
    if acknowledged is not None:
        return "worse" if is_worse(excess, acknowledged) and not now.no_data else None
    if told is None:
        return "firing"
    return "repeat" if now.told_s >= repeat_s else None


def is_worse(excess: float, acknowledged: Acknowledged) -> bool:
    """Whether it is much further beyond its bound than when somebody took it on."""
    return excess >= max(acknowledged.excess * _WORSE, acknowledged.excess + _WORSE_BY)


def level_of(value: float, bound: float, *, above: bool, span: float | None = None) -> tuple[Level, float]:
    """Where a value stands to its bound, and how far beyond it is as a share of the bound.

    `above`: more is worse. `span` is the room on the good side where that is limited, as a share's is.
    """
    scale = abs(bound) or 1.0
    beyond = value - bound if above else bound - value
    margin = CLEAR_SHARE * (min(scale, span) if span is not None else scale)
    if beyond > 0:
        return "bad", beyond / scale
    good_enough = -beyond >= margin or (above and value <= 0) or (not above and span is not None and value >= 1)
    return ("clear" if good_enough else "good"), beyond / scale


def _meant(level: Level, rule: Rule) -> Level:
    if level != "no_data":
        return level
    return {"alert": "bad", "good": "clear", "wait": "no_data"}[rule.no_data]  # type: ignore[return-value]


def _fired(progress: Progress, rule: Rule) -> Progress:
    if progress.status == "pending" and progress.bad_s >= rule.lasting_s:
        return structs.replace(progress, status="firing")
    return progress
