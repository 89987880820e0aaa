"""What a prompt is: parts, declared variables and few-shot examples, named by the hash of what it says.

Two prompts that say the same have the same version, whatever the spacing of their files. Nothing here parses,
renders or stores.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from msgspec import Struct, structs

VariableType = Literal["string", "number", "integer", "boolean", "list", "object"]

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "list": (list,),
    "object": (dict,),
}

# What every template may use without declaring it, with the keys that the items of a list have.
BUILT_IN: dict[str, frozenset[str] | None] = {
    "question": None,
    "context": frozenset({"number", "text", "source", "title", "heading"}),
    "history": frozenset({"role", "content"}),
    "inputs": None,
    "hand_over": None,
}


class Variable(Struct, frozen=True, kw_only=True):
    """A value that a request gives in `inputs`. Without a default it is required."""

    type: VariableType
    required: bool
    default: Any = None
    description: str = ""


class Example(Struct, frozen=True, kw_only=True):
    """A few-shot pair; plain text, no template."""

    user: str
    assistant: str


class Prompt(Struct, frozen=True, kw_only=True):
    """A parsed prompt file. `name` is the file's stem, `source` its text; neither is part of `version`."""

    name: str
    version: str
    source: str
    user: str
    system: str | None = None
    description: str = ""
    variables: dict[str, Variable] = {}
    examples: tuple[Example, ...] = ()
    output_schema: dict[str, Any] | None = None


class PromptVersion(Struct, frozen=True, kw_only=True):
    """A stored version, for lists. `created_at` is in microseconds since the epoch."""

    name: str
    version: str
    created_at: int


def fits(value: object, kind: VariableType) -> bool:
    """Whether a JSON value is of a variable's type. A boolean is no number."""
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, TYPES[kind])


def version_of(prompt: Prompt) -> str:
    """SHA-256, as hex, of the canonical JSON of everything but name, version and source.

    Raises ValueError where the prompt holds what JSON cannot (NaN, half a surrogate pair).
    """
    content = {
        "description": prompt.description,
        "examples": [structs.asdict(example) for example in prompt.examples],
        "output_schema": prompt.output_schema,
        "system": prompt.system,
        "user": prompt.user,
        "variables": {name: structs.asdict(variable) for name, variable in prompt.variables.items()},
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
