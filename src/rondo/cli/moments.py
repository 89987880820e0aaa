"""Times as people type them: `15m`, `24h`, `7d` ago, or ISO 8601."""

from __future__ import annotations

from typing import Any

import click

from rondo import clock


class Moment(click.ParamType[str]):
    """A time option; commands get it as ISO 8601 in UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return clock.iso(clock.parse_time(value))
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r} is not a time: write 15m, 24h, 7d or 2026-11-21T10:00:00Z.", param, ctx)
