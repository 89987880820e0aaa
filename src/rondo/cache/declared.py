"""`[cache]` of a project: what a release's manifest gets of it, and what comes out of a manifest again."""

from __future__ import annotations

from typing import Any

import msgspec

from rondo.cache.model import CachePolicy, SemanticPolicy
from rondo.errors import CorruptData
from rondo.settings.tables import ProjectSettings


def declared(settings: ProjectSettings) -> dict[str, Any] | None:
    """For the manifest; None where nothing is to be cached."""
    cache = settings.cache
    if cache is None:
        return None
    semantic = None if cache.semantic is None else SemanticPolicy(**cache.semantic.model_dump())
    values: dict[str, Any] = msgspec.to_builtins(
        CachePolicy(ttl_s=cache.ttl_s, across_users=cache.across_users, semantic=semantic)
    )
    return values


def compiled(values: Any) -> CachePolicy | None:
    """What a manifest says of the cache. Raises CorruptData."""
    try:
        return msgspec.convert(values, CachePolicy | None)
    except msgspec.ValidationError as error:
        raise CorruptData(
            f"What a release says of its cache cannot be read: {error}.", remedy="Start the Rondo that released it."
        ) from None
