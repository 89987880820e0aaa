"""The statements of gates: decisions, and exceptions to them. They are only ever added to."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from rondo.catalog.schema_evals import gate_decisions
from rondo.releases.gate_model import KeptDecision


def insert_decision(connection: Connection, project: str, kept: KeptDecision) -> None:
    values = {name: getattr(kept, name) for name in KeptDecision.__struct_fields__}
    connection.execute(insert(gate_decisions).values(project=project, **values))


def decisions(
    connection: Connection, project: str, app: str, hash_: str, *, limit: int = 50, kind: str | None = None
) -> list[KeptDecision]:
    """What was decided of a release or a draft, newest first."""
    here = gate_decisions.c
    columns = [column for column in here if column.name != "project"]
    statement = select(*columns).where(here.project == project, here.app == app, here.hash == hash_)
    if kind is not None:
        statement = statement.where(here.kind == kind)
    rows = connection.execute(statement.order_by(here.created_at.desc(), here.id.desc()).limit(limit))
    return [KeptDecision(**row._mapping) for row in rows]
