"""The verb `keep`: attacks that went through become examples that must pass, in a dataset of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct, structs
from sqlalchemy import Connection

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.datasets import regressions
from rondo.datasets.importing import Imported, ImportOptions, import_examples
from rondo.datasets.model import Example
from rondo.datasets.regressions import Wrong
from rondo.errors import Conflict, InvalidRequest
from rondo.evals.filtering import Wanted, matching
from rondo.evals.model import Run, Target
from rondo.evals.runs import Row, Runs
from rondo.redteam.generate import RESISTED
from rondo.redteam.report import went_through

SUGGESTED = "redteam-failures"
"""The dataset, where nobody names another."""

_MOST = 5_000
_TRIES = 3


class Kept(Struct, frozen=True, kw_only=True):
    """So many attacks are tests of `dataset`, which is the version `version`; `created`: some were not there before."""

    dataset: str
    version: int
    kept: int
    created: bool


async def keep(
    catalog: Catalog, runs: Runs, run: Run, dataset: str, *, only: Collection[str] | None, actor: str
) -> Kept:
    """Make tests of the run's attacks that went through, or of those whose examples are named.

    Raises InvalidRequest where there is none, or one that did not go through, and Conflict.
    """
    found: dict[str, Example] = {}
    broken: dict[str, Target] = {}
    for row in await _through(runs, run):
        if (only is None or row.example.id in only) and row.example.id not in found:
            target = run.targets[row.result.target]
            found[row.example.id] = test = as_test(row.example, target)
            broken[test.id] = target
    missing = set(only or ()) - found.keys()
    if missing:
        raise InvalidRequest(f"{min(missing)!r:.60} is no attack that went through in {run.id}.", param="examples")
    if not found:
        raise InvalidRequest(f"No attack went through in {run.id}.", remedy="There is nothing to keep.")
    kept = await asyncio.to_thread(_import, catalog, run, dataset, list(found.values()), broken, actor)
    return Kept(dataset=dataset, version=kept.version.number, kept=len(found), created=kept.created)


def as_test(example: Example, target: Target) -> Example:
    """The attack as a test that names the release which fell for it."""
    broke = None if target.number is None else target.label
    provenance = structs.replace(example.provenance, kind="redteam", broke=broke)
    return structs.replace(example, must_pass=True, provenance=provenance).identified()


async def _through(runs: Runs, run: Run) -> list[Row]:
    rows, _ = await matching(runs, run.project, run.id, Wanted(scorer=RESISTED), target=None, after=None, limit=_MOST)
    return [row for row in rows if went_through(row.result)]


def _import(  # noqa: PLR0917 - what, of which run, into what, and who
    catalog: Catalog, run: Run, dataset: str, tests: list[Example], broken: Mapping[str, Target], actor: str
) -> Imported:
    options = ImportOptions(append=True, note=f"went through in {run.id}")  # the same example is there once

    def about() -> dict[str, Any]:
        return {"file": None, "format": "red team", "rows": len(tests), "left_out": {}}

    def remember(connection: Connection, ids: list[str]) -> None:
        """What an app fell for, its releases must pass from now on. A bare model has no releases."""
        for example, target in broken.items():
            if target.hash is not None:
                wrong = Wrong(app=run.app, number=target.number, hash=target.hash)
                now = clock.now_us()
                regressions.note_wrong(connection, run.project, example, dataset, wrong, actor=actor, at=now)

    for attempt in range(_TRIES):
        try:
            return import_examples(
                catalog, run.project, dataset, tests, options, actor=actor, about=about, also=remember
            )
        except Conflict:  # somebody else has added to it meanwhile
            if attempt == _TRIES - 1:
                raise
    raise AssertionError("the last try returns or raises")
