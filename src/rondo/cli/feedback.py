"""`rondo feedback`: judgements of answers."""

from __future__ import annotations

import math
from typing import Any

import click

from rondo.cli import output
from rondo.cli.client import Api
from rondo.cli.connect import connected
from rondo.cli.moments import Moment
from rondo.cli.output import Column


@click.group("feedback")
def command() -> None:
    """Send and list judgements of answers."""


@command.command("list")
@click.option("--app", help="Only judgements of this app's answers.")
@click.option("--release", type=click.IntRange(min=1), help="Only judgements of this release's answers.")
@click.option("--name", help="Only judgements of this name, e.g. thumbs.")
@click.option("--author", help="Only judgements by this user or key.")
@click.option("--negative/--positive", default=None, help="Only judgements against answers, or for them.")
@click.option("--text", help="Only judgements whose comment holds this text.")
@click.option("--since", type=Moment(), help="Only later ones: 15m, 24h, 7d, or a time like 2026-11-21T10:00:00Z.")
@click.option("--until", type=Moment(), help="Only earlier ones, written in the same way.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many to show.")
@click.option("--before", metavar="CURSOR", help="Go on from where a list ended.")
@connected
async def list_(api: Api, **filters: Any) -> None:
    """List judgements that match every filter, newest first."""
    api.show(await api.get("/api/feedback", **filters), _print)


@command.command("send")
@click.argument("trace")
@click.option("--name", required=True, help="What is judged, e.g. thumbs, correct, resolved.")
@click.option("--value", required=True, help="true or false, a number, or a word.")
@click.option("--comment", help="More about it, in words.")
@click.option("--user", help="Who judged; the key by default. One user's later judgement replaces the earlier.")
@connected
async def send(api: Api, trace: str, *, name: str, value: str, comment: str | None, user: str | None) -> None:
    """Judge the answer with the id TRACE, as an application would."""
    body = {"trace_id": trace, "name": name, "value": parse_value(value), "comment": comment, "user": user}
    answer = await api.post("/v1/feedback", {field: given for field, given in body.items() if given is not None})
    api.show(answer, lambda told: click.echo(f"recorded {output.one_line(told['id'])}"))


def parse_value(text: str) -> bool | float | str:
    """`true` and `false` are booleans, what reads as a finite number is one, anything else is a category."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def shown_value(score: output.Row) -> str:
    """A score's value as people read it."""
    if score.get("label") is not None:
        return str(score["label"])
    if score.get("value") is None:
        return "-"
    if score.get("data_type") == "boolean":
        return "true" if score["value"] else "false"
    return f"{score['value']:g}"


def _print(answer: dict[str, Any]) -> None:
    columns = [
        Column("WHEN", lambda row: output.when(row["created_at"])),
        Column("TRACE", "trace_id"),
        Column("NAME", "name"),
        Column("VALUE", shown_value),
        Column("BY", "author"),
        Column("RELEASE", lambda row: f"{row['app']}#{row['release']}" if row.get("release") else row.get("app")),
        Column("COMMENT", "comment", free=True),
        Column("QUESTION", "question", free=True),
    ]
    output.table(answer["items"], columns, none="No feedback that matches.")
    if answer["before"]:
        click.echo(f"There are more: --before {answer['before']}")
