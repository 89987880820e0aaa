"""What a dataset is: examples that never change, versions that are lists of them, and where each came from. Pure.

An example's id is a hash of what it says (not of where it came from, nor of its split), so the same example is one
example in every version and every project. A version's hash covers its examples, their order and their splits.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b, sha256
from typing import Any, Literal

import msgspec
from msgspec import Struct, structs

from rondo.catalog.text import canonical_json

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Provenance(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an example came from: a line of a file, a recorded call, a review, an attack.

    `source` names the file, suite or person; `broke` is the release (`support-bot#7`) whose answer made it a test.
    """

    kind: Literal["file", "call", "review", "redteam", "written"]
    source: str = ""
    line: int | None = None
    trace_id: str | None = None
    broke: str | None = None


class Persona(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A user to be played by a model: who they are, what they want, and after how many turns they give up."""

    who: str
    goal: str
    max_turns: int = 4


class Example(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of a dataset.

    `messages` is the conversation so far, as chat completions have it; its last message is what is asked. `expected`
    is the answer that is right, as text or as JSON; `expect` holds checks of this example alone, each with a `kind`
    and that scorer's own options. `hand_over` says whether a person should have been called. `sources` are the
    documents that hold the answer, `context` passages that are given in the place of retrieval, `tool_calls` the
    calls that should be made, [{"name", "arguments"}]. `follow_ups` are what the user says next, one after
    each answer. `tags` are what slices are made of; `group` is what must stay together (a conversation, a customer).
    `must_pass`: no release may take traffic that fails it.
    """

    messages: list[dict[str, Any]]
    expected: Any = None
    expect: list[dict[str, Any]] = []
    hand_over: bool | None = None
    sources: list[str] = []
    context: list[dict[str, Any]] = []
    tool_calls: list[dict[str, Any]] | None = None
    inputs: dict[str, Any] = {}
    params: dict[str, Any] = {}
    persona: Persona | None = None
    follow_ups: list[str] = []
    tags: dict[str, str] = {}
    group: str | None = None
    must_pass: bool = False
    metadata: dict[str, Any] = {}
    split: Split | None = None
    provenance: Provenance = Provenance(kind="written")
    id: str = ""

    @property
    def question(self) -> str:
        """The text of the last user message."""
        return next((text_of(each) for each in reversed(self.messages) if each.get("role") == "user"), "")

    def identified(self) -> Example:
        """The same, with the id that it must have."""
        said = msgspec.to_builtins(structs.replace(self, id="", split=None, provenance=Provenance(kind="written")))
        return structs.replace(self, id=blake2b(canonical_json(said).encode(), digest_size=16).hexdigest())


class DatasetVersion(Struct, frozen=True, kw_only=True):
    """A version of a dataset: `examples` are (id, split) in order, `hash` covers them. `report` is its quality report.

    `number` counts a dataset's versions from 1; `parent` is the hash of the version it was made from.
    """

    project: str
    dataset: str
    number: int
    hash: str
    parent: str | None
    examples: int
    note: str
    report: dict[str, Any]
    created_by: str
    created_at: int

    @property
    def label(self) -> str:
        """`questions@3`."""
        return f"{self.dataset}@{self.number}"


def parse_version(text: str | None) -> int | str | None:
    """A version as people write it: a number, `latest`, or the beginning of a hash."""
    if text is None or text in ("", "latest"):
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def parse_label(label: str) -> tuple[str, int | str | None]:
    """A dataset and its version from `questions`, `questions@3`, `questions@latest` or `questions@7210b5ba7d3d`."""
    name, _, version = label.partition("@")
    return name, parse_version(version)


Member = tuple[str, Split | None]
"""An example's place in a version: its id, and its split."""


def version_hash(examples: list[Example]) -> str:
    """SHA-256 of the examples' ids and splits, in order."""
    return hash_of_members([(each.id, each.split) for each in examples])


def hash_of_members(members: Sequence[Member]) -> str:
    """The hash of the version that has these members."""
    return sha256(canonical_json(members).encode()).hexdigest()


def text_of(message: dict[str, Any]) -> str:
    """A chat message's plain text; parts that are no text are left out."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
