"""`rondo limits`: how much a project, an app, a key or a user may use."""

from __future__ import annotations

from typing import Any

import click

from rondo.cli import output
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.output import Column
from rondo.settings.table import nearest


@click.group("limits")
def command() -> None:
    """Set limits and budgets, and show how much of them is used.

    A SCOPE is project, app:NAME, key:ID (or the key's name) or user:NAME; or app:*, key:* or user:*, which holds for
    each of them that has no limit of its own.
    """


@command.command("list")
@connected
async def list_(api: Api) -> None:
    """List all limits, as they were set."""
    columns = [
        Column("SCOPE", "scope", free=True),
        Column("REQUESTS/MIN", lambda row: _count(row.get("requests_per_minute")), right=True),
        Column("TOKENS/MIN", lambda row: _count(row.get("tokens_per_minute")), right=True),
        Column("CONCURRENT", lambda row: _count(row.get("concurrent")), right=True),
        Column("USD/DAY", lambda row: _money(row.get("usd_per_day")), right=True),
        Column("USD/MONTH", lambda row: _money(row.get("usd_per_month")), right=True),
        Column("ALERT AT", lambda row: ", ".join(f"{share * 100:g}%" for share in row.get("alert_at", []))),
        Column("SET", lambda row: output.when(row["updated_at"])),
        Column("BY", "updated_by", free=True),
    ]
    api.show(
        await api.get("/api/limits"), lambda told: output.table(told["limits"], columns, none="There are no limits.")
    )


@command.command("set")
@click.argument("scope")
@click.option("--requests-per-minute", type=int, help="Requests in any minute.")
@click.option("--tokens-per-minute", type=int, help="Tokens in any minute, of questions and answers.")
@click.option("--concurrent", type=int, help="Calls at the same time.")
@click.option("--usd-per-day", metavar="USD", help="Money in a day (UTC).")
@click.option("--usd-per-month", metavar="USD", help="Money in a calendar month (UTC).")
@click.option(
    "--alert-at",
    type=float,
    multiple=True,
    metavar="SHARE",
    help="A share of a budget, e.g. 0.8, that is logged when it is reached; may be given more than once."
    " By default 0.5, 0.8 and 1.",
)
@connected
async def set_(
    api: Api,
    scope: str,
    *,
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
    concurrent: int | None,
    usd_per_day: str | None,
    usd_per_month: str | None,
    alert_at: tuple[float, ...],
) -> None:
    """Set the limit of SCOPE. It takes the place of the one it has; what is left out is not limited."""
    wanted: dict[str, Any] = {
        "scope": scope,
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "concurrent": concurrent,
        "usd_per_day": usd_per_day,
        "usd_per_month": usd_per_month,
    }
    if alert_at:
        wanted["alert_at"] = list(alert_at)
    api.show(
        await api.post("/api/limits", wanted), lambda told: click.echo(f"limited {output.one_line(told['scope'])}")
    )
    await _warn_of_unknown_app(api, scope)


async def _warn_of_unknown_app(api: Api, scope: str) -> None:
    """A limit may be there before its app. A misspelt one would hold for nobody, ever."""
    kind, _, name = scope.partition(":")
    if kind == "app" and name != "*":
        known = {each["name"]: None for each in (await api.get("/api/apps"))["apps"]}
        if name not in known:
            click.echo(f"warning: no app is called {name!r} yet.{nearest(name, known)}", err=True)


@command.command("remove")
@click.argument("scope")
@connected
async def remove(api: Api, scope: str) -> None:
    """End the limit of SCOPE."""
    answer = await api.delete(f"/api/limits/{segment(scope)}")
    api.show(answer, lambda told: click.echo(f"{output.one_line(told['scope'])} has no limit any more"))


@command.command("status")
@connected
async def status(api: Api) -> None:
    """Show how much of each limit is used now, and the alerts."""
    api.show(await api.get("/api/limits/status"), _print_status)


def _print_status(told: dict[str, Any]) -> None:
    columns = [
        Column("LIMIT", "scope", free=True),
        Column("OF", "name", free=True),
        Column("REQUESTS/MIN", lambda row: _of(row["requests"], row["requests_per_minute"]), right=True),
        Column("TOKENS/MIN", lambda row: _of(row["tokens"], row["tokens_per_minute"]), right=True),
        Column("CONCURRENT", lambda row: _of(row["concurrent"], row["most_concurrent"]), right=True),
        Column("TODAY", lambda row: _budget(row, "day"), right=True),
        Column("THIS MONTH", lambda row: _budget(row, "month"), right=True),
        Column("ALERT", _alert),
    ]
    ledger = told["ledger"]
    if ledger["away_since"] is not None:
        what = "refused" if ledger["fail"] == "closed" else "let through uncounted"
        words = (
            f"Redis is away since {output.when(ledger['away_since'])} ({ledger['reason']}): requests with a limit are"
        )
        click.echo(output.paint(output.one_line(f"{words} {what}."), "red"))
    else:
        click.echo(f"limits are counted in {'Redis' if ledger['backend'] == 'redis' else 'the server'}")
    if ledger["refused"] or ledger["passed"]:
        click.echo(f"unchecked so far: {ledger['refused']:,} refused, {ledger['passed']:,} let through")
    click.echo()
    output.table(told["uses"], columns, none="Nothing is limited, or nobody has used it yet.")


def _of(used: int, allowed: int | None) -> str:
    return "-" if allowed is None else f"{used:,} of {allowed:,}"


def _budget(use: output.Row, period: str) -> str:
    for budget in use["budgets"]:
        if budget["period"] == period:
            held = f" (+{_money(budget['reserved_usd'])} held)" if budget["reserved_usd"] else ""
            return f"{_money(budget['spent_usd'])}{held} of {_money(budget['usd'])}"
    return "-"


def _alert(use: output.Row) -> str:
    reached = [
        f"{budget['alert'] * 100:g}% of the {budget['period']} since {output.when(budget['alerting_since'])}"
        for budget in use["budgets"]
        if budget["alert"] is not None
    ]
    return "; ".join(reached)


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _money(usd: float | None) -> str:
    if usd is None:
        return "-"
    text = f"{usd:,.9f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"${whole}.{decimals:0<2}"
