"""What changed between two releases: manifest field by field, the prompt line by line. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from rondo.releases.model import Release


class Change(Struct, frozen=True, kw_only=True):
    """One difference. `field` is a dotted path; `before` or `after` is None where there was, or is, nothing.

    `text` is a unified diff, for the one field `prompt.text`.
    """

    field: str
    before: Any = None
    after: Any = None
    text: str | None = None


def diff(a: Release, b: Release, prompt_sources: Mapping[str, str]) -> list[Change]:
    """Differences from `a` to `b`, in the order of the manifest; none where they are the same.

    `prompt_sources` has the text of each prompt version; a version that is not in it is only named. Models are
    compared by name, and their order as `route`.
    """
    before, after = _fields(a.manifest), _fields(b.manifest)
    changes: list[Change] = []
    for field in [*before, *(field for field in after if field not in before)]:
        if before.get(field) != after.get(field):
            changes.append(Change(field=field, before=before.get(field), after=after.get(field)))
        if field == "prompt.version" and before.get(field) != after.get(field):
            changes += _prompt_text(a, b, prompt_sources)
    return changes


def _prompt_text(a: Release, b: Release, sources: Mapping[str, str]) -> list[Change]:
    old, new = sources.get(a.manifest["prompt"]["version"]), sources.get(b.manifest["prompt"]["version"])
    if old is None or new is None:
        return []
    lines = difflib.unified_diff(
        old.splitlines(),
        new.splitlines(),
        f"{a.manifest['prompt']['name']} ({a.label})",
        f"{b.manifest['prompt']['name']} ({b.label})",
        lineterm="",
    )
    return [Change(field="prompt.text", text="\n".join(lines))]


def _fields(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves by dotted path. Lists are leaves, but for the route (its order, and each model under its name) and the
    criteria of judges."""
    found: dict[str, Any] = {}
    for key, value in manifest.items():
        if key == "route":
            found["route"] = [model["name"] for model in value]
            for model in value:
                rest = {name: each for name, each in model.items() if name != "name"}
                _flatten(rest, f"route.{model['name']}", found)
        elif key == "judges":
            for name, judge in value.items():
                criteria = {each["name"]: each for each in judge.get("criteria", ())}
                _flatten({**judge, "criteria": criteria}, f"judges.{name}", found)
        else:
            _flatten(value, key, found)
    return found


def _flatten(value: Any, path: str, found: dict[str, Any]) -> None:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            _flatten(each, f"{path}.{key}", found)
    elif value is not None and value != {}:
        found[path] = value
