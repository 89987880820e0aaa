"""`rondo keys`: who may do what."""

from __future__ import annotations

from typing import Any

import click

from rondo.cli import output
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.output import Column
from rondo.governance.model import KINDS, Role


@click.group("keys")
def command() -> None:
    """Create, list and revoke keys."""


@command.command("create")
@click.argument("name", required=False)
@click.option("--name", "named", metavar="NAME", help="What the key is for; the same as the argument.")
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    default="secret",
    show_default=True,
    help="A secret key calls the gateway; a feedback key may only send feedback, and may be seen in browsers.",
)
@click.option(
    "--role", type=click.Choice([role.value for role in Role]), help="What it may do besides calling the gateway."
)
@click.option("--app", "apps", multiple=True, help="Allow only this app; may be given more than once.")
@connected
async def create(
    api: Api, name: str | None, *, named: str | None, kind: str, role: str | None, apps: tuple[str, ...]
) -> None:
    """Create a key called NAME and print its secret, once: it cannot be shown again."""
    chosen = named or name
    if chosen is None or (named is not None and name is not None):
        raise click.UsageError("Give the key one name: rondo keys create NAME.")
    answer = await api.post("/api/keys", {"name": chosen, "kind": kind, "role": role, "apps": list(apps)})
    api.show(answer, _print_created)


@command.command("list")
@connected
async def list_(api: Api) -> None:
    """List all keys, revoked ones included. Secrets are not known any more, only their last four characters."""
    columns = [
        Column("ID", "id"),
        Column("NAME", "name", free=True),
        Column("KIND", "kind"),
        Column("ROLE", _role),
        Column("APPS", lambda row: ", ".join(row["apps"]) or "all"),
        Column("ENDS IN", "hint"),
        Column("CREATED", lambda row: output.when(row["created_at"])),
        Column("BY", "created_by"),
        Column("REVOKED", lambda row: output.when(row["revoked_at"])),
    ]
    api.show(await api.get("/api/keys"), lambda told: output.table(told["keys"], columns, none="There are no keys."))


@command.command("revoke")
@click.argument("key_id", metavar="ID")
@connected
async def revoke(api: Api, key_id: str) -> None:
    """End the key ID for good, everywhere, in under a second."""
    answer = await api.delete(f"/api/keys/{segment(key_id)}")
    api.show(answer, lambda _: click.echo(f"revoked {output.one_line(key_id)}"))


def _role(key: output.Row) -> str:
    return key["role"] or ("feedback only" if key["kind"] == "feedback" else "gateway only")


def _print_created(created: dict[str, Any]) -> None:
    key = created["key"]
    output.facts(
        [
            ("id", key["id"]),
            ("name", key["name"]),
            ("kind", key["kind"]),
            ("role", _role(key)),
            ("apps", ", ".join(key["apps"]) or "all"),
            ("secret", created["secret"]),
        ]
    )
    click.echo("The secret is shown this once: keep it now.")
