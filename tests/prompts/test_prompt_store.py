"""Prompt versions in the catalog."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, update

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.catalog.schema import projects, prompts
from rondo.errors import CorruptData, NotFound
from rondo.prompts import store
from rondo.prompts.source import parse_prompt

FIRST = parse_prompt("# user\nHi {{ question }}", file="answer.md")
SECOND = parse_prompt("# user\nHello {{ question }}", file="answer.md")


@pytest.fixture
def filled(catalog: Catalog) -> Catalog:
    with catalog.begin() as connection:
        for project in ("p", "other"):
            connection.execute(insert(projects).values(name=project, created_at=1))
        with clock.at(1_000) as advance:
            store.save(connection, "p", "answer", FIRST)
            advance(1_000)
            store.save(connection, "p", "answer", SECOND)
            advance(1_000)
            store.save(connection, "p", "answer", FIRST)
            store.save(connection, "other", "greet", FIRST)
    return catalog


def test_a_version_is_kept_once(filled: Catalog) -> None:
    with filled.read() as connection:
        found = store.history(connection, "p", "answer")
        assert [(each.version, each.created_at) for each in found] == [(SECOND.version, 2_000), (FIRST.version, 1_000)]


def test_a_project_sees_only_its_own(filled: Catalog) -> None:
    with filled.read() as connection:
        assert [(each.name, each.version) for each in store.list_prompts(connection, "p")] == [
            ("answer", SECOND.version)
        ]
        assert [each.name for each in store.list_prompts(connection, "other")] == ["greet"]
        assert store.list_prompts(connection, "nobody") == []
        with pytest.raises(NotFound):
            store.history(connection, "p", "greet")
        with pytest.raises(NotFound):
            store.get(connection, "p", "greet", FIRST.version)


def test_get_by_the_whole_version_or_its_beginning(filled: Catalog) -> None:
    with filled.read() as connection:
        assert store.get(connection, "p", "answer", FIRST.version) == FIRST
        assert store.get(connection, "p", "answer", FIRST.version[:8]) == FIRST
        for wrong in ("", "abc", "%" * 10, "_" * 64, FIRST.version + "0"):
            with pytest.raises(NotFound):
                store.get(connection, "p", "answer", wrong)


def test_a_changed_row_is_noticed(filled: Catalog) -> None:
    with filled.begin() as connection:
        connection.execute(update(prompts).where(prompts.c.version == FIRST.version).values(source="# user\nEvil"))
    with filled.read() as connection, pytest.raises(CorruptData):
        store.get(connection, "p", "answer", FIRST.version)
