"""A group of commands of which one is meant where none is named: `rondo costs` is `rondo costs show`."""

from __future__ import annotations

from typing import Any

import click


class DefaultCommand(click.Group):
    """Takes `default`, the name of the command that is meant."""

    def __init__(self, *args: Any, default: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "-h")):
            args = [self.default, *args]
        return super().parse_args(ctx, args)
