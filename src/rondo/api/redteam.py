"""What red teams found: rates by risk, kind and technique, and attacks that went through made into tests.

A red team's run is an evaluation run with its doors under `/api/runs`; `rondo redteam` makes the attacks and begins it.
"""

from __future__ import annotations

from msgspec import Struct

from rondo.api.door import Asked, Door
from rondo.governance.model import Role
from rondo.redteam import report
from rondo.redteam.keep import SUGGESTED, Kept, keep


class Keeping(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which attacks to keep, by the ids of their examples; all that went through by default."""

    dataset: str = SUGGESTED
    examples: list[str] | None = None


async def show(asked: Asked) -> report.RedTeamReport:
    """How many attacks of a finished run went through: by OWASP's risks, kind, family and technique, with intervals."""
    return report.report(await asked.control.runs.get(asked.project, asked.path("id")))


async def make_tests(asked: Asked) -> Kept:
    """Make must-pass examples of attacks that went through; the dataset is made where there is none."""
    wanted = await asked.body(Keeping)
    run = await asked.control.runs.get(asked.project, asked.path("id"))
    return await keep(
        asked.control.catalog, asked.control.runs, run, wanted.dataset, only=wanted.examples, actor=asked.actor
    )


DOORS = [
    Door("GET", "/api/runs/{id}/redteam", Role.VIEWER, show),
    Door("POST", "/api/runs/{id}/redteam/tests", Role.DEVELOPER, make_tests),
]
