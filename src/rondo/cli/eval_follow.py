"""Following a run: how far it is, at what rate and cost; the scorers that run here; and what Ctrl-C does.

The first Ctrl-C pauses the run, a second one leaves at once; the server, where there is one, goes on or pauses by
itself.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rondo.cli import output
from rondo.cli.client import Api, segment
from rondo.errors import Conflict, RondoError

if TYPE_CHECKING:  # imported where they are used: commands start fast
    from rondo.cli.own_scorers import OwnScorer
    from rondo.settings.evaluating import SuiteSettings

INTERRUPTED = 130
_WAIT_S = 2
_TELL_EVERY = 5
"""Looks between two lines of progress, where they do not overwrite each other."""

_AT_A_TIME = 200
_UNDER_WAY = ("queued", "running")


async def follow(
    api: Api, run: dict[str, Any], project: Path, *, resume: str = "rondo eval --resume"
) -> dict[str, Any]:
    """The run as it stands when nothing more happens by itself. Raises Exit where it is interrupted, having said how to
    `resume`."""
    try:
        run = await _watched(api, run)
        if run["status"] == "awaiting_scores":
            run = await _score(api, run, project)
        return run
    except asyncio.CancelledError:
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
        await _pause(api, run, resume)
        raise click.exceptions.Exit(INTERRUPTED) from None


async def _watched(api: Api, run: dict[str, Any]) -> dict[str, Any]:
    line, looks, warned = _Line(), 0, bool(run["failed"])
    try:
        while run["status"] in _UNDER_WAY:
            if run["failed"] and not warned:
                warned = True
                line.end()
                await _warn(api, run)
            if looks % _TELL_EVERY == 0 or line.overwrites:
                line.show(progress(run))
            looks += 1
            known = run["progress"]["done"] if line.overwrites else run["total"]  # a log has no use for every step
            run = await api.get(f"/api/runs/{segment(run['id'])}", wait=_WAIT_S, done=known, status=run["status"])
    finally:
        line.end()
    return run


async def _warn(api: Api, run: dict[str, Any]) -> None:
    """Say why the first answer is missing, as soon as one is: nobody should wait for a run that has no key."""
    page = await api.get(f"/api/runs/{segment(run['id'])}/results", failed=True, limit=_AT_A_TIME)
    first = next((row["result"] for row in page["results"] if row["result"].get("answer") is None), None)
    if first is not None:
        said = output.one_line(f"no answer  {first.get('error')}: {first.get('error_message')}")
        click.echo(output.paint(said, "yellow"), err=True)


def progress(run: dict[str, Any]) -> str:
    """`answers  120/400 (30%)  3 without an answer  12.3/s  $0.0123  0:23 left`."""
    far = run["progress"]
    total = far["total"]
    words = [
        run["name"],
        f"{far['done']:,}/{total:,} ({far['done'] * 100 // total if total else 0}%)",
        f"{far['failed']:,} without an answer" if far["failed"] else "",
        f"{far['rate']:,.1f}/s" if far["rate"] else "",
        f"${far['spent_usd']:.4f}",
        f"{_clock(far['eta_s'])} left" if far["eta_s"] else "",
    ]
    return "  ".join(word for word in words if word)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _Line:
    """Progress on stderr: one line that is overwritten on a terminal, else a line now and then."""

    def __init__(self) -> None:
        self.overwrites = sys.stderr.isatty()
        self._wide = 0

    def show(self, text: str) -> None:
        text = output.one_line(text)
        if not self.overwrites:
            click.echo(text, err=True)
            return
        click.echo("\r" + text.ljust(self._wide), nl=False, err=True)
        self._wide = len(text)

    def end(self) -> None:
        if self.overwrites and self._wide:
            click.echo("\r" + " " * self._wide + "\r", nl=False, err=True)


async def _pause(api: Api, run: dict[str, Any], resume: str) -> None:
    with suppress(Conflict):  # it has come to its end meanwhile
        await api.post(f"/api/runs/{segment(run['id'])}/pause", {})
    click.echo(f"\npaused; go on with: {resume} {run['id']}", err=True)


async def _score(api: Api, run: dict[str, Any], project: Path) -> dict[str, Any]:
    """Score here what the server waits for, a page at a time. Raises SettingsError where a scorer is not there."""
    scorers = _own(run, project, api)
    path = f"/api/runs/{segment(run['id'])}"
    versions = {scorer.name: scorer.version for scorer in scorers}
    after: str | None = None
    while True:
        page = await api.get(f"{path}/results", limit=_AT_A_TIME, after=after)
        scores = await _scored(scorers, page["results"])
        after = page["after"]
        run = await api.post(
            f"{path}/scores", {"scores": scores, "versions": versions, "last": after is None}, slow=True
        )
        if after is None:
            return run


def _own(run: dict[str, Any], project: Path, api: Api) -> list[OwnScorer]:
    from rondo.evals.suites import BESIDE
    from rondo.settings.project import suite_settings

    file = f"suites/{run['name']}.toml"
    settings = suite_settings({name: value for name, value in run["suite"].items() if name not in BESIDE}, file=file)
    return own_scorers(api, project, settings, file=file)


def own_scorers(api: Api, project: Path, suite: SuiteSettings, *, file: str) -> list[OwnScorer]:
    """The scorers of a suite that run here. Raises SettingsError where one is not there, or cannot be loaded."""
    from rondo.cli.own_scorers import Gateway, load

    gateway = Gateway(*api.gateway) if api.gateway is not None else None
    return load(project, suite.scorers, gateway=gateway, file=file)


async def _scored(scorers: list[OwnScorer], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    import msgspec

    from rondo.cli.own_scorers import score
    from rondo.datasets.model import Example
    from rondo.evals.model import Result

    results = [msgspec.convert(row["result"], Result) for row in rows]
    examples = {row["example"]["id"]: msgspec.convert(row["example"], Example) for row in rows}
    try:
        found = await score(scorers, results, examples)
    except RecursionError as error:  # a scorer's own affair, but it must not look like ours
        raise RondoError(f"A scorer of the project went too deep: {error}.") from None
    return [
        {"target": target, "example": example, "repeat": repeat, "scores": msgspec.to_builtins(scores)}
        for (target, example, repeat), scores in found.items()
    ]
