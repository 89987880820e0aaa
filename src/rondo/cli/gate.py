"""`rondo gate`: may this release, or this working tree, take traffic? For people, and for CI by its exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from rondo.cli import output
from rondo.cli.apps import numbers, which
from rondo.cli.check import require_sound
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected_anywhere
from rondo.cli.output import Colour, Column
from rondo.errors import InvalidRequest

EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 3}
COLOURS: dict[str, Colour] = {"pass": "green", "fail": "red", "inconclusive": "yellow"}


@click.command("gate")
@click.argument("release", required=False, metavar="[RELEASE]")
@click.option("--app", help="The app; by default the one that RELEASE names, or the project folder's.")
@click.option(
    "--project",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The project folder, where no RELEASE is named; this one by default.",
)
@click.option("--run-suites", is_flag=True, help="Run the gate's suites first, where there is no evidence yet.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML to this file.")
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Write a summary to this file.")
@click.pass_context
@connected_anywhere
async def command(
    api: Api,
    ctx: click.Context,
    *,
    release: str | None,
    app: str | None,
    project: Path,
    run_suites: bool,
    junit: Path | None,
    markdown: Path | None,
) -> None:
    """Say whether RELEASE may take traffic, and what it lacks; without RELEASE, the working tree, as if released now.

    RELEASE is a number (7, support-bot#7) or the first eight digits of a hash. The working tree is held to its own
    goals and its own [gate]. Evidence comes from `rondo eval`; --run-suites does that for the suites that lack it.

    The exit code is 0 when the gate is passed or none is declared, 1 when it has failed, 3 when the evidence does not
    suffice, and 2 when the command is used wrongly.
    """
    view = await _view(api, release, app, project)
    if run_suites and (wanted := lacking(view["decision"])):
        from rondo.cli import eval as evaluation

        target = [view["decision"]["release"]["hash"]] if release is not None else []
        await evaluation.run_suites(api, project, wanted, targets=target)
        view = await _view(api, release, app, project)
    if junit is not None or markdown is not None:
        _write(view, junit, markdown)
    api.show(view, _print)
    ctx.exit(EXIT_CODES[view["decision"]["verdict"]])


def told(view: dict[str, Any], *, label: str = "") -> None:
    """Print a verdict after its `label`, what is missing, how other terms differ, and exceptions."""
    decision, margin = view["decision"], " " * len(label)
    state = f"{verdict(decision['verdict'])}  " if decision["declared"] or decision["verdict"] != "pass" else ""
    click.echo(f"{label}{state}{output.one_line(decision['sentence'])}")
    for check in _missing(decision):
        where = f" ({check['suite']})" if check.get("suite") and check["suite"] != check["name"] else ""
        remedy = f" {check['remedy']}" if check.get("remedy") else ""
        said = output.one_line(f"{check['name']}{where}: {check['sentence']}{remedy}")
        click.echo(f"{margin}  {verdict(check['verdict'])}  {said}")
    for change in decision["changes"]:
        click.echo(f"{margin}  changed since #{decision['stable']['number']}: {output.one_line(change)}")
    for kept in view["kept"]:
        if kept["kind"] == "exception":
            said = f"exception of {kept['created_by']}, {output.when(kept['created_at'])}: {kept['reason']}"
            click.echo(f"{margin}  {output.paint(output.one_line(said), 'yellow')}")


def verdict(name: str) -> str:
    """A verdict in its colour, as wide as the widest."""
    return output.paint(name.ljust(len("inconclusive")), COLOURS[name])


def lacking(decision: dict[str, Any]) -> list[str]:
    """The suites without a run that counts, or with one that was compared with something else than what serves."""
    kinds = ("suite", "baseline")
    return list(
        dict.fromkeys(
            check["suite"] for check in decision["checks"] if check["kind"] in kinds and check["verdict"] != "pass"
        )
    )


async def _view(api: Api, release: str | None, app: str | None, project: Path) -> Any:
    return await (_of_tree(api, project) if release is None else _of_release(api, release, app, project))


async def _of_tree(api: Api, project: Path) -> Any:
    from rondo.releases.bundle import read_folder, to_zip

    require_sound(project)
    return await api.upload("/api/gate", to_zip(read_folder(project)))


async def _of_release(api: Api, release: str, app: str | None, project: Path) -> Any:
    if release.rpartition("#")[2].isdigit() and len(release.rpartition("#")[2]) < 8:
        named, (number,) = numbers((release,), 1, "rondo gate [APP#]N")
        if app is not None and named is not None and app != named:
            raise click.UsageError(f"{release} is no release of {app}.")
        name = await which(api, app or named, project=project)
        return await api.get(f"/api/apps/{segment(name)}/releases/{number}/gate")
    name = await which(api, app, project=project)
    return await api.get(f"/api/apps/{segment(name)}/gate/{segment(release)}")


def _write(view: dict[str, Any], junit: Path | None, markdown: Path | None) -> None:
    """Raises InvalidRequest where a file cannot be written."""
    from rondo.releases import gate_junit, gate_markdown
    from rondo.releases.gate_model import Decision, FailedExample

    whole = msgspec.convert(view["decision"], Decision)
    failed = msgspec.convert(view.get("failed", []), list[FailedExample])
    reports: tuple[tuple[Path | None, Callable[[], str]], ...] = (
        (junit, lambda: gate_junit.junit(whole)),
        (markdown, lambda: gate_markdown.markdown(whole, failed)),
    )
    for path, write in reports:
        if path is None:
            continue
        try:
            path.write_text(write(), encoding="utf-8")
        except OSError as error:
            raise InvalidRequest(f"{path} cannot be written: {error.strerror}.") from None


def _print(view: dict[str, Any]) -> None:
    decision = view["decision"]
    release, stable = decision["release"], decision["stable"]
    whose = f"{decision['app']}#{release['number']}" if release["number"] else f"working tree {release['hash'][:8]}"
    against = f" against #{stable['number']}" if stable is not None else ""
    click.echo(f"{output.paint(whose, 'cyan')}{against}")
    told(view)
    if decision["declared"]:
        click.echo()
        columns = [
            Column("VERDICT", "verdict"),
            Column("WHAT", lambda check: check["kind"].replace("_", "-")),
            Column("OF", "name"),
            Column("SUITE", "suite"),
            Column("WHY", "sentence", free=True),
        ]
        output.table(decision["checks"], columns, none="")


def _missing(decision: dict[str, Any]) -> list[dict[str, Any]]:
    missing = [check for check in decision["checks"] if check["verdict"] != "pass"]
    return sorted(missing, key=lambda check: check["verdict"] != "fail")
