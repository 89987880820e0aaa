"""`rondo traces`: what was done for each request, newest first, whoever told of it."""

from __future__ import annotations

from typing import Any

import click

from rondo.cli import output
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.default_command import DefaultCommand
from rondo.cli.moments import Moment
from rondo.cli.output import Column, count
from rondo.cli.trace_tree import show_tree

_NONE = (
    "No trace matches. A request to the gateway makes one; other programs send theirs by OpenTelemetry to /v1/traces."
)


@click.group("traces", cls=DefaultCommand, default="list")
def command() -> None:
    """List traces, and show one as a tree: agents, chains, tools and calls of models.

    `rondo traces` alone is `rondo traces list`.
    """


@command.command("list")
@click.option("--app", help="Only traces in which this app has a call or span.")
@click.option("--user", help="Only traces of this user, whichever call or span tells of them.")
@click.option("--session", help="Only traces of this session.")
@click.option("--tag", help="Only traces with this tag: KEY or KEY=VALUE.")
@click.option(
    "--status", type=click.Choice(["ok", "error"]), help="Only traces in which nothing failed, or something did."
)
@click.option("--text", help="Only traces with a call or span whose name holds this text.")
@click.option("--from-outside", is_flag=True, default=None, help="Only traces that another program told of.")
@click.option("--since", type=Moment(), help="Only later traces: 15m, 24h, 7d, or a time like 2026-11-21T10:00:00Z.")
@click.option("--until", type=Moment(), help="Only earlier traces, written in the same way.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many to show.")
@click.option("--before", metavar="CURSOR", help="Go on from where a list ended.")
@connected
async def list_(api: Api, **filters: Any) -> None:
    """List traces that match every filter, newest first."""
    api.show(await api.get("/api/traces", **filters), _print_list)


@command.command("show")
@click.argument("trace")
@click.option("--full", is_flag=True, help="Show a long trace whole.")
@connected
async def show(api: Api, trace: str, full: bool) -> None:
    """Show the trace TRACE as a tree. `rondo why TRACE` tells the story of its answer besides."""
    api.show(await api.get(f"/api/traces/{segment(trace)}"), lambda tree: show_tree(tree, whole=full))


def _print_list(answer: dict[str, Any]) -> None:
    columns = [
        Column("WHEN", lambda row: output.when(row["started_at"])),
        Column("TRACE", "trace_id"),
        Column("NAME", lambda row: f"{row['kind']} {row['name']}"),
        Column("APP", "app"),
        Column("USER", "user"),
        Column("SESSION", "session"),
        Column("SPANS", lambda row: count(row["spans"]), right=True),
        Column("CALLS", lambda row: count(row["calls"]), right=True),
        Column("OUTCOME", lambda row: f"{count(row['failed'])} failed" if row["failed"] else "ok"),
        Column("TOOK", lambda row: output.milliseconds(row["duration_ms"]), right=True),
        Column("TOKENS", lambda row: "" if row["tokens"] is None else count(row["tokens"]), right=True),
        Column("COST", lambda row: output.money(row["cost_usd"]) if row["calls"] else "", right=True),
        Column("TAGS", lambda row: ", ".join(f"{key}={value}" for key, value in row["tags"].items()), free=True),
    ]
    output.table(answer["items"], columns, none=_NONE)
    if answer["before"]:
        click.echo(f"There are more: --before {answer['before']}")
