"""The catalog's database: SQLite in one file, or Postgres. Opens it, migrates it, hands out transactions.

One writer at a time, on both: `begin` takes SQLite's write lock, or the lock of Postgres' one revision row, before
anything is read. A change may therefore read, decide and write without another change in between; changes are rare
and short, so this costs nothing. `read` never waits for a writer and sees one moment of the whole catalog.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from rondo.catalog.schema import revision
from rondo.catalog.tables import ALL
from rondo.errors import Conflict, CorruptData, SettingsError, Unavailable

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_MS = 10_000
_MIGRATION_LOCK = 0x726F6E646F  # "rondo"


class Catalog:
    """An open catalog. Safe to share between threads; `close` when done.

    Its transactions raise Unavailable where the database cannot be reached, is locked for over ten seconds or is
    full, and CorruptData where the file is damaged.
    """

    def __init__(self, url: str) -> None:
        """`url` as SQLAlchemy has them: `sqlite:////path/catalog.db` or `postgresql+psycopg://...`.

        Raises SettingsError for any other database. Does not migrate: that is `open_catalog`.
        """
        self.url = _parse(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._engine = _sqlite(self.url) if self.is_sqlite else _postgres(self.url)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that changes things: commits at the end of the block, rolls back where it raises."""
        with _explained(), self._engine.connect() as connection:
            connection.execution_options(rondo_writes=True)
            with connection.begin():
                if not self.is_sqlite:
                    connection.execute(text(f"SET LOCAL lock_timeout = {_BUSY_MS}"))
                    connection.execute(select(revision.c.number).with_for_update())
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, and sees the catalog as it was at one moment."""
        with _explained(), self._engine.connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection

    @contextmanager
    def hold(self, name: str) -> Iterator[bool]:
        """Whether nobody else holds this name; if so, it is held to the end of the block, or of this process.

        It is between servers on one Postgres. A SQLite catalog has only one.
        """
        if self.is_sqlite:
            yield True
            return
        key = {"key": int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)}
        with _explained(), self._engine.connect() as connection:
            held = bool(connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key).scalar())
            connection.commit()
            try:
                yield held
            finally:
                with suppress(DatabaseError):  # a connection that is gone holds nothing
                    connection.execute(text("SELECT pg_advisory_unlock(:key) WHERE :held"), {**key, "held": held})
                    connection.commit()

    def migrate(self) -> None:
        """Bring the tables up to date, if they are not.

        Two processes may do this at once; a process that dies half-way leaves nothing behind. Raises Conflict where a
        newer Rondo has written the catalog.
        """
        with self.read() as connection:
            if _version(connection) == _known_versions()[-1]:
                return
        with _explained(), self._engine.connect() as connection:
            connection.execution_options(rondo_writes=True)
            with connection.begin():
                if not self.is_sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
                found = _version(connection)
                if found is None:
                    _create(connection)
                elif found != _known_versions()[-1]:
                    _upgrade(connection)

    def close(self) -> None:
        self._engine.dispose()


def open_catalog(url: str) -> Catalog:
    """The catalog at `url`, created or migrated where it has to be. Raises as `Catalog` and `migrate` do."""
    catalog = Catalog(url)
    try:
        catalog.migrate()
    except BaseException:
        catalog.close()
        raise
    return catalog


def sqlite_url(file: Path) -> str:
    """The address of a catalog in this file, whatever characters its path has."""
    return URL.create("sqlite", database=str(file)).render_as_string(hide_password=False)


def _parse(url: str) -> URL:
    where = "RONDO_CATALOG_URL"
    remedy = "Use sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the text may hold a password: it is not repeated
        raise SettingsError("this is not the address of a database.", file=where, remedy=remedy) from None
    backend = parsed.drivername.partition("+")[0]
    if backend == "sqlite":
        if parsed.database in (None, "", ":memory:") or str(parsed.database).startswith("file:"):
            raise SettingsError("the catalog needs a file of its own.", file=where, remedy=remedy)
        return parsed.set(drivername="sqlite+pysqlite")
    if backend in ("postgres", "postgresql"):
        if find_spec("psycopg") is None:
            raise SettingsError(
                "the driver of Postgres is not installed.", file=where, remedy="pip install 'psycopg[binary]'"
            )
        return parsed.set(drivername="postgresql+psycopg")
    raise SettingsError(f"{backend!r} is not a database the catalog can use.", file=where, remedy=remedy)


def _sqlite(url: URL) -> Engine:
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # its -wal and -shm files get the same mode
    except OSError as error:
        raise Unavailable(
            f"The catalog {path} cannot be opened: {error.strerror}.",
            remedy="Check the folder's permissions and free space.",
        ) from error
    engine = create_engine(url, pool_size=4, max_overflow=28)

    @event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where `on_begin` says, never by themselves
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = FULL")  # a release or a revoked key outlives a power cut
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("rondo_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to WAL. Two processes that do so for the first time at once do not wait for each other: try again."""
    for attempts_left in range(200, -1, -1):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or not attempts_left:
                raise
            time.sleep(0.01)


def _postgres(url: URL) -> Engine:
    return create_engine(
        url, pool_size=4, max_overflow=28, pool_pre_ping=True, connect_args={"connect_timeout": _BUSY_MS // 1000}
    )


@contextmanager
def _explained() -> Iterator[None]:
    """Turn the database's own errors into ours. Mistakes in statements stay what they are: bugs."""
    try:
        yield
    except (OperationalError, PoolTimeout) as error:
        cause = getattr(error, "orig", None) or error
        raise Unavailable(
            f"The catalog's database does not answer: {str(cause).strip()}.",
            remedy="Nothing was changed. Check that it runs, has free disk, and is not locked; then try again.",
        ) from error
    except DatabaseError as error:
        if type(error.orig) is not sqlite3.DatabaseError:
            raise
        raise CorruptData(
            f"The catalog's file is damaged: {error.orig}.", remedy="Restore it from a backup."
        ) from error


def _known_versions() -> list[str]:
    """Versions of the schema, oldest first, from the file names `v0001_first.py`. Alembic is slow to import."""
    return sorted(path.name[1:5] for path in (_MIGRATIONS / "versions").glob("v[0-9]*.py"))


def _version(connection: Connection) -> str | None:
    """The schema's version in the database; None where it is empty. Raises Conflict for one from the future."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    known = _known_versions()
    if found is not None and found not in known:
        raise Conflict(
            f"A newer Rondo has written this catalog (schema {found}; this one knows {known[-1]}).",
            remedy="Start the newer Rondo, or restore the backup made before the upgrade.",
        )
    return found


def _create(connection: Connection) -> None:
    """All tables as they are now: a test holds that the migrations lead to the same, which takes ten times as long."""
    ALL.create_all(connection, checkfirst=False)
    connection.execute(insert(revision).values(id=1, number=0))
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:newest)"), {"newest": _known_versions()[-1]})


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
