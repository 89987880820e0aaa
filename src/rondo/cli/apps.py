"""Which app and which release a command means: `support-bot 7`, `support-bot#7`, or only `7` in the app's project
folder, and where there is no other app."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from rondo.cli.client import Api
from rondo.errors import NotFound

_LABEL = re.compile(r"(?:(?P<app>[a-z0-9][a-z0-9._-]{0,63})#)?(?P<number>[1-9][0-9]{0,8})")


def numbers(words: tuple[str, ...], how_many: int, usage: str) -> tuple[str | None, list[int]]:
    """The app, where it is named, and the release numbers in `words`. Raises UsageError, which repeats `usage`."""
    wrong = click.UsageError(f"Write it as: {usage}.")
    app = words[0] if len(words) == how_many + 1 else None
    rest = words[1:] if app is not None else words
    if len(rest) != how_many:
        raise wrong
    found = []
    for word in rest:
        label = _LABEL.fullmatch(word)
        if label is None or (label["app"] and app is not None and label["app"] != app):
            raise wrong
        app = app or label["app"]
        found.append(int(label["number"]))
    return app, found


async def which(api: Api, app: str | None, *, project: Path | None = None) -> str:
    """`app`; else that of the project folder, by default this one; else the only one there is. Raises UsageError where
    there are several, NotFound where there is none, or not the folder's."""
    if app is not None:
        return app
    from rondo.settings.project import app_of  # reading settings costs a start that names the app more than the rest

    names = [str(each["name"]) for each in (await api.get("/api/apps"))["apps"]]
    if not names:
        raise NotFound("There is no app yet.", remedy="`rondo release` makes one from a project folder.")
    named = app_of(project or Path())
    if named is not None and named not in names:
        raise NotFound(
            f"The app of this project folder, {named!r:.100}, is not there yet.",
            remedy=f"`rondo release` makes it; or name another: {', '.join(names)}.",
        )
    if named is not None:
        return named
    if len(names) > 1:
        raise click.UsageError(f"There are several apps: name one of {', '.join(names)}.")
    return names[0]


def shares(told: dict[str, Any]) -> dict[int, float]:
    """Percent by release, the stable one's first, from what the API says of an app or of a change of its traffic."""
    traffic = told.get("traffic") or told
    stable = traffic.get("stable")
    if stable is None:
        return {}
    if "shares" in traffic:
        percents = {int(number): float(percent) for number, percent in traffic["shares"].items()}
    else:
        percents = {arm["release"]: arm["share_bp"] / 100 for arm in traffic["arms"]}
        percents[stable] = 100 - sum(percents.values())
    return {stable: percents.pop(stable, 0.0), **dict(sorted(percents.items()))}


def who_serves(told: dict[str, Any]) -> str:
    """`stable #7 90%, #8 10%`."""
    percents = shares(told)
    if not percents:
        return "nothing yet"
    words = [f"#{number} {percent:g}%" for number, percent in percents.items()]
    return "stable " + ", ".join(words)
