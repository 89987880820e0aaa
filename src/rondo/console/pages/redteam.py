"""Of a red team's run: an attack that went through becomes a test that must pass."""

from __future__ import annotations

from starlette.responses import Response

from rondo.console.visit import Page, Visit, go
from rondo.governance.model import Role
from rondo.redteam.keep import SUGGESTED, keep


async def make_test(visit: Visit) -> Response:
    sent = await visit.form()
    run = await visit.control.runs.get(visit.project, visit.path("id"))
    dataset = sent.get("dataset", "").strip() or SUGGESTED
    kept = await keep(
        visit.control.catalog,
        visit.control.runs,
        run,
        dataset,
        only=[visit.path("example")],
        actor=visit.actor,
    )
    return go(f"/datasets/{kept.dataset}", did="attack-tested" if kept.created else "unchanged")


PAGES = [
    Page("POST", "/runs/{id}/attacks/{example}/test", Role.DEVELOPER, make_test),
]
