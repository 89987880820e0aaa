"""What a release is, and what serves whom. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from rondo.knowledge.model import IndexVersion
from rondo.releases.state import Traffic

TrafficAction = Literal["release", "promote", "split", "rollback", "shadow"]


class Release(Struct, frozen=True, kw_only=True):
    """Everything that decides an answer, under one hash; it never changes. `created_at` is in microseconds.

    `manifest` is described in `manifest.py`; `terms` are the goals and the gate that the app had when it was made
    (`gate_terms.py`), and are no part of the hash.
    """

    project: str
    app: str
    number: int
    hash: str
    manifest: dict[str, Any]
    message: str
    created_by: str
    created_at: int
    terms: dict[str, Any] = {}

    @property
    def label(self) -> str:
        """`support-bot#7`."""
        return f"{self.app}#{self.number}"


class Bundle(Struct, frozen=True):
    """The files that a release is made of, by their path relative to `rondo.toml`, with `/` between folders."""

    files: Mapping[str, bytes]


class Frozen(Struct, frozen=True, kw_only=True):
    """What freezing a bundle gave. `created` is False where the very same release was there already.

    `knowledge` says what the index holds, and how much of it was made anew; `classifiers` says of each how good it is.
    """

    release: Release
    created: bool
    knowledge: IndexVersion | None
    classifiers: dict[str, str] = {}


class AppRow(Struct, frozen=True, kw_only=True):
    """An app as the catalog has it. `settings` holds `use_case`, `goals`, and `gate`, as of the latest release."""

    project: str
    name: str
    settings: dict[str, Any]
    created_at: int


class ModelRow(Struct, frozen=True, kw_only=True):
    """A model that clients may call by name. `definition` is its table in `rondo.toml`, with its own price."""

    project: str
    name: str
    definition: dict[str, Any]
    updated_at: int


class TrafficChange(Struct, frozen=True, kw_only=True):
    """One step of an app's traffic, and what holds since. The one with the highest `sequence` holds now."""

    project: str
    app: str
    sequence: int
    at: int
    actor: str
    action: TrafficAction
    reason: str
    traffic: Traffic
