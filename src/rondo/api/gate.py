"""The gate of a release: what it would need to take traffic, and what was decided of it before."""

from __future__ import annotations

import asyncio

from rondo.api.door import Asked, Door
from rondo.api.releases import bundle_body
from rondo.governance.model import Role
from rondo.releases import bundle, gate_draft, gate_view
from rondo.releases.gate_view import GateView


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


DOORS = [
    Door("GET", "/api/apps/{app}/releases/{number}/gate", Role.VIEWER, of_release),
    Door("GET", "/api/apps/{app}/gate/{hash}", Role.VIEWER, of_hash),
    Door("POST", "/api/gate", Role.DEVELOPER, of_bundle),
]
