"""`rondo rollout`: a release that gets its traffic step by step, as the evidence lets it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from rondo.cli import output
from rondo.cli.apps import numbers, which
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.output import Colour, Column, one_line, when
from rondo.errors import InvalidRequest, NotFound

_LOOK_S = 1.0
COLOURS: dict[str, Colour] = {
    "running": "cyan",
    "scheduled": "cyan",
    "paused": "yellow",
    "promoted": "green",
    "reported": "green",
    "rolled_back": "red",
    "aborted": "red",
}
_ENDED = ("promoted", "reported", "rolled_back", "aborted")
_FAILED = ("rolled_back", "aborted")

_app = click.argument("app", required=False)
_reason = click.option("--reason", default="", help="Why; kept in the audit log.")
_follow = click.option("--follow", is_flag=True, help="Stay until it ends, and tell what happens.")


@click.group("rollout")
def command() -> None:
    """Roll a release out step by step: shadow, small shares, larger ones; back by itself where it is worse.

    Steps and guards are declared in [rollout] of rondo.toml; goals are the app's own.
    """


@command.command("start")
@click.argument("words", nargs=-1, required=True, metavar="[APP] N")
@click.option("--step", "steps", multiple=True, metavar="STEP", help='A step, as in [rollout]: "5% 30m". Repeatable.')
@click.option("--kind", type=click.Choice(["canary", "ab", "bandit"]), help="In place of the kind in [rollout].")
@click.option("--at", metavar="TIME", help="Begin then: 2026-12-01T09:00Z.")
@_reason
@click.option("--exception", metavar="REASON", help="In spite of the gate, at every step; the reason is kept.")
@_follow
@click.pass_context
@connected
async def start(
    api: Api,
    ctx: click.Context,
    *,
    words: tuple[str, ...],
    steps: tuple[str, ...],
    kind: str | None,
    at: str | None,
    reason: str,
    exception: str | None,
    follow: bool,
) -> None:
    """Begin to roll release N of APP out, beside a baseline of the stable release that is as large.

    The release must have passed the app's gate. One rollout goes on at a time; while it does, it alone moves the
    traffic, and `rondo rollback` ends it.
    """
    app, (number,) = numbers(words, 1, "rondo rollout start [APP] N")
    name = await which(api, app)
    asked = {"steps": list(steps) or None, "kind": kind, "at": at, "exception": exception}
    given = {key: value for key, value in asked.items() if value is not None}
    rollout = await api.post(f"{_path(name)}", {"release": number, "reason": reason, **given})
    await _shown(api, ctx, name, rollout, follow)


@command.command("status")
@_app
@_follow
@click.pass_context
@connected
async def status(api: Api, ctx: click.Context, app: str | None, follow: bool) -> None:
    """Show the rollout that goes on, or the last one: its steps, what it waits for, its verdicts."""
    name = await which(api, app)
    await _shown(api, ctx, name, await _last(api, name), follow)


@command.command("pause")
@_app
@_reason
@connected
async def pause(api: Api, app: str | None, reason: str) -> None:
    """Stay at the present step. Guards, and goals that get worse, roll back all the same."""
    await _act(api, app, "pause", {"reason": reason})


@command.command("resume")
@_app
@_reason
@connected
async def resume(api: Api, app: str | None, reason: str) -> None:
    """Go on; where it paused because callers do not fit the shares, in spite of that."""
    await _act(api, app, "resume", {"reason": reason})


@command.command("approve")
@_app
@_reason
@connected
async def approve(api: Api, app: str | None, reason: str) -> None:
    """Let it go on from a step `approve`. Whoever made the release cannot, unless an admin."""
    await _act(api, app, "approve", {"reason": reason})


@command.command("promote")
@_app
@_reason
@click.option("--exception", metavar="REASON", help="In spite of the gate; the reason is kept.")
@connected
async def promote(api: Api, app: str | None, reason: str, exception: str | None) -> None:
    """Skip what is left: the candidate serves everyone at once."""
    body = {"reason": reason, **({"exception": exception} if exception is not None else {})}
    await _act(api, app, "promote", body)


@command.command("abort")
@_app
@_reason
@connected
async def abort(api: Api, app: str | None, reason: str) -> None:
    """End it: the stable release serves everyone again, in under a second, everywhere."""
    await _act(api, app, "abort", {"reason": reason})


@command.command("history")
@_app
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="How many to show.")
@connected
async def history(api: Api, app: str | None, limit: int) -> None:
    """List the app's rollouts, newest first."""
    name = await which(api, app)
    columns = [
        Column("ID", "id"),
        Column("RELEASE", lambda row: f"#{row['release']} beside #{row['baseline']}"),
        Column("KIND", "kind"),
        Column("STATUS", lambda row: row["status"].replace("_", " ")),
        Column("BEGAN", lambda row: when(row["began_at"])),
        Column("ENDED", lambda row: when(row["ended_at"])),
        Column("BY", "created_by"),
        Column("WHY", "why", free=True),
    ]
    answer = await api.get(f"/api/apps/{segment(name)}/rollouts", limit=limit)
    api.show(answer, lambda told: output.table(told["rollouts"], columns, none="There was no rollout yet."))


