"""The gate of a release: what it would need to take traffic, and what was decided of it before."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from rondo.api.door import Asked, Door
from rondo.api.releases import bundle_body
from rondo.control import Connection
from rondo.evals import must_pass as evals_must_pass
from rondo.evals.must_pass import MustPass
from rondo.governance.model import Role
from rondo.releases import bundle, gate_draft, gate_view, store
from rondo.releases.gate_view import GateView


class MustPassSuites(Struct, frozen=True):
    """What a whole run of the suite `must-pass` takes."""

    suites: list[MustPass]


async def of_release(asked: Asked) -> GateView:
    """Whether a release may take traffic, as of now; and the decisions by which it did, or did not."""
    app, number = asked.path("app"), asked.number("number")
    return await asked.control.read(lambda connection: gate_view.of_number(connection, asked.project, app, number))


async def of_hash(asked: Asked) -> GateView:
    """The same of a release or a draft, by the first digits of its hash."""
    app, start = asked.path("app"), asked.path("hash")
    return await asked.control.read(lambda connection: gate_view.of_hash(connection, asked.project, app, start))


async def of_bundle(asked: Asked) -> GateView:
    """What the gate would say of a project folder, sent as a zip, if it were released: by the goals and the gate that
    it declares itself."""
    control = asked.control
    archive = await bundle_body(asked)
    return await asyncio.to_thread(
        lambda: gate_draft.of_bundle(
            control.catalog,
            control.knowledge_root,
            asked.project,
            bundle.from_zip(archive),
            actor=asked.actor,
            check_model=control.check_model,
        )
    )


async def must_pass(asked: Asked) -> MustPassSuites:
    """The failures of an app that became must-pass examples, as suites: one for each dataset that has some."""
    app = asked.path("app")

    def read(connection: Connection) -> MustPassSuites:
        store.get_app(connection, asked.project, app)
        return MustPassSuites(suites=evals_must_pass.of_app(connection, asked.project, app))

    return await asked.control.read(read)


DOORS = [
    Door("GET", "/api/apps/{app}/releases/{number}/gate", Role.VIEWER, of_release),
    Door("GET", "/api/apps/{app}/gate/{hash}", Role.VIEWER, of_hash),
    Door("GET", "/api/apps/{app}/must-pass", Role.VIEWER, must_pass),
    Door("POST", "/api/gate", Role.DEVELOPER, of_bundle),
]
