"""`rondo models`: the models that can be called, how they are doing, and the providers they come from."""

from __future__ import annotations

from typing import Any

import click

from rondo.cli import output
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.output import Column


@click.group("models")
def command() -> None:
    """List the models and the providers there are, and try the models out."""


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


@command.command("test")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@connected
async def test(api: Api, names: tuple[str, ...]) -> None:
    """Call each model, or those named, with a short question, and show how quick and how dear it is.

    The calls are recorded and cost what they cost. Exit code 1 where a model failed.
    """
    if not names:
        names = tuple(model["name"] for model in (await api.get("/api/models"))["models"])
    tested = [await api.post(f"/api/models/{segment(name)}/test", {}, slow=True) for name in names]
    api.show({"models": tested}, lambda told: _show_tests(told["models"]))
    if not all(each["ok"] for each in tested):
        raise click.exceptions.Exit(1)


def _show_tests(tested: list[dict[str, Any]]) -> None:
    columns = [
        Column("MODEL", "name"),
        Column("PROVIDER", "provider"),
        Column("FIRST TOKEN", lambda row: _ms(row["first_token_ms"]), right=True),
        Column("TOTAL", lambda row: _ms(row["duration_ms"]), right=True),
        Column("TOKENS", "output_tokens", right=True),
        Column("TOKENS/S", lambda row: _rounded(row["tokens_per_s"]), right=True),
        Column("COST $", _cost, right=True),
        Column("INPUT $/M", lambda row: _price(row, "input"), right=True),
        Column("OUTPUT $/M", lambda row: _price(row, "output"), right=True),
        Column("RESULT", lambda row: "ok" if row["ok"] else row["error"], free=True),
    ]
    output.table(tested, columns, none="No models yet: `rondo release` brings rondo.toml's.")


@command.command("deployments")
@connected
async def deployments(api: Api) -> None:
    """Show how each deployment that has been called is doing: its breaker, and its calls.

    It is the answering process that tells: with `--workers`, each worker has a view of its own.
    """
    columns = [
        Column("MODEL", "model"),
        Column("ADDRESS", lambda row: row["address"] or row["provider"]),
        Column("BREAKER", lambda row: row["state"].replace("_", "-")),
        Column("FAILED IN A ROW", "failures", right=True),
        Column("LAST FAILURE", "last_failure"),
        Column("CALLS", "in_flight", right=True),
        Column("WAITING", "model_waiting", right=True),
    ]
    api.show(
        await api.get("/api/deployments"),
        lambda told: output.table(told["deployments"], columns, none="This process has called none since its start."),
    )


def _ms(value: float | None) -> str | None:
    return None if value is None else f"{value:,.0f} ms"


def _rounded(value: float | None) -> str | None:
    return None if value is None else f"{value:,.0f}"


def _cost(row: output.Row) -> str | None:
    if not row["ok"]:
        return None
    return output.UNKNOWN if row["cost_usd"] is None else f"{row['cost_usd']:.6f}"


def _price(row: output.Row, side: str) -> str:
    price: dict[str, Any] | None = row.get("price")
    return output.UNKNOWN if not price or price.get(side) is None else f"{price[side]:g}"
