"""Whether a judge's word counts at a gate: its newest calibration against its mark, in one sentence."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import Connection

from rondo.evals.judges import calibration_store
from rondo.evals.judges.calibration_store import Calibration
from rondo.evals.judges.model import Judge
from rondo.evals.judges.report import Measured, shortfall
from rondo.evals.judges.version import version_of


class Standing(Struct, frozen=True, kw_only=True):
    """`counts`: its word may decide. `calibration` is the newest of its version, if there is one."""

    judge: str
    version: str
    counts: bool
    sentence: str
    mark: float | None
    calibration: Calibration | None


def standing(connection: Connection, project: str, app: str, judge: Judge) -> Standing:
    """How this very version of a judge stands now, by the mark that it has now."""
    version = version_of(judge)
    calibration = calibration_store.latest(connection, project, app, judge.name, version)
    counts, sentence = weighed(judge, calibration)
    return Standing(
        judge=judge.name,
        version=version,
        counts=counts,
        sentence=sentence,
        mark=judge.mark,
        calibration=calibration,
    )


def weighed(judge: Judge, calibration: Calibration | None) -> tuple[bool, str]:
    """Whether it counts, and why."""
    name = f"The judge {judge.name}"
    if judge.mark is None:
        return True, f"{name} has no mark, so its word counts however well it agrees with people."
    again = f"Run `rondo judges calibrate {judge.name}`."
    if calibration is None:
        return False, f"{name} has not been compared with people since it was last changed. {again}"
    missing = shortfall(judge, Measured.of(calibration.report))
    if missing is not None:
        return False, f"{name} does not count: {missing}. Give it more labels or a better prompt, then: {again}"
    return True, f"{name} agrees with people: kappa {calibration.kappa or 0.0:.2f} of at least {judge.mark:g}."
