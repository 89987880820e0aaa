"""`rondo patterns`: calls that went wrong, put together to named patterns."""

from __future__ import annotations

from typing import Any

import click

from rondo.cli import output
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.default_command import DefaultCommand
from rondo.cli.moments import Moment
from rondo.cli.output import Column, one_line, when

WHYS = ("failing", "disliked", "low", "handed_over")
_LISTED = 30


@click.group("patterns", cls=DefaultCommand, default="find")
def command() -> None:
    """Put failing, disliked and low-scored calls together to named patterns, with size, trend and examples.

    `rondo patterns` alone is `rondo patterns find`. It needs `pip install 'rondo[analysis]'` where the server runs.
    """


@command.command("find")
@click.option("--app", help="Only of this app; its [drift] may name models that embed and name.")
@click.option("--since", type=Moment(), help="From this time on, e.g. 24h or 2026-11-01; by default 7d.")
@click.option("--until", type=Moment(), help="Up to this time; by default now.")
@click.option(
    "--why", multiple=True, type=click.Choice(WHYS), help="How they went wrong; by default all but `handed_over`."
)
@click.option("--score", help="Count calls as `low` where this score ...")
@click.option("--below", type=float, help="... is below this.")
@connected
async def find(api: Api, *, why: tuple[str, ...], **asked: Any) -> None:
    """Look for patterns now. The run is kept; the time before, as long, is what it is compared with."""
    given = {name: value for name, value in asked.items() if value is not None}
    body = {**given, **({"why": list(why)} if why else {})}
    api.show(await api.post("/api/patterns", body, slow=True), _print)


@command.command("list")
@click.option("--app", help="Only of this app.")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many to show.")
@connected
async def list_(api: Api, app: str | None, limit: int) -> None:
    """List the runs that found patterns, newest first."""
    api.show(await api.get("/api/patterns", app=app, limit=limit), _print_list)


@command.command("show")
@click.argument("run")
@click.argument("number", type=click.IntRange(1), required=False)
@connected
async def show(api: Api, run: str, number: int | None) -> None:
    """Show the run RUN, or all of its pattern NUMBER."""
    found = await api.get(f"/api/patterns/{segment(run)}")
    if number is None:
        api.show(found, _print)
        return
    chosen = next((each for each in found["patterns"] if each["number"] == number), None)
    if chosen is None:
        raise click.UsageError(f"The run has no pattern {number}; it has {len(found['patterns'])}.")
    api.show(chosen, _print_pattern)


@command.command("test")
@click.argument("run")
@click.argument("number", type=click.IntRange(1))
@click.argument("dataset")
@click.option("--expected", help="The right answer.")
@click.option("--hand-over/--no-hand-over", default=None, help="Whether a person should have been called.")
@click.option("--contains", multiple=True, metavar="TEXT", help="The answers must hold this text.")
@click.option("--lacks", multiple=True, metavar="TEXT", help="The answers must not hold this text.")
@click.option("--source", "sources", multiple=True, help="A document that holds the answer.")
@click.option("--call", "traces", multiple=True, metavar="TRACE", help="These calls, instead of the examples.")
@connected
async def test(api: Api, *, run: str, number: int, dataset: str, traces: tuple[str, ...], **said: Any) -> None:
    """Make the examples of a pattern tests of DATASET, which every release must pass from now on."""
    expectation = {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}
    body = {"dataset": dataset, "expectation": expectation, "traces": list(traces)}
    answer = await api.post(f"/api/patterns/{segment(run)}/{number}/tests", body, slow=True)
    api.show(answer, _print_made)


def _print(found: dict[str, Any]) -> None:
    rate = f" of {found['calls']:,} calls" if found["calls"] else ""
    click.echo(
        f"{one_line(found['id'])}  {found['wrong']:,}{rate} went wrong"
        f" from {when(found['since'])} to {when(found['until'])}"
    )
    output.table(found["patterns"], _PATTERNS, none="No three of them are alike.")
    if found["patterns"] and found["alone"]:
        click.echo(f"{found['alone']:,} are in no pattern.")
    for note in found["notes"]:
        click.echo(f"note: {one_line(note)}")
    if found["patterns"]:
        click.echo(f"All of one: rondo patterns show {one_line(found['id'])} 1")


def _print_pattern(pattern: dict[str, Any]) -> None:
    output.facts(
        [
            ("pattern", pattern["name"]),
            ("calls", f"{pattern['calls']:,} ({pattern['before']:,} before)"),
            ("users", f"{pattern['users']:,}"),
            ("trend", _trend(pattern)),
            ("why", _counts(pattern["whys"])),
            ("releases", _counts(pattern["releases"])),
            ("models", _counts(pattern["models"])),
            ("words", ", ".join(pattern["terms"]) or None),
            ("first seen", when(pattern["first_seen"])),
            ("last seen", when(pattern["last_seen"])),
        ]
    )
    output.heading("examples")
    for example in pattern["examples"]:
        click.echo(f"  {example['trace_id']}  {one_line(example['question'])}")
    others = pattern["traces"][:_LISTED]
    output.heading("calls")
    for trace in others:
        click.echo(f"  {trace}")
    if len(pattern["traces"]) > len(others):
        click.echo(f"  and {len(pattern['traces']) - len(others):,} more: --json lists up to 500")


def _print_list(answer: dict[str, Any]) -> None:
    columns = [
        Column("WHEN", lambda row: when(row["created_at"])),
        Column("APP", lambda row: row["app"] or "all"),
        Column("WINDOW", lambda row: f"{when(row['since'])} to {when(row['until'])}"),
        Column("WRONG", lambda row: f"{row['wrong']:,}", right=True),
        Column("PATTERNS", lambda row: str(len(row["patterns"])), right=True),
        Column("BY", "created_by"),
        Column("ID", "id"),
    ]
    output.table(answer["runs"], columns, none="Nobody has looked for patterns yet.")


def _print_made(made: dict[str, Any]) -> None:
    for trace, example in made["tests"].items():
        click.echo(f"{one_line(made['dataset'])}  {example}  from {trace}")
    for trace, reason in made["left_out"].items():
        click.echo(f"left out: {trace}: {one_line(reason)}", err=True)
    click.echo("Every release has to pass them from now on, before its gate opens: rondo eval must-pass")


def _trend(pattern: output.Row) -> str:
    if pattern["trend"] == "unknown":
        return "unknown: no calls before"
    trend = "not enough evidence" if pattern["trend"] == "not_enough" else pattern["trend"]
    return f"{trend} ({pattern['low']:+.2%} to {pattern['high']:+.2%} of all calls)"


def _counts(counted: dict[str, int]) -> str | None:
    return ", ".join(f"{one_line(name)} {count:,}" for name, count in counted.items()) or None


_PATTERNS = [
    Column("#", lambda row: str(row["number"]), right=True),
    Column("PATTERN", "name", free=True),
    Column("CALLS", lambda row: f"{row['calls']:,}", right=True),
    Column("SHARE", lambda row: f"{row['share']:.1%}", right=True),
    Column("USERS", lambda row: f"{row['users']:,}", right=True),
    Column("TREND", _trend),
    Column("RELEASES", lambda row: ", ".join(row["releases"]), free=True),
    Column("FIRST SEEN", lambda row: when(row["first_seen"])),
]
