"""The audit chain: whole after any writes, broken by any change."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from rondo.catalog.engine import Catalog
from rondo.catalog.schema import audit_entries
from rondo.errors import CorruptData
from rondo.governance import audit, projects


def write(catalog: Catalog, count: int, project: str = "p") -> None:
    for number in range(count):
        with catalog.begin() as connection:
            audit.record(connection, project, "key:1", "test.do", f"thing:{number}", {"ü": [1.5, None, "\x00\n"]})


@pytest.fixture
def chain(catalog: Catalog) -> Catalog:
    projects.create(catalog, "p", actor="tests")
    projects.create(catalog, "q", actor="tests")
    write(catalog, 4)
    return catalog


def test_a_chain_verifies_and_reads_newest_first(chain: Catalog) -> None:
    with chain.read() as connection:
        newest = audit.entries(connection, "p", limit=2)
        assert [entry.sequence for entry in newest] == [5, 4]
        assert newest[0].details == {"ü": [1.5, None, "\x00\n"]}
        assert newest[0].previous_hash == newest[1].hash
        assert [entry.sequence for entry in audit.entries(connection, "p", before=4)] == [3, 2, 1]
        assert [entry.sequence for entry in audit.entries(connection, "p", subject="thing:0")] == [2]
        assert audit.verify(connection, "p") == audit.Verified(5, newest[0].hash)
        assert audit.verify(connection, "q").entries == 1
        assert audit.verify(connection, "ghost") == audit.Verified(0, audit.GENESIS)


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "someone else"},
        {"action": "test.undo"},
        {"subject": "thing:9"},
        {"details": {}},
        {"at": 5},
        {"sequence": 30},
        {"previous_hash": audit.GENESIS},
        {"hash": audit.GENESIS},
    ],
)
def test_a_changed_entry_breaks_the_chain(chain: Catalog, change: dict[str, Any]) -> None:
    with chain.begin() as connection:
        connection.execute(
            update(audit_entries).where(audit_entries.c.project == "p", audit_entries.c.sequence == 3).values(**change)
        )
    with chain.read() as connection:
        with pytest.raises(CorruptData, match="entry 3"):
            audit.verify(connection, "p")
        audit.verify(connection, "q")


def test_a_removed_or_moved_entry_breaks_the_chain(chain: Catalog) -> None:
    with chain.begin() as connection:
        row = connection.execute(select(audit_entries).where(audit_entries.c.sequence == 3)).one()
        connection.execute(delete(audit_entries).where(audit_entries.c.project == "p", audit_entries.c.sequence == 3))
        connection.execute(insert(audit_entries).values({**row._mapping, "project": "q", "sequence": 2}))
    with chain.read() as connection:
        with pytest.raises(CorruptData, match="entry 3"):
            audit.verify(connection, "p")
        with pytest.raises(CorruptData, match="entry 2"):
            audit.verify(connection, "q")


def test_writers_at_once_extend_one_chain(chain: Catalog) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: write(chain, 5), range(4)))
    with chain.read() as connection:
        assert audit.verify(connection, "p").entries == 25


def test_long_chains_verify_in_batches(chain: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_BATCH", 2)
    with chain.read() as connection:
        assert audit.verify(connection, "p").entries == 5
