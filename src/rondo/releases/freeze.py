"""Freezes a bundle into a release: parse, index, hash, write.

Everything that can be wrong with the bundle is found before the catalog is touched; the index is built before the
transaction begins, so nobody waits for it. The transaction writes all or nothing. Freezing what is released already
gives that release back.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from rondo import clock
from rondo.catalog import revision
from rondo.catalog.engine import Catalog
from rondo.catalog.text import check_text
from rondo.errors import NotFound
from rondo.evals import alone
from rondo.evals.judges.rubric import criteria_of
from rondo.governance import audit, projects
from rondo.knowledge import index
from rondo.knowledge import store as knowledge_store
from rondo.knowledge.model import IndexVersion
from rondo.prompts import store as prompt_store
from rondo.prompts.model import Prompt
from rondo.prompts.source import parse_prompt
from rondo.providers.base import ModelSpec
from rondo.releases import bundle as bundles
from rondo.releases import gate_terms, store, traffic
from rondo.releases import manifest as manifests
from rondo.releases.conduct import Conduct, declare
from rondo.releases.gate_model import Terms
from rondo.releases.gate_suites import terms_of
from rondo.releases.model import Bundle, Frozen, Release
from rondo.rules.declared import in_words
from rondo.settings.tables import ProjectSettings


class Parts(Struct, frozen=True, kw_only=True):
    """What a bundle freezes into, before anything of it is written; the index is built already."""

    settings: ProjectSettings
    prompt: Prompt
    conduct: Conduct
    built: IndexVersion | None
    manifest: dict[str, Any]


def freeze(
    catalog: Catalog,
    knowledge_root: Path,
    project: str,
    bundle: Bundle,
    *,
    actor: str,
    message: str = "",
    check_model: Callable[[ModelSpec], object] | None = None,
) -> Frozen:
    """The release that this bundle is, made unless it is there already.

    An app's first release serves at once; later ones wait for traffic. `check_model` is called with every model, to
    refuse those that no provider takes. Raises SettingsError, which names file and key, InvalidRequest and NotFound.
    """
    check_text(message, param="message", longest=2_000)
    settings = bundles.settings_of(bundle)
    terms = terms_of(bundle, settings)
    parts = put_together(catalog, knowledge_root, project, bundle, settings, check_model=check_model)
    with catalog.begin() as connection:
        projects.require(connection, project)
        changed = _register(connection, project, settings, terms, actor)
        save_parts(connection, project, parts)  # also of one that is there: an index that was lost is there again
        release = _existing(connection, project, settings.app.name, parts.manifest)
        created = release is None
        if release is None:
            release = _insert(connection, project, parts.manifest, terms, actor=actor, message=message)
        if created or changed:
            revision.bump(connection)
    learnt = {name: in_words(report) for name, report in parts.conduct.reports.items()}
    return Frozen(release=release, created=created, knowledge=parts.built, classifiers=learnt)


def put_together(
    catalog: Catalog,
    knowledge_root: Path,
    project: str,
    bundle: Bundle,
    settings: ProjectSettings,
    *,
    check_model: Callable[[ModelSpec], object] | None = None,
) -> Parts:
    """What the bundle is with these settings, which are its own or vary them. Raises as `freeze` does."""
    prompt_file, prompt_text = bundles.prompt_of(bundle, settings)
    prompt = parse_prompt(prompt_text, file=prompt_file)
    for name, model in settings.models.items():
        spec = manifests.spec(name, model)
        if check_model is not None:
            check_model(spec)
    manifests.check_json(settings.app.params, "app.params")
    alone.check(settings)
    conduct = declare(bundle, settings, prompt)
    built = _index(catalog, knowledge_root, project, bundle, settings)
    manifest = manifests.build(
        settings,
        conduct,
        prompt=prompt.name,
        prompt_version=prompt.version,
        knowledge_version=built.version if built else None,
    )
    return Parts(settings=settings, prompt=prompt, conduct=conduct, built=built, manifest=manifest)


def _index(
    catalog: Catalog, root: Path, project: str, bundle: Bundle, settings: ProjectSettings
) -> IndexVersion | None:
    """Build the index of the app's knowledge on top of the project's latest, so that only what changed is parsed."""
    name = settings.app.knowledge
    with catalog.read() as connection:
        projects.require(connection, project)
        if name is None:
            return None
        previous: str | None
        try:
            previous = knowledge_store.latest(connection, project, name).version
        except NotFound:
            previous = None
    documents = bundles.documents(bundle, settings)
    return index.build(documents, settings.knowledge[name], root, name=name, previous=previous)


def _register(connection: Connection, project: str, settings: ProjectSettings, terms: Terms, actor: str) -> bool:
    """The app's settings and the models that may be called by name, as of this bundle; whether any is new."""
    now = clock.now_us()
    app = settings.app.name
    about = {**about_app(settings), **gate_terms.beside_goals(terms)}
    changed = store.save_app(connection, project, app, about, now)
    if changed:
        audit.record(connection, project, actor, "app.update", f"app:{app}", about)
    for name, model in sorted(settings.models.items()):
        definition = model.model_dump(mode="json")
        if store.save_model(connection, project, name, definition, now):
            changed = True
            audit.record(connection, project, actor, "model.update", f"model:{name}", definition)
    return changed


