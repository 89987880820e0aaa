"""Fixtures: an empty database, and a migrated catalog without rows, of each kind that is at hand.

Postgres is at hand where RONDO_TEST_POSTGRES_URL says so. A schema there with all its tables takes longer to make than
most tests run: so each test process makes one, and empties it after each test.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, insert, make_url, text

from rondo.catalog.engine import Catalog, open_catalog, sqlite_url
from rondo.catalog.schema import revision
from rondo.catalog.tables import ALL

VARIABLE = "RONDO_TEST_POSTGRES_URL"


@contextmanager
def _schema() -> Iterator[str]:
    """The address of a new schema in Postgres, for as long as it is needed."""
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


@pytest.fixture(params=["sqlite", "postgres"])
def database_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def empty_database(database_kind: str, tmp_path: Path) -> Iterator[str]:
    """The address of a database without tables."""
    if database_kind == "sqlite":
        yield sqlite_url(tmp_path / "catalog.db")
        return
    with _schema() as url:
        yield url


@pytest.fixture(scope="session")
def _postgres_catalog() -> Iterator[Catalog]:
    with _schema() as url:
        made = open_catalog(url)
        yield made
        made.close()


@pytest.fixture
def catalog_url(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a catalog without rows."""
    if database_kind == "sqlite":
        url = sqlite_url(tmp_path / "catalog.db")
        open_catalog(url).close()
        yield url
        return
    made: Catalog = request.getfixturevalue("_postgres_catalog")
    yield made.url.render_as_string(hide_password=False)
    with made.begin() as connection:
        for table in reversed(ALL.sorted_tables):
            connection.execute(table.delete())
        connection.execute(insert(revision).values(id=1, number=0))


@pytest.fixture
def catalog(catalog_url: str) -> Iterator[Catalog]:
    """An open catalog without any rows."""
    opened = open_catalog(catalog_url)
    yield opened
    opened.close()
