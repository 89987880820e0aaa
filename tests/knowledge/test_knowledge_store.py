"""Index versions in the catalog."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.catalog.schema import projects
from rondo.errors import NotFound
from rondo.knowledge import store
from rondo.knowledge.model import IndexVersion, StoredVersion


def version(letter: str) -> IndexVersion:
    return IndexVersion(name="handbook", version=letter * 64, documents=2, chunks=9, bytes=5_000_000_000)


def test_versions(catalog: Catalog) -> None:
    with catalog.begin() as connection, clock.at(1_000) as advance:
        for project in ("p", "other"):
            connection.execute(insert(projects).values(name=project, created_at=1))
        assert store.save(connection, "p", "handbook", version("a")) == "a" * 64
        advance(1_000)
        store.save(connection, "p", "handbook", version("b"))
        store.save(connection, "p", "handbook", version("a"))
        store.save(connection, "p", "manual", version("a"))
    with catalog.read() as connection:
        listed = store.list_versions(connection, "p", "handbook")
        assert [(each.version[0], each.created_at) for each in listed] == [("b", 2_000), ("a", 1_000)]
        assert len(store.list_versions(connection, "p")) == 3
        assert store.list_versions(connection, "other") == []
        assert store.latest(connection, "p", "handbook") == StoredVersion(
            name="handbook", version="b" * 64, documents=2, chunks=9, bytes=5_000_000_000, created_at=2_000
        )
        with pytest.raises(NotFound):
            store.latest(connection, "other", "handbook")
