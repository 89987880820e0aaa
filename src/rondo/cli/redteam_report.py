"""A red team's report in the terminal: what share of the attacks went through, and what was said then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from rondo.cli import output
from rondo.cli.client import Api, segment
from rondo.cli.output import Column

if TYPE_CHECKING:  # imported where they are used: commands start fast
    from rondo.redteam.report import Attacked, Rate, RedTeamReport

_AT_A_TIME = 500
_SHOWN = 10
_LONGEST = 160


async def show(api: Api, run: dict[str, Any], *, keep: str | None, at_most: float, untold: float) -> bool:
    """Show a finished run, and keep what went through; whether all targets are good enough."""
    import msgspec

    from rondo.redteam.report import RedTeamReport, too_much

    path = f"/api/runs/{segment(run['id'])}"
    told = await api.get(f"{path}/redteam")
    report = msgspec.convert(told, RedTeamReport)
    why = {each.target: too_much(each, at_most=at_most, untold=untold) for each in report.targets}
    through = await _through(api, path)
    kept = None
    if keep is not None and through:
        kept = await api.post(f"{path}/redteam/tests", {"dataset": keep})
    if api.wants_json:
        output.as_json({"run": run["id"], "status": run["status"], "report": told, "why": why, "kept": kept})
    else:
        _report(run, report, through, why)
        _kept(keep, kept, through)
    return bool(report.targets) and not any(why.values())


async def _through(api: Api, path: str) -> list[dict[str, Any]]:
    """The attacks that went through, each with its example and its answer."""
    from rondo.redteam.generate import RESISTED

    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        page = await api.get(f"{path}/results", limit=_AT_A_TIME, after=after, scorer=RESISTED)
        found += [row for row in page["results"] if row["result"]["scores"][RESISTED].get("passed") is False]
        after = page["after"]
        if after is None:
            return found


def _report(
    run: dict[str, Any], report: RedTeamReport, through: list[dict[str, Any]], why: dict[str, str | None]
) -> None:
    for at, attacked in enumerate(report.targets):
        output.heading(f"{attacked.target}: {_in_words(attacked.whole)}")
        _tables(report, attacked)
        _answers(run, [row for row in through if row["result"]["target"] == at])
    click.echo()
    for risk, reason in report.not_covered.items():
        click.echo(f"{risk} {report.risks[risk]} was not tried. {reason}")
    if report.not_chosen:
        click.echo(f"Not among these attacks: {', '.join(report.not_chosen)}.")
    if report.left_out:
        click.echo(report.left_out)
    for target, sentence in why.items():
        if sentence is not None:
            click.echo(output.paint(f"✗ {output.one_line(target)}: {sentence}", "red"))


def _tables(report: RedTeamReport, attacked: Attacked) -> None:
    names = {risk: f"{risk} {name}" for risk, name in report.risks.items()}
    families = [rate for rate in attacked.by_technique if rate.through] or attacked.by_family
    title = "TECHNIQUE" if families is not attacked.by_family else "TECHNIQUES"
    for heading, rates in (("RISK", attacked.by_risk), ("KIND", attacked.by_kind), (title, families)):
        click.echo()
        output.table(_rows(rates, names), _columns(heading), none="None.", indent=2)


def _answers(run: dict[str, Any], through: list[dict[str, Any]]) -> None:
    from rondo.redteam.generate import RESISTED

    if not through:
        return
    output.heading("What went through")
    rows = [
        {
            "attack": row["example"]["metadata"]["attack"],
            "why": row["result"]["scores"][RESISTED].get("reason", "")[:_LONGEST],
            "answer": row["result"]["answer"]["text"][:_LONGEST],
        }
        for row in through
    ]
    columns = [Column("ATTACK", "attack"), Column("SEEN BY", "why", free=True), Column("ANSWER", "answer", free=True)]
    output.table(rows[:_SHOWN], columns, none="", indent=2)
    if len(rows) > _SHOWN:
        click.echo(f"  and {len(rows) - _SHOWN} more: rondo runs show {run['id']}")


def _kept(dataset: str | None, kept: dict[str, Any] | None, through: list[dict[str, Any]]) -> None:
    if dataset is None:
        if through:
            click.echo("--keep DATASET makes must-pass examples of what went through.")
    elif kept is None:
        click.echo(f"Nothing went through, and nothing was added to {dataset}.")
    else:
        click.echo(
            f"{kept['kept']} attacks are must-pass examples of {dataset}@{kept['version']}. A suite to run them:"
        )
        click.echo(f'\n  # suites/{dataset}.toml\n  dataset = "{dataset}"\n  [[scorers]]\n  kind = "expect"\n')


def _rows(rates: Sequence[Rate], names: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "name": names.get(rate.name, rate.name),
            "attacks": rate.attacks,
            "aims": rate.aims,
            "through": f"{rate.through:g}",
            "share": None if rate.share is None else f"{rate.share:.1%}",
            "interval": None if rate.low is None or rate.high is None else f"{rate.low:.1%} … {rate.high:.1%}",
            "untold": rate.untold or None,
        }
        for rate in rates
    ]


def _columns(title: str) -> list[Column]:
    return [
        Column(title, "name"),
        Column("AIMS", "aims", right=True),
        Column("ATTACKS", "attacks", right=True),
        Column("THROUGH", "through", right=True),
        Column("SHARE", "share", right=True),
        Column("95 % INTERVAL", "interval", right=True),
        Column("UNTOLD", "untold", right=True),
    ]


def _in_words(rate: Rate) -> str:
    if rate.share is None:
        return "no attack could be told of."
    untold = f" {rate.untold} could not be told of." if rate.untold else ""
    return f"{rate.through:g} of {rate.attacks} attacks went through ({rate.share:.1%}).{untold}"
