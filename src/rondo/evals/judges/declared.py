"""Judges as a project declares them, and as a release's manifest holds them. Pure.

    "judges": {"quality": {"kind": "rubric", "model": "judge", "criteria": [...], "votes": 1, ...}}

The model is named; what it is stands in the manifest's `route` or `models`. A rubric is written out, so that a judge
means the same in ten years, whatever the default has become.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rondo.errors import CorruptData
from rondo.evals.judges.model import Judge
from rondo.evals.judges.rubric import criteria_of
from rondo.settings.tables import ProjectSettings

_HAS_CRITERIA = ("rubric", "geval")


def declared(settings: ProjectSettings) -> dict[str, dict[str, Any]]:
    """For the manifest: each judge with its criteria written out; empty where the project declares none."""
    found: dict[str, dict[str, Any]] = {}
    for name, judge in sorted(settings.judges.items()):
        values = judge.model_dump(mode="json", exclude={"rubric"})
        rubric = settings.rubrics[judge.rubric] if judge.rubric is not None else None
        if rubric is not None or judge.kind in _HAS_CRITERIA:
            values["criteria"] = [msgspec.to_builtins(each) for each in criteria_of(rubric)]
        found[name] = {key: value for key, value in values.items() if value not in (None, "", {})}
    return found


def of_manifest(manifest: Mapping[str, Any]) -> dict[str, Judge]:
    """The judges of a release or a draft, by name. Raises CorruptData for what no release of ours holds."""
    specs = {model["name"]: model for model in (*manifest.get("models", ()), *manifest["route"])}
    try:
        return {
            name: msgspec.convert({**values, "name": name, "model": specs[values["model"]]}, Judge)
            for name, values in manifest.get("judges", {}).items()
        }
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise CorruptData(
            f"The judges of a release cannot be read: {error}.", remedy="Start the newer Rondo that wrote it."
        ) from None
