"""The judges that a release or a draft of an app was frozen with, and how each of them stands with people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection

from rondo.errors import NotFound
from rondo.evals.judges import calibration_store
from rondo.evals.judges.calibration_store import Calibration
from rondo.evals.judges.declared import of_manifest
from rondo.evals.judges.model import Judge
from rondo.evals.judges.report import Measured
from rondo.evals.judges.standing import standing
from rondo.evals.model import Target
from rondo.releases import drafts, store
from rondo.settings.table import nearest

_HISTORY = 30


class Judges(Struct, frozen=True, kw_only=True):
    """`target` is the release or the draft; `judges` are by name."""

    target: Target
    judges: dict[str, Judge]

    def judge(self, name: str) -> Judge:
        """Raises NotFound."""
        found = self.judges.get(name)
        if found is None:
            raise NotFound(
                f"{self.target.label} has no judge called {name!r:.100}.{nearest(name, list(self.judges))}",
                remedy="Declare it as `[judges.NAME]` in rondo.toml.",
                param="judge",
            )
        return found


class JudgeLine(Struct, frozen=True, kw_only=True):
    """A judge in a list: whether its word counts now, and by which calibration of its version."""

    app: str
    target: str
    judge: Judge
    metrics: list[str]
    version: str
    counts: bool
    sentence: str
    kappa: float | None
    answers: int | None
    calibrated_at: int | None


class CalibrationLine(Struct, frozen=True, kw_only=True):
    """A calibration with what it measured, without the answers' single words."""

    id: str
    version: str
    kappa: float | None
    mark: float | None
    passed: bool
    created_by: str
    created_at: int
    measured: Measured


class JudgeStory(Struct, frozen=True, kw_only=True):
    """A judge with all its calibrations, newest first, of whatever version."""

    line: JudgeLine
    calibrations: list[CalibrationLine]


def judges_of(connection: Connection, project: str, app: str, hash_: str | None = None) -> Judges:
    """Of the release or the draft with this hash; by default, of what was frozen last. Raises NotFound."""
    store.get_app(connection, project, app)
    release = store.find_release(connection, project, app, hash_) if hash_ is not None else None
    if release is None and hash_ is None:
        newest = store.list_releases(connection, project, app, limit=1)
        release = newest[0] if newest else None
        drafted = drafts.newest(connection, project, app)
        if drafted is not None and (release is None or drafted.created_at > release.created_at):
            return _judges(_drafted(drafted), drafted.manifest)
    if release is not None:
        target = Target(label=release.label, app=app, number=release.number, hash=release.hash)
        return _judges(target, release.manifest)
    if hash_ is None:
        raise NotFound(f"{app!r:.100} has no release yet.", remedy="`rondo release` makes one.", param="app")
    draft = drafts.get(connection, project, app, hash_)
    return _judges(_drafted(draft), draft.manifest)


def list_judges(connection: Connection, project: str, app: str | None = None) -> list[JudgeLine]:
    """The judges of one app, or of all, as they were frozen last. Raises NotFound for an app that is not there."""
    names = [app] if app is not None else [each.name for each in store.list_apps(connection, project)]
    found = []
    for name in names:
        try:
            judges = judges_of(connection, project, name)
        except NotFound:
            if app is not None:
                raise
            continue
        found += [_line(connection, project, name, judges, judge) for judge in judges.judges.values()]
    return found


def tell(connection: Connection, project: str, app: str, name: str) -> JudgeStory:
    """The whole story of a judge. Raises NotFound."""
    judges = judges_of(connection, project, app)
    line = _line(connection, project, app, judges, judges.judge(name))
    history = calibration_store.history(connection, project, app, name, limit=_HISTORY)
    return JudgeStory(line=line, calibrations=[told(each) for each in history])


def told(calibration: Calibration) -> CalibrationLine:
    """For lists."""
    return CalibrationLine(
        id=calibration.id,
        version=calibration.version,
        kappa=calibration.kappa,
        mark=calibration.mark,
        passed=calibration.passed,
        created_by=calibration.created_by,
        created_at=calibration.created_at,
        measured=Measured.of(calibration.report).without_pairs(),
    )


def _line(connection: Connection, project: str, app: str, judges: Judges, judge: Judge) -> JudgeLine:
    now = standing(connection, project, app, judge)
    last = now.calibration
    return JudgeLine(
        app=app,
        target=judges.target.label,
        judge=judge,
        metrics=judge.metrics(),
        version=now.version,
        counts=now.counts,
        sentence=now.sentence,
        kappa=last.kappa if last is not None else None,
        answers=Measured.of(last.report).answers if last is not None else None,
        calibrated_at=last.created_at if last is not None else None,
    )


def _drafted(draft: drafts.Draft) -> Target:
    return Target(label=f"{draft.app}@{draft.hash[:8]}", app=draft.app, hash=draft.hash)


def _judges(target: Target, manifest: Mapping[str, Any]) -> Judges:
    return Judges(target=target, judges=of_manifest(manifest))
