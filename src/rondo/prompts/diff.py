"""What changed between two versions of a prompt, part by part. Pure."""

from __future__ import annotations

import difflib
import json
from typing import Any

from msgspec import Struct, structs

from rondo.prompts.model import Prompt

PARTS = ("description", "variables", "examples", "output_schema", "system", "user")


class PartDiff(Struct, frozen=True, kw_only=True):
    """One changed part, as a unified diff without file headers."""

    part: str
    change: str  # "added", "removed" or "changed"
    text: str


def diff(old: Prompt, new: Prompt) -> list[PartDiff]:
    """The parts that differ, in the order of a prompt file; empty when both are the same version."""
    found = []
    for part in PARTS:
        before, after = _lines(old, part), _lines(new, part)
        if before != after:
            change = "added" if not before else "removed" if not after else "changed"
            hunks = list(difflib.unified_diff(before, after, lineterm="", n=3))[2:]
            found.append(PartDiff(part=part, change=change, text="\n".join(hunks)))
    return found


def unified(old: Prompt, new: Prompt) -> str:
    """The whole files as one unified diff, as `diff -u` writes it; empty when the texts are equal."""
    return "\n".join(
        difflib.unified_diff(
            old.source.splitlines(),
            new.source.splitlines(),
            f"{old.name} {old.version[:12]}",
            f"{new.name} {new.version[:12]}",
            lineterm="",
        )
    )


def _lines(prompt: Prompt, part: str) -> list[str]:
    value: Any = getattr(prompt, part)
    if not value:
        return []
    if isinstance(value, str):
        return value.splitlines()
    if part == "variables":
        value = {name: structs.asdict(variable) for name, variable in value.items()}
    elif part == "examples":
        value = [structs.asdict(example) for example in value]
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).splitlines()
