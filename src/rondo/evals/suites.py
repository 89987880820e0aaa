"""A run's suite: its settings as they were sent, with the judges and goals that held then; and its hash. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any

import msgspec

from rondo.catalog.text import canonical_json
from rondo.errors import Conflict, CorruptData
from rondo.evals.judges import scorer as judges
from rondo.evals.judges.model import Judge
from rondo.evals.judges.version import version_of
from rondo.evals.model import AskModel, Run, Scorer
from rondo.evals.scorers import registry
from rondo.evals.selection import Selection
from rondo.settings.evaluating import SuiteSettings

BESIDE = ("judges", "goals", "guarded_slices", "least_slice", "fresh", "selection", "own_versions", "same_as")
"""What a run remembers beside its suite's own settings."""

_DECIDE_NOTHING = frozenset(("dataset", "budget_usd", "max_concurrency", "timeout_s", "summary", "slices"))


def kept(
    settings: SuiteSettings,
    judges: Mapping[str, Judge],
    *,
    goals: Sequence[Mapping[str, Any]] = (),
    guarded_slices: Sequence[str] = (),
    least_slice: int | None = None,
    fresh: bool = False,
    selection: Selection | None = None,
    same_as: str | None = None,
) -> dict[str, Any]:
    """What a run remembers of its suite; of the judges, those that it uses. `same_as` is the baseline, where
    nothing else is asked."""
    beside = {
        "judges": {name: msgspec.to_builtins(judge) for name, judge in used(settings, judges).items()},
        "goals": [dict(goal) for goal in goals],
        "guarded_slices": list(guarded_slices),
        "least_slice": least_slice,
        "fresh": fresh,
        "selection": None if selection is None else msgspec.to_builtins(selection),
        "same_as": same_as,
    }
    return {
        **settings.model_dump(mode="json", exclude_none=True),
        **{name: value for name, value in beside.items() if value},
    }


def scored_by(run: Run, versions: Mapping[str, str]) -> dict[str, Any]:
    """The same, with the versions of its own scorers. Raises Conflict where it has scores of another one."""
    known: dict[str, str] = run.suite.get("own_versions", {})
    changed = next((name for name, version in versions.items() if known.get(name, version) != version), None)
    if changed is not None:
        raise Conflict(
            f"{run.id} has scores of another version of `{changed}`: its file, what that imports, or its package.",
            remedy="Run the suite again: what has been answered is not asked anew.",
        )
    return {**run.suite, "own_versions": {**known, **versions}} if versions else run.suite


def used(settings: SuiteSettings, judges: Mapping[str, Judge]) -> dict[str, Judge]:
    """The judges that the suite names, by name."""
    named = {getattr(each, "judge", None) for each in settings.scorers if each.kind == "judge"}
    return {name: judge for name, judge in sorted(judges.items()) if name in named}


def suite_hash(settings: SuiteSettings, judges: Mapping[str, Judge]) -> str:
    """SHA-256 of what decides a run's results besides its dataset: not its goals, nor how fast or dear it may be."""
    decides = settings.model_dump(mode="json", exclude=set(_DECIDE_NOTHING), exclude_none=True)
    versions = {name: version_of(judge) for name, judge in used(settings, judges).items()}
    return sha256(canonical_json({"suite": decides, "judges": versions}).encode()).hexdigest()


def settings_of(run: Run) -> SuiteSettings:
    """The suite's settings."""
    return SuiteSettings.model_validate({name: value for name, value in run.suite.items() if name not in BESIDE})


def judges_of(run: Run) -> dict[str, Judge]:
    """The judges that the run uses, by name. Raises CorruptData."""
    try:
        return msgspec.convert(run.suite.get("judges", {}), dict[str, Judge])
    except msgspec.ValidationError as error:
        raise CorruptData(f"The judges of {run.id} cannot be read: {error}.") from None


def scorers_of(suite: SuiteSettings, found: Mapping[str, Judge], ask: AskModel | None, *, name: str) -> list[Scorer]:
    """The suite's scorers, ready to run, but for those that the command line runs. Raises SettingsError."""
    made = {each: partial(_scorers_of, judge, ask) for each, judge in found.items()}
    return registry.build(suite.scorers, ask=ask, judges=made, file=f"suites/{name}.toml")


def _scorers_of(judge: Judge, ask: AskModel | None, name: str) -> list[Scorer]:
    return judges.build(name, judge, ask or _nobody)


async def _nobody(model: str, request: Mapping[str, Any], *, path: str = "/chat/completions") -> Any:
    raise AssertionError("scorers that are only described ask nobody")
