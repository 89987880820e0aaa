"""`rondo reviews`: answers that people look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO

import click

from rondo.cli import output
from rondo.cli.calls import write_out
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.moments import Moment
from rondo.cli.output import Column
from rondo.errors import InvalidRequest

_SOURCES = ("asked", "thumbs_down", "disputed", "sampled")
_STATUSES = ("open", "disputed", "done", "dismissed")
_FORMATS = ("jsonl", "csv", "label-studio", "label-studio-config")


@click.group("reviews")
def command() -> None:
    """Review answers: the queue, what people say, how far they agree."""


@command.command("list")
@click.option("--app", help="Only answers of this app.")
@click.option("--source", type=click.Choice(_SOURCES), help="Only answers that are in the queue for this.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only items of this status.")
@click.option("--waiting", is_flag=True, help="Only what waits for an answer of yours, oldest first.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many to show.")
@click.option("--after", metavar="CURSOR", help="Go on from where a list ended.")
@connected
async def list_(api: Api, *, waiting: bool, **filters: Any) -> None:
    """List the queue: what waits oldest first, all else newest first."""
    answer = await api.get("/api/reviews", **filters, waiting=True if waiting else None)
    api.show(answer, _print_list)


@command.command("show")
@click.argument("item", metavar="ID")
@connected
async def show(api: Api, item: str) -> None:
    """Show the item ID: the call, the rubric, and the answers that you may see."""
    told = await api.get(f"/api/reviews/{segment(item)}")
    if api.wants_json:
        output.as_json(told)
        return
    calls = await api.get("/api/calls", trace_id=told["item"]["trace_id"], limit=1)
    _print_item(told, calls["items"])


@command.command("add")
@click.argument("trace")
@click.option("--note", default="", help="Why people should look at it.")
@connected
async def add(api: Api, trace: str, note: str) -> None:
    """Put the call with the id TRACE into the queue."""
    answer = await api.post("/api/reviews", {"trace_id": trace, "note": note})
    word = "added" if answer["created"] else f"already {answer['item']['status']}:"
    api.show(answer, lambda told: click.echo(f"{word} {output.one_line(told['item']['id'])}"))


@command.command("answer")
@click.argument("item", metavar="ID")
@click.option("--score", "-s", "scores", multiple=True, metavar="CRITERION=N", help="A score; `-` where you can't say.")
@click.option("--comment", default="", help="More about it, in words.")
@click.option("--expected", help="What should have been answered.")
@connected
async def answer(api: Api, item: str, scores: tuple[str, ...], comment: str, expected: str | None) -> None:
    """Say what you think of the item ID; again, in the place of what you said before."""
    body = {"scores": _scores(scores), "comment": comment, "expected": expected}
    _print_state(api, await api.post(f"/api/reviews/{segment(item)}/answer", body))


@command.command("adjudicate")
@click.argument("item", metavar="ID")
@click.option("--score", "-s", "scores", multiple=True, metavar="CRITERION=N", help="A score; `-` where you can't say.")
@click.option("--comment", default="", help="Why, in words.")
@click.option("--expected", help="What should have been answered.")
@connected
async def adjudicate(api: Api, item: str, scores: tuple[str, ...], comment: str, expected: str | None) -> None:
    """Settle the dispute about the item ID: your scores stand."""
    body = {"scores": _scores(scores), "comment": comment, "expected": expected}
    _print_state(api, await api.post(f"/api/reviews/{segment(item)}/adjudicate", body))


@command.command("dismiss")
@click.argument("item", metavar="ID")
@click.option("--reason", required=True, help="Why it needs no review; it is kept in the audit trail.")
@connected
async def dismiss(api: Api, item: str, reason: str) -> None:
    """Take the item ID out of the queue without a verdict."""
    _print_state(api, await api.post(f"/api/reviews/{segment(item)}/dismiss", {"reason": reason}))


@command.command("reopen")
@click.argument("item", metavar="ID")
@click.option("--reason", required=True, help="Why it is reviewed anew; it is kept in the audit trail.")
@connected
async def reopen(api: Api, item: str, reason: str) -> None:
    """Have the item ID, which is done or dismissed, reviewed anew; what was said of it is put aside."""
    _print_state(api, await api.post(f"/api/reviews/{segment(item)}/reopen", {"reason": reason}))


@command.command("collect")
@click.option("--since", type=Moment(), help="Only what came in later: 24h, or a time; a week ago at most.")
@connected
async def collect(api: Api, since: str | None) -> None:
    """Look now for calls that belong into the queue; the server does so every minute."""
    api.show(await api.post("/api/reviews/collect", {"since": since}), _print_collected)


@command.command("agreement")
@click.option("--app", help="Only answers of this app.")
@click.option("--since", type=Moment(), help="Only items that came in later: 7d, or a time like 2026-11-21T10:00:00Z.")
@connected
async def agreement_(api: Api, app: str | None, since: str | None) -> None:
    """Show how far reviewers agree, by criterion, with 95 % intervals."""
    api.show(await api.get("/api/reviews/agreement", app=app, since=since), _print_agreement)


@command.command("export")
@click.option(
    "--format", "format_", type=click.Choice(_FORMATS), default="jsonl", show_default=True, help="What to write."
)
@click.option(
    "--output", "-o", "target", type=click.Path(dir_okay=False, path_type=Path), help="The file; else the screen."
)
@click.option("--app", help="Only answers of this app.")
@click.option("--source", type=click.Choice(_SOURCES), help="Only answers that are in the queue for this.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only items of this status.")
@click.option("--since", type=Moment(), help="Only items that came in later.")
@click.option("--predictions", is_flag=True, help="Put judges' scores into tasks for Label Studio.")
@connected
async def export(api: Api, format_: str, target: Path | None, *, predictions: bool, **filters: Any) -> None:
    """Write reviews as JSON lines or CSV, or as tasks for Label Studio, or the configuration for those."""
    parts = api.download("/api/reviews/export", format=format_, predictions=True if predictions else None, **filters)
    await write_out(parts, target)


@command.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--reviewer", "reviewers", multiple=True, metavar="ANNOTATOR=NAME", help="Who an annotator is here.")
@connected
async def import_(api: Api, file: BinaryIO, reviewers: tuple[str, ...]) -> None:
    """Take the annotations of FILE, exported from Label Studio as JSON."""
    named = dict(_pair(word, "--reviewer", "anna@example.org=anna") for word in reviewers)
    answer = await api.upload(
        "/api/reviews/import",
        file.read(),
        content_type="application/json",
        reviewers=json.dumps(named) if named else None,
    )
    api.show(answer, _print_imported)


def _scores(words: tuple[str, ...]) -> dict[str, int | None]:
    """Raises InvalidRequest."""
    found: dict[str, int | None] = {}
    for word in words:
        name, value = _pair(word, "--score", "accuracy=4")
        if value != "-" and not (value.isascii() and value.isdigit()):
            raise InvalidRequest(
                f"{word!r} is no score.", remedy="Write it as accuracy=4, or accuracy=-.", param="score"
            )
        found[name] = None if value == "-" else int(value)
    return found


def _pair(word: str, option: str, example: str) -> tuple[str, str]:
    name, equals, value = word.rpartition("=")
    if not (equals and name and value):
        raise InvalidRequest(f"{option} cannot be {word!r}.", remedy=f"Write it as {example}.", param=option)
    return name, value


def _print_list(answer: dict[str, Any]) -> None:
    totals = answer["totals"]
    columns = [
        Column("ID", lambda row: row["item"]["id"]),
        Column("STATUS", lambda row: row["item"]["status"]),
        Column("SOURCE", lambda row: row["item"]["source"]),
        Column("ANSWERS", lambda row: f"{row['answers']}/{row['item']['reviewers']}", right=True),
        Column(
            "APP", lambda row: f"{row['item']['app']}#{row['release']}" if row.get("release") else row["item"]["app"]
        ),
        Column("SINCE", lambda row: output.when(row["item"]["created_at"])),
        Column("QUESTION", "question", free=True),
    ]
    output.table(answer["items"], columns, none="No reviews that match.")
    click.echo(", ".join(f"{totals[name]:,} {name}" for name in ("waiting", *_STATUSES)))
    if answer["after"]:
        click.echo(f"There are more: --after {answer['after']}")


def _print_item(shown: dict[str, Any], calls: list[dict[str, Any]]) -> None:
    item = shown["item"]
    output.facts(
        [
            ("id", item["id"]),
            ("status", item["status"]),
            ("source", item["source"]),
            ("note", item["note"]),
            ("trace", item["trace_id"]),
            ("answers", f"{shown['answered']} of {item['reviewers']}"),
            ("since", output.when(item["created_at"])),
        ]
    )
    for call in calls:
        output.heading("question")
        output.block(call["question"] or "")
        output.heading("answer")
        output.block(call["answer"] or "")
    output.heading("rubric")
    for criterion in item["rubric"]:
        scale = f"{criterion['lowest']} to {criterion['highest']}"
        output.block(f"{criterion['name']} ({scale}): {criterion['question']}")
    for each in shown["answers"]:
        output.heading(f"{each['reviewer']}{' settled it' if each['adjudicates'] else ''}")
        output.facts(
            [(name, "can't say" if score is None else score) for name, score in each["scores"].items()], indent=2
        )
        for name in ("comment", "expected"):
            if each[name]:
                output.block(f"{name}: {each[name]}")
    if shown["final"]:
        output.heading("stands")
        output.facts([(name, f"{score:g}") for name, score in shown["final"].items()], indent=2)


def _print_state(api: Api, answer: dict[str, Any]) -> None:
    api.show(answer, lambda told: click.echo(f"{output.one_line(told['item']['id'])} is {told['item']['status']}"))


def _print_collected(answer: dict[str, Any]) -> None:
    added = answer["added"]
    words = ", ".join(f"{number:,} {source}" for source, number in added.items())
    click.echo(f"added {words}" if added else "There are no new calls to be reviewed.")
    if answer["left_over"]:
        click.echo("There are more; look again.")


def _print_agreement(answer: dict[str, Any]) -> None:
    columns = [
        Column("CRITERION", "criterion"),
        Column("ALPHA", lambda row: _figure(row["alpha"])),
        Column("ITEMS", lambda row: output.count(row["items"]), right=True),
        Column("SAME SCORE", lambda row: "-" if row["same"] is None else f"{row['same']:.0%}", right=True),
    ]
    output.table(answer["criteria"], columns, none="No answer has been reviewed by two people yet.")
    if answer["pairs"]:
        click.echo()
        pairs = [
            Column("REVIEWERS", lambda row: f"{row['one']}, {row['other']}"),
            Column("CRITERION", "criterion"),
            Column("KAPPA", lambda row: _figure(row["kappa"])),
            Column("ITEMS", lambda row: output.count(row["items"]), right=True),
        ]
        output.table(answer["pairs"], pairs, none="")
    click.echo(f"{answer['items']:,} reviewed by two or more, {answer['disputed']:,} of them disputed")


def _figure(value: dict[str, Any]) -> str:
    if value["value"] is None:
        return "-"
    between = "" if value["low"] is None else f" ({value['low']:.2f} to {value['high']:.2f})"
    return f"{value['value']:.2f}{between}"


def _print_imported(answer: dict[str, Any]) -> None:
    click.echo(
        f"{answer['answers']:,} answers taken, {answer['unchanged']:,} were there already, {answer['skipped']:,}"
        f" cancelled, {answer['failed']:,} failed; {answer['done']:,} items done, {answer['disputed']:,} disputed"
    )
    for problem in answer["problems"]:
        click.echo(f"{output.one_line(problem['where'])}: {output.one_line(problem['message'])}")
    for name, number in answer["ignored"].items():
        click.echo(f"ignored {number:,} results of the control {json.dumps(output.one_line(name))}")
