"""`rondo promote`: one release for all traffic."""

from __future__ import annotations

import click

from rondo.cli.apps import numbers, which, who_serves
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected


@click.command("promote")
@click.argument("words", nargs=-1, required=True, metavar="[APP] N")
@click.option("--reason", default="", help="Why; kept in the audit log.")
@click.option("--exception", metavar="REASON", help="Promote it in spite of its gate; the reason is kept.")
@connected
async def command(api: Api, words: tuple[str, ...], reason: str, exception: str | None) -> None:
    """Make release N of APP the stable one: all its traffic, in under a second, everywhere. A split ends.

    Where the app declares a gate, the release must have passed it (`rondo gate N`), or an approver who has not made
    the release gives a reason with --exception.
    """
    app, (number,) = numbers(words, 1, "rondo promote [APP] N")
    name = await which(api, app)
    body = {"release": number, "reason": reason, **({"exception": exception} if exception is not None else {})}
    answer = await api.post(f"/api/apps/{segment(name)}/promote", body)
    api.show(answer, lambda told: click.echo(f"{name}: {who_serves(told)}"))
