"""`rondo compare`: prompts × models on a suite's examples, and which of them to choose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rondo.cli import eval_report, output
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected_anywhere
from rondo.cli.eval_follow import follow
from rondo.cli.eval_targets import chosen_suite, dataset_of
from rondo.cli.output import Column
from rondo.errors import InvalidRequest, NotFound

if TYPE_CHECKING:  # imported where they are used: commands start fast
    from rondo.evals.evidence import Report, TargetReport
    from rondo.settings.tables import ProjectSettings

RULE_BASED = "extractive"
_AT_A_TIME = 500
_MARKS = {True: "✓", False: "✗", None: "·"}


@click.command("compare")
@click.argument("suite", required=False)
@click.option(
    "--project",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The project folder; this one by default.",
)
@click.option("--models", metavar="A,B", help="The models to compare; all of rondo.toml that are not judges' only.")
@click.option("--prompts", metavar="P1,P2", help="The prompt files to compare; the app's own by default.")
@click.option("--baseline/--no-baseline", default=True, help="Whether the rule-based baseline is among them.  [yes]")
@click.option(
    "--weight", "weights", multiple=True, metavar="METRIC=N", help="How much a metric counts; goals say so too."
)
@click.option("--metric", metavar="METRIC", help="What the grid shows; by default, what counts most.")
@click.option(
    "--examples", type=click.IntRange(0), default=0, metavar="N", help="Show N examples that tell them apart."
)
@click.option("--repeats", type=click.IntRange(1, 100), help="How often each example is asked.")
@click.option("--split", type=click.Choice(["train", "validation", "test"]), help="Only examples of this split.")
@click.option("--budget", type=click.FloatRange(0, min_open=True), metavar="USD", help="Pause before it costs more.")
@click.option("--max-concurrency", type=click.IntRange(1, 256), help="Examples asked at the same time.")
@click.option("--fresh", is_flag=True, help="Ask anew what an earlier run has been answered.")
@click.option("--run", "run_id", metavar="RUN", help="Show an earlier comparison again, with other weights.")
@connected_anywhere
async def command(
    api: Api,
    *,
    suite: str | None,
    project: Path,
    weights: Sequence[str],
    metric: str | None,
    examples: int,
    run_id: str | None,
    **options: Any,
) -> None:
    """Try every prompt with every model on the examples of SUITE (the only one by default), and rank them.

    Each cell has the score with its interval, the cost and the latency. The decision matrix weighs the goals
    (`weight` in rondo.toml, or --weight) and says which candidates miss a goal, or lack what `[selection]` asks for.
    What has been answered before is not asked, or paid for, again.
    """
    from rondo.settings.project import read

    settings = read(project)
    counts = _weights(weights)
    if run_id is not None:
        run = await api.get(f"/api/runs/{segment(run_id)}")
    else:
        run = await follow(api, await _begun(api, project, settings, suite, **options), project)
    if run["report"] is None:
        await eval_report.show(api, run)
        raise click.exceptions.Exit(1)
    about = {
        name: {"licence": model.licence, "context_window": model.context_window}
        for name, model in settings.models.items()
    }
    selection = settings.selection.model_dump(mode="json")
    matrix = await api.post(f"/api/runs/{segment(run['id'])}/matrix", {"weights": counts, "about": about, **selection})
    if api.wants_json:
        output.as_json({"run": run, "matrix": matrix})
        return
    from rondo.evals.written import read as read_report

    report = read_report(run["report"])
    _grid(run, report, metric or _heaviest(matrix, report))
    _ranking(run, matrix)
    if examples:
        await _examples(api, run, examples)


async def _begun(
    api: Api,
    project: Path,
    settings: ProjectSettings,
    suite: str | None,
    *,
    models: str | None,
    prompts: str | None,
    baseline: bool,
    fresh: bool,
    **options: Any,
) -> dict[str, Any]:
    from rondo.settings.suites import names

    known = names(project)
    if suite is None and len(known) != 1:
        raise NotFound(
            "The project has no suites." if not known else "There are several suites.",
            remedy=f"Name one: {', '.join(known)}." if known else "A suite is a file suites/NAME.toml.",
        )
    name = suite or known[0]
    chosen = chosen_suite(
        project, name, **{key.replace("budget", "budget_usd"): value for key, value in options.items()}
    )
    tried = _words(models) or _models_of(settings)
    if not tried:
        raise InvalidRequest("There is no model to compare.", remedy="Name some with --models.", param="models")
    targets = await _drafts(api, project, settings, tried, _words(prompts), baseline=baseline)
    dataset, hash_ = await dataset_of(api, project, chosen)
    body = {
        "app": settings.app.name,
        "name": f"compare-{name}"[:64],
        "suite": chosen.model_dump(mode="json", exclude_none=True),
        "targets": targets,
        "dataset": dataset,
        "dataset_hash": hash_,
        "against": None,
        "goals": [goal.model_dump(mode="json") for goal in settings.goals],
        "fresh": fresh,
    }
    run: dict[str, Any] = await api.post("/api/runs", body, slow=True)
    return run


def _models_of(settings: ProjectSettings) -> list[str]:
    """The models that may answer: those of the route, then the others, but for those that only judge."""
    judges = {judge.model for judge in settings.judges.values()} - set(settings.app.route)
    return [*settings.app.route, *(name for name in settings.models if name not in {*settings.app.route, *judges})]


async def _drafts(
    api: Api, project: Path, settings: ProjectSettings, models: list[str], prompts: list[str], *, baseline: bool
) -> list[str]:
    """Hashes of a draft for every prompt with every model; the rule-based baseline, which has no prompt, once."""
    from rondo.cli.check import require_sound
    from rondo.releases.bundle import read_folder, to_zip
    from rondo.releases.model import Bundle
    from rondo.settings.project import FILE

    require_sound(project)
    bundle = read_folder(project, more=prompts)
    rules = next((name for name, model in settings.models.items() if model.provider == RULE_BASED), None)
    if baseline and rules is None:
        rules = next(
            f"rules{number or ''}"
            for number in range(len(settings.models) + 1)
            if f"rules{number or ''}" not in settings.models
        )
        more = f'\n[models.{rules}]\nprovider = "{RULE_BASED}"\n'.encode()
        bundle = Bundle({**bundle.files, FILE: bundle.files[FILE] + more})
    archive = to_zip(bundle)
    chosen: list[str | None] = [*prompts] or [None]
    pairs = [(prompt, model) for prompt in chosen for model in models if model != rules]
    if rules is not None and (baseline or rules in models):
        pairs.append((None, rules))
    return [
        str((await api.upload("/api/drafts", archive, prompt=prompt, route=model))["hash"]) for prompt, model in pairs
    ]


def _heaviest(matrix: dict[str, Any], report: Report) -> str:
    """The metric that counts most, of those that were measured."""
    weights: dict[str, float] = matrix["weights"]
    if weights:
        return max(weights, key=lambda name: weights[name])
    return next((metric.metric for target in report.targets for metric in target.metrics), "")


def _grid(run: dict[str, Any], report: Report, metric: str) -> None:
    """A row for each prompt, a column for each model."""
    cells = {
        (target["prompt"], target["model"]): measured
        for target, measured in zip(run["targets"], report.targets, strict=True)
    }
    prompts, models = (
        list(dict.fromkeys(prompt for prompt, _ in cells)),
        list(dict.fromkeys(model for _, model in cells)),
    )
    output.heading(f"{metric}, cost and latency of each prompt with each model")
    rows = [
        {"prompt": prompt, **{model: _cell(cells.get((prompt, model)), metric) for model in models}}
        for prompt in prompts
    ]
    columns = [Column("PROMPT", "prompt"), *(Column(model.upper(), model) for model in models)]
    output.table(rows, columns, none="Nothing was compared.")
    click.echo(
        f"{run['id']}  dataset {run['dataset']} {output.short(run['dataset_hash'])}  ${run['spent_usd']:.4f} spent"
    )


def _cell(target: TargetReport | None, metric: str) -> str:
    from rondo.evals.written import amount, estimated

    if target is None:
        return ""
    found = {each.metric: each for each in target.metrics}
    words = [estimated(found[metric].estimate, found[metric].unit) if metric in found else "not measured"]
    beside = [found[name] for name in ("cost.per_request_usd", "latency.p50_ms") if name != metric and name in found]
    words += [amount(each.estimate.value, each.unit) for each in beside]
    if target.failed:
        words.append(f"{target.failed:,} failed")
    return "  ".join(words)


def _ranking(run: dict[str, Any], matrix: dict[str, Any]) -> None:
    output.heading("Decision matrix")
    rows = [
        {
            "rank": row["rank"],
            "candidate": _candidate(run["targets"][row["target"]]),
            "total": None if row["total"] is None else f"{row['total']:.2f}",
            "first": None if row["comes_first"] is None else f"{row['comes_first']:.0%}",
            **{cell["metric"]: None if cell["share"] is None else f"{cell['share']:.2f}" for cell in row["cells"]},
            "licence": row["facts"]["licence"],
            "window": row["facts"]["context_window"],
            "price": _price(row["facts"]),
            "faults": "; ".join(row["faults"]),
        }
        for row in matrix["candidates"]
    ]
    columns = [
        Column("", "rank", right=True),
        Column("CANDIDATE", "candidate"),
        Column("TOTAL", "total", right=True),
        Column("COMES FIRST", "first", right=True),
        *(Column(f"{name} ×{weight:.2f}", name, right=True) for name, weight in matrix["weights"].items()),
        Column("LICENCE", "licence"),
        Column("CONTEXT", "window", right=True),
        Column("$/M IN, OUT", "price", right=True),
        Column("WHAT SPEAKS AGAINST IT", "faults", free=True),
    ]
    output.table(rows, columns, none="There are no candidates.")
    if not matrix["weights"]:
        click.echo("No goal was measured, so nothing is ranked: --weight METRIC=1 says what counts.")


def _candidate(target: dict[str, Any]) -> str:
    """A draft by what was varied, anything else by its label."""
    return f"{target['prompt']} · {target['model']}" if target.get("prompt") else str(target["label"])


def _price(facts: dict[str, Any]) -> str | None:
    if facts["input_price"] is None:
        return None
    return f"{facts['input_price']:g}, {facts['output_price']:g}"


async def _examples(api: Api, run: dict[str, Any], most: int) -> None:
    """The examples on which the candidates differ, a mark for each."""
    marks: dict[str, list[bool | None]] = {}
    questions: dict[str, str] = {}
    after: str | None = None
    while True:
        page = await api.get(f"/api/runs/{segment(run['id'])}/results", limit=_AT_A_TIME, after=after)
        for row in page["results"]:
            example, result = row["example"], row["result"]
            asked: dict[str, Any] = next((m for m in reversed(example["messages"]) if m.get("role") == "user"), {})
            questions[example["id"]] = str(asked.get("content", ""))
            if result["repeat"] == 0:
                marks.setdefault(example["id"], [None] * len(run["targets"]))[result["target"]] = _passed(result)
        after = page["after"]
        if after is None:
            break
    differing = [id_ for id_, each in marks.items() if len({mark for mark in each if mark is not None}) > 1]
    output.heading(f"Examples on which they differ ({len(differing):,} of {len(marks):,})")
    rows = [
        {"asked": questions[id_], **{str(at): _MARKS[mark] for at, mark in enumerate(marks[id_])}}
        for id_ in differing[:most]
    ]
    heads = [Column(f"{target['model']}"[:16].upper(), str(at)) for at, target in enumerate(run["targets"])]
    output.table(
        rows, [*heads, Column("ASKED", "asked", free=True)], none="None: every candidate passed and failed the same."
    )


def _passed(result: dict[str, Any]) -> bool | None:
    """Whether every scorer that draws a line passed; None where none does, or there is no answer."""
    drawn = [each["passed"] for each in result.get("scores", {}).values() if each.get("passed") is not None]
    return all(drawn) if drawn else None


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _weights(words: Sequence[str]) -> dict[str, float]:
    """Raises InvalidRequest."""
    found: dict[str, float] = {}
    for word in words:
        name, _, number = word.partition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = -1.0
        if not name or not 0 <= weight < float("inf"):
            raise InvalidRequest(f"{word!r:.80} is no weight.", remedy="Write it as METRIC=NUMBER.", param="weight")
        found[name] = weight
    return found
