"""Every table of the catalog, for migrations and for the tests that compare with them. Add new files of tables here."""

from __future__ import annotations

from sqlalchemy import MetaData

from rondo.catalog import schema, schema_alerts, schema_evals, schema_rollout, schema_watch
from rondo.catalog.columns import METADATA

FILES = (schema, schema_evals, schema_rollout, schema_alerts, schema_watch)
"""Importing one has put its tables in the metadata."""

ALL: MetaData = METADATA
