"""`rondo release`: freezes a project folder into a release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rondo.cli import gate, output
from rondo.cli.apps import shares, who_serves
from rondo.cli.check import require_sound
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.folder_option import project_folder
from rondo.errors import Conflict, Forbidden


@click.command("release")
@click.option("-m", "--message", default="", help="What is new, in a few words; kept with the release.")
@project_folder
@click.option("--no-rollout", is_flag=True, help="Start no rollout, whatever [rollout] says.")
@connected
async def command(api: Api, message: str, project: Path, no_rollout: bool) -> None:
    """Freeze the project folder into a numbered, immutable release with one hash.

    The folder is checked first, then sent to the server, which stores its prompt and builds its index. A folder that
    says what an earlier release says gives that release again. The first release of an app serves at once; later ones
    are rolled out as [rollout] says, or serve nobody until `rondo promote` or `rondo split`. For each of these they
    must have passed the app's gate: what they lack is printed here, and by `rondo gate`.
    """
    from rondo.releases.bundle import read_folder, to_zip

    require_sound(project)
    answer = await api.upload("/api/releases", to_zip(read_folder(project)), message=message or None)
    release = answer["release"]
    path = f"/api/apps/{segment(release['app'])}"
    traffic = await api.get(path)
    waits = release["number"] not in shares(traffic)
    view = await api.get(f"{path}/releases/{release['number']}/gate") if waits else None
    declared = traffic["settings"].get("rollout") or {}
    starts = waits and not no_rollout and declared.get("on_release") == "start"
    rollout = await _start(api, path, release) if starts else None
    if rollout is not None:
        answer = {**answer, "rollout": rollout}
    api.show(answer, lambda told: _print(told, traffic, view))


async def _start(api: Api, path: str, release: dict[str, Any]) -> dict[str, Any]:
    """The rollout, or why there is none: the release stays made either way."""
    try:
        body = {"release": release["number"], "reason": release["message"]}
        return {"started": await api.post(f"{path}/rollout", body), "refused": None}
    except (Conflict, Forbidden) as error:
        return {"started": None, "refused": str(error)}


def _print(answer: dict[str, Any], traffic: dict[str, Any], view: dict[str, Any] | None) -> None:
    release = answer["release"]
    label = f"{release['app']}#{release['number']}"
    click.echo(f"{'created' if answer['created'] else 'unchanged'}  {output.paint(label, 'cyan')}  {release['hash']}")
    for name, words in answer["classifiers"].items():
        click.echo(f"learnt   {name}: {words}")
    click.echo(f"serving  {who_serves(traffic)}")
    if view is not None:
        gate.told(view, label="gate     ")
    rollout = answer.get("rollout")
    if rollout is not None and rollout["started"] is not None:
        from rondo.cli.rollout import told

        told(rollout["started"], label="rollout  ")
        return
    if rollout is not None:
        click.echo(f"rollout  {output.one_line('not started: ' + rollout['refused'])}")
    if view is not None:
        click.echo(f"next     {_next(release, view['decision'], by_rollout=bool(traffic['settings'].get('rollout')))}")


def _next(release: dict[str, Any], decision: dict[str, Any], *, by_rollout: bool) -> str:
    """What gives it traffic, or what comes before that."""
    label = f"{release['app']}#{release['number']}"
    if decision["verdict"] == "pass" and by_rollout:
        return f"rondo rollout start {label}"
    if decision["verdict"] == "pass":
        return f"rondo split {release['app']} {release['number']}=10%, or rondo promote {label}"
    if gate.lacking(decision):
        return f"rondo gate {label} --run-suites, then rondo {'rollout start' if by_rollout else 'promote'} {label}"
    return f"rondo gate {label}, which shows all that it lacks"
