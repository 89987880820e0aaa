"""A run's report in the terminal: what is better or worse and how sure that is, and everything that went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from rondo.cli import output
from rondo.cli.client import Api, segment
from rondo.cli.output import Column

if TYPE_CHECKING:  # imported where they are used: commands start fast
    from rondo.evals.evidence import MetricReport, Report, TargetReport

_MOST_SHOWN = 10
_COLOURS: dict[str, output.Colour] = {"better": "green", "met": "green", "worse": "red", "missed": "red"}


def is_good(run: dict[str, Any]) -> bool:
    """Whether a run is finished and no target falls short: no goal missed, nothing guarded worse, must-pass
    passed, and no metric without any score."""
    if run["status"] != "finished" or run["report"] is None:
        return False
    from rondo.evals.written import failing, read

    report = read(run["report"])
    judged = [each for at, each in enumerate(report.targets) if at != report.baseline] or report.targets
    return all(target.answered and not failing(target) and not _unscored(target) for target in judged)


def _unscored(target: TargetReport) -> list[str]:
    """Metrics without a single score, because each ended in an error."""
    return [each.metric for each in target.metrics if not each.estimate.n and each.details.get("errors")]


async def show(api: Api, run: dict[str, Any]) -> None:
    """Print a run: its report, or how far it came and why."""
    from rondo.evals.written import read

    click.echo()
    words = f"{run['name']} on {run['app']}"
    click.echo(
        f"{output.paint(words, 'cyan')}  {run['id']}  dataset {run['dataset']} {output.short(run['dataset_hash'])}"
    )
    if run["report"] is None:
        _unfinished(run)
        return
    report = read(run["report"])
    for at, target in enumerate(report.targets):
        await _target(api, run, report, at, target)
    for warning in report.warnings:
        click.echo(output.paint(f"note  {output.one_line(warning)}", "yellow"))
    _costs(run)
    if (await api.get(f"/api/runs/{segment(run['id'])}/results", failed=True, limit=1))["results"]:
        click.echo(f"what failed, and why: rondo runs show {run['id']} --failed")


async def show_failed(api: Api, run: dict[str, Any], *, most: int) -> None:
    """Print what failed of a run, finished or not: what was asked and answered, and why that is wrong."""
    nothing = True
    for at in range(len(run["targets"])):
        page = await api.get(f"/api/runs/{segment(run['id'])}/results", target=at, failed=True, limit=most)
        if page["results"]:
            nothing = False
            output.heading(_title(run, at))
        for row in page["results"]:
            _fault(row)
        if page["after"] is not None:
            click.echo(f"  … and more; --limit shows them, and `rondo runs export {run['id']} --failed` has all of it")
    if nothing:
        click.echo("Nothing has failed.")


def _title(run: dict[str, Any], at: int) -> str:
    """What is evaluated; with the prompt and the models where there are several to tell apart."""
    target = run["targets"][at]
    asked = [word for word in (target.get("prompt"), target.get("model")) if word]
    made_of = f"  {' with '.join(asked)}" if len(run["targets"]) > 1 and target.get("prompt") else ""
    return f"{target['label']}{'  (the baseline)' if at == run['baseline'] else ''}{made_of}"


def _fault(row: dict[str, Any]) -> None:
    asked: dict[str, Any] = next((m for m in reversed(row["example"]["messages"]) if m.get("role") == "user"), {})
    click.echo(output.paint(f"  ✗ {output.one_line(str(asked.get('content', '')))[:160]}", "red"))
    answer = row["result"].get("answer")
    if answer is not None:
        click.echo(f"      answer: {output.one_line(answer['text'])[:190]}")
    for why in reasons(row["result"]):
        click.echo(f"      {output.one_line(why)[:200]}")


def status(run: Mapping[str, Any]) -> str:
    """As people see it: a run whose process was killed is `cut off`, and can be resumed."""
    return "cut off" if run.get("cut_off") else str(run["status"])


def _unfinished(run: dict[str, Any]) -> None:
    why = f": {output.one_line(run['stop_reason'])}" if run["stop_reason"] else ""
    if run.get("cut_off"):
        why = ": the process that had it in hand was killed"
    click.echo(f"{status(run)}{why}")
    click.echo(f"{run['done']:,} of {run['total']:,} results are there, {run['failed']:,} of them without an answer")
    if run["failed"]:
        click.echo(f"what failed, and why: rondo runs show {run['id']} --failed")
    if run["status"] != "cancelled":
        more = " --budget USD" if run["status"] == "paused" and run["budget_usd"] and run["stop_reason"] else ""
        click.echo(f"go on with: rondo eval --resume {run['id']}{more}")


async def _target(api: Api, run: dict[str, Any], report: Report, at: int, target: TargetReport) -> None:
    from rondo.evals.written import failing

    is_baseline = at == report.baseline
    output.heading(_title(run, at))
    output.table(
        [_row(metric) for metric in _ordered(target)],
        _columns(
            with_goals=any(metric.standing for metric in target.metrics),
            compares=any(metric.comparison for metric in target.metrics),
        ),
        none="Nothing has been measured.",
    )
    if not is_baseline:
        _slices(target)
    _errors(target)
    if target.must_pass:
        passed = target.must_pass - len(target.must_pass_failed)
        click.echo(f"must-pass  {passed:,} of {target.must_pass:,} passed")
    if target.must_pass_failed:
        await _must_pass(api, run, at)
    if not is_baseline or len(report.targets) == 1:
        for sentence in [*failing(target), *(f"{name} has no score at all." for name in _unscored(target))]:
            click.echo(output.paint(f"✗ {output.one_line(sentence)}", "red"))


def _ordered(target: TargetReport) -> list[MetricReport]:
    """Goals first, then what scorers measure, then the rest."""
    measured = {"ms", "usd", "tokens"}
    return sorted(target.metrics, key=lambda metric: (metric.standing is None, metric.unit in measured))


def _row(metric: MetricReport) -> dict[str, str]:
    from rondo.evals.written import STANDINGS, bound, compared, estimated, outcome

    more = f"  {metric.estimate.missing:,} missing" if metric.estimate.missing else ""
    return {
        "metric": metric.metric,
        "value": estimated(metric.estimate, metric.unit) + more,
        "n": f"{metric.estimate.n:,}",
        "goal": bound(metric),
        "standing": "" if metric.standing is None else STANDINGS[metric.standing],
        "difference": compared(metric.comparison, metric.unit),
        "outcome": outcome(metric),
    }


def _columns(*, with_goals: bool, compares: bool) -> list[Column]:
    columns = [Column("METRIC", "metric"), Column("VALUE [95 %]", "value"), Column("N", "n", right=True)]
    if with_goals:
        columns += [Column("GOAL", "goal"), Column("", "standing")]
    if compares:
        columns += [Column("AGAINST THE BASELINE [95 %]", "difference"), Column("", "outcome")]
    return columns


def _slices(target: TargetReport) -> None:
    from rondo.evals.written import compared, notable

    for metric in target.metrics:
        for part in notable(metric):
            assert part.comparison is not None
            words = f"{metric.metric} where {part.tag} is {part.value}: {part.comparison.outcome}"
            said = f"{words}  {compared(part.comparison, metric.unit)}  n={part.comparison.n:,}"
            click.echo(output.paint(output.one_line(said), _COLOURS[part.comparison.outcome]))


def _errors(target: TargetReport) -> None:
    from rondo.evals.written import amount

    if target.errors:
        kinds = ", ".join(f"{name} {count:,}" for name, count in target.errors.items())
        click.echo(output.paint(output.one_line(f"no answer  {target.failed:,}: {kinds}"), "yellow"))
    for metric in target.metrics:
        if metric.details.get("errors"):
            kinds = ", ".join(f"{name} {count:,}" for name, count in metric.details["errors"].items())
            click.echo(output.paint(output.one_line(f"no score   {metric.metric}: {kinds}"), "yellow"))
        if metric.flaky:
            share = amount(metric.flaky, "share")
            click.echo(f"flaky      {metric.metric}: repeats disagree on {share} of the examples")


async def _must_pass(api: Api, run: dict[str, Any], at: int) -> None:
    """The must-pass examples that failed, with the question and why."""
    page = await api.get(
        f"/api/runs/{segment(run['id'])}/results", target=at, must_pass=True, failed=True, limit=_MOST_SHOWN
    )
    for row in page["results"]:
        _fault(row)


def reasons(result: dict[str, Any]) -> list[str]:
    """Why a result failed."""
    if result.get("answer") is None:
        return [f"{result.get('error')}: {result.get('error_message')}"]
    return [
        f"{name}: {scored.get('error') or scored.get('reason') or 'not passed'}"
        for name, scored in result.get("scores", {}).items()
        if scored.get("passed") is False or scored.get("error") is not None
    ]


def _costs(run: dict[str, Any]) -> None:
    took = (run["ended_at"] - run["started_at"]) / 1e6 if run["ended_at"] and run["started_at"] else None
    words = [f"{run['done']:,} results", f"${run['spent_usd']:.4f} spent"]
    if took:
        words += [f"{took:.1f} s", f"{run['done'] / took:,.1f}/s"]
    click.echo(output.paint("  ".join(words), "bright_black"))
