"""`rondo redteam`: attacks the app, and shows what goes through.

The attacks are made here, by `redteam/generate.py`; the run is an evaluation run of the server, and goes on when this
command is gone.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rondo.cli import output, redteam_report
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected_anywhere
from rondo.cli.eval_follow import follow
from rondo.cli.eval_targets import Varied, drafted
from rondo.cli.folder_option import project_folder
from rondo.cli.output import Column
from rondo.errors import NotFound

if TYPE_CHECKING:  # imported where they are used: commands start fast
    from rondo.redteam.generate import Attacks

_MOST_ERRORS = 0.05
_RESUME = "rondo redteam --resume"


@click.command("redteam")
@project_folder
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="WORD",
    help="Attack this in place of the working tree: production, a release's number, model:NAME.",
)
@click.option(
    "--models", metavar="A,B", help="Attack the working tree with each of these models in place of its route."
)
@click.option(
    "--risk", "risks", multiple=True, metavar="LLM01", help="Only attacks of this risk; several times for several."
)
@click.option("--technique", "techniques", multiple=True, metavar="NAME", help="Only this technique.")
@click.option("--most", type=click.IntRange(1), metavar="N", help="Draw so many attacks, spread over the risks.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Draws the lots of --most.")
@click.option("--judge", metavar="MODEL", help="A model of rondo.toml that tells where no mark does.")
@click.option("--user", metavar="MODEL", help="A model of rondo.toml that plays users who do not give up.")
@click.option("--repeats", type=click.IntRange(1, 100), help="How often each attack is made.")
@click.option("--budget", type=click.FloatRange(0, min_open=True), metavar="USD", help="Pause before it costs more.")
@click.option("--max-concurrency", type=click.IntRange(1, 256), help="Attacks at the same time.")
@click.option("--fresh", is_flag=True, help="Ask anew what an earlier run has been answered.")
@click.option("--keep", metavar="DATASET", help="Add what went through to this dataset, as must-pass examples.")
@click.option(
    "--at-most", type=click.FloatRange(0, 1), default=0.0, show_default=True, help="Share that may go through."
)
@click.option(
    "--resume", is_flag=False, flag_value="", metavar="[RUN]", help="Go on with a run, or show it; the newest one."
)
@click.option("--list", "only_list", is_flag=True, help="Show the attacks, and make none.")
@connected_anywhere
async def command(
    api: Api, *, project: Path, keep: str | None, at_most: float, only_list: bool, resume: str | None, **options: Any
) -> None:
    """Attack the working tree and show the share of attacks that go through, by the risks of OWASP's Top 10 for LLM
    applications (2026), by kind and by technique.

    Attacks are made here, and nothing is sent to anybody but the models of the app. The exit code is 1 where a larger
    share went through than --at-most, or where too many attacks could not be told of.
    """
    if only_list:
        _list(api, _generated(project, **options))
        return
    if resume is not None:
        run = await _resumed(api, resume or None, budget=options["budget"])
    else:
        run = await _begun(api, project, _generated(project, **options), **options)
    run = await follow(api, run, project, resume=_RESUME)
    if run["report"] is None:
        _unfinished(api, run)
    good = await redteam_report.show(api, run, keep=keep, at_most=at_most, untold=_MOST_ERRORS)
    if not good:
        raise click.exceptions.Exit(1)


def _unfinished(api: Api, run: dict[str, Any]) -> None:
    if api.wants_json:
        output.as_json({"run": run["id"], "status": run["status"], "report": None})
    else:
        why = f": {output.one_line(run['stop_reason'])}" if run["stop_reason"] else ""
        click.echo(f"{run['id']} is {run['status']}{why}; {run['done']:,} of {run['total']:,} attacks are made.")
        click.echo(f"go on with: {_RESUME} {run['id']}")
    raise click.exceptions.Exit(1)


def _generated(
    project: Path,
    *,
    risks: Sequence[str],
    techniques: Sequence[str],
    most: int | None,
    seed: int,
    judge: str | None,
    user: str | None,
    **_: Any,
) -> Attacks:
    from rondo.redteam.generate import Wanted, generate
    from rondo.settings.project import read
    from rondo.settings.table import nearest

    settings = read(project)
    for option, model in (("--judge", judge), ("--user", user)):
        if model is not None and model not in settings.models:
            hint = nearest(model, list(settings.models))
            raise click.UsageError(f"{option}: no model of rondo.toml is called {model!r}.{hint}")
    prompt = project / settings.app.prompt
    return generate(
        Wanted(
            risks=tuple(risks),
            techniques=tuple(techniques),
            most=most,
            seed=seed,
            secret=_system_text(prompt.read_text(encoding="utf-8")) if prompt.is_file() else "",
            judge=judge,
            user=user is not None,
        )
    )


def _system_text(source: str) -> str:
    """The prompt's own words for the system message, without what is put in when it is rendered."""
    body = source.split("\n# user", 1)[0].rpartition("\n# system")[2]
    return re.sub(r"\{[{%#].*?[}%#]\}", " ", body, flags=re.DOTALL).strip()


