"""`rondo eval`: runs suites on the working tree, or on anything else, and says whether it is good enough.

The run itself is the server's: it goes on when this command is gone, and is taken up again with --resume.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rondo.cli import eval_report, output
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected_anywhere
from rondo.cli.eval_follow import follow, own_scorers
from rondo.cli.eval_targets import Varied, chosen_suite, dataset_of, drafted, failures_of, with_options
from rondo.errors import InvalidRequest, NotFound

if TYPE_CHECKING:  # imported where they are used: commands start fast
    from rondo.settings.evaluating import SuiteSettings
    from rondo.settings.tables import ProjectSettings

_ASK_FROM = 1_000
"""Results of a run from which a person is asked first, where no budget says how far it may go."""


@click.command("eval")
@click.argument("suites", nargs=-1, metavar="[SUITE]...")
@click.option(
    "--project",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The project folder; this one by default.",
)
@click.option(
    "--against",
    default="production",
    show_default=True,
    metavar="production|N|none",
    help="What is compared with: the stable release, another release, or nothing.",
)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="WORD",
    help="Evaluate this in place of the working tree: production, a release's number, a hash, model:NAME.",
)
@click.option("--models", metavar="A,B", help="The working tree with each of these models in place of its route.")
@click.option("--prompts", metavar="P1,P2", help="The working tree with each of these prompt files.")
@click.option("--repeats", type=click.IntRange(1, 100), help="How often each example is asked.")
@click.option("--budget", type=click.FloatRange(0, min_open=True), metavar="USD", help="Pause before it costs more.")
@click.option("--max-concurrency", type=click.IntRange(1, 256), help="Examples asked at the same time.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Only examples with this tag.")
@click.option("--split", type=click.Choice(["train", "validation", "test"]), help="Only examples of this split.")
@click.option("--fresh", is_flag=True, help="Ask anew what an earlier run has been answered.")
@click.option(
    "--resume", is_flag=False, flag_value="", metavar="[RUN]", help="Go on with a run; the newest paused one."
)
@click.option("--no-fail", is_flag=True, help="Exit with 0 whatever is found.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before a large run without a budget.")
@connected_anywhere
async def command(
    api: Api, suites: tuple[str, ...], project: Path, resume: str | None, no_fail: bool, **options: Any
) -> None:
    """Run the suites of the project folder and report each metric with its interval: all of suites/*.toml by default,
    and `must-pass`, which asks the failures of the app that became must-pass examples (`rondo datasets add`).

    By default the working tree is frozen into a draft and compared with production. What has been answered before is
    not asked, or paid for, again. The exit code is 0 when no goal is missed, nothing guarded is worse, all must-pass
    examples passed and every scorer could score something; 1 otherwise.
    """
    if resume is not None:
        runs = [await _resumed(api, resume or None, project, budget=options["budget"])]
    else:
        runs = await _started(api, project, suites, **options)
    if api.wants_json:
        output.as_json({"runs": runs})
    if not no_fail and any(not eval_report.is_good(run) for run in runs):
        raise click.exceptions.Exit(1)


async def _started(api: Api, project: Path, suites: Sequence[str], **options: Any) -> list[dict[str, Any]]:
    """Every suite's run, one after the other, as far as it came."""
    from rondo.settings.project import read
    from rondo.settings.suites import FOLDER

    settings = read(project)
    against = None if options["against"] == "none" else options["against"]
    chosen = await _chosen(api, project, settings, suites, **options)
    for name, suite in chosen:  # before anything is asked, and paid for
        own_scorers(api, project, suite, file=f"{FOLDER}/{name}.toml")
    varied = Varied(_words(options["models"]), _words(options["prompts"]))
    targets = list(options["targets"]) or await drafted(api, project, varied)
    if against == "production" and not await _has_production(api, settings.app.name):
        against = None
    runs = []
    for name, suite in chosen:
        body = {
            "app": settings.app.name,
            "name": name,
            "suite": suite.model_dump(mode="json", exclude_none=True),
            "targets": targets,
            "fresh": options["fresh"],
            **(await _asked(api, project, settings, (name, suite), against)),
        }
        run = await api.post("/api/runs", body, slow=True)
        await confirm(api, run, suite, yes=options["yes"])
        runs.append(await _to_its_end(api, run, project))
    return runs


async def _chosen(
    api: Api, project: Path, settings: ProjectSettings, suites: Sequence[str], **options: Any
) -> list[tuple[str, SuiteSettings]]:
    """The suites by name, as their files and the options have them; where none is named, all, and `must-pass` last.

    Raises NotFound where there is nothing to run.
    """
    from rondo.settings.evaluating import OF_FAILURES
    from rondo.settings.suites import FOLDER, names

    given = {
        "repeats": options["repeats"],
        "budget_usd": options["budget"],
        "max_concurrency": options["max_concurrency"],
        "tags": _tags(options["tags"]),
        "split": options["split"],
    }
    named = [name for name in suites or names(project) if name != OF_FAILURES or not suites]
    chosen = [(name, chosen_suite(project, name, **given)) for name in named]
    if not suites or OF_FAILURES in suites:
        gated = settings.gate.suites if settings.gate is not None else []
        anyway = [] if OF_FAILURES in suites else [suite for name, suite in chosen if name in gated]
        failures = await failures_of(api, settings.app.name, anyway)
        chosen += [(OF_FAILURES, with_options(suite, f"{FOLDER}/{OF_FAILURES}.toml", **given)) for suite in failures]
        if not failures and OF_FAILURES in suites:
            raise NotFound(
                f"{settings.app.name} has no failures that became must-pass examples.",
                remedy="`rondo datasets add` makes one of a call.",
            )
    if not chosen:
        raise NotFound("The project has no suites.", remedy="A suite is a file suites/NAME.toml; the docs have one.")
    return chosen


async def _asked(
    api: Api, project: Path, settings: ProjectSettings, chosen: tuple[str, SuiteSettings], against: str | None
) -> dict[str, Any]:
    """The part of a run that says what is asked, compared with what, and held to which goals. Examples that must pass
    are held to nothing else, and so need no baseline."""
    from rondo.settings.evaluating import OF_FAILURES

    name, suite = chosen
    if name == OF_FAILURES:
        return {"dataset": suite.dataset, "against": None}
    dataset, hash_ = await dataset_of(api, project, suite, name)
    return {
        "dataset": dataset,
        "dataset_hash": hash_,
        "against": against,
        "goals": [goal.model_dump(mode="json") for goal in settings.goals],
        "guarded_slices": settings.gate.slices if settings.gate is not None else [],
        "least_slice": settings.gate.least_slice if settings.gate is not None else None,
    }


async def _resumed(api: Api, run_id: str | None, project: Path, *, budget: float | None) -> dict[str, Any]:
    if run_id is None:
        newest = (await api.get("/api/runs", limit=100))["runs"]
        left = ("paused", "awaiting_scores", "running")
        run_id = next((run["id"] for run in newest if run["status"] in left or run.get("cut_off")), None)
        if run_id is None:
            raise NotFound("No run is paused.", remedy="`rondo runs list` shows them all; name one with --resume RUN.")
    run = await api.get(f"/api/runs/{segment(run_id)}")
    if run.get("cut_off") or run["status"] not in ("queued", "running", "awaiting_scores"):
        run = await api.post(f"/api/runs/{segment(run_id)}/resume", {"budget_usd": budget})
    return await _to_its_end(api, run, project)


async def _to_its_end(api: Api, run: dict[str, Any], project: Path) -> dict[str, Any]:
    run = await follow(api, run, project)
    if not api.wants_json:
        await eval_report.show(api, run)
    return run


async def confirm(api: Api, run: dict[str, Any], suite: SuiteSettings, *, yes: bool) -> None:
    """A person sees how much it is before it costs much; the run has begun, and is taken back."""
    if yes or suite.budget_usd is not None or run["total"] < _ASK_FROM or not sys.stdin.isatty():
        return
    if not click.confirm(f"{run['name']} asks {run['total']:,} times, without a budget. Go on?", err=True):
        await api.post(f"/api/runs/{segment(run['id'])}/cancel", {})
        raise click.Abort


async def _has_production(api: Api, app: str) -> bool:
    try:
        told = await api.get(f"/api/apps/{segment(app)}")
    except NotFound:
        return False
    return bool((told.get("traffic") or told).get("stable"))


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _tags(words: Sequence[str]) -> dict[str, str]:
    """Raises InvalidRequest."""
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise InvalidRequest(f"{word!r:.80} is no tag.", remedy="Write it as KEY=VALUE.", param="tag")
        found[key] = value
    return found


async def run_suites(
    api: Api, project: Path, suites: Sequence[str], *, targets: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The suites as they are, on the working tree or on these targets, against production: for other commands."""
    given = dict.fromkeys(("models", "prompts", "repeats", "budget", "max_concurrency", "split"))
    more = {"against": "production", "targets": targets, "tags": (), "fresh": False, "yes": False}
    return await _started(api, project, suites, **given, **more)
