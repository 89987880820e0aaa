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


@click.command("release")
@click.option("-m", "--message", default="", help="What is new, in a few words; kept with the release.")
@click.option(
    "--project",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The project folder; this one by default.",
)
@connected
async def command(api: Api, message: str, project: Path) -> None:
    """Freeze the project folder into a numbered, immutable release with one hash.

    The folder is checked first, then sent to the server, which stores its prompt and builds its index. A folder that
    says what an earlier release says gives that release again. The first release of an app serves at once; later ones
    serve nobody until `rondo promote` or `rondo split`, for which they must have passed the app's gate: what they lack
    is printed here, and by `rondo gate`.
    """
    from rondo.releases.bundle import read_folder, to_zip

    require_sound(project)
    answer = await api.upload("/api/releases", to_zip(read_folder(project)), message=message or None)
    release = answer["release"]
    path = f"/api/apps/{segment(release['app'])}"
    traffic = await api.get(path)
    waits = release["number"] not in shares(traffic)
    view = await api.get(f"{path}/releases/{release['number']}/gate") if waits else None
    api.show(answer, lambda told: _print(told, traffic, view))


def _print(answer: dict[str, Any], traffic: dict[str, Any], view: dict[str, Any] | None) -> None:
    release = answer["release"]
    label = f"{release['app']}#{release['number']}"
    click.echo(f"{'created' if answer['created'] else 'unchanged'}  {output.paint(label, 'cyan')}  {release['hash']}")
    for name, words in answer["classifiers"].items():
        click.echo(f"learnt   {name}: {words}")
    click.echo(f"serving  {who_serves(traffic)}")
    if view is not None:
        gate.told(view, label="gate     ")
    if view is not None and view["decision"]["verdict"] == "pass":
        click.echo(f"next     rondo split {release['app']} {release['number']}=10%, or rondo promote {label}")
