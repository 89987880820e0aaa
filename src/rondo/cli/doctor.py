"""`rondo doctor`: the server's own checks, with what to do about each finding."""

from __future__ import annotations

from typing import Any

import click

from rondo.cli import output
from rondo.cli.client import Api
from rondo.cli.connect import connected


@click.command("doctor")
@click.pass_context
@connected
async def command(api: Api, ctx: click.Context) -> None:
    """Check the server: what it serves, its models' keys, the records' way to the store.

    The exit code is 1 when a check fails."""
    answer = await api.get("/api/doctor")
    api.show(answer, _print)
    if not all(check["ok"] for check in answer["checks"]):
        ctx.exit(1)


def _print(answer: dict[str, Any]) -> None:
    for check in answer["checks"]:
        state = output.paint("ok  ", "green") if check["ok"] else output.paint("FAIL", "red")
        click.echo(f"{state}  {output.one_line(check['name'])}: {output.one_line(check['detail'])}")
        if not check["ok"] and check.get("remedy"):
            click.echo(f"      {output.one_line(check['remedy'])}")
