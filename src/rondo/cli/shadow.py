"""`rondo shadow`: copies of live requests for a candidate, whose answers nobody sees."""

from __future__ import annotations

import re
from typing import Any

import click

from rondo.cli.apps import which
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected

_SHARE = re.compile(r"#?(?P<name>[a-z0-9][a-z0-9._-]{0,63})=(?P<percent>[0-9]{1,3}(?:\.[0-9]{1,2})?)%?")
_USAGE = "rondo shadow [APP] 8=10% [MODEL=5%], or rondo shadow [APP] --end"


@click.command("shadow")
@click.argument("words", nargs=-1, metavar="[APP] N|MODEL=PERCENT...")
@click.option("--end", is_flag=True, help="Copy no more requests.")
@click.option("--reason", default="", help="Why; kept in the audit log.")
@connected
async def command(api: Api, words: tuple[str, ...], end: bool, reason: str) -> None:
    """Copy a share of APP's requests to another release, or to another model with the stable release's prompt.

    For example `rondo shadow support-bot 8=10% cheap=5%`. Clients get the same answers as before, as soon as before;
    the copies are recorded with the arm `shadow` and count against no limit or budget.
    """
    app, shares = parse(words)
    if end == bool(shares):
        raise click.UsageError(f"Write it as: {_USAGE}.")
    name = await which(api, app)
    answer = await api.post(f"/api/apps/{segment(name)}/shadow", {"shares": shares, "reason": reason})
    api.show(answer, lambda told: click.echo(f"{name}: {_copied_to(told)}"))


def parse(words: tuple[str, ...]) -> tuple[str | None, dict[str, float]]:
    """The app, where it is named first, and percent by release number or model. Raises UsageError."""
    app = words[0] if words and "=" not in words[0] else None
    shares: dict[str, float] = {}
    for word in words[1:] if app is not None else words:
        found = _SHARE.fullmatch(word)
        if found is None or found["name"] in shares:
            raise click.UsageError(f"{word!r} is not a share, or is there twice. Write it as: {_USAGE}.")
        shares[found["name"]] = float(found["percent"])
    return app, shares


def _copied_to(told: dict[str, Any]) -> str:
    shadows = told["traffic"]["shadows"]
    words = [f"{each['release'] or each['model']} {each['share_bp'] / 100:g}%" for each in shadows]
    return f"requests are copied to {', '.join(words)}" if words else "no requests are copied"
