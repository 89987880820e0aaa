"""What all tables of the catalog are made with: the metadata they are in, and columns that several of them have.

Tables are in `schema.py` and `schema_evals.py`; `tables.py` has all of them.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Column, Dialect, ForeignKey, MetaData, Text
from sqlalchemy.types import TypeDecorator

from rondo.catalog.text import canonical_json

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Json(TypeDecorator[Any]):
    """A value kept as canonical JSON text, so both databases give back exactly what was hashed."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else canonical_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


def project_column(*, primary_key: bool = False) -> Column[str]:
    return Column("project", Text, ForeignKey("projects.name"), primary_key=primary_key, nullable=False)
