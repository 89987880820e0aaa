"""`rondo calls`: recorded calls."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from rondo.cli import output
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.moments import Moment
from rondo.cli.output import Column
from rondo.errors import Conflict

F = TypeVar("F", bound=Callable[..., Any])

_LOOK_EVERY_S = 0.5
_FILTERS: list[tuple[str, dict[str, Any]]] = [
    ("app", {"help": "Only calls of this app."}),
    ("release", {"type": click.IntRange(min=1), "help": "Only calls that this release answered."}),
    ("model", {"help": "Only calls of this model."}),
    ("provider", {"help": "Only calls of this provider."}),
    ("user", {"help": "Only calls of this user."}),
    ("session", {"help": "Only calls of this session."}),
    ("tag", {"help": "Only calls with this tag: KEY or KEY=VALUE."}),
    ("status", {"help": "Only `ok` or `error`, or one HTTP status."}),
    (
        "arm",
        {
            "type": click.Choice(["live", "shadow", "traced", "eval"]),
            "help": "Only clients' calls, copies for a shadow, calls told of by OpenTelemetry, or evaluations'.",
        },
    ),
    (
        "cache",
        {"type": click.Choice(["exact", "semantic"]), "help": "Only answers that came from the cache, found this way."},
    ),
    ("min-cost", {"type": float, "help": "Only calls that cost at least so many US dollars."}),
    ("max-cost", {"type": float, "help": "Only calls that cost at most so many US dollars."}),
    ("min-ms", {"type": float, "help": "Only calls that took at least so many milliseconds."}),
    ("max-ms", {"type": float, "help": "Only calls that took at most so many milliseconds."}),
    ("since", {"type": Moment(), "help": "Only later calls: 15m, 24h, 7d, or a time like 2026-11-21T10:00:00Z."}),
    ("until", {"type": Moment(), "help": "Only earlier calls, written in the same way."}),
    ("text", {"help": "Only calls whose question or answer holds this text."}),
    ("error-code", {"help": "Only calls that failed with this code, e.g. upstream_timeout."}),
    ("feedback", {"help": "Only calls that have a judgement of this name."}),
]


def filtered(run: F) -> F:
    """Give a command every filter there is."""
    run = click.option(
        "--negative/--positive",
        default=None,
        help="Only calls judged against, or for; by users, or as --feedback says.",
    )(run)
    run = click.option(
        "--handed-over/--answered", default=None, help="Only calls handed over to a person, or only the others."
    )(run)
    # `--key` is what every command signs in with.
    run = click.option("--by-key", "key_", metavar="ID", help="Only calls with this key, by its id.")(run)
    for name, settings in reversed(_FILTERS):
        run = click.option(f"--{name}", **settings)(run)
    return run


def new_file(ctx: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """A file to write: one that is there is refused, unless --force. Raises Conflict."""
    if path is not None and path.exists() and not ctx.params.get("force"):
        raise Conflict(f"{path} exists.", remedy="Choose another name, or use --force.")
    return path


@click.group("calls")
def command() -> None:
    """List, show, follow and export recorded calls."""


@command.command("list")
@filtered
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many to show.")
@click.option("--before", metavar="CURSOR", help="Go on from where a list ended.")
@connected
async def list_(api: Api, limit: int, before: str | None, **filters: Any) -> None:
    """List calls that match every filter, newest first."""
    answer = await api.get("/api/calls", limit=limit, before=before, **filters)
    api.show(answer, _print_list)


@command.command("show")
@click.argument("trace")
@connected
async def show(api: Api, trace: str) -> None:
    """Show everything that was recorded of the call TRACE."""
    api.show(await api.get(f"/api/calls/{segment(trace)}"), _print_call)


@command.command("tail")
@filtered
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 100),
    default=10,
    show_default=True,
    help="Begin with so many earlier calls.",
)
@connected
async def tail(api: Api, *, lines: int, **filters: Any) -> None:
    """Print calls as they are recorded, oldest first, until Ctrl-C. With --json, one JSON object a line."""
    print_call = output.json_line if api.wants_json else _print_line
    try:
        answer = await api.get("/api/calls/tail", **filters)
        for call in answer["items"][-lines:] if lines else []:
            print_call(call)
        while True:
            # With a place to go on from, the server waits for the next call; without one, it answers at once.
            if not answer["after"]:
                await asyncio.sleep(_LOOK_EVERY_S)
            answer = await api.get("/api/calls/tail", after=answer["after"] or None, **filters)
            for call in answer["items"]:
                print_call(call)
    except asyncio.CancelledError:
        return  # Ctrl-C is how one leaves


@command.command("export")
@filtered
@click.option(
    "--format",
    "kind",
    type=click.Choice(["jsonl", "parquet"]),
    default="jsonl",
    show_default=True,
    help="JSON, one call a line, or Parquet.",
)
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=new_file,
    help="The file to write, whole or not at all; standard output by default.",
)
@click.option("--force", is_flag=True, is_eager=True, help="Replace the file if there is one.")
@connected
async def export(api: Api, *, kind: str, target: Path | None, **filters: Any) -> None:
    """Write all calls that match every filter, whole."""
    del filters["force"]  # has had its say when the file was named
    if target is None and kind == "parquet" and sys.stdout.isatty():
        raise click.UsageError("Parquet is not for terminals: name a file with --output.")
    await write_out(api.download("/api/calls/export", format=kind, **filters), target)


async def write_out(parts: AsyncIterator[bytes], target: Path | None) -> None:
    """Write to the target, or to stdout where there is none. Raises as `write_whole` does."""
    if target is None:
        stream = sys.stdout.buffer
        async for part in parts:
            stream.write(part)
        stream.flush()
        return
    size = await write_whole(parts, target)
    click.echo(f"wrote {output.one_line(str(target))}, {size:,} bytes", err=True)


async def write_whole(parts: AsyncIterator[bytes], target: Path) -> int:
    """Write beside the target, then move it into place; its size. Raises Conflict where it cannot be written."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    size = 0
    try:
        with partial.open("wb") as file:
            async for part in parts:
                size += file.write(part)
        partial.replace(target)
    except OSError as error:
        raise Conflict(f"{target} cannot be written: {error.strerror}.") from None
    finally:
        partial.unlink(missing_ok=True)
    return size


