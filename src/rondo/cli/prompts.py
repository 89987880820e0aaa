"""`rondo prompts`: the stored versions of prompts."""

from __future__ import annotations

from typing import Any

import click

from rondo.cli import output
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.output import Column
from rondo.errors import NotFound

_COLUMNS = [
    Column("PROMPT", "name"),
    Column("VERSION", lambda row: output.short(row["version"])),
    Column("CREATED", lambda row: output.when(row["created_at"])),
]


@click.group("prompts")
def command() -> None:
    """List, show and compare the stored versions of prompts. The first digits of a version are enough to name it."""


@command.command("list")
@connected
async def list_(api: Api) -> None:
    """List the prompts with their newest versions."""
    api.show(
        await api.get("/api/prompts"),
        lambda told: output.table(told["prompts"], _COLUMNS, none="No prompt is stored yet; releases store theirs."),
    )


@command.command("history")
@click.argument("name")
@connected
async def history(api: Api, name: str) -> None:
    """List all versions of the prompt NAME, newest first."""
    answer = await api.get(f"/api/prompts/{segment(name)}")
    api.show(answer, lambda told: output.table(told["versions"], _COLUMNS, none=f"There is no prompt {name}."))


@command.command("show")
@click.argument("name")
@click.argument("version", required=False)
@connected
async def show(api: Api, name: str, version: str | None) -> None:
    """Print the source of the prompt NAME: its newest version, or VERSION."""
    wanted = version or (await _versions(api, name))[0]
    answer = await api.get(f"/api/prompts/{segment(name)}/{segment(wanted)}")
    api.show(answer, lambda told: click.echo(output.plain(told["source"]).rstrip("\n")))


@command.command("diff")
@click.argument("name")
@click.argument("old", metavar="[FROM]", required=False)
@click.argument("new", metavar="[TO]", required=False)
@connected
async def diff(api: Api, name: str, old: str | None, new: str | None) -> None:
    """Show what changed in the prompt NAME between FROM and TO; between its two newest versions by default.

    With FROM alone, it is compared with the newest version.
    """
    if old is None or new is None:
        versions = await _versions(api, name)
        if old is None and len(versions) < 2:
            raise NotFound(f"The prompt {name} has one version only.", remedy="There is nothing to compare it with.")
        old, new = old or versions[1], versions[0]
    answer = await api.get(f"/api/prompts/{segment(name)}/diff", from_=old, to=new)
    api.show(answer, _print_diff)


async def _versions(api: Api, name: str) -> list[str]:
    """Newest first, at least one. Raises NotFound."""
    found = [row["version"] for row in (await api.get(f"/api/prompts/{segment(name)}"))["versions"]]
    if not found:
        raise NotFound(f"There is no prompt {name}.", remedy="`rondo prompts list` shows them.")
    return found


def _print_diff(answer: dict[str, Any]) -> None:
    if not answer["text"]:
        click.echo("Nothing differs." if answer["from"] == answer["to"] else "Only the spacing of the file differs.")
    output.unified_diff(answer["text"])
