"""The catalog's promises, the same on SQLite and Postgres."""

from __future__ import annotations

import multiprocessing
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, inspect, select, text
from sqlalchemy.exc import IntegrityError

from rondo.catalog import engine as engine_module
from rondo.catalog.engine import Catalog, open_catalog, sqlite_url
from rondo.catalog.revision import bump, current
from rondo.catalog.schema import projects
from rondo.catalog.tables import ALL
from rondo.errors import Conflict, CorruptData, SettingsError, Unavailable


@pytest.fixture
def catalog(empty_database: str) -> Iterator[Catalog]:
    """One of its own, whose tables a test may change."""
    opened = open_catalog(empty_database)
    yield opened
    opened.close()


@pytest.fixture(params=["created", "migrated"])
def made(request: pytest.FixtureRequest, empty_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    """A catalog made in either way: the tables at once, or migration by migration."""
    if request.param == "migrated":
        monkeypatch.setattr(engine_module, "_create", engine_module._upgrade)
    catalog = open_catalog(empty_database)
    yield catalog
    catalog.close()


def test_schema_is_the_sum_of_the_migrations(made: Catalog) -> None:
    with made.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, ALL) == []


def test_constraints_have_the_same_names_as_in_the_schema(made: Catalog) -> None:
    with made.read() as connection:
        inspector = inspect(connection)
        for table in ALL.tables.values():
            key = inspector.get_pk_constraint(table.name)
            assert key["constrained_columns"] == [column.name for column in table.primary_key]
            found = {key["name"]}
            found |= {each["name"] for each in inspector.get_foreign_keys(table.name)}
            found |= {each["name"] for each in inspector.get_unique_constraints(table.name)}
            found |= {each["name"] for each in inspector.get_check_constraints(table.name)}
            assert found == {str(each.name) for each in table.constraints}


