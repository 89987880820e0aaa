"""From the catalog to the plan that the gateway serves.

The plan is immutable; parts that did not change (releases, indexes) are taken over from the last one. What serves goes
on: an app whose stable release cannot be served keeps the one of the last plan, and is left out, with the reason, where
that had none; a candidate or a shadow is left out alone. Who else gets calls is always as the traffic says now.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import structs
from sqlalchemy import Connection

from rondo.catalog import revision
from rondo.catalog.engine import Catalog
from rondo.errors import NotFound, RondoError
from rondo.gateway.plan import Plan, ServedApp, ServedModel, ServedRelease
from rondo.governance import keys, projects
from rondo.knowledge.search import Index, open_index
from rondo.limits.change import limit_table
from rondo.prompts import store as prompts
from rondo.prompts.render import Template
from rondo.providers.base import ModelSpec
from rondo.providers.prices import FREE_PROVIDERS, Price, PriceBook
from rondo.providers.registry import Providers, is_direct
from rondo.releases import conduct, manifest, store
from rondo.releases.model import AppRow, ModelRow, Release
from rondo.releases.state import Traffic, Variant, layout
from rondo.settings.project import model_settings

OWN_PRICE = "rondo.toml"
"""The price version of calls whose price the project has set itself."""

_log = logging.getLogger("rondo.releases")


class _Made(NamedTuple):
    """What a plan under construction has gathered; `Plan` says what `faults` and `unserved` are."""

    releases: dict[tuple[str, str, int], ServedRelease]
    faults: dict[tuple[str, str], str]
    unserved: dict[tuple[str, str, str], str]


class Publisher:
    """Builds plans, one after the other. Not for several threads at once."""

    def __init__(
        self, catalog: Catalog, knowledge_root: Path, providers: Providers, *, secret: Callable[[], bytes]
    ) -> None:
        """`secret` is the key of pseudonyms, asked for where a guard makes them."""
        self._catalog = catalog
        self._knowledge_root = knowledge_root
        self._providers = providers
        self._secret = secret
        self._prices = PriceBook()
        self._own_prices: dict[tuple[str, str, str, str], Price] = {}
        self._releases: dict[tuple[str, str, int], ServedRelease] = {}
        self._indexes: dict[str, Index] = {}
        self._served_apps: dict[tuple[str, str], ServedApp] = {}
        self._direct = lru_cache(1_000)(self._make_direct)

    def revision(self) -> int:
        """The catalog's revision now."""
        with self._catalog.read() as connection:
            return revision.current(connection)

    def plan(self) -> Plan:
        """The plan for the catalog as it is now. Raises RondoError where the catalog cannot be read."""
        with self._catalog.read() as connection:
            owners = projects.names(connection)
            rows = [row for project in owners for row in store.list_models(connection, project)]
            own_prices = _own_prices(rows)
            if own_prices != self._own_prices:
                self._own_prices, self._releases = own_prices, {}
            made = _Made({}, {}, {})
            apps = self._apps(connection, owners, made)
            return Plan(
                revision=revision.current(connection),
                grants=keys.grants(connection),
                apps=apps,
                models=self._models(rows),
                direct=self._direct,
                faults=made.faults,
                unserved=made.unserved,
                limits=limit_table(connection),
            )

    def build(self, connection: Connection, release: Release, prices: Mapping[str, Any]) -> ServedRelease:
        """A release, or a draft with its own `prices`, ready to be asked; for a publisher that makes no plans.

        Raises what keeps it from being served.
        """
        self._own_prices = _own_prices(store.list_models(connection, release.project))
        for spec in (*manifest.route(release.manifest), *manifest.off_route(release.manifest)):
            if spec.name in prices:
                key = release.project, spec.name, spec.provider, spec.model
                self._own_prices[key] = msgspec.convert(prices[spec.name], Price)
        return self._release(connection, release)

    def _models(self, rows: list[ModelRow]) -> dict[tuple[str, str], ServedModel]:
        models = {}
        for row in rows:
            try:
                spec = manifest.spec(row.name, model_settings(row.definition, row.name))
                models[row.project, row.name] = self._served(row.project, spec)
            except RondoError as error:
                _log.error("the model %s cannot be served: %s", row.name, error)
        return models

    def _apps(self, connection: Connection, names: list[str], made: _Made) -> dict[tuple[str, str], ServedApp]:
        apps: dict[tuple[str, str], ServedApp] = {}
        for row in (row for project in names for row in store.list_apps(connection, project)):
            app = self._app(connection, row, made)
            if app is not None:
                apps[row.project, row.name] = app
        self._releases, self._served_apps = made.releases, apps
        served = [release for app in apps.values() for release in (app.stable, *(arm for arm, _ in app.arms))]
        self._indexes = {each.index.version: each.index for each in (*served, *made.releases.values()) if each.index}
        return apps

    def _app(self, connection: Connection, row: AppRow, made: _Made) -> ServedApp | None:
        """The app with the releases that have traffic, which go into `made`; None where it has none yet, or none that
        can serve."""
        change = store.current_traffic(connection, row.project, row.name)
        if change is None or change.traffic.stable is None:
            return None
        traffic = change.traffic
        assert traffic.stable is not None
        stable = self._stable(connection, row, traffic.stable, made)
        if stable is None:
            return None
        return ServedApp(
            name=row.name,
            stable=stable,
            arms=self._arms(connection, row, traffic, stable, made),
            salt=traffic.salt,
            shadows=tuple(self._shadows(connection, row, traffic, stable, made)),
            sticky_session=traffic.trial is not None and traffic.trial.sticky == "session",
        )

    def _stable(self, connection: Connection, row: AppRow, number: int, made: _Made) -> ServedRelease | None:
        """The stable release, or the last plan's where it cannot be served; None where that had none."""
        try:
            return self._known(connection, row, number, made)
        except RondoError as error:
            _log.error("the app %s cannot be served: %s", row.name, error)
            made.faults[row.project, row.name] = str(error)
        before = self._served_apps.get((row.project, row.name))
        if before is None:
            return None
        key = (row.project, row.name, before.stable.number)
        if key in self._releases:  # else it has prices of before
            made.releases[key] = self._releases[key]
        return before.stable

    def _arms(
        self,
        connection: Connection,
        row: AppRow,
        traffic: Traffic,
        stable: ServedRelease,
        made: _Made,
    ) -> tuple[tuple[ServedRelease, int], ...]:
        """Who gets the places. Those of a candidate that cannot be served are the stable release's: it must not take
        the app away. A rollout has no baseline then either, and waits; also where another release stands in for the
        stable one.
        """
        served = {}
        for number in (arm.release for arm in traffic.arms):
            try:
                served[number] = self._known(connection, row, number, made)
            except RondoError as error:
                _log.error("the candidate %d of the app %s cannot be served: %s", number, row.name, error)
                made.unserved[row.project, row.name, str(number)] = str(error)
        if traffic.trial is not None and (len(served) < len(traffic.arms) or stable.number != traffic.stable):
            return ()
        return tuple(
            (_side(served.get(place.release, stable), traffic, place.variant), place.places)
            for place in layout(traffic)
        )

    def _known(self, connection: Connection, row: AppRow, number: int, made: _Made) -> ServedRelease:
        """The release, ready to serve: the last plan's, if it was in there."""
        key = (row.project, row.name, number)
        served = self._releases.get(key)
        if served is None:
            served = self._release(connection, store.get_release(connection, row.project, row.name, number))
            if served.index is not None:
                self._indexes[served.index.version] = served.index
        self._releases[key] = made.releases[key] = served
        return served

    def _shadows(
        self,
        connection: Connection,
        row: AppRow,
        traffic: Traffic,
        stable: ServedRelease,
        made: _Made,
    ) -> Iterator[tuple[ServedRelease, int]]:
        """Releases, and the stable release with another model in the place of its route.

        One that cannot be served is left out: what nobody sees must not take the app away from those who see it.
        """
        for shadow in traffic.shadows:
            try:
                if shadow.release is not None:
                    tried = traffic.trial is not None and traffic.trial.candidate == shadow.release
                    known = self._known(connection, row, shadow.release, made)
                    yield _side(known, traffic, "candidate" if tried else None), shadow.share_bp
                    continue
                model = store.get_model(connection, row.project, shadow.name)
                if model is None:
                    raise NotFound(f"The model {shadow.name!r} has left the project.")
                spec = manifest.spec(model.name, model_settings(model.definition, model.name))
                yield structs.replace(stable, route=(self._served(row.project, spec),)), shadow.share_bp
            except RondoError as error:
                _log.error("the shadow %s of the app %s cannot be served: %s", shadow.name, row.name, error)
                made.unserved[row.project, row.name, shadow.name] = str(error)

    def _release(self, connection: Connection, release: Release) -> ServedRelease:
        parts = release.manifest
        prompt = prompts.get(connection, release.project, parts["prompt"]["name"], parts["prompt"]["version"])
        knowledge = parts["knowledge"]
        params = dict(parts["params"])
        if prompt.output_schema is not None:
            params.setdefault("response_format", _response_format(prompt.name, prompt.output_schema))
        served = tuple(self._served(release.project, spec) for spec in manifest.route(parts))
        others = [self._served(release.project, spec) for spec in manifest.off_route(parts)]
        rules = conduct.rules_of(parts)
        return ServedRelease(
            app=release.app,
            number=release.number,
            hash=release.hash,
            prompt=prompt.name,
            prompt_version=prompt.version,
            template=Template(prompt),
            route=served,
            params={name: msgspec.json.encode(value) for name, value in params.items()},
            knowledge=knowledge["name"] if knowledge else None,
            knowledge_version=knowledge["version"] if knowledge else None,
            index=self._index(knowledge["version"]) if knowledge else None,
            top_k=knowledge["top_k"] if knowledge else 0,
            hand_over=parts["hand_over"],
            total_timeout_s=parts.get("total_timeout_s"),
            models={model.spec.name: model for model in (*served, *others)},
            rules=rules,
            guards=conduct.guards_of(parts, release.project, prompt, self._secret, rules.classifiers),
            cache=conduct.cache_of(parts),
        )

    def _index(self, version: str) -> Index:
        """Open once, however many releases share it, and as long as one of them serves."""
        return self._indexes.get(version) or open_index(self._knowledge_root, version)

    def _served(self, project: str, spec: ModelSpec) -> ServedModel:
        model = self._priced(project, spec)
        if not spec.deployments:
            return model
        places = tuple(self._priced(project, spec.at(deployment)) for deployment in spec.deployments)
        return structs.replace(model, deployments=places)

    def _priced(self, project: str, spec: ModelSpec) -> ServedModel:
        provider = self._providers.make(spec)
        own = self._own_prices.get((project, spec.name, spec.provider, spec.model))
        if own is not None:
            return ServedModel(spec, provider, own, OWN_PRICE)
        return ServedModel(spec, provider, self._list_price(spec), self._prices.version)

    def _list_price(self, spec: ModelSpec) -> Price | None:
        """None where it is not known, as behind an address that is not the provider's own."""
        if spec.base_url is not None and is_direct(spec.provider) and spec.provider not in FREE_PROVIDERS:
            return None
        return self._prices.find(spec.provider, spec.model)

    def _make_direct(self, provider: str, model: str) -> ServedModel | None:
        if not is_direct(provider):
            return None
        return self._served("", ModelSpec(name=f"{provider}/{model}", provider=provider, model=model))


def _side(release: ServedRelease, traffic: Traffic, variant: Variant | None) -> ServedRelease:
    """The release, as one side of the rollout that goes on; as it is where it is no side."""
    if variant is None or traffic.trial is None:
        return release
    return structs.replace(release, rollout=traffic.trial.rollout, variant=variant)


def _own_prices(rows: list[ModelRow]) -> dict[tuple[str, str, str, str], Price]:
    return {_price_key(row): price for row in rows if (price := _own_price(row))}


def _price_key(row: ModelRow) -> tuple[str, str, str, str]:
    """An own price holds for the model it was set for, not for another that takes over its name."""
    return row.project, row.name, row.definition["provider"], row.definition.get("model", "")


def _own_price(row: ModelRow) -> Price | None:
    price = row.definition.get("price")
    return msgspec.convert(price, Price) if price else None


def _response_format(name: str, schema: dict[str, object]) -> dict[str, object]:
    """OpenAI's structured outputs, from the prompt's output schema."""
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}
