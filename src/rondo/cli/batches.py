"""`rondo batches`: many requests in a file, answered when there is time."""

from __future__ import annotations

from typing import Any

import click

from rondo import clock
from rondo.cli import output
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.output import Column


@click.group("batches")
def command() -> None:
    """List, show and cancel batches of requests. Any OpenAI SDK creates them."""


@command.command("list")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many batches to show.")
@connected
async def list_(api: Api, limit: int) -> None:
    """List the newest batches that the key may see, newest first."""
    columns = [
        Column("ID", "id"),
        Column("STATUS", "status"),
        Column("ENDPOINT", "endpoint"),
        Column("REQUESTS", lambda row: f"{row['request_counts']['total']:,}", right=True),
        Column("ANSWERED", lambda row: f"{row['request_counts']['completed']:,}", right=True),
        Column("FAILED", lambda row: f"{row['request_counts']['failed']:,}", right=True),
        Column("CREATED", lambda row: _when(row["created_at"])),
    ]
    answer = await api.get("/v1/batches", limit=limit)
    api.show(answer, lambda told: output.table(told["data"], columns, none="There are no batches."))


@command.command("show")
@click.argument("batch_id", metavar="ID")
@connected
async def show(api: Api, batch_id: str) -> None:
    """Show how far the batch ID is, where its results are, and why it failed if it did."""
    api.show(await api.get(f"/v1/batches/{segment(batch_id)}"), _print)


@command.command("cancel")
@click.argument("batch_id", metavar="ID")
@connected
async def cancel(api: Api, batch_id: str) -> None:
    """Ask no more of the requests of the batch ID. Those under way end, and the results so far are kept."""
    answer = await api.post(f"/v1/batches/{segment(batch_id)}/cancel", {})
    api.show(answer, lambda told: click.echo(f"{output.one_line(told['id'])} is {told['status']}"))


def _print(batch: dict[str, Any]) -> None:
    counts = batch["request_counts"]
    endings = (batch[f"{how}_at"] for how in ("completed", "failed", "expired", "cancelled"))
    ended = next((at for at in endings if at is not None), None)
    output.facts(
        [
            ("id", batch["id"]),
            ("status", batch["status"]),
            ("endpoint", batch["endpoint"]),
            ("requests", f"{counts['total']:,}, {counts['completed']:,} answered, {counts['failed']:,} failed"),
            ("input file", batch["input_file_id"]),
            ("output file", batch["output_file_id"]),
            ("error file", batch["error_file_id"]),
            ("created", _when(batch["created_at"])),
            ("expires", _when(batch["expires_at"])),
            ("ended", _when(ended)),
        ]
    )
    for problem in (batch["errors"] or {"data": []})["data"]:
        where = f"line {problem['line']}: " if problem["line"] else ""
        click.echo(f"{where}{output.one_line(problem['message'])} ({problem['code']})")


def _when(seconds: int | None) -> str:
    return "-" if seconds is None else clock.iso(seconds * 1_000_000)[:19] + "Z"
