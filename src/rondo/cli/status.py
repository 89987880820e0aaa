"""`rondo status`: what serves whom, how the goals stand, whether the records arrive."""

from __future__ import annotations

from typing import Any

import click

from rondo.cli import output
from rondo.cli.alerts import told_in_status
from rondo.cli.apps import who_serves
from rondo.cli.client import Api
from rondo.cli.connect import connected
from rondo.cli.output import Column


@click.command("status")
@click.argument("app", required=False)
@connected
async def command(api: Api, app: str | None) -> None:
    """Show what serves in every app, or in APP alone, how its goals stand, and whether records reach the store."""
    api.show(await api.get("/api/status", app=app), _print)


def _print(status: dict[str, Any]) -> None:
    view = status["overview"]
    click.echo(f"project {status['project']}, calls since {output.when(view['since'])}")
    if status["settings_fault"] is not None:
        said = f"rondo.toml needs mending; what is released serves as before: {status['settings_fault']}"
        click.echo(output.paint(output.one_line(said), "red"))
    if not view["apps"]:
        click.echo("\nThere is no app yet: `rondo release` makes one from a project folder.")
    for app in view["apps"]:
        output.heading(app["app"])
        click.echo(f"  serving  {who_serves(app)}")
        if app["shadows"]:
            click.echo(f"  copied to  {', '.join(f'{name} {share:g}%' for name, share in app['shadows'].items())}")
        _print_rollout([each for each in status["rollouts"] if each["app"] == app["app"]])
        for alert in status.get("alerts", []):
            if alert["app"] == app["app"]:
                told_in_status(alert)
        _print_live([each for each in status["live"] if each["app"] == app["app"]])
        _print_gate(app["gate"])
        if app["goals"]:
            click.echo()
            output.table(app["goals"], _goal_columns(), none="", indent=2)
    output.heading("records")
    _print_drain(status["drain"])
    if status["telemetry"] is not None:
        _print_telemetry(status["telemetry"])


def _print_rollout(rollouts: list[dict[str, Any]]) -> None:
    for rollout in rollouts:
        click.echo(f"  rollout  {output.one_line(rollout['summary'])}")
        for words in [rollout["why"], *rollout["waits_for"]]:
            click.echo(f"           {output.one_line(words)}" if words else "", nl=bool(words))
        if rollout["fault"]:
            click.echo(output.paint(f"           cannot go on: {output.one_line(rollout['fault'])}", "red"))


def _print_live(live: list[dict[str, Any]]) -> None:
    for each in live:
        spent = f"${each['spent_usd']:.4g}"
        budget = "" if each["budget_usd"] is None else f" of ${each['budget_usd']:g}"
        late = f", the oldest for {each['lag_s']:.1f} s" if each["waiting"] else ""
        click.echo(
            f"  judged   {each['scored']:,} calls by {', '.join(each['scorers']) or 'nothing'};"
            f" {each['waiting']:,} waiting{late}; {spent}{budget} spent today"
        )
        for words in (each["fault"], each["last_error"], each["resting"]):
            if words:
                click.echo(output.paint(f"           {output.one_line(words)}", "yellow"))


def _print_telemetry(told: dict[str, Any]) -> None:
    click.echo(
        f"  told to {told['endpoint']}: {told['calls']:,} calls, {told['scores']:,} scores, {told['behind']:,} behind"
    )
    for words in (told["retrying"], told["fault"], told["last_refusal"]):
        if words:
            click.echo(output.paint(f"           {output.one_line(words)}", "red"))


def _print_gate(gate: dict[str, Any]) -> None:
    if gate["suites"] is None:
        click.echo("  gate     none is declared: any release may take traffic")
        return
    click.echo(f"  gate     releases must pass {', '.join(gate['suites'])}")
    if gate["exception"] is not None:
        by = gate["exception"]
        said = output.one_line(f"the stable release serves by an exception of {by['created_by']}: {by['reason']}")
        click.echo(output.paint(f"           {said}", "yellow"))
    for number, by in sorted(gate.get("excepted", {}).items(), key=lambda item: int(item[0])):
        said = output.one_line(f"the candidate #{number} serves by an exception of {by['created_by']}: {by['reason']}")
        click.echo(output.paint(f"           {said}", "yellow"))
    if gate["waiting"] is not None:
        click.echo(f"           #{gate['waiting']} {gate['verdict']}: {output.one_line(gate['sentence'])}")


def _goal_columns() -> list[Column]:
    return [
        Column("GOAL", "metric"),
        Column("WANTED", _wanted),
        Column("MEASURED", _measured, right=True),
        Column("", _verdict),
    ]


def _wanted(goal: output.Row) -> str:
    if goal.get("at_least") is not None:
        return f"at least {goal['at_least']:g}"
    return f"at most {goal['at_most']:g}"


def _measured(goal: output.Row) -> str:
    """The live value; else what the newest evaluation found."""
    if goal.get("scored") is not None:
        return f"{_with_ends(goal['scored'])} of {goal['scored']['calls']:,} calls"
    if goal.get("value") is not None:
        return f"{goal['value']:.6g}"
    found = goal.get("evaluated")
    if found is None:
        return output.UNKNOWN
    return _with_ends(found)


def _with_ends(found: dict[str, Any]) -> str:
    ends = [output.UNKNOWN if found[end] is None else f"{found[end]:.4g}" for end in ("low", "high")]
    return f"{found['value']:.4g} [{', '.join(ends)}]"


def _verdict(goal: output.Row) -> str:
    found = goal.get("evaluated")
    if found is not None:
        return f"{goal['standing'].replace('_', ' ')}, by {found['run']} of #{found['release']}; not measured live yet"
    return {True: "met", False: "MISSED", None: "not measured yet"}[goal.get("met")]


def _print_drain(drain: dict[str, Any]) -> None:
    oldest = drain.get("oldest_queued_s")
    waiting = f", the oldest for {oldest:.1f} s" if drain["queued"] and oldest is not None else ""
    click.echo(f"  accepted {drain['accepted']:,} = stored {drain['stored']:,} + queued {drain['queued']:,}{waiting}")
    if drain.get("quarantined"):
        click.echo(f"  quarantined {drain['quarantined']:,}: the store cannot read them; they are kept whole")
    if drain.get("torn_bytes"):
        click.echo(f"  {drain['torn_bytes']:,} bytes of unfinished records were cut off at the last start")
    if drain.get("last_error"):
        click.echo(output.paint(f"  the store fails: {output.one_line(drain['last_error'])}", "red"))
