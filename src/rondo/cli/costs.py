"""`rondo costs`: what calls cost and by whom, what the month will have cost, and what another model would have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from rondo.cli import output
from rondo.cli.client import Api
from rondo.cli.connect import connected
from rondo.cli.default_command import DefaultCommand
from rondo.cli.moments import Moment
from rondo.cli.output import Column

BY = ("user", "key", "app", "release", "model", "provider", "tag", "day")
_ARMS = click.Choice(["live", "traced", "shadow", "eval"])
_OPTIONS: list[Callable[[Any], Any]] = [
    click.option("--since", type=Moment(), help="From this time on, e.g. 7d or 2026-11-01; by default 30 days."),
    click.option("--until", type=Moment(), help="Up to this time; by default now."),
    click.option("--app", help="Only of this app."),
    click.option("--release", type=int, help="Only of this release of the app."),
    click.option("--model", help="Only of this recorded model."),
    click.option("--arm", type=_ARMS, help="Only of these calls; by default all."),
]


def _choosing(function: Any) -> Any:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.group("costs", cls=DefaultCommand, default="show")
def command() -> None:
    """Show what calls cost, forecast the month, and try another model's price.

    `rondo costs` alone is `rondo costs show`.
    """


@command.command("show")
@click.option("--by", type=click.Choice(BY), default="model", show_default=True, help="What costs are told apart by.")
@_choosing
@click.option("--limit", type=click.IntRange(1, 10_000), default=25, show_default=True, help="Rows, the dearest first.")
@click.option("--csv", "wants_csv", is_flag=True, help="Print CSV.")
@connected
async def show(api: Api, *, by: str, limit: int, wants_csv: bool, **chosen: Any) -> None:
    """Show what calls cost, by model or whatever else."""
    if wants_csv:
        async for part in api.download("/api/costs", by=by, limit=limit, format="csv", **chosen):
            click.echo(part, nl=False)
        return
    api.show(await api.get("/api/costs", by=by, limit=limit, **chosen), _print_costs)


@command.command("forecast")
@click.option("--app", help="Only of this app.")
@click.option("--model", help="Only of this recorded model.")
@connected
async def forecast(api: Api, **chosen: Any) -> None:
    """Show what this month will have cost at its end, and the days that stand out."""
    api.show(await api.get("/api/costs/outlook", **chosen), _print_outlook)


@command.command("what-if")
@click.option("--model", "instead", required=True, help="One of `rondo models`, or provider/model of the price list.")
@click.option("--since", type=Moment(), help="From this time on; by default 30 days.")
@click.option("--until", type=Moment(), help="Up to this time; by default now.")
@click.option("--app", help="Only the traffic of this app.")
@click.option("--release", type=int, help="Only of this release of the app.")
@connected
async def what_if(api: Api, **chosen: Any) -> None:
    """Show what the same traffic would have cost on another model, from its recorded tokens."""
    api.show(await api.get("/api/costs/what-if", **chosen), _print_what_if)


def _print_costs(told: dict[str, Any]) -> None:
    columns = [
        Column(told["by"].upper(), lambda row: row["name"] or "-", free=True),
        Column("COST", _cost, right=True),
        Column("CALLS", lambda row: output.count(row["calls"]), right=True),
        Column("ERRORS", lambda row: output.count(row["errors"]), right=True),
        Column("TOKENS", lambda row: output.count(row["tokens"]), right=True),
        Column("SAVED", lambda row: output.money(row["saved_usd"]) if row["saved_usd"] else "-", right=True),
    ]
    output.table(told["rows"], columns, none="There are no calls in this time.")
    total = told["total"]
    click.echo(f"\nall {total['calls']:,} calls: {_cost(total)}")


def _cost(row: output.Row) -> str:
    if row["cost_usd"] is None:
        return "unknown" if row["calls"] else "-"
    unknown = f" + {row['cost_unknown']:,} unknown" if row["cost_unknown"] else ""
    return output.money(row["cost_usd"]) + unknown


def _print_outlook(told: dict[str, Any]) -> None:
    expected = told["forecast"]
    interval = "-"
    if expected["expected"] is not None:
        low, high = (output.money(expected[side]) for side in ("low", "high"))
        interval = f"{output.money(expected['expected'])} ({low} to {high})"
    output.facts(
        [
            ("month", told["month"]),
            ("so far", _so_far(expected["spent"], told["cost_unknown"])),
            ("at its end", interval if interval != "-" else "needs three whole days of history"),
            ("days left", f"{expected['days_left']}, today included"),
            ("method", f"{expected['method']}; from {expected['days_of_history']} days"),
        ]
    )
    columns = [
        Column("DAY", "day"),
        Column("OF", lambda row: row["subject"] if row["subject"] is not None else "all calls", free=True),
        Column("COST", lambda row: output.money(row["cost_usd"]), right=True),
        Column("USUAL", lambda row: f"{output.money(row['low_usd'])} to {output.money(row['high_usd'])}", right=True),
    ]
    output.heading("days that stand out")
    output.table(told["odd_days"], columns, none="None in the last four weeks.")


def _so_far(spent: float, unknown: int) -> str:
    return output.money(spent) + (f" + {output.count(unknown)} calls of unknown cost" if unknown else "")


def _print_what_if(told: dict[str, Any]) -> None:
    columns = [
        Column("RECORDED MODEL", lambda row: row["model"] or "-", free=True),
        Column("CALLS", lambda row: output.count(row["calls"]), right=True),
        Column("COST", lambda row: output.money(row["cost_usd"]), right=True),
        Column("INSTEAD", lambda row: output.money(row["instead_usd"]), right=True),
        Column("UNCACHED", lambda row: output.money(row["uncached_usd"]), right=True),
        Column("SAVED", lambda row: "-" if row["saved_usd"] is None else output.money(row["saved_usd"]), right=True),
    ]
    output.table([*told["rows"], {**told, "model": "all"}], columns, none="There are no calls in this time.")
    click.echo()
    for note in told["notes"]:
        click.echo(f"- {output.one_line(note)}")