@command.command("report")
@_app
@click.option("--id", "rollout_id", metavar="ROLLOUT", help="The rollout; the last one by default.")
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file.")
@connected
async def report(api: Api, app: str | None, rollout_id: str | None, markdown: Path | None) -> None:
    """Print the report of a rollout as Markdown: verdicts with their intervals, and what happened."""
    name = await which(api, app)
    if rollout_id is None:
        rollout_id = (await _last(api, name))["id"]
    path = f"/api/apps/{segment(name)}/rollouts/{segment(rollout_id)}/report"
    if api.wants_json:
        output.as_json(await api.get(path))
        return
    text = b"".join([part async for part in api.download(path, format="markdown")]).decode()
    if markdown is None:
        click.echo(output.plain(text), nl=False)
        return
    _write(markdown, text)


async def _last(api: Api, app: str) -> dict[str, Any]:
    """The rollout that goes on, or the last one. Raises NotFound."""
    rollout: dict[str, Any] | None = (await api.get(_path(app)))["rollout"]
    if rollout is None:
        raise NotFound(f"{app} has had no rollout.", remedy="`rondo rollout start N` begins one.")
    return rollout


def _write(path: Path, text: str) -> None:
    """Raises InvalidRequest."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror}.") from None


def told(rollout: dict[str, Any], *, label: str = "") -> None:
    """Print a rollout's steps and what it waits for, after a `label`."""
    margin = " " * len(label)
    state = output.paint(rollout["status"].replace("_", " "), COLOURS[rollout["status"]])
    head = f"{rollout['app']}#{rollout['release']} beside #{rollout['baseline']}  {state}"
    shares = f"  {rollout['share']:g}% beside {rollout['baseline_share']:g}%" if rollout["share"] else ""
    click.echo(f"{label}{head}{shares}  {rollout['id']}")
    marks = {"done": "✓", "now": "✗" if rollout["status"] in _FAILED else "→", "next": "·"}
    for step in rollout["steps"]:
        click.echo(f"{margin}  {marks[step['state']]} {step['words']}")
    if rollout["why"]:
        click.echo(f"{margin}{one_line(rollout['why'])}")
    for words in rollout["waits_for"]:
        click.echo(f"{margin}waits for {one_line(words)}")
    if rollout["fault"]:
        click.echo(output.paint(f"{margin}cannot go on: {one_line(rollout['fault'])}", "red"))


async def _act(api: Api, app: str | None, verb: str, body: dict[str, Any]) -> None:
    name = await which(api, app)
    api.show(await api.post(f"{_path(name)}/{verb}", body), told)


async def _shown(api: Api, ctx: click.Context, app: str, rollout: dict[str, Any], follow: bool) -> None:
    """The rollout; with `follow` what happens until its end, which is an exit code of 1 where it was rolled back."""
    if follow:
        rollout = await _followed(api, app, rollout)
    api.show(rollout, _print)
    if follow and rollout["status"] in _FAILED:
        ctx.exit(1)


async def _followed(api: Api, app: str, rollout: dict[str, Any]) -> dict[str, Any]:
    path, seen, waited = f"/api/apps/{segment(app)}/rollouts/{segment(rollout['id'])}", 0, ""
    while True:
        for event in rollout["events"][seen:]:
            click.echo(f"{when(event['at'])}  {one_line(event['sentence'])}", err=True)
        seen = len(rollout["events"])
        waits = rollout["fault"] or next((words for words in rollout["waits_for"] if not words.endswith(" more")), "")
        if waits and waits.split(":")[0] != waited:
            waited = waits.split(":")[0]
            click.echo(f"{' ' * 20}  waits for {one_line(waits)}", err=True)
        if rollout["status"] in _ENDED:
            return rollout
        await asyncio.sleep(_LOOK_S)
        rollout = await api.get(path)


def _print(rollout: dict[str, Any]) -> None:
    told(rollout)
    reading = rollout["reading"]
    if reading is not None:
        click.echo()
        _sides(reading)
        for words in rollout["left_out"]:
            click.echo(words)
        if reading["goals"]:
            click.echo()
            output.table(reading["goals"], _goal_columns(), none="")
    if rollout["events"]:
        output.heading("what happened")
        for event in rollout["events"]:
            by = "" if event["actor"] == "rollout" else f" ({event['actor']})"
            click.echo(f"  {when(event['at'])}  {one_line(event['sentence'] + by)}")
            if event["traces"]:
                click.echo(f"    calls that show it: {', '.join(map(one_line, event['traces']))}")


def _sides(reading: dict[str, Any]) -> None:
    for name in ("candidate", "baseline"):
        side = reading[name]
        click.echo(f"{name:<9}  {side['calls']:,} calls of {side['units']:,} callers")
    if reading["shadow_calls"]:
        click.echo(f"copies     {reading['shadow_calls']:,}")


def _goal_columns() -> list[Column]:
    return [
        Column("GOAL", lambda goal: goal["metric"] + ("" if goal["guarded"] else " (not guarded)")),
        Column("VERDICT", lambda goal: goal["verdict"].replace("_", " ")),
        Column("CANDIDATE", lambda goal: _number(goal["candidate"]), right=True),
        Column("BASELINE", lambda goal: _number(goal["baseline"]), right=True),
        Column("DIFFERENCE", lambda goal: _number(goal["difference"], "+"), right=True),
        Column("INTERVAL", _interval),
        Column("CALLERS", lambda goal: f"{goal['candidate_units']:,} / {goal['baseline_units']:,}", right=True),
        Column("", "note", free=True),
    ]


def _number(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.4g}"


def _interval(goal: output.Row) -> str:
    return "-" if goal["low"] is None or goal["high"] is None else f"[{goal['low']:+.3g}, {goal['high']:+.3g}]"


def _path(app: str) -> str:
    return f"/api/apps/{segment(app)}/rollout"
