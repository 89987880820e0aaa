"""Which way a request would go: every rule of a served release, what it looked at, and the models to be tried."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import Struct

from rondo import clock
from rondo.api.door import Asked, Door
from rondo.errors import InvalidRequest, NotFound, Unavailable
from rondo.gateway.choose import release_for
from rondo.gateway.plan import ServedApp, ServedRelease
from rondo.gateway.request_body import as_chat
from rondo.gateway.routed import facts_of, models_of
from rondo.governance.model import Role

_LONGEST = 100_000


class Explained(Struct, forbid_unknown_fields=True):
    """A request that might come. `budget_left_share` and `at` (ISO 8601) stand for what cannot be known beforehand."""

    text: str
    inputs: dict[str, Any] = {}
    tags: dict[str, str] = {}
    user: str | None = None
    session: str | None = None
    release: int | None = None
    budget_left_share: float | None = None
    at: str | None = None


async def explain(asked: Asked) -> dict[str, Any]:
    """Every rule of the app's release, whether it holds for this request and why, and the models to be tried.

    The release is the one that the user would get, or `release`, which must have traffic. Nothing is called and
    nothing is recorded.
    """
    wanted = await asked.body(Explained)
    if len(wanted.text) > _LONGEST:
        raise InvalidRequest(f"`text` is longer than {_LONGEST} characters.", param="text")
    release = _release(_served(asked), wanted)
    return await asyncio.to_thread(_explained, release, wanted)


def _explained(release: ServedRelease, wanted: Explained) -> dict[str, Any]:
    request = as_chat(
        wanted.text,
        (),
        release.app,
        user=wanted.user,
        session=wanted.session,
        tags=wanted.tags,
        inputs=wanted.inputs,
    )
    facts = facts_of(release, request, lambda: wanted.budget_left_share, now_us=_moment(wanted.at))
    outcomes = release.rules.explain(facts)
    fired = next((at for at, outcome in enumerate(outcomes) if outcome.holds), None)
    route = release.route if fired is None else models_of(release, outcomes[fired].use)
    models = [{"name": each.spec.name, "provider": each.spec.provider, "model": each.spec.model} for each in route]
    return {
        "app": release.app,
        "release": release.number,
        "release_hash": release.hash,
        "rules": outcomes,
        "fired": fired,
        "route": models,
    }


def _served(asked: Asked) -> ServedApp:
    name, plan = asked.path("app"), asked.control.gateway.plan
    app = plan.apps.get((asked.project, name))
    if app is not None:
        return app
    fault = plan.faults.get((asked.project, name))
    if fault is not None:
        raise Unavailable(f"The app {name!r} cannot be served: {fault}", remedy="`rondo doctor` says more.")
    raise NotFound(f"There is no app called {name!r:.100} that is served.", remedy="`rondo status` shows them.")


def _release(app: ServedApp, wanted: Explained) -> ServedRelease:
    if wanted.release is None:
        known = wanted.user or wanted.session
        return release_for(app, wanted.user, wanted.session, "") if known else app.stable
    served = [app.stable, *(release for release, _ in app.arms)]
    found = next((release for release in served if release.number == wanted.release), None)
    if found is None:
        there = ", ".join(str(release.number) for release in served)
        raise NotFound(f"{app.name}#{wanted.release} has no traffic.", remedy=f"Releases with traffic: {there}.")
    return found


def _moment(at: str | None) -> int | None:
    try:
        return None if at is None else clock.parse_iso(at)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"`at` is no time: {at!r:.60}.", remedy="2026-12-24T18:00 is one.", param="at") from None


DOORS = [Door("POST", "/api/apps/{app}/route/explain", Role.VIEWER, explain)]
"""Reading only; it is a POST because a question does not belong into an address."""
