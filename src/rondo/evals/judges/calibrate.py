"""Calibrates a judge: asks it about answers that people have labelled, and keeps how well it agreed with them.

What the judge says goes through the gateway like any question of an evaluation: recorded, paid for, within limits.
Nothing is kept unless all answers have been asked about; answers that the judge fails on are counted, and are no
agreement.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

import msgspec

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.evals.judges import calibration_store
from rondo.evals.judges.calibration_store import Calibration
from rondo.evals.judges.labels import Labelled
from rondo.evals.judges.model import Judge
from rondo.evals.judges.report import Measured, shortfall
from rondo.evals.judges.scorer import Bench
from rondo.evals.judges.version import version_of
from rondo.evals.model import AskModel, Scored
from rondo.governance import audit


async def verdicts(
    judge: Judge, labelled: Sequence[Labelled], ask: AskModel, *, at_once: int
) -> list[dict[str, Scored]]:
    """What the judge says of each answer, by aspect. Raises what ends the asking: a budget, a missing model."""
    bench = Bench(judge, ask)
    room = asyncio.Semaphore(at_once)

    async def one(each: Labelled) -> dict[str, Scored]:
        async with room:
            return (await bench.verdict(each.case)).scores

    tasks = [asyncio.create_task(one(each)) for each in labelled]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def keep(catalog: Catalog, project: str, app: str, judge: Judge, measured: Measured, *, actor: str) -> Calibration:
    """Keep what was measured; from now on it decides whether this version of the judge counts."""
    calibration = Calibration(
        id=f"calibration_{secrets.token_hex(12)}",
        project=project,
        app=app,
        judge=judge.name,
        version=version_of(judge),
        kappa=measured.kappa,
        mark=judge.mark,
        passed=shortfall(judge, measured) is None,
        report=msgspec.to_builtins(measured),
        created_by=actor,
        created_at=clock.now_us(),
    )
    with catalog.begin() as connection:
        calibration_store.insert_calibration(connection, calibration)
        details = {"version": calibration.version, "kappa": calibration.kappa, "passed": calibration.passed}
        audit.record(connection, project, actor, "judge.calibrate", f"judge:{app}/{judge.name}", details)
    return calibration
