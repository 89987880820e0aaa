"""`[cache]` of a project: what a release's manifest gets of it, and what comes out of a manifest again."""

from __future__ import annotations

from typing import Any

import msgspec

from rondo.cache import meaning
from rondo.cache.model import CachePolicy, SemanticPolicy
from rondo.errors import CorruptData, SettingsError, Unavailable
from rondo.settings.project import FILE
from rondo.settings.tables import ProjectSettings

_REMEDY = "pip install 'rondo[semantic]'"


def declared(settings: ProjectSettings, *, file: str = FILE) -> dict[str, Any] | None:
    """For the manifest; None where nothing is to be cached. Raises SettingsError."""
    cache = settings.cache
    if cache is None:
        return None
    if cache.semantic is not None and not meaning.is_installed():
        raise SettingsError(
            "a cache by meaning needs NumPy, which is not installed here.",
            file=file,
            param="cache.semantic",
            remedy=_REMEDY,
        )
    semantic = None if cache.semantic is None else SemanticPolicy(**cache.semantic.model_dump())
    values: dict[str, Any] = msgspec.to_builtins(
        CachePolicy(ttl_s=cache.ttl_s, across_users=cache.across_users, semantic=semantic)
    )
    return values


def compiled(values: Any) -> CachePolicy | None:
    """What a manifest says of the cache. Raises CorruptData, and Unavailable where this machine lacks a package."""
    try:
        policy = msgspec.convert(values, CachePolicy | None)
    except msgspec.ValidationError as error:
        raise CorruptData(
            f"What a release says of its cache cannot be read: {error}.", remedy="Start the Rondo that released it."
        ) from None
    if policy is not None and policy.semantic is not None and not meaning.is_installed():
        raise Unavailable("A cache by meaning needs NumPy, which is not installed here.", remedy=_REMEDY)
    return policy
