"""What a rule sees in the stored calls now: a level, a sentence, and which calls are behind it.

A window with too few calls says nothing. Rules of what is around the calls (budgets, the drain, judges, drift) are in
`surroundings.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from rondo import clock
from rondo.monitoring.alerts.burn import WINDOWS_S, Window, burning
from rondo.monitoring.alerts.declared import COUNTED
from rondo.monitoring.alerts.model import Rule, Seen
from rondo.monitoring.alerts.numbers import Numbers
from rondo.monitoring.alerts.state import level_of
from rondo.monitoring.alerts.usual import expectation, part_of_it, rate_difference
from rondo.settings.steps import span

_METRICS = {"errors": "errors.rate", "latency": "latency.p95_ms", "cost": "cost.total_usd"}
_BEHIND = {
    "errors.rate": {"status": "error"},
    "deflection": {"handed_over": "true"},
    "handed_over.rate": {"handed_over": "true"},
    "feedback.positive_rate": {"negative": "true"},
}
_OVER_MS = ("latency.p50_ms", "latency.p95_ms")
_OVER_USD = ("cost.per_request_usd",)
_LATENCY_PART = 0.25
_COST_PART = 0.5
_TRAFFIC_PART = 0.5


def sees(rule: Rule, numbers: Numbers) -> Seen:
    """Raises Unavailable where the store cannot be asked."""
    return _SEERS[rule.on](rule, numbers)


def _goal(rule: Rule, numbers: Numbers) -> Seen:
    value, n = numbers.measured(rule)
    return _against(rule, numbers, rule.metric or "", value, n)


def _spike(rule: Rule, numbers: Numbers) -> Seen:
    """Errors, latency, cost: against the bound, or else against what is usual."""
    metric = _METRICS[rule.on]
    row = numbers.metrics(rule.app, rule.window_s)
    value, n = row[metric], int(row["calls.count"] or 0)
    if rule.above is not None:
        return _against(rule, numbers, metric, value, n)
    if value is None or n < rule.least_calls:
        return _unknown(rule, metric, value, n)
    before = numbers.usual(rule.app, rule.window_s, metric, least=rule.least_calls if rule.on != "cost" else 0)
    differs = {
        "errors": rate_difference(n),
        "latency": part_of_it(_LATENCY_PART),
        "cost": part_of_it(_COST_PART, least=0.01),
    }[rule.on]
    return _against_usual(rule, numbers, metric, float(value), n, before, above=True, differs=differs)


def _traffic(rule: Rule, numbers: Numbers) -> Seen:
    """Calls: against a bound, or else both sides of what is usual. Few calls are what it looks for."""
    n = int(numbers.metrics(rule.app, rule.window_s)["calls.count"] or 0)
    if rule.above is not None or rule.below is not None:
        return _against(rule, numbers, "calls.count", float(n), n, least=0)
    before = numbers.usual(rule.app, rule.window_s, "calls.count", least=0)
    differs = part_of_it(_TRAFFIC_PART, least=float(rule.least_calls))
    both = [
        _against_usual(rule, numbers, "calls.count", float(n), n, before, above=above, differs=differs)
        for above in (True, False)
    ]
    order = ("bad", "good", "clear", "no_data")
    return min(both, key=lambda seen: order.index(seen.level))


def _burn_rate(rule: Rule, numbers: Numbers) -> Seen:
    metric = rule.metric or ""
    column, more_is_worse = COUNTED.get(metric, ("calls.count", rule.above is not None))
    allowed = rule.above if rule.above is not None else 1 - (rule.below or 0.0)
    if (
        (not more_is_worse and rule.above is not None)
        or (more_is_worse and rule.below is not None)
        or not 0 < allowed <= 1
    ):
        return Seen(rule=rule.name, level="no_data", sentence=f"The bound of {metric} leaves no room to be used up.")
    windows: dict[float, Window] = {}
    for window_s in WINDOWS_S:
        row = numbers.metrics(rule.app, window_s)
        value = row.get(metric)
        bad = None if value is None else float(value) if more_is_worse else 1 - float(value)
        windows[window_s] = Window(bad, int(row.get(column) or 0))
    found = burning(windows, allowed, least=rule.least_calls)
    if found is None:
        return _unknown(rule, metric, None, windows[WINDOWS_S[-1]].n)
    level, excess = level_of(found.share, 1.0, above=True)
    told = f"{metric} uses up its room {found.rate:.3g} times as fast as its goal allows, over {found.pair.words}"
    return Seen(
        rule=rule.name,
        level=level,
        sentence=f"{told} (at most {found.pair.rate:g} times; {found.n:,} calls).",
        value=found.rate,
        bound=found.pair.rate,
        excess=excess,
        n=found.n,
        calls=_behind(rule, numbers, metric, found.pair.long_s),
    )


def _against(
    rule: Rule, numbers: Numbers, metric: str, value: float | None, n: int, *, least: int | None = None
) -> Seen:
    """A bound that somebody set."""
    if value is None or n < (rule.least_calls if least is None else least):
        return _unknown(rule, metric, value, n)
    above = rule.above is not None
    bound = (rule.above if above else rule.below) or 0.0
    room = _room(metric, bound, above=above)
    level, excess = level_of(value, bound, above=above, span=room)
    words = f"at {'most' if above else 'least'} {_number(bound)}"
    return Seen(
        rule=rule.name,
        level=level,
        sentence=f"{metric} is {_number(value)} over the last {span(rule.window_s)} ({words}; {n:,} calls).",
        value=value,
        bound=bound,
        excess=excess,
        n=n,
        calls=_behind(rule, numbers, metric, rule.window_s, bound=bound),
    )


def _against_usual(  # noqa: PLR0917 - as `_against`
    rule: Rule,
    numbers: Numbers,
    metric: str,
    value: float,
    n: int,
    before: list[float],
    *,
    above: bool,
    differs: Callable[[float], float],
) -> Seen:
    found = expectation(before, value, above=above, least_difference=differs)
    if found is None:
        told = f"{metric} is {_number(value)}; there is too little history to say what is usual."
        return Seen(rule=rule.name, level="no_data", sentence=told, value=value, n=n)
    level, excess = level_of(value, found.bound, above=above)
    words = f"{'up to' if above else 'from'} {_number(found.bound)} would be usual at this time"
    return Seen(
        rule=rule.name,
        level=level,
        sentence=f"{metric} is {_number(value)} over the last {span(rule.window_s)} ({words}; {n:,} calls).",
        value=value,
        bound=found.bound,
        excess=excess,
        n=n,
        calls=_behind(rule, numbers, metric, rule.window_s, bound=found.bound),
    )


def _unknown(rule: Rule, metric: str, value: float | None, n: int) -> Seen:
    missing = "is not measured" if value is None else f"has only {n:,} of {rule.least_calls:,} calls"
    return Seen(rule=rule.name, level="no_data", sentence=f"{metric} {missing} in this window.", value=value, n=n)


def _behind(
    rule: Rule, numbers: Numbers, metric: str, window_s: float, *, bound: float | None = None
) -> dict[str, str]:
    """The words of the filter that finds the calls that make it bad."""
    words = {"app": rule.app, "arm": "live"}
    if metric in _BEHIND:
        words.update(_BEHIND[metric])
    elif bound is not None and metric in _OVER_MS:
        words["min_ms"] = f"{max(bound, 0.0):.6g}"
    elif metric == "cost.total_usd":
        words["min_cost"] = "0"  # all of them, the dearest first
    elif bound is not None and metric in _OVER_USD:
        words["min_cost"] = f"{max(bound, 0.0):.6g}"
    elif "." in metric and metric.split(".", maxsplit=1)[0] not in ("latency", "first_token", "cost", "calls"):
        words["feedback"] = metric  # what people or judges said is a score of that name
    until = clock.iso(numbers.now)
    return {**words, "since": clock.iso(numbers.since(window_s)), "until": until}


def _room(metric: str, bound: float, *, above: bool) -> float | None:
    """How far a share can be from its bound on the good side; None for what has no end there."""
    if metric in COUNTED or (not above and 0 < bound < 1):
        return bound if above else 1 - bound
    return None


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


_SEERS: dict[str, Callable[[Rule, Numbers], Seen]] = {
    "goal": _goal,
    "errors": _spike,
    "latency": _spike,
    "cost": _spike,
    "traffic": _traffic,
    "burn_rate": _burn_rate,
}
OF_CALLS = frozenset(_SEERS)
