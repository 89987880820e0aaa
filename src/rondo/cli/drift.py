"""`rondo drift`: whether what is asked, found and answered changes."""

from __future__ import annotations

from typing import Any

import click

from rondo.cli import output
from rondo.cli.apps import which
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.default_command import DefaultCommand
from rondo.cli.moments import Moment
from rondo.cli.output import Colour, Column, one_line, when

COLOURS: dict[str, Colour] = {"drifted": "red", "steady": "green", "not_enough": "yellow"}
_WORDS = {"drifted": "drifted", "steady": "steady", "not_enough": "not enough"}
_SHOWN = 3

_app = click.argument("app", required=False)


@click.group("drift", cls=DefaultCommand, default="show")
def command() -> None:
    """Compare a window of calls with those before it: what is asked, found and answered.

    [drift] of rondo.toml says how often that happens by itself. One call of each user counts.
    """


@command.command("run")
@_app
@click.option("--window", metavar="SPAN", help="The calls that are looked at: 24h, 7d. By default as [drift] says.")
@click.option("--reference", metavar="SPAN", help="The calls before them that they are compared with.")
@click.option("--until", type=Moment(), help="Where the window ends; by default now.")
@connected
async def run(api: Api, app: str | None, **asked: str | None) -> None:
    """Look now. The report is kept; the schedule goes on as it would have."""
    name = await which(api, app)
    given = {key: value for key, value in asked.items() if value is not None}
    report = await api.post(f"/api/apps/{segment(name)}/drift", given, slow=True)
    api.show(report, lambda told: _print(told, []))


@command.command("show")
@_app
@click.option("--id", "report_id", metavar="ID", help="This report, instead of the newest.")
@connected
async def show(api: Api, app: str | None, report_id: str | None) -> None:
    """Show the newest report: every check, and the topics that are new, grown or gone."""
    name = await which(api, app)
    if report_id is not None:
        report = await api.get(f"/api/apps/{segment(name)}/drift/reports/{segment(report_id)}")
        api.show(report, lambda told: _print(told, []))
        return
    api.show(await api.get(f"/api/apps/{segment(name)}/drift"), _print_newest)


@command.command("list")
@_app
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many to show.")
@connected
async def list_(api: Api, app: str | None, limit: int) -> None:
    """List an app's reports, that of the newest window first."""
    name = await which(api, app)
    api.show(await api.get(f"/api/apps/{segment(name)}/drift/reports", limit=limit), _print_list)


def _print_newest(told: dict[str, Any]) -> None:
    if told["report"] is None:
        click.echo("There is no report yet: `rondo drift run` makes one, [drift] of rondo.toml makes them by itself.")
        return
    _print(told["report"], told["lasting"])


def _print(report: dict[str, Any], lasting: list[str]) -> None:
    verdict = output.paint(_WORDS[report["verdict"]], COLOURS[report["verdict"]])
    before, now = report["units"]
    click.echo(f"{one_line(report['app'])}  {verdict}  {when(report['since'])} to {when(report['until'])}")
    output.facts(
        [
            ("reference", f"{when(report['reference_since'])} to {when(report['since'])}"),
            ("users", f"{before:,} before, {now:,} now (one call of each)"),
            ("compared by", report["vectors"]),
            ("id", report["id"]),
        ]
    )
    output.table(report["checks"], _CHECKS, none="")
    for check in report["checks"]:
        if check["verdict"] == "drifted":
            _print_drifted(check, check["name"] in lasting)
    changed = [topic for topic in report["topics"] if topic["change"] != "steady"]
    if report["topics"]:
        output.heading("topics")
        output.table(changed, _TOPICS, none=f"None of {len(report['topics'])} has changed.", indent=2)
    for note in report["notes"]:
        click.echo(f"note: {one_line(note)}")


def _print_drifted(check: dict[str, Any], lasts: bool) -> None:
    output.heading(one_line(check["title"]).lower())
    click.echo(f"  {one_line(check['sentence'])}" + (" Two windows in a row." if lasts else ""))
    click.echo(f"  {one_line(check['next_step'])}")
    for example in check["examples"][:_SHOWN]:
        click.echo(f"    {example['trace_id']}  {one_line(example['question'])}")


def _print_list(answer: dict[str, Any]) -> None:
    columns = [
        Column("WINDOW", lambda row: f"{when(row['since'])} to {when(row['until'])}"),
        Column("VERDICT", lambda row: _WORDS[row["verdict"]]),
        Column("USERS", lambda row: f"{row['units'][0]:,} / {row['units'][1]:,}", right=True),
        Column("DRIFTED", lambda row: ", ".join(_drifted(row)) or "-", free=True),
        Column("BY", "created_by"),
        Column("ID", "id"),
    ]
    output.table(answer["reports"], columns, none="There is no report yet.")


def _drifted(report: output.Row) -> list[str]:
    return [str(check["name"]) for check in report["checks"] if check["verdict"] == "drifted"]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


_CHECKS = [
    Column("CHECK", "name"),
    Column("OF", "part"),
    Column("VERDICT", lambda row: _WORDS[row["verdict"]]),
    Column("P", lambda row: _number(row["corrected"]), right=True),
    Column("EFFECT", lambda row: _number(row["effect"]), right=True),
    Column("WHAT", lambda row: row["sentence"], free=True),
]
_TOPICS = [
    Column("TOPIC", "name", free=True),
    Column("CHANGE", "change"),
    Column("BEFORE", lambda row: f"{row['before']:.1%}", right=True),
    Column("NOW", lambda row: f"{row['now']:.1%}", right=True),
    Column("DIFFERENCE", lambda row: f"{row['low']:+.1%} to {row['high']:+.1%}", right=True),
]
