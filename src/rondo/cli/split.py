"""`rondo split`: shares of the traffic for candidates."""

from __future__ import annotations

import re

import click

from rondo.cli.apps import which, who_serves
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected

_SHARE = re.compile(r"#?(?P<number>[1-9][0-9]{0,8})=(?P<percent>[0-9]{1,3}(?:\.[0-9]{1,2})?)%?")
_USAGE = "rondo split [APP] 8=10% [9=5%], or rondo split [APP] --end"


@click.command("split")
@click.argument("words", nargs=-1, metavar="[APP] N=PERCENT...")
@click.option("--end", is_flag=True, help="End the split: all traffic goes to the stable release again.")
@click.option("--reason", default="", help="Why; kept in the audit log.")
@click.option("--exception", metavar="REASON", help="Split in spite of the candidates' gates; the reason is kept.")
@connected
async def command(api: Api, words: tuple[str, ...], end: bool, reason: str, exception: str | None) -> None:
    """Give candidate releases of APP a share of its traffic; the stable release keeps the rest.

    For example `rondo split support-bot 8=10% 9=5%`. A user who is in a candidate's share stays in it. Candidates must
    have passed their gate, as for `rondo promote`.
    """
    app, shares = parse(words)
    if end == bool(shares):
        raise click.UsageError(f"Write it as: {_USAGE}.")
    name = await which(api, app)
    path = f"/api/apps/{segment(name)}"
    if end:
        stable = (await api.get(path))["stable"]
        answer = await api.post(f"{path}/promote", {"release": stable, "reason": reason})
    else:
        body = {"shares": shares, "reason": reason, **({"exception": exception} if exception is not None else {})}
        answer = await api.post(f"{path}/split", body)
    api.show(answer, lambda told: click.echo(f"{name}: {who_serves(told)}"))


def parse(words: tuple[str, ...]) -> tuple[str | None, dict[str, float]]:
    """The app, where it is named first, and percent by release number. Raises UsageError."""
    app = words[0] if words and "=" not in words[0] else None
    shares: dict[str, float] = {}
    for word in words[1:] if app is not None else words:
        found = _SHARE.fullmatch(word)
        if found is None or found["number"] in shares:
            raise click.UsageError(f"{word!r} is not a share, or is there twice. Write it as: {_USAGE}.")
        percent = float(found["percent"])
        shares[found["number"]] = int(percent) if percent.is_integer() else percent
    return app, shares
