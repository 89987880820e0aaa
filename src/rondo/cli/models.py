"""`rondo models`: the models that can be called, and the providers they come from."""

from __future__ import annotations

from typing import Any

import click

from rondo.cli import output
from rondo.cli.client import Api
from rondo.cli.connect import connected
from rondo.cli.output import Column


@click.group("models")
def command() -> None:
    """List the models and the providers there are."""


@command.command("list")
@connected
async def list_(api: Api) -> None:
    """List the named models, with their prices in US dollars per million tokens."""
    columns = [
        Column("MODEL", "name"),
        Column("PROVIDER", "provider"),
        Column("ID", "model"),
        Column("INPUT $/M", lambda row: _price(row, "input"), right=True),
        Column("OUTPUT $/M", lambda row: _price(row, "output"), right=True),
        Column("PRICE FROM", "price_version"),
    ]
    api.show(
        await api.get("/api/models"),
        lambda told: output.table(told["models"], columns, none="No models yet: `rondo release` brings rondo.toml's."),
    )


@command.command("providers")
@connected
async def providers(api: Api) -> None:
    """List the providers that `provider` in rondo.toml may name."""
    columns = [Column("PROVIDER", "name"), Column("WHAT IT IS", "summary", free=True)]
    api.show(
        await api.get("/api/providers"), lambda told: output.table(told["providers"], columns, none="There are none.")
    )


def _price(row: output.Row, side: str) -> str:
    price: dict[str, Any] | None = row.get("price")
    return output.UNKNOWN if not price or price.get(side) is None else f"{price[side]:g}"
