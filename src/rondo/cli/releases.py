"""`rondo releases`: list, show and compare releases."""

from __future__ import annotations

from typing import Any

import click

from rondo.cli import gate, output
from rondo.cli.apps import numbers, which
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.output import Column


@click.group("releases")
def command() -> None:
    """List, show and compare releases."""


@command.command("list")
@click.argument("app", required=False)
@click.option("--limit", type=click.IntRange(1, 1_000), help="How many at most; 100 by default.")
@click.option("--before", type=click.IntRange(1), metavar="N", help="Only releases with a lower number.")
@connected
async def list_(api: Api, app: str | None, limit: int | None, before: int | None) -> None:
    """List the releases of APP, newest first, and which of them serve."""
    name = await which(api, app)
    answer = await api.get(f"/api/apps/{segment(name)}/releases", limit=limit, before=before)
    columns = [
        Column("RELEASE", lambda row: f"{name}#{row['number']}"),
        Column("HASH", lambda row: output.short(row["hash"])),
        Column("STATE", "state"),
        Column("SHARE", lambda row: output.percent(row["share"]), right=True),
        Column("CREATED", lambda row: output.when(row["created_at"])),
        Column("BY", "created_by"),
        Column("MESSAGE", "message", free=True),
    ]
    api.show(answer, lambda told: output.table(told["releases"], columns, none=f"{name} has no release yet."))


@command.command("show")
@click.argument("words", nargs=-1, required=True, metavar="[APP] N")
@connected
async def show(api: Api, words: tuple[str, ...]) -> None:
    """Show release N of APP: its hash, who made it, whether it has passed its gate, and its whole manifest."""
    app, (number,) = numbers(words, 1, "rondo releases show [APP] N")
    name = await which(api, app)
    path = f"/api/apps/{segment(name)}/releases/{number}"
    answer, view = await api.get(path), await api.get(f"{path}/gate")
    api.show(answer, lambda told: _print(name, told, view))


@command.command("diff")
@click.argument("words", nargs=-1, required=True, metavar="[APP] FROM TO")
@connected
async def diff(api: Api, words: tuple[str, ...]) -> None:
    """Show what differs between the releases FROM and TO of APP."""
    app, (old, new) = numbers(words, 2, "rondo releases diff [APP] FROM TO")
    name = await which(api, app)
    answer = await api.get(f"/api/apps/{segment(name)}/diff", from_=old, to=new)
    api.show(answer, _print_changes)


def _print(app: str, release: dict[str, Any], view: dict[str, Any]) -> None:
    output.facts(
        [
            ("release", f"{app}#{release['number']}"),
            ("hash", release["hash"]),
            ("created", output.when(release["created_at"])),
            ("by", release["created_by"]),
            ("message", release["message"]),
        ]
    )
    output.heading("gate")
    gate.told(view, label="  ")
    output.heading("manifest")
    output.block(output.pretty(release["manifest"]))


def _print_changes(answer: dict[str, Any]) -> None:
    if not answer["changes"]:
        click.echo("Nothing differs.")
    for change in answer["changes"]:
        click.echo(output.paint(output.one_line(change["field"]), "cyan"))
        if change.get("text") is not None:
            output.unified_diff(change["text"])
            continue
        for sign, side in (("-", "before"), ("+", "after")):
            if change.get(side) is not None:
                output.unified_diff("\n".join(sign + line for line in output.pretty(change[side]).splitlines()))
