"""`rondo rollback`: back to a release that served before."""

from __future__ import annotations

import click

from rondo.cli.apps import which, who_serves
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected


@click.command("rollback")
@click.argument("app", required=False)
@click.option(
    "--to", "number", type=click.IntRange(min=1), help="The release to go back to; the previous stable one by default."
)
@click.option("--reason", default="", help="Why; kept in the audit log.")
@connected
async def command(api: Api, app: str | None, number: int | None, reason: str) -> None:
    """End the split if there is one; else go back to the stable release before this one, or to the one after --to.

    It takes effect in under a second, everywhere.
    """
    name = await which(api, app)
    answer = await api.post(f"/api/apps/{segment(name)}/rollback", {"to": number, "reason": reason})
    api.show(answer, lambda told: click.echo(f"{name}: {who_serves(told)}"))
