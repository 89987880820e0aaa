"""`rondo compare`: prompts × models on a suite's examples, and which of them to choose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rondo.cli import compare_report, eval_report, output
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected_anywhere
from rondo.cli.eval import confirm
from rondo.cli.eval_follow import follow
from rondo.cli.eval_targets import chosen_suite, dataset_of, drafts_of
from rondo.cli.folder_option import project_folder
from rondo.errors import InvalidRequest, NotFound

if TYPE_CHECKING:  # imported where they are used: commands start fast
    from rondo.releases.model import Bundle
    from rondo.settings.tables import ProjectSettings

_AND_THEN = "+"


@click.command("compare")
@click.argument("suite", required=False)
@project_folder
@click.option(
    "--models",
    metavar="A,B+C",
    help="The models to compare, B+C for B with C to fall back on; by default, all of rondo.toml that answer.",
)
@click.option("--prompts", metavar="P1,P2", help="The prompt files to compare; the app's own by default.")
@click.option("--baseline/--no-baseline", default=True, help="Whether the rule-based baseline is among them.  [yes]")
@click.option(
    "--weight", "weights", multiple=True, metavar="METRIC=N", help="How much a metric counts; goals say so too."
)
@click.option("--metric", metavar="METRIC", help="What the grid shows; by default, what counts most.")
@click.option(
    "--examples", type=click.IntRange(0, 500), default=0, metavar="N", help="Show N examples that tell them apart."
)
@click.option("--repeats", type=click.IntRange(1, 100), help="How often each example is asked.")
@click.option("--split", type=click.Choice(["train", "validation", "test"]), help="Only examples of this split.")
@click.option("--budget", type=click.FloatRange(0, min_open=True), metavar="USD", help="Pause before it costs more.")
@click.option("--max-concurrency", type=click.IntRange(1, 256), help="Examples asked at the same time.")
@click.option("--fresh", is_flag=True, help="Ask anew what an earlier run has been answered.")
@click.option("--run", "run_id", metavar="RUN", help="Show an earlier comparison again, with other weights.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before a large run without a budget.")
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
    (`weight` in rondo.toml, or --weight over it) and says which candidates miss a goal, or lack what `[selection]`
    asks for. What has been answered before is not asked, or paid for, again.
    """
    selection: dict[str, Any] = {"weights": _weights(weights)}
    if run_id is not None:
        run = await api.get(f"/api/runs/{segment(run_id)}")
        if _has_settings(project):
            selection = _selection(project, selection)
    else:
        selection = _selection(project, selection)
        run = await follow(api, await _begun(api, project, suite, selection, **options), project)
    if run["report"] is None:
        await eval_report.show(api, run)
        raise click.exceptions.Exit(1)
    matrix = await api.post(f"/api/runs/{segment(run['id'])}/matrix", selection)
    if api.wants_json:
        output.as_json({"run": run, "matrix": matrix})
        return
    shown = compare_report.show(run, matrix, metric)
    await compare_report.show_errors(api, run, matrix)
    if examples:
        await compare_report.show_examples(api, run, matrix, shown, examples)


def _has_settings(project: Path) -> bool:
    from rondo.settings.project import FILE

    return (project / FILE).is_file()


def _selection(project: Path, said: dict[str, Any]) -> dict[str, Any]:
    """What the project says of its models and of how one is chosen, with what the command line says."""
    from rondo.settings.project import read

    settings = read(project)
    about = {
        name: {"licence": model.licence, "context_window": model.context_window}
        for name, model in settings.models.items()
        if model.licence is not None or model.context_window is not None
    }
    chosen = settings.selection
    return {
        **said,
        "licences": chosen.licences,
        "least_context_window": chosen.least_context_window,
        "requests_per_month": settings.use_case.tickets_per_month,
        "about": about,
    }


