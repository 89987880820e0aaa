"""Reading `rondo.toml`. An error names the file, the key, what is allowed and the nearest name."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from rondo.errors import SettingsError
from rondo.settings.evaluating import OF_FAILURES, SuiteSettings
from rondo.settings.rollout import RolloutSettings
from rondo.settings.table import IN_WORDS, nearest
from rondo.settings.tables import GoalSettings, ModelSettings, ProjectSettings

FILE = "rondo.toml"

T = TypeVar("T", bound=BaseModel)


def parse(text: str, *, file: str = FILE) -> ProjectSettings:
    """Settings from the text of a `rondo.toml`. Raises SettingsError, which names the first wrong key."""
    return _parse(ProjectSettings, text, file)


def parse_suite(text: str, *, file: str) -> SuiteSettings:
    """A suite from the text of its file. Raises SettingsError, which names the first wrong key."""
    if PurePosixPath(file).stem == OF_FAILURES:
        raise SettingsError(
            f"the suite {OF_FAILURES!r} is Rondo's own: it asks the failures that became must-pass examples.",
            file=file,
            remedy="Give the file another name.",
        )
    return _parse(SuiteSettings, text, file)


def suite_settings(values: Mapping[str, Any], *, file: str) -> SuiteSettings:
    """A suite from its values, as a client sends them. Raises SettingsError."""
    try:
        return SuiteSettings.model_validate(dict(values))
    except ValidationError as error:
        raise _explain(error, file, SuiteSettings) from None


def goal_settings(goals: Sequence[Mapping[str, Any]]) -> list[GoalSettings]:
    """Goals from their values, as a client sends them. Raises SettingsError."""
    try:
        return [GoalSettings.model_validate(dict(goal)) for goal in goals]
    except ValidationError as error:
        raise _explain(error, "goals", GoalSettings) from None


def rollout_settings(values: Mapping[str, Any]) -> RolloutSettings:
    """The table `[rollout]` from its values. Raises SettingsError."""
    try:
        return RolloutSettings.model_validate(dict(values))
    except ValidationError as error:
        raise _explain(error, "rollout", RolloutSettings) from None


def read(folder: Path) -> ProjectSettings:
    """Settings of the project in `folder`. Raises SettingsError."""
    file, text = read_text(folder)
    return parse(text, file=file)


def read_text(folder: Path) -> tuple[str, str]:
    """The name and the text of the file in `folder`, right or wrong. Raises SettingsError."""
    path = folder / FILE
    try:
        return str(path), path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError("no such file.", file=str(path), remedy="`rondo init NAME` makes a project.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot be read: {error}.", file=str(path)) from None


def app_of(folder: Path) -> str | None:
    """The app that a folder's file names, also where something else in it needs mending; None where it names none."""
    try:
        named = tomllib.loads(read_text(folder)[1])["app"]["name"]
    except (SettingsError, tomllib.TOMLDecodeError, KeyError, TypeError):
        return None
    return named if isinstance(named, str) else None


def model_settings(values: Mapping[str, Any], name: str) -> ModelSettings:
    """A model's table as it was kept. Raises SettingsError."""
    try:
        return ModelSettings.model_validate(values)
    except ValidationError as error:
        raise _explain(error, f"the model {name}") from None


def _parse(kind: type[T], text: str, file: str) -> T:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"not valid TOML: {error}.", file=file) from None
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise _explain(error, file, kind) from None


def _explain(error: ValidationError, file: str, kind: type[BaseModel] = ProjectSettings) -> SettingsError:
    # A misspelt key is also a missing one: the misspelling tells more.
    found = error.errors(include_url=False)
    first = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
    path = [str(part) for part in first["loc"] if part != "[key]"]
    key = ".".join(path) or None
    if first["type"] == "extra_forbidden":
        hint = nearest(path[-1], _keys_at(path[:-1], kind))
        return SettingsError(f"there is no such key.{hint}", file=file, param=key)
    if first["type"] == "missing":
        return SettingsError("this key is required.", file=file, param=key)
    if first["type"] == "value_error":
        return SettingsError(str(first["ctx"]["error"]).rstrip(".") + ".", file=file, param=key)
    message = IN_WORDS.get(first.get("ctx", {}).get("pattern", ""), first["msg"])
    given = "" if isinstance(first["input"], dict) else f", not {first['input']!r:.200}"
    return SettingsError(f"{message}{given}.", file=file, param=key)


def _keys_at(path: list[str], table: type[BaseModel]) -> list[str]:
    """The keys allowed in the table at `path` of this one."""
    for part in path:
        field = table.model_fields.get(part)
        # A part that is no field is a position in a list, or the name of a named table.
        table = table if field is None else _table_in(field.annotation) or table
    return list(table.model_fields)


def _table_in(kind: Any) -> type[BaseModel] | None:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    return next((table for each in get_args(kind) if (table := _table_in(each)) is not None), None)
