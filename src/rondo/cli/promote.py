"""`rondo promote`: one release for all traffic."""

from __future__ import annotations

import click

from rondo.cli.apps import numbers, which, who_serves
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected


@click.command("promote")
@click.argument("words", nargs=-1, required=True, metavar="[APP] N")
@click.option("--reason", default="", help="Why; kept in the audit log.")
@connected
async def command(api: Api, words: tuple[str, ...], reason: str) -> None:
    """Make release N of APP the stable one: all its traffic, in under a second, everywhere. A split ends."""
    app, (number,) = numbers(words, 1, "rondo promote [APP] N")
    name = await which(api, app)
    answer = await api.post(f"/api/apps/{segment(name)}/promote", {"release": number, "reason": reason})
    api.show(answer, lambda told: click.echo(f"{name}: {who_serves(told)}"))
