"""A release's manifest: everything that decides an answer, as one canonical JSON text with one SHA-256. Pure.

    {"format": 1, "app": "support-bot", "prompt": {"name", "version"}, "route": [model, ...], "params": {...},
     "knowledge": {"name", "version", "top_k"} or null, "hand_over": "..."}

and, where the project has them: "rules", "classifiers", "guards", "cache", "total_timeout_s", "judges", and "models",
those that rules, guards, the cache and judges name and the route does not have. A model is a `ModelSpec`. Prices are no
part of it: a new price makes no new answer.
"""

from __future__ import annotations

import json
import math
from hashlib import sha256
from typing import Any

import msgspec

from rondo.cache import declared as cache
from rondo.catalog.text import canonical_json
from rondo.errors import CorruptData, SettingsError
from rondo.evals.judges import declared as judges
from rondo.providers.base import ModelSpec
from rondo.releases.conduct import Conduct
from rondo.settings.project import FILE
from rondo.settings.tables import ModelSettings, ProjectSettings

FORMAT = 1

_ABOUT = {"price", "licence", "context_window", "metrics_url"}
"""What is said of a model and makes no answer."""

_FIRST_FIELDS = frozenset(
    "name provider model base_url api_key_env api_key_header headers query params timeout_s".split()
)


def build(
    settings: ProjectSettings, conduct: Conduct, *, prompt: str, prompt_version: str, knowledge_version: str | None
) -> dict[str, Any]:
    """The manifest of a project whose prompt and knowledge have these versions.

    Raises SettingsError for a value that TOML has and JSON has not (a date, `nan`), with its key.
    """
    app = settings.app
    check_json(app.params, "app.params")
    for name, judge in settings.judges.items():
        check_json(judge.params, f"judges.{name}.params")
    knowledge = None
    if app.knowledge is not None:
        assert knowledge_version is not None
        top_k = settings.knowledge[app.knowledge].top_k
        knowledge = {"name": app.knowledge, "version": knowledge_version, "top_k": top_k}
    more = {
        "rules": conduct.rules,
        "classifiers": conduct.classifiers,
        "guards": conduct.guards,
        "cache": cache.declared(settings),
        "models": [_builtins(spec(name, settings.models[name])) for name in _off_route(settings)],
        "total_timeout_s": app.total_timeout_s,
        "judges": judges.declared(settings),
    }
    return {
        "format": FORMAT,
        "app": app.name,
        "prompt": {"name": prompt, "version": prompt_version},
        "route": [_builtins(spec(name, settings.models[name])) for name in app.route],
        "params": app.params,
        "knowledge": knowledge,
        "hand_over": app.hand_over,
        **{name: value for name, value in more.items() if value},
    }


def _off_route(settings: ProjectSettings) -> list[str]:
    return sorted({name for _, name in settings.named_models()} - set(settings.app.route))


def _builtins(model: ModelSpec) -> dict[str, Any]:
    """Fields that came after format 1 are there only where they are set: a manifest keeps its hash."""
    values: dict[str, Any] = msgspec.to_builtins(model)
    unset = msgspec.to_builtins(ModelSpec(name="", provider=""))
    return {name: value for name, value in values.items() if name in _FIRST_FIELDS or value != unset[name]}


def spec(name: str, model: ModelSettings) -> ModelSpec:
    """A model as a release freezes it. Raises SettingsError as `build` does."""
    check_json(model.params, f"models.{name}.params")
    return msgspec.convert({"name": name, **model.model_dump(exclude=_ABOUT)}, ModelSpec)


def text_and_hash(manifest: dict[str, Any]) -> tuple[str, str]:
    """The canonical text, and its SHA-256 in hex."""
    text = canonical_json(manifest)
    return text, sha256(text.encode()).hexdigest()


def parse(text: str, expected_hash: str) -> dict[str, Any]:
    """A stored manifest. Raises CorruptData where it is not what was hashed."""
    if sha256(text.encode()).hexdigest() != expected_hash:
        raise CorruptData(
            f"The manifest of release {expected_hash[:12]} is not what was released.",
            remedy="Someone changed the database. Restore it from a backup.",
        )
    manifest: dict[str, Any] = json.loads(text)
    if manifest.get("format") != FORMAT:
        raise CorruptData(
            f"Release {expected_hash[:12]} has format {manifest.get('format')!r}; this Rondo reads {FORMAT}.",
            remedy="Start the newer Rondo that wrote it.",
        )
    return manifest


def route(manifest: dict[str, Any]) -> tuple[ModelSpec, ...]:
    """The models of a manifest, in the order they are tried."""
    return msgspec.convert(tuple(manifest["route"]), tuple[ModelSpec, ...])


def off_route(manifest: dict[str, Any]) -> tuple[ModelSpec, ...]:
    """The models that rules, guards, the cache and judges name, and that are not on the route."""
    return msgspec.convert(tuple(manifest.get("models", ())), tuple[ModelSpec, ...])


def check_json(value: Any, key: str) -> None:
    """Raises SettingsError, with the dotted key, unless JSON has this value."""
    if isinstance(value, dict):
        for name, each in value.items():
            check_json(each, f"{key}.{name}")
    elif isinstance(value, list):
        for position, each in enumerate(value):
            check_json(each, f"{key}[{position}]")
    elif not isinstance(value, str | int | float | bool) or (isinstance(value, float) and not math.isfinite(value)):
        raise SettingsError(
            f"{value!s:.80} cannot be sent as JSON.",
            file=FILE,
            param=key,
            remedy="Use text, finite numbers, true, false, lists and tables; write dates in quotes.",
        )