def about_app(settings: ProjectSettings) -> dict[str, Any]:
    """What is known of an app beside its releases."""
    return {
        "use_case": settings.use_case.model_dump(mode="json"),
        "goals": [goal.model_dump(mode="json") for goal in settings.goals],
        "reviews": declared_reviews(settings),
        **_watched(settings),
    }


def _watched(settings: ProjectSettings) -> dict[str, Any]:
    """How an app is rolled out and watched; what is not declared is left out."""
    tables = {
        "rollout": settings.rollout,
        "live": settings.live,
        "alerts": settings.alerts,
        "drift": settings.drift,
    }
    return {name: table.model_dump(mode="json") for name, table in tables.items() if table is not None}


def declared_reviews(settings: ProjectSettings) -> dict[str, Any]:
    """How its answers are reviewed. The rubric is written out, as judges' are."""
    name = settings.reviews.rubric
    criteria = criteria_of(settings.rubrics[name] if name is not None else None)
    return {
        "settings": settings.reviews.model_dump(mode="json", exclude={"rubric"}),
        "criteria": msgspec.to_builtins(criteria),
    }


def _existing(connection: Connection, project: str, app: str, manifest: dict[str, Any]) -> Release | None:
    _, hash_ = manifests.text_and_hash(manifest)
    return store.find_release(connection, project, app, hash_)


def save_parts(connection: Connection, project: str, parts: Parts) -> None:
    """The prompt and the index that a manifest names, so that it can be served."""
    prompt_store.save(connection, project, parts.prompt.name, parts.prompt)
    if parts.built is not None:
        knowledge_store.save(connection, project, parts.built.name, parts.built)


def _insert(
    connection: Connection, project: str, manifest: dict[str, Any], terms: Terms, *, actor: str, message: str
) -> Release:
    app = manifest["app"]
    text, hash_ = manifests.text_and_hash(manifest)
    release = Release(
        project=project,
        app=app,
        number=store.next_number(connection, project, app),
        hash=hash_,
        manifest=manifests.parse(text, hash_),
        message=message,
        created_by=actor,
        created_at=clock.now_us(),
        terms=gate_terms.kept(terms),
    )
    store.insert_release(connection, release, text)
    details = {"hash": hash_, "message": message, "prompt": manifest["prompt"], "knowledge": manifest["knowledge"]}
    audit.record(connection, project, actor, "release.create", f"release:{release.label}", details)
    traffic.first(connection, release, actor=actor)
    return release
