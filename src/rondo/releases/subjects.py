"""What evaluations may ask: releases, drafts and models, built on demand, beside the plan and never in its way.

It has a publisher of its own, so that building what one run needs takes nothing from requests that are being served.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import Connection

from rondo.catalog import revision
from rondo.catalog.engine import Catalog
from rondo.catalog.text import canonical_json, check_name
from rondo.errors import InvalidRequest, NotFound
from rondo.evals.judges.declared import of_manifest
from rondo.evals.model import Target
from rondo.evals.targets import Subject
from rondo.gateway.evaluated import Served
from rondo.gateway.plan import Plan, ServedModel, ServedRelease
from rondo.providers.base import ModelSpec
from rondo.releases import drafts, store
from rondo.releases.model import Release
from rondo.releases.publish import Publisher

PRODUCTION = "production"
MODEL = "model:"
_KEPT = 24
"""More than a run has targets."""

_SHORTEST_HASH = 8


class ReleaseSubjects:
    """From any thread; one at a time is built."""

    def __init__(self, catalog: Catalog, publisher: Publisher, plan: Callable[[], Plan]) -> None:
        """`publisher` is for nobody else."""
        self._catalog = catalog
        self._publisher = publisher
        self._plan = plan
        self._lock = threading.Lock()
        self._built: OrderedDict[tuple[str, str, str, int], ServedRelease] = OrderedDict()

    def resolve(self, project: str, app: str, word: str) -> Target:
        """Raises NotFound, InvalidRequest."""
        if word.startswith(MODEL):
            name = word.removeprefix(MODEL)
            self._plan_model(project, name)
            return Target(label=name, app=app, model=name)
        with self._catalog.read() as connection:
            if word == PRODUCTION:
                return _target(_stable(connection, project, app))
            number = word.removeprefix(f"{app}#").removeprefix("#")
            if number.isascii() and number.isdigit() and len(number) < _SHORTEST_HASH:
                return _target(store.get_release(connection, project, app, int(number)))
            hash_ = _hash(connection, project, app, word)
            release = store.find_release(connection, project, app, hash_)
            if release is not None:
                return _target(release)
            found = drafts.get(connection, project, app, hash_)
            return Target(label=f"{app}@{found.hash[:8]}", app=app, hash=found.hash, **_asked(found.manifest))

    def subject(self, project: str, target: Target) -> Subject:
        """Raises NotFound, and what keeps a release from being served."""
        if target.hash is None:
            assert target.model is not None
            model = self._plan_model(project, target.model)
            return Subject(target, (model,), _identity_of(model.spec))
        assert target.app is not None
        with self._lock, self._catalog.read() as connection:
            release = store.find_release(connection, project, target.app, target.hash)
            prices: dict[str, Any] = {}
            if release is None:
                draft = drafts.get(connection, project, target.app, target.hash)
                release, prices = _unnumbered(draft), draft.prices
            served = self._served(connection, release, prices)
        answers = {name: value for name, value in release.manifest.items() if name != "judges"}
        identity = sha256(canonical_json(answers).encode()).hexdigest()
        return Subject(target, served, identity, of_manifest(release.manifest))

    def model(self, project: str, name: str, beside: Subject | None) -> Subject:
        """Raises NotFound."""
        found: ServedModel | None = None
        if beside is not None and isinstance(beside.served, ServedRelease):
            found = beside.served.models.get(name)
        if found is None:
            found = self._plan_model(project, name)
        served: Served = (found,)
        return Subject(Target(label=name, model=name), served, _identity_of(found.spec))

    def _served(self, connection: Connection, release: Release, prices: dict[str, Any]) -> ServedRelease:
        """Built anew with every change of the catalog: prices may be other ones."""
        key = release.project, release.app, release.hash, revision.current(connection)
        found = self._built.get(key)
        if found is None:
            found = self._publisher.build(connection, release, prices)
            while len(self._built) >= _KEPT:
                self._built.popitem(last=False)
            self._built[key] = found
        self._built.move_to_end(key)
        return found

    def _plan_model(self, project: str, name: str) -> ServedModel:
        plan = self._plan()
        model = plan.models.get((project, name))
        if model is None:
            provider, slash, model_id = name.partition("/")
            model = plan.direct(provider, model_id) if slash and model_id else None
        if model is None:
            raise NotFound(
                f"There is no model called {name!r:.100}.",
                remedy="`rondo models list` shows them; provider/model names any other.",
                param="target",
            )
        return model


def _target(release: Release) -> Target:
    asked = _asked(release.manifest)
    return Target(label=release.label, app=release.app, number=release.number, hash=release.hash, **asked)


def _asked(manifest: dict[str, Any]) -> dict[str, Any]:
    """The prompt, and the models in the order they are tried."""
    return {"prompt": manifest["prompt"]["name"], "model": ", ".join(model["name"] for model in manifest["route"])}


def _stable(connection: Connection, project: str, app: str) -> Release:
    store.get_app(connection, project, app)
    change = store.current_traffic(connection, project, app)
    if change is None or change.traffic.stable is None:
        raise NotFound(f"{app!r} has no release yet.", remedy="`rondo release` makes one.", param="target")
    return store.get_release(connection, project, app, change.traffic.stable)


def _hash(connection: Connection, project: str, app: str, start: str) -> str:
    """The one hash that begins so. Raises NotFound, InvalidRequest."""
    check_name(app, param="app")
    if len(start) < _SHORTEST_HASH or any(digit not in "0123456789abcdef" for digit in start):
        raise InvalidRequest(
            f"{start!r:.100} names nothing that can be evaluated.",
            remedy=f"Write {PRODUCTION}, a release's number, {_SHORTEST_HASH} or more digits of a hash, or model:NAME.",
            param="target",
        )
    found = set(store.hashes_like(connection, project, app, start))
    found |= set(drafts.hashes_like(connection, project, app, start))
    if len(found) > 1:
        raise InvalidRequest(f"More than one hash begins with {start}.", remedy="Give more digits.", param="target")
    if not found:
        raise NotFound(f"No release and no draft of {app!r} begins with {start}.", param="target")
    return found.pop()


def _unnumbered(draft: drafts.Draft) -> Release:
    return Release(
        project=draft.project,
        app=draft.app,
        number=0,
        hash=draft.hash,
        manifest=draft.manifest,
        message="",
        created_by=draft.created_by,
        created_at=draft.created_at,
    )


def _identity_of(spec: ModelSpec) -> str:
    return sha256(canonical_json(msgspec.to_builtins(spec)).encode()).hexdigest()
