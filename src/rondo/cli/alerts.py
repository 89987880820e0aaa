"""`rondo alerts`: what fires, who looks after it, what is silent, and whether a channel works."""

from __future__ import annotations

from typing import Any

import click

from rondo.cli import output
from rondo.cli.apps import which
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.default_command import DefaultCommand
from rondo.cli.output import Colour, Column, one_line, when

COLOURS: dict[str, Colour] = {
    "firing": "red",
    "no data": "yellow",
    "pending": "yellow",
    "acknowledged": "cyan",
    "silenced": "cyan",
    "resolved": "green",
    "ok": "green",
}
_SEVERITIES = click.Choice(["info", "warning", "critical"])
_alert = click.argument("alert")
_note = click.option("--note", default="", help="Why, or what is done about it; kept with the alert.")


@click.group("alerts", cls=DefaultCommand, default="list")
def command() -> None:
    """Show alerts, look after them, silence them, and try their channels out.

    Every goal of an app is an alert. What else is watched, and who is told, is declared in [alerts] of rondo.toml.
    """


@command.command("list")
@click.option("--app", help="Only of this app.")
@click.option("--all", "everything", is_flag=True, help="Also those that are over, and all that is watched.")
@connected
async def list_(api: Api, app: str | None, everything: bool) -> None:
    """List open alerts, the worst first."""

    def show(told: dict[str, Any]) -> None:
        output.table(told["open"], _columns(), none="No alert is open.")
        for fault in told["faults"]:
            click.echo(output.paint(one_line(fault), "red"), err=True)
        if everything:
            output.heading("over")
            output.table(told["ended"], _columns(), none="There was none.", indent=2)
            output.heading("watched")
            output.table(told["rules"], _rule_columns(), none="Nothing is watched.", indent=2)
            _print_undelivered(told["undelivered"])

    api.show(await api.get("/api/alerts", app=app), show)


@command.command("show")
@_alert
@connected
async def show(api: Api, alert: str) -> None:
    """Show one alert: what became of it, the calls behind it, what came with it, and who was told."""
    api.show(await api.get(_path(alert)), _print)


@command.command("ack")
@_alert
@_note
@connected
async def ack(api: Api, alert: str, note: str) -> None:
    """Look after ALERT: nobody is told of it again until it is over, or much worse."""
    api.show(await api.post(f"{_path(alert)}/acknowledge", {"note": note}), _print)


@command.command("resolve")
@_alert
@_note
@connected
async def resolve(api: Api, alert: str, note: str) -> None:
    """Say that ALERT is over. Where it is not, another begins."""
    api.show(await api.post(f"{_path(alert)}/resolve", {"note": note}), _print)


@command.command("silence")
@click.option("--app", help="Of this app; of all by default.")
@click.option("--rule", help="Of this rule; of all by default.")
@click.option("--severity", type=_SEVERITIES, help="Of this severity; of all by default.")
@click.option("--for", "lasting", metavar="TIME", help="For how long: 30m, 2h, 3d.")
@click.option("--until", metavar="TIME", help="Until when: 2026-12-01T09:00Z.")
@click.option("--reason", required=True, help="Why; kept in the audit log.")
@connected
async def silence(
    api: Api,
    *,
    app: str | None,
    rule: str | None,
    severity: str | None,
    lasting: str | None,
    until: str | None,
    reason: str,
) -> None:
    """Tell nobody of alerts that match, for a while. They are shown as ever."""
    wanted = {"app": app, "rule": rule, "severity": severity, "lasting": lasting, "until": until, "reason": reason}
    api.show(
        await api.post("/api/alerts/silences", wanted),
        lambda made: click.echo(f"{made['id']}: silent until {when(made['until'])}"),
    )


@command.command("silences")
@connected
async def silences(api: Api) -> None:
    """List the silences that are not over."""
    columns = [
        Column("ID", "id"),
        Column("APP", lambda row: row["app"] or "all"),
        Column("RULE", lambda row: row["rule"] or "all", free=True),
        Column("SEVERITY", lambda row: row["severity"] or "all"),
        Column("UNTIL", lambda row: when(row["until"])),
        Column("BY", "created_by"),
        Column("WHY", "reason", free=True),
    ]
    told = await api.get("/api/alerts")
    api.show(told["silences"], lambda rows: output.table(rows, columns, none="Nothing is silenced."))


