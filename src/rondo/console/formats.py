"""How numbers and times are written for people. Pure. What is not known reads "unknown" or "–", never zero."""

from __future__ import annotations

import json
from typing import Any

from rondo import clock

UNKNOWN = "unknown"
NONE = "–"
_ENDLESS = 1e300
"""What an interval without an end has for one."""
_STEPS = ((60, "s"), (3_600, "min"), (86_400, "h"), (30 * 86_400, "d"))


def money(usd: float | None) -> str:
    """`$0.00034`, `$1.25`, `$12,300`: two significant digits below a cent."""
    if usd is None:
        return UNKNOWN
    if usd == 0:
        return "$0"
    if usd < 0:
        return f"-{money(-usd)}"
    if usd < 0.000_001:
        return "<$0.000001"
    if usd < 0.01:
        digits = next(places for places in range(2, 8) if usd >= 10**-places) + 1
        return f"${usd:.{digits}f}"
    return f"${usd:,.2f}" if usd < 10_000 else f"${usd:,.0f}"


def duration(ms: float | None) -> str:
    """`0.42 ms`, `812 ms`, `1.24 s`, `2 min 5 s`."""
    if ms is None:
        return NONE
    if ms < 1:
        return f"{ms:.2f} ms"
    if ms < 10:
        return f"{ms:.1f} ms"
    if ms < 1_000:
        return f"{ms:.0f} ms"
    if ms < 60_000:
        return f"{ms / 1_000:.2f} s"
    return f"{ms // 60_000:.0f} min {ms % 60_000 / 1_000:.0f} s"


def count(number: float | None) -> str:
    """`1,234`, `123.4k`, `1.2M`."""
    if number is None:
        return NONE
    if number < 100_000:
        return f"{number:,.0f}"
    return f"{number / 1_000:.1f}k" if number < 1_000_000 else f"{number / 1_000_000:.1f}M"


def percent(part: float | None) -> str:
    """`12.3 %` of a share between 0 and 1."""
    if part is None:
        return NONE
    if 0 < part < 0.001:
        return "<0.1 %"
    return f"{part * 100:.1f} %".replace(".0 %", " %")


def share(basis_points: int) -> str:
    """`10 %`, `0.25 %`."""
    return f"{basis_points / 100:.2f}".rstrip("0").rstrip(".") + " %"


def size(number: int | None) -> str:
    """`812 B`, `3.4 kB`, `1.2 MB`, `62.9 GB`."""
    if number is None:
        return NONE
    for unit, amount in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)):
        if number >= amount:
            return f"{number / amount:.1f} {unit}"
    return f"{number} B"


def ago(us: int | None) -> str:
    """`12 s ago`, `3 h ago`; beyond a month the date."""
    if us is None:
        return NONE
    seconds = (clock.now_us() - us) / 1_000_000
    if seconds < 1:
        return "now"
    span = _span(seconds)
    return f"{span} ago" if span else clock.iso(us)[:10]


def until(us: int | None) -> str:
    """`in 3 h`; beyond a month the date."""
    if us is None:
        return NONE
    seconds = (us - clock.now_us()) / 1_000_000
    if seconds < 1:
        return "now"
    span = _span(seconds)
    return f"in {span}" if span else clock.iso(us)[:10]


def _span(seconds: float) -> str | None:
    """Whole seconds, minutes, hours or days; None beyond a month."""
    unit = 1
    for limit, name in _STEPS:
        if seconds < limit:
            return f"{seconds // unit:.0f} {name}"
        unit = limit
    return None


def when(us: int | None) -> str:
    """`2026-11-21 10:22:31`, in UTC."""
    return NONE if us is None else clock.iso(us)[:19].replace("T", " ")


def short(version: str | None) -> str:
    """The first twelve characters of a hash."""
    return NONE if not version else version[:12]


def pretty(value: Any) -> str:
    """A JSON value, or the text of one, with line breaks; text that is no JSON stays as it is."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return str(value)
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def metric(value: float | None, name: str) -> str:
    """The value of a goal's metric, in the unit that its name tells; others are shares of 1, or scores beyond it."""
    if value is None:
        return "not measured yet"
    if name.endswith("_ms"):
        return duration(value)
    if name.endswith("_usd"):
        return money(value)
    if name.endswith("count") or name.startswith("tokens."):
        return count(value)
    return percent(value) if abs(value) <= 1 else f"{value:.3g}"


def change(value: float | None, name: str) -> str:
    """How far a goal's metric moved, as `metric` writes it: `+$0.000035`, `−120 ms`; shares move by points."""
    if value is None:
        return NONE
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    size = abs(value)
    if size >= _ENDLESS:
        return f"{sign}∞"
    told = metric(size, name)
    return sign + (_points(size) if told.endswith(" %") else told)


def _points(part: float) -> str:
    if 0 < part < 0.000_05:
        return "<0.01 pts"
    return f"{part * 100:.2f}".rstrip("0").rstrip(".") + " pts"


FILTERS = {
    each.__name__: each
    for each in (money, duration, count, percent, share, size, ago, until, when, short, pretty, metric, change)
}