async def _begun(
    api: Api,
    project: Path,
    suite: str | None,
    selection: dict[str, Any],
    *,
    models: str | None,
    prompts: str | None,
    baseline: bool,
    fresh: bool,
    yes: bool,
    budget: float | None,
    **options: Any,
) -> dict[str, Any]:
    from rondo.settings.project import read

    settings = read(project)
    name = _suite_name(project, suite)
    chosen = chosen_suite(project, name, budget_usd=budget, **options)
    bundle, pairs = _candidates(project, settings, _words(models), _words(prompts), baseline=baseline)
    if settings.rules or any(guard.action == "route" for guard in settings.guards):
        click.echo("Rules and guards still choose: what they send elsewhere is the same for all candidates.", err=True)
    from rondo.releases.bundle import to_zip

    targets = await drafts_of(api, to_zip(bundle), pairs)
    dataset, hash_ = await dataset_of(api, project, chosen, name)
    body = {
        "app": settings.app.name,
        "name": f"compare-{name}"[:64],
        "suite": chosen.model_dump(mode="json", exclude_none=True),
        "targets": targets,
        "dataset": dataset,
        "dataset_hash": hash_,
        "against": None,
        "goals": [goal.model_dump(mode="json") for goal in settings.goals],
        "selection": selection,
        "fresh": fresh,
    }
    run: dict[str, Any] = await api.post("/api/runs", body, slow=True)
    await confirm(api, run, chosen, yes=yes)
    return run


def _suite_name(project: Path, suite: str | None) -> str:
    """Raises NotFound."""
    from rondo.settings.suites import names

    if suite is not None:
        return suite
    known = names(project)
    if len(known) != 1:
        raise NotFound(
            "The project has no suites." if not known else "There are several suites.",
            remedy=f"Name one: {', '.join(known)}." if known else "A suite is a file suites/NAME.toml.",
        )
    return known[0]


def _candidates(
    project: Path, settings: ProjectSettings, models: list[str], prompts: list[str], *, baseline: bool
) -> tuple[Bundle, list[tuple[str | None, str | None]]]:
    """The project's bundle, and every prompt with every route; the rule-based baseline, which reads no prompt, once.

    Raises InvalidRequest where there is nothing to compare, or too much, and what is wrong with the folder.
    """
    from rondo.cli.check import require_sound
    from rondo.evals.targets import MOST_TARGETS
    from rondo.releases.bundle import read_folder

    require_sound(project)
    bundle, rules = _with_baseline(read_folder(project, more=prompts), settings)
    tried = list(dict.fromkeys(models or _models_of(settings)))
    files: Sequence[str | None] = list(dict.fromkeys(prompts)) or [None]
    asked = [name for name in tried if name not in rules]
    named = [name for name in models if name in rules] or (rules if baseline else [])
    pairs: list[tuple[str | None, str | None]] = [
        *((prompt, model.replace(_AND_THEN, ",")) for prompt in files for model in asked),
        *((None, name) for name in named),
    ]
    if not pairs:
        raise InvalidRequest("There is no model to compare.", remedy="Name some with --models.", param="models")
    if len(pairs) > MOST_TARGETS:
        raise InvalidRequest(
            f"{len(files)} × {len(asked)} prompts and models and the baseline are {len(pairs)} candidates;"
            f" at most {MOST_TARGETS} are compared.",
            remedy="Name fewer with --models and --prompts.",
            param="models",
        )
    return bundle, pairs


def _with_baseline(bundle: Bundle, settings: ProjectSettings) -> tuple[Bundle, list[str]]:
    """The bundle, which has a rule-based model whether or not the project names one, and the names of those."""
    from rondo.evals.targets import RULE_BASED
    from rondo.releases.model import Bundle
    from rondo.settings.project import FILE

    rules = [name for name, model in settings.models.items() if model.provider == RULE_BASED]
    if rules:
        return bundle, rules
    name = "baseline"
    while name in settings.models:
        name += "-rules"
    table = f'\n[models.{name}]\nprovider = "{RULE_BASED}"\n'.encode()
    return Bundle({**bundle.files, FILE: bundle.files[FILE] + table}), [name]


def _models_of(settings: ProjectSettings) -> list[str]:
    """The models that may answer: those of the route, then the others, but for those that only judge or check."""
    others = {model for key, model in settings.named_models() if not key.endswith(".use")}
    route = settings.app.route
    return [*route, *(name for name in settings.models if name not in {*route, *others})]


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
