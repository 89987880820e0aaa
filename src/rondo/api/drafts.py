"""Drafts: a working tree, frozen without a number, so that it can be evaluated."""

from __future__ import annotations

import asyncio

from rondo.api.door import Asked, Door
from rondo.api.releases import bundle_body
from rondo.governance.model import Role
from rondo.releases import bundle, drafts
from rondo.releases.drafts import Drafted


async def create(asked: Asked) -> Drafted:
    """Freeze a project folder, sent as a zip, into a draft; `prompt` (a file) and `route` (names) vary it."""
    control = asked.control
    archive = await bundle_body(asked)
    prompt, route = asked.query("prompt"), asked.query("route")
    return await asyncio.to_thread(
        lambda: drafts.draft(
            control.catalog,
            control.knowledge_root,
            asked.project,
            bundle.from_zip(archive),
            actor=asked.actor,
            prompt=prompt,
            route=[name for name in (route or "").split(",") if name],
            check_model=control.check_model,
        )
    )


DOORS = [Door("POST", "/api/drafts", Role.DEVELOPER, create)]
