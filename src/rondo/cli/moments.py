"""Times as people type them: `15m`, `24h`, `7d` ago, or ISO 8601."""

from __future__ import annotations

import re
from typing import Any

import click

from rondo import clock

_AGO = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Moment(click.ParamType[str]):
    """A time option; commands get it as ISO 8601 in UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        ago = _AGO.fullmatch(value)
        if ago is not None:
            return clock.iso(clock.now_us() - int(ago["count"]) * _SECONDS[ago["unit"]] * 1_000_000)
        try:
            return clock.iso(clock.parse_iso(value))
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r} is not a time: write 15m, 24h, 7d or 2026-11-21T10:00:00Z.", param, ctx)
