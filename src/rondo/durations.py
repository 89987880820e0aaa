"""Spans of time as people write them: `45s`, `30m`, `24h`, `2d`. Pure."""

from __future__ import annotations

import re

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(rf"([0-9]{{1,6}})\s*([{''.join(_UNITS)}])")


def is_duration(text: str) -> bool:
    """Whether it is written as one."""
    return _DURATION.fullmatch(text.strip()) is not None


def parse_duration(text: str) -> float:
    """Seconds of `45s`, `30m`, `24h`, `2d`. Raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r:.80} is no time span; 30m is one.")
    return float(int(found[1]) * _UNITS[found[2]])