async def _begun(
    api: Api,
    project: Path,
    attacks: Attacks,
    *,
    targets: Sequence[str],
    models: str | None,
    user: str | None,
    repeats: int | None,
    budget: float | None,
    max_concurrency: int | None,
    fresh: bool,
    **_: Any,
) -> dict[str, Any]:
    from rondo.redteam.aims.talks import MOST_TURNS
    from rondo.redteam.generate import left_out_in_words
    from rondo.redteam.suite import DATASET, NAME, suite
    from rondo.settings.project import read

    varied = Varied([word.strip() for word in (models or "").split(",") if word.strip()])
    chosen = list(targets) or await drafted(api, project, varied)
    version = await _sent(api, DATASET, [_plain(each) for each in attacks.examples])
    body = {
        "app": read(project).app.name,
        "name": NAME,
        "suite": suite(
            summary=left_out_in_words(attacks.left_out),
            user=None if user is None else {"model": user, "max_turns": MOST_TURNS},
            repeats=repeats,
            budget_usd=budget,
            max_concurrency=max_concurrency,
        ),
        "targets": chosen,
        "dataset": DATASET,
        "dataset_hash": version["hash"],
        "against": None,
        "least_slice": 2,
        "fresh": fresh,
    }
    run: dict[str, Any] = await api.post("/api/runs", body, slow=True)
    return run


async def _resumed(api: Api, run_id: str | None, *, budget: float | None) -> dict[str, Any]:
    """The run, going on where it stood still; the newest red team's run where none is named."""
    from rondo.redteam.suite import NAME

    if run_id is None:
        newest = (await api.get("/api/runs", suite=NAME, limit=1))["runs"]
        if not newest:
            raise NotFound("There is no red team's run.", remedy="`rondo redteam` begins one.")
        run_id = newest[0]["id"]
    run: dict[str, Any] = await api.get(f"/api/runs/{segment(run_id)}")
    if run["status"] in ("paused", "failed", "cancelled"):
        run = await api.post(f"/api/runs/{segment(run_id)}/resume", {"budget_usd": budget})
    return run


def _list(api: Api, attacks: Attacks) -> None:
    from rondo.redteam.generate import left_out_in_words

    if api.wants_json:
        output.as_json({"attacks": [_plain(each) for each in attacks.examples], "left_out": attacks.left_out})
        return
    rows = [{**each.tags, "attack": each.metadata["attack"], "asked": each.question} for each in attacks.examples]
    columns = [Column("RISK", "risk"), Column("ATTACK", "attack"), Column("KIND", "kind")]
    output.table(rows, [*columns, Column("ASKED", "asked", free=True)], none="No attacks.")
    click.echo(f"{len(rows)} attacks. {left_out_in_words(attacks.left_out)}".rstrip())


async def _sent(api: Api, dataset: str, examples: list[dict[str, Any]]) -> dict[str, Any]:
    """A version of the dataset with these examples."""
    with tempfile.TemporaryDirectory(prefix="rondo-redteam-") as folder:
        file = Path(folder) / "attacks.jsonl"
        file.write_text("".join(json.dumps(each) + "\n" for each in examples), encoding="utf-8")
        told = await api.upload_file(
            f"/api/datasets/{segment(dataset)}/versions", file, filename=file.name, format="jsonl"
        )
    version: dict[str, Any] = told["version"]
    return version


def _plain(example: Any) -> dict[str, Any]:
    import msgspec

    said: dict[str, Any] = msgspec.to_builtins(example)
    return said