@command.command("unsilence")
@click.argument("silence_id", metavar="SILENCE")
@connected
async def unsilence(api: Api, silence_id: str) -> None:
    """End SILENCE now."""
    answer = await api.delete(f"/api/alerts/silences/{segment(silence_id)}")
    api.show(answer, lambda told: click.echo(f"{one_line(told['ended'])} has ended"))


@command.command("test")
@click.argument("channel")
@click.option("--app", help="The app whose channel it is.")
@click.pass_context
@connected
async def test(api: Api, ctx: click.Context, channel: str, app: str | None) -> None:
    """Send a test to CHANNEL, as [alerts.channels] of the app's latest release has it."""
    name = await which(api, app)
    answer = await api.post(f"/api/apps/{segment(name)}/alerts/channels/{segment(channel)}/test", {}, slow=True)
    told = "it arrived" if answer["sent"] else output.paint("it did not arrive", "red")
    if answer["error"]:
        told += output.paint(f": {one_line(answer['error'])}", "yellow" if answer["sent"] else "red")
    api.show(answer, lambda _: click.echo(f"{one_line(channel)} of {name}: {told}"))
    if not answer["sent"]:
        ctx.exit(1)


def told_in_status(alert: dict[str, Any]) -> None:
    """A line for `rondo status`."""
    state = output.paint(alert["state"], COLOURS.get(alert["state"], "red"))
    click.echo(f"  alert    {state} {one_line(alert['rule'])}: {one_line(alert['sentence'])}  {alert['id']}")


def _print(told: dict[str, Any]) -> None:
    alert = told["alert"]
    state = output.paint(told["state"], COLOURS.get(told["state"], "red"))
    click.echo(f"{one_line(alert['app'])}: {one_line(alert['rule'])}  {alert['severity']}  {state}  {alert['id']}")
    click.echo(one_line(alert["seen"]["sentence"]))
    facts: list[tuple[str, object]] = [("began", when(alert["began_at"]))]
    if alert["worst"]["sentence"] != alert["seen"]["sentence"]:
        facts.append(("at worst", one_line(alert["worst"]["sentence"])))
    if told["release"]:
        facts.append(("came with", one_line(told["release"])))
    if alert["worst"]["traces"]:
        facts.append(("calls", ", ".join(alert["worst"]["traces"])))
    if told["calls"]:
        facts.append(("all of them", one_line(told["calls"])))
    output.facts(facts, indent=2)
    if told["events"]:
        output.heading("what happened")
        for event in told["events"]:
            click.echo(f"  {when(event['at'])}  {event['kind']:<12}  {one_line(event['sentence'])}")
    if told["notices"]:
        output.heading("who was told")
        output.table(told["notices"], _notice_columns(), none="", indent=2)


def _print_undelivered(notices: list[dict[str, Any]]) -> None:
    if notices:
        output.heading("not delivered")
        output.table(notices, _notice_columns(), none="", indent=2)


def _columns() -> list[Column]:
    return [
        Column("ID", lambda row: row["alert"]["id"]),
        Column("APP", lambda row: row["alert"]["app"]),
        Column("RULE", lambda row: row["alert"]["rule"], free=True),
        Column("SEVERITY", lambda row: row["alert"]["severity"]),
        Column("STATE", "state"),
        Column("SINCE", lambda row: when(row["alert"]["fired_at"] or row["alert"]["began_at"])),
        Column("WHAT", lambda row: row["alert"]["seen"]["sentence"], free=True),
    ]


def _rule_columns() -> list[Column]:
    return [
        Column("APP", lambda row: row["rule"]["app"]),
        Column("RULE", lambda row: row["rule"]["name"], free=True),
        Column("STATE", "state"),
        Column("NOW", "sentence", free=True),
    ]


def _notice_columns() -> list[Column]:
    return [
        Column("CHANNEL", "channel"),
        Column("WHAT", "kind"),
        Column("STATUS", "status"),
        Column("TRIES", lambda row: str(row["attempts"]), right=True),
        Column("AT", lambda row: when(row["ended_at"] or row["created_at"])),
        Column("ERROR", lambda row: row["error"] or "", free=True),
    ]


def _path(alert: str) -> str:
    return f"/api/alerts/{segment(alert)}"