def _print_list(answer: dict[str, Any]) -> None:
    columns = [
        Column("WHEN", lambda row: output.when(row["started_at"])),
        Column("TRACE", "trace_id"),
        Column("RELEASE", release_of),
        Column("MODEL", "model"),
        Column("STATUS", _status),
        Column("TOOK", lambda row: output.milliseconds(row["duration_ms"]), right=True),
        Column("COST", lambda row: output.money(row.get("cost_usd")), right=True),
        Column("QUESTION", "question", free=True),
        Column("ANSWER", lambda row: row.get("answer") or row.get("error_message"), free=True),
    ]
    output.table(answer["items"], columns, none="No call matches.")
    if answer["before"]:
        click.echo(f"There are more: --before {answer['before']}")


def release_of(call: output.Row) -> str:
    """`support-bot#7`, or what the client asked for where no release answered."""
    if call.get("app") and call.get("release") is not None:
        return f"{call['app']}#{call['release']}"
    return str(call.get("app") or call.get("requested_model") or "-")


def _status(call: output.Row) -> str:
    if call["status"] < 400:
        outcome = "handed over" if call.get("handed_over") else "ok"
    else:
        outcome = f"{call['status']} {call.get('error_code') or ''}".strip()
    marks = (
        ("copy", call.get("arm") == "shadow"),
        ("traced", call.get("arm") == "traced"),
        ("cached", call.get("cache")),
    )
    return ", ".join([outcome, *(mark for mark, holds in marks if holds)])


def _print_line(call: dict[str, Any]) -> None:
    said = call.get("answer") or call.get("error_message") or ""
    parts = [
        output.when(call["started_at"]),
        call["trace_id"],
        release_of(call),
        _status(call),
        output.milliseconds(call["duration_ms"]),
        output.money(call.get("cost_usd")),
        f"{output.cut(call.get('question') or '', 60)} → {output.cut(said, 80)}",
    ]
    click.echo("  ".join(output.one_line(part) for part in parts))


def _print_call(answer: dict[str, Any]) -> None:
    for position, call in enumerate(answer["calls"], 1):
        if len(answer["calls"]) > 1:
            output.heading(f"call {position} of {len(answer['calls'])}")
        _print_whole(call)


def _print_whole(call: dict[str, Any]) -> None:
    long = ("question", "answer", "input", "output", "rendered", "chunks", "spans")
    output.facts((name, _field(name, value)) for name, value in call.items() if name not in long)
    for name in ("question", "answer", "rendered", "input", "output"):
        if call.get(name):
            output.heading(name)
            output.block(_json_text(call[name]))
    if call.get("chunks"):
        output.heading("chunks")
        for chunk in call["chunks"]:
            click.echo(f"  [{chunk['number']}] {output.one_line(chunk['source'])}  score {chunk['score']:.2f}")
    if call.get("spans"):
        output.heading("spans")
        output.table(call["spans"], _SPAN_COLUMNS, none="", indent=2)


_SPAN_COLUMNS = [
    Column("SPAN", "name"),
    Column("KIND", "kind"),
    Column("STATUS", "status"),
    Column("TOOK", lambda row: output.milliseconds(row["duration_ms"]), right=True),
    Column("ERROR", "error", free=True),
]


def _field(name: str, value: Any) -> object:
    if name.endswith("_at"):
        return output.when(value)
    if name == "cost_usd":
        return output.money(value)
    if name.endswith("_tokens"):
        return output.count(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else value


def _json_text(text: str) -> str:
    """JSON text, indented; any other text as it is."""
    try:
        return output.pretty(json.loads(text)) if text[:1] in "[{" else text
    except ValueError:
        return text
