"""Fixtures: an empty, migrated catalog on each database that is at hand.

Postgres is at hand where RONDO_TEST_POSTGRES_URL says so; each test then gets a schema of its own there.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from rondo.catalog.engine import Catalog, open_catalog, sqlite_url

VARIABLE = "RONDO_TEST_POSTGRES_URL"


@pytest.fixture(params=["sqlite", "postgres"])
def catalog_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "catalog.db")
        return
    address = os.environ.get(VARIABLE)
    if not address:
        pytest.skip(f"{VARIABLE} is not set: no Postgres to test with")
    schema = f"rondo_{uuid.uuid4().hex}"
    engine = create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    try:
        url = make_url(address).update_query_dict({"options": f"-csearch_path={schema}"})
        yield url.render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        engine.dispose()


@pytest.fixture
def catalog(catalog_url: str) -> Iterator[Catalog]:
    """An open catalog without any rows."""
    opened = open_catalog(catalog_url)
    yield opened
    opened.close()
