"""The gate of a working tree: what it would say, if the tree were released as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rondo.catalog.engine import Catalog
from rondo.providers.base import ModelSpec
from rondo.releases import bundle as bundles
from rondo.releases import gate_view
from rondo.releases.drafts import draft
from rondo.releases.gate_suites import terms_of
from rondo.releases.gate_view import GateView
from rondo.releases.model import Bundle


def of_bundle(
    catalog: Catalog,
    knowledge_root: Path,
    project: str,
    bundle: Bundle,
    *,
    actor: str,
    check_model: Callable[[ModelSpec], object] | None = None,
) -> GateView:
    """By the goals and the gate of the bundle itself. Its evidence is found by its hash, under which it is a draft, or
    a release already. Raises as `drafts.draft` does.
    """
    terms = terms_of(bundle, bundles.settings_of(bundle))
    drafted = draft(catalog, knowledge_root, project, bundle, actor=actor, check_model=check_model)
    with catalog.read() as connection:
        return gate_view.of_hash(connection, project, drafted.app, drafted.hash, terms)