def test_newest_version_is_alembics_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(engine_module._MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [engine_module._known_versions()[-1]]


def test_regressions_survive_that_their_key_has_changed(catalog: Catalog) -> None:
    row = {"project": "p", "example": "e", "app": "b", "dataset": "d", "created_by": "anna", "created_at": 1}
    other = {**row, "app": "a", "created_at": 2}
    config = Config()
    config.set_main_option("script_location", str(engine_module._MIGRATIONS))
    table = ALL.tables["regressions"]
    with catalog.begin() as connection:
        config.attributes["connection"] = connection
        connection.execute(insert(projects).values(name="p", created_at=1))
        connection.execute(insert(table).values([row, other]))
        command.downgrade(config, "0005")
        assert [each.app for each in connection.execute(select(table))] == ["a"]  # the old key has room for one
        assert inspect(connection).get_pk_constraint("regressions")["constrained_columns"] == ["project", "example"]
        command.upgrade(config, "head")
        connection.execute(insert(table).values(row))
        assert {each.app for each in connection.execute(select(table))} == {"a", "b"}


def test_opening_twice_changes_nothing_and_does_not_load_alembic(empty_database: str) -> None:
    open_catalog(empty_database).close()
    program = (
        "import sys; from rondo.catalog.engine import open_catalog; open_catalog(sys.argv[1]).close(); "
        "assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, empty_database], check=True)


def _open_and_count(url: str, start: multiprocessing.synchronize.Barrier) -> None:
    start.wait()
    catalog = open_catalog(url)
    with catalog.begin() as connection:
        bump(connection)
    catalog.close()


def test_processes_that_start_at_once_migrate_once(empty_database: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(3)
    processes = [spawn.Process(target=_open_and_count, args=(empty_database, start)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    catalog = open_catalog(empty_database)
    with catalog.read() as connection:
        assert current(connection) == 3
    catalog.close()


def test_threads_that_open_an_empty_database_at_once(empty_database: str) -> None:
    start = threading.Barrier(4)

    def opened(_: int) -> None:
        start.wait()
        open_catalog(empty_database).close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(opened, range(4)))


@pytest.mark.parametrize("way", ["_create", "_upgrade"])
def test_a_failed_migration_leaves_nothing(empty_database: str, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    whole = getattr(engine_module, way)

    def dies_after(connection: object) -> None:
        whole(connection)
        raise RuntimeError("killed")

    monkeypatch.setattr(engine_module, "_create", dies_after)
    with pytest.raises(RuntimeError):
        open_catalog(empty_database)
    monkeypatch.undo()
    catalog = open_catalog(empty_database)
    with catalog.read() as connection:
        assert current(connection) == 0
    catalog.close()


def test_a_catalog_from_the_future_is_refused(catalog: Catalog) -> None:
    with catalog.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict, match="newer Rondo"):
        catalog.migrate()


def test_an_error_in_the_block_rolls_back(catalog: Catalog) -> None:
    def fails() -> None:
        with catalog.begin() as connection:
            connection.execute(insert(projects).values(name="p", created_at=1))
            bump(connection)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails()
    with catalog.read() as connection:
        assert current(connection) == 0
        assert connection.execute(select(projects.c.name)).all() == []


def test_writers_take_turns_from_their_first_read(catalog: Catalog) -> None:
    def add(_: int) -> None:
        with catalog.begin() as connection:
            before = current(connection)
            assert bump(connection) == before + 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    with catalog.read() as connection:
        assert current(connection) == 40


def test_a_reader_sees_one_moment_and_waits_for_nobody(catalog: Catalog) -> None:
    with catalog.read() as reader:
        assert current(reader) == 0
        with catalog.begin() as writer:
            bump(writer)
            assert current(reader) == 0
        assert current(reader) == 0
    with catalog.read() as reader:
        assert current(reader) == 1


def test_a_reader_cannot_write_on_postgres(catalog: Catalog) -> None:
    if catalog.is_sqlite:
        pytest.skip("SQLite has no read-only transactions")
    with pytest.raises(Exception, match="read-only"), catalog.read() as connection:
        bump(connection)


def test_rows_need_their_project(catalog: Catalog) -> None:
    with pytest.raises(IntegrityError), catalog.begin() as connection:
        connection.execute(ALL.tables["apps"].insert().values(project="ghost", name="a", settings={}, created_at=1))


def test_a_lock_that_is_held_too_long_is_unavailable(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_BUSY_MS", 20)
    catalog = Catalog(empty_database)
    if not catalog.is_sqlite:
        monkeypatch.setattr(engine_module, "_BUSY_MS", 10_000)
    catalog.migrate()
    monkeypatch.setattr(engine_module, "_BUSY_MS", 20)
    with catalog.begin(), pytest.raises(Unavailable, match="Nothing was changed"), catalog.begin():
        pass
    with catalog.begin() as connection:
        assert bump(connection) == 1
    catalog.close()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://u:hunter2@h/d", "sqlite://", "sqlite:///:memory:"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Catalog(url)
    assert "RONDO_CATALOG_URL" in str(caught.value)
    assert caught.value.remedy
    assert "hunter2" not in str(caught.value)


def test_a_database_that_is_not_there_is_unavailable() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(Unavailable, match="does not answer") as caught:
        open_catalog("postgresql://u:hunter2@127.0.0.1:1/none")
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_bytes(b"not a database, by any means" * 100)
    with pytest.raises(CorruptData, match="damaged"):
        open_catalog(sqlite_url(tmp_path / "catalog.db"))


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match="cannot be opened"):
        open_catalog(sqlite_url(tmp_path / "file" / "catalog.db"))


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    catalog = open_catalog(sqlite_url(tmp_path / "a b%41c" / "catalog.db"))
    with catalog.begin() as connection:
        bump(connection)
        for name in os.listdir(tmp_path / "a b%41c"):
            assert stat.S_IMODE((tmp_path / "a b%41c" / name).stat().st_mode) == 0o600
    catalog.close()


def test_of_several_servers_one_holds_a_name(empty_database: str, catalog: Catalog) -> None:
    other = open_catalog(empty_database)
    try:
        for _ in range(2):
            with catalog.hold("a") as ours, other.hold("a") as theirs, other.hold("b") as another:
                assert ours
                assert another
                assert theirs is catalog.is_sqlite  # which has one server only
        with other.hold("a") as theirs:
            assert theirs
    finally:
        other.close()
