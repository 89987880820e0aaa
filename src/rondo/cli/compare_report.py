"""A comparison on the terminal: the grid, the decision matrix, and the examples that tell the candidates apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from rondo.cli import output
from rondo.cli.client import Api, segment
from rondo.cli.output import Column
from rondo.errors import InvalidRequest

if TYPE_CHECKING:  # imported where they are used: commands start fast
    from rondo.evals.evidence import TargetReport
    from rondo.evals.matrix import AskedModel, Candidate, Matrix

MARKS = {"passed": "✓", "failed": "✗", "partly": "~", "error": "!", "missing": "·"}
_BESIDE = ("cost.per_request_usd", "latency.p50_ms")


def show(run: Mapping[str, Any], matrix: Mapping[str, Any], metric: str | None) -> str:
    """Print the grid and the ranking; the metric that the grid shows. Raises InvalidRequest where nobody has it."""
    import msgspec

    from rondo.evals import written
    from rondo.evals.choosing import grid_of
    from rondo.evals.matrix import Matrix, counts_most
    from rondo.evals.model import Run
    from rondo.settings.table import nearest

    ranked = msgspec.convert(matrix, Matrix)
    report = written.read(run["report"])
    known = {each.metric for target in report.targets for each in target.metrics}
    if metric is not None and metric not in known:
        raise InvalidRequest(
            f"Nothing called {metric!r:.100} was measured.{nearest(metric, list(known))}",
            remedy=f"`rondo compare --run {run['id']}` shows it again, without asking anew.",
            param="metric",
        )
    shown = metric or counts_most(report, ranked.weights) or "errors.rate"
    models = {row.target: row.models for row in ranked.candidates}
    grid = grid_of(msgspec.convert({**run, "report": None}, Run), [models[at] for at in range(len(models))])
    output.heading(f"{shown}, cost and latency of each prompt with each model")
    rows = [
        {
            "prompt": prompt,
            **{
                model: _cell(report.targets[grid.places[prompt, model]], shown)
                if (prompt, model) in grid.places
                else ""
                for model in grid.models
            },
        }
        for prompt in grid.prompts
    ]
    columns = [Column("PROMPT", "prompt"), *(Column(model.upper(), model) for model in grid.models)]
    output.table(rows, columns, none="Nothing was compared.")
    click.echo(
        f"{run['id']}  dataset {run['dataset']} {output.short(run['dataset_hash'])}  ${run['spent_usd']:.4f} spent"
    )
    _ranking(ranked)
    return shown


def _cell(target: TargetReport, metric: str) -> str:
    from rondo.evals.written import amount, estimated

    found = {each.metric: each for each in target.metrics}
    words = [f"{target.failed:,} failed"] if target.failed else []
    if target.answered:
        words.append(estimated(found[metric].estimate, found[metric].unit) if metric in found else "not measured")
        words += [amount(found[name].estimate.value, found[name].unit) for name in _BESIDE if name in found]
    return "  ".join(words)


def _ranking(matrix: Matrix) -> None:
    output.heading("Decision matrix")
    rows = [_row(row) for row in matrix.candidates]
    per_month = any(row["month"] for row in rows)
    columns = [
        Column("", "rank", right=True),
        Column("CANDIDATE", "candidate"),
        Column("TOTAL", "total", right=True),
        Column("COMES FIRST", "first", right=True),
        *(Column(f"{name} ×{weight:.2f}", name, right=True) for name, weight in matrix.weights.items()),
        *([Column(f"$/MONTH AT {matrix.selection.requests_per_month:,.0f}", "month", right=True)] if per_month else []),
        Column("LICENCE", "licence"),
        Column("CONTEXT", "window", right=True),
        Column("$/M IN, OUT", "price", right=True),
        Column("WHAT SPEAKS AGAINST IT", "faults", free=True),
    ]
    output.table(rows, columns, none="There are no candidates.")
    if matrix.unmeasured:
        click.echo(f"Not measured by this suite, so not weighed: {', '.join(matrix.unmeasured)}.")
    if not matrix.weights:
        click.echo("No goal was measured, so nothing is ranked: --weight METRIC=1 says what counts.")


def _row(row: Candidate) -> dict[str, Any]:
    return {
        "rank": row.rank,
        "candidate": row.label,
        "total": None if row.total is None else f"{row.total:.2f}",
        "first": None if row.comes_first is None else f"{row.comes_first:.0%}",
        **{cell.metric: None if cell.share is None else f"{cell.share:.2f}" for cell in row.cells},
        "month": None if row.usd_per_month is None else f"${row.usd_per_month:,.2f}",
        "licence": _each(row, lambda model: model.licence),
        "window": _each(row, lambda model: None if model.context_window is None else f"{model.context_window:,}"),
        "price": _each(row, _price),
        "faults": "; ".join(row.faults),
    }


def _each(row: Candidate, say: Any) -> str | None:
    """Of each model of the route, where anything is known of any."""
    words = [say(model) for model in row.models if not model.rule_based]
    return " + ".join(word or "?" for word in words) if any(words) else None


def _price(model: AskedModel) -> str | None:
    return None if model.input_price is None else f"{model.input_price:g}, {model.output_price:g}"


async def show_errors(api: Api, run: Mapping[str, Any], matrix: Mapping[str, Any]) -> None:
    """Print what kept candidates from answering: how often, and one of the errors in its own words."""
    for row in sorted(matrix["candidates"], key=lambda each: each["target"]):
        errors: dict[str, int] = run["report"]["targets"][row["target"]]["errors"]
        if not errors:
            continue
        page = await api.get(f"/api/runs/{segment(run['id'])}/results", target=row["target"], failed="true", limit=100)
        said = {each["result"].get("error"): each["result"].get("error_message") for each in page["results"]}
        for name, number in errors.items():
            click.echo(output.one_line(f"{row['label']}: {number:,} × {name}: {said.get(name) or 'see its results'}"))


async def show_examples(api: Api, run: Mapping[str, Any], matrix: Mapping[str, Any], metric: str, most: int) -> None:
    """Print examples on which the candidates differ, with a mark, or the metric's value, for each."""
    path = f"/api/runs/{segment(run['id'])}/examples"
    found: list[dict[str, Any]] = []
    after: str | None = None
    while len(found) < most:
        page = await api.get(path, differing="true", metric=metric, after=after, limit=most - len(found))
        found += page["examples"]
        after = page["after"]
        if after is None:
            break
    labels = {row["target"]: row["label"] for row in matrix["candidates"]}
    output.heading("Examples on which they differ" + (f" (the first {most:,})" if after is not None else ""))
    rows = [
        {"asked": _asked(each["example"]), **{str(at): _mark(cell) for at, cell in enumerate(each["cells"])}}
        for each in found
    ]
    heads = [Column(labels[at], str(at)) for at in range(len(run["targets"]))]
    output.table(
        rows, [*heads, Column("ASKED", "asked", free=True)], none="None: every candidate passed and failed the same."
    )
    if rows:
        click.echo("✓ passed  ✗ failed  ~ its repeats disagree  ! no answer, or no score")


def _mark(cell: Mapping[str, Any]) -> str:
    if cell["mark"] == "answered":
        return "-" if cell["value"] is None else f"{cell['value']:.3g}"
    return MARKS[cell["mark"]]


def _asked(example: Mapping[str, Any]) -> str:
    import msgspec

    from rondo.datasets.model import Example

    read = msgspec.convert(example, Example)
    return read.question or (read.persona.goal if read.persona is not None else "")
