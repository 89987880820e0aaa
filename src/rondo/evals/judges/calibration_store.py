"""The statements of calibrations. The project is in every one; they are only ever added to."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, structs
from sqlalchemy import Connection, Row, insert, select

from rondo.catalog.schema_evals import judge_calibrations


class Calibration(Struct, frozen=True, kw_only=True):
    """How well a version of a judge agreed with people, once. `report` is a `report.Measured` as JSON.

    `kappa` is the least of its aspects; None where it cannot be told. `mark` is the one that held then.
    """

    id: str
    project: str
    app: str
    judge: str
    version: str
    kappa: float | None
    mark: float | None
    passed: bool
    report: dict[str, Any]
    created_by: str
    created_at: int


def insert_calibration(connection: Connection, calibration: Calibration) -> None:
    values = {**structs.asdict(calibration), "passed": int(calibration.passed)}
    connection.execute(insert(judge_calibrations).values(values))


def latest(connection: Connection, project: str, app: str, judge: str, version: str) -> Calibration | None:
    """The newest calibration of this version of a judge: the one that holds."""
    table = judge_calibrations.c
    here = (table.project == project, table.app == app, table.judge == judge, table.version == version)
    newest = select(judge_calibrations).where(*here).order_by(table.created_at.desc(), table.id.desc()).limit(1)
    row = connection.execute(newest).first()
    return None if row is None else _calibration(row)


def history(connection: Connection, project: str, app: str, judge: str, *, limit: int) -> list[Calibration]:
    """Of all versions of a judge, newest first."""
    table = judge_calibrations.c
    found = (
        select(judge_calibrations)
        .where(table.project == project, table.app == app, table.judge == judge)
        .order_by(table.created_at.desc(), table.id.desc())
        .limit(limit)
    )
    return [_calibration(row) for row in connection.execute(found)]


def _calibration(row: Row[Any]) -> Calibration:
    return Calibration(**{**row._mapping, "passed": bool(row.passed)})
