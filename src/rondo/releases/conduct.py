"""How a release conducts itself: rules, classifiers, guards, cache; from a project's files, and from a manifest.

What a manifest holds of them is plain JSON, checked here before anything is released; what serves is compiled from
that and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from rondo.cache import declared as cache
from rondo.cache.model import CachePolicy
from rondo.errors import SettingsError
from rondo.guards import build as guards_build
from rondo.guards.chain import Guards
from rondo.prompts.model import Prompt
from rondo.providers.openai import PRESETS
from rondo.releases.bundle import file_of, text_of
from rondo.releases.model import Bundle
from rondo.rules.chain import Rules, compiled
from rondo.rules.classify import Classifier, Report, learnt_from
from rondo.rules.declared import declared
from rondo.settings.project import FILE
from rondo.settings.tables import ProjectSettings


class Conduct(Struct, frozen=True, kw_only=True):
    """For the manifest; `reports` say how well the classifiers did on examples that they had not seen."""

    rules: list[dict[str, Any]]
    classifiers: dict[str, dict[str, Any]]
    guards: list[dict[str, Any]]
    reports: dict[str, Report]


def declare(bundle: Bundle, settings: ProjectSettings, prompt: Prompt) -> Conduct:
    """What the project declares. Raises SettingsError, which names the key."""
    found = declared(settings, lambda path, key: file_of(bundle, path, key))
    _require_moderators(settings)
    guards = guards_build.freeze(settings.guards, lambda path, key: text_of(bundle, path, key))
    conduct = Conduct(rules=found.rules, classifiers=found.classifiers, guards=guards, reports=found.reports)
    guards_build.build(
        guards,
        hand_over=settings.app.hand_over,
        project="",
        output_schema=prompt.output_schema,
        classifiers={name: Classifier(learnt_from(values)).classify for name, values in found.classifiers.items()},
    )
    return conduct


def _require_moderators(settings: ProjectSettings) -> None:
    """Raises SettingsError where `moderation` names a model whose provider has no such wire."""
    for at, guard in enumerate(settings.guards):
        model = settings.models.get(guard.model or "")
        if guard.check == "moderation" and model is not None and model.provider not in (*PRESETS, "azure"):
            raise SettingsError(
                f"{model.provider!r} has no moderation.",
                file=FILE,
                param=f"guards[{at}].model",
                remedy="Name a model of a provider that speaks OpenAI's dialect.",
            )


def rules_of(manifest: Mapping[str, Any]) -> Rules:
    """Compiled, with what they need loaded. Raises CorruptData."""
    rules = compiled(manifest.get("rules", ()), manifest.get("classifiers", {}))
    rules.prepare()
    return rules


def guards_of(
    manifest: Mapping[str, Any],
    project: str,
    prompt: Prompt,
    secret: Callable[[], bytes],
    classifiers: Mapping[str, Classifier],
) -> Guards | None:
    """Ready to run; `secret` is the key of pseudonyms, `classifiers` are those of the rules.

    Raises SettingsError where this server lacks what they need.
    """
    return guards_build.build(
        manifest.get("guards", ()),
        hand_over=manifest["hand_over"],
        project=project,
        secret=secret,
        output_schema=prompt.output_schema,
        classifiers={name: each.classify for name, each in classifiers.items()},
    )


def cache_of(manifest: Mapping[str, Any]) -> CachePolicy | None:
    """None where the app has no `[cache]`. Raises CorruptData."""
    return cache.compiled(manifest.get("cache"))
