"""Adding up: stored calls and scores into the tables of `rolled.py`, a slice at a time.

A slice and the place that it ends at commit together, so that no call is left out and none is counted twice, whatever
dies when. A store from before there were rollups is counted the same way, from its first call on. What is in the
tables can always be thrown away and counted again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import duckdb

from rondo.store import rolled

SLICE = 100_000
"""Calls in one transaction."""

_ENOUGH_PARTS = 20  # of an hour or a day that still grows
_TAG_VALUES = 1_000  # of a key on a day; the least used beyond these are one

_PARTS = """
INSERT INTO rollup_parts
SELECT DISTINCT width, started_at // width * width FROM calls, (VALUES (3600000000), (86400000000)) widths(width)
WHERE arrival > $after AND arrival <= $upto
"""
# A day that is over is worth it for the count of its users, too.
_WORTH_COMPACTING = f"""
SELECT width_us, begins_at, count(*) FROM rollup_parts
GROUP BY width_us, begins_at
HAVING count(*) >= {_ENOUGH_PARTS}
    OR (begins_at + width_us <= (SELECT max(begins_at) FROM rollup_parts WHERE width_us = {rolled.HOUR_US})
        AND (count(*) > 1
            OR (width_us = {rolled.DAY_US} AND begins_at NOT IN (SELECT begins_at FROM rollup_active)
                AND begins_at IN (SELECT begins_at FROM rollup_users))))
ORDER BY width_us, begins_at
LIMIT 1
"""  # noqa: S608
_FEWER_TAG_VALUES = f"""
UPDATE rollup_tags SET tag_value = NULL
WHERE width_us = $width AND begins_at = $begins AND (project, tag_key, tag_value) IN (
    SELECT (project, tag_key, tag_value) FROM rollup_tags
    WHERE width_us = $width AND begins_at = $begins AND tag_value IS NOT NULL
    GROUP BY project, tag_key, tag_value
    QUALIFY row_number() OVER (PARTITION BY project, tag_key ORDER BY sum(calls) DESC, tag_value) > {_TAG_VALUES}
)
"""  # noqa: S608


def prepare(database: duckdb.DuckDBPyConnection) -> None:
    """Make the tables; where another version of Rondo made them, throw them away first, to be counted anew."""
    present = {row[0] for row in database.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    version = rolled.version(duckdb.__version__)
    if "rollup_cursors" in present and _cursors(database).get("version") != version:
        for table in rolled.TABLES:
            database.execute(f"DROP TABLE IF EXISTS {table}")
    for statement in rolled.create():
        database.execute(statement)
    database.execute("INSERT INTO rollup_cursors VALUES ('version', ?) ON CONFLICT DO NOTHING", [version])


def fold(cursor: duckdb.DuckDBPyConnection, most: int = SLICE) -> int:
    """Add up at most `most` of the calls, and of the scores, that have come since; how many those were."""
    cursor.begin()
    try:
        done = _fold_calls(cursor, most) + _fold_scores(cursor, most)
        cursor.commit()
    except BaseException:
        with contextlib.suppress(duckdb.Error):
            cursor.rollback()
        raise
    return done


def compact(cursor: duckdb.DuckDBPyConnection) -> bool:
    """Put together what was added piece by piece for one hour or day; False where nothing is worth it."""
    found = cursor.execute(_WORTH_COMPACTING).fetchone()
    if found is None:
        return False
    width, begins, parts = found
    about = {"width": width, "begins": begins}
    cursor.begin()
    try:
        cursor.execute(_FEWER_TAG_VALUES, about)
        for rollup in rolled.ROLLUPS if parts > 1 else ():
            if width in rollup.widths:
                gather, clear, put = rollup.compact()
                cursor.execute(gather, about)
                cursor.execute(clear, about)
                cursor.execute(put)
        if width == rolled.DAY_US:
            cursor.execute("DELETE FROM rollup_active WHERE begins_at = $begins", {"begins": begins})
            if _is_over(cursor, begins):
                cursor.execute(rolled.COUNT_ACTIVE, about)
        cursor.execute("DELETE FROM rollup_parts WHERE width_us = $width AND begins_at = $begins", about)
        cursor.execute("INSERT INTO rollup_parts VALUES ($width, $begins)", about)
        cursor.commit()
    except BaseException:
        with contextlib.suppress(duckdb.Error):
            cursor.rollback()
        raise
    return True


def clear(cursor: duckdb.DuckDBPyConnection) -> None:
    """Throw it all away, to be counted anew: for whoever takes calls out of the store. Queries stay exact meanwhile."""
    cursor.begin()
    try:
        for table in rolled.TABLES:
            if table != "rollup_cursors":
                cursor.execute(f"DELETE FROM {table}")  # noqa: S608
        cursor.execute("UPDATE rollup_cursors SET arrival = 0 WHERE name <> 'version'")
        cursor.commit()
    except BaseException:
        with contextlib.suppress(duckdb.Error):
            cursor.rollback()
        raise


@contextlib.contextmanager
def as_of_now(cursor: duckdb.DuckDBPyConnection, sql: str, bound: dict[str, object]) -> Iterator[None]:
    """For a query that reads rollups: bind how far they go, in the same view of the store that it reads them in."""
    wanted = {name: key for name, key in (("rolled", "calls"), ("scored", "scores")) if f"${name}" in sql}
    if not wanted:
        yield
        return
    cursor.begin()
    try:
        places = _cursors(cursor)
        bound.update({name: places[key] for name, key in wanted.items()})
        yield
    finally:
        with contextlib.suppress(duckdb.Error):
            cursor.rollback()  # nothing was written


def _fold_calls(cursor: duckdb.DuckDBPyConnection, most: int) -> int:
    after = _cursors(cursor)["calls"]
    slice_ = _slice(cursor, "calls", after, most)
    if slice_ is None:
        return 0
    for rollup in rolled.ROLLUPS:
        for width in rollup.widths:
            cursor.execute(rollup.fold(width), slice_)
    cursor.execute(rolled.FORGET_ACTIVE, slice_)
    cursor.execute(_PARTS, slice_)
    find, place = rolled.PLACE_SCORES
    cursor.execute(find, slice_)
    if _number(cursor, "SELECT count(*) FROM moved"):
        cursor.execute(place)
    _move(cursor, "calls", slice_["upto"])
    return slice_["upto"] - after


def _fold_scores(cursor: duckdb.DuckDBPyConnection, most: int) -> int:
    after = _cursors(cursor)["scores"]
    slice_ = _slice(cursor, "scores", after, most)
    if slice_ is None:
        return 0
    drop, gather, place = rolled.FOLD_SCORES
    for statement, about in ((drop, slice_), (gather, slice_), (place, {})):
        cursor.execute(statement, about)
    _move(cursor, "scores", slice_["upto"])
    return slice_["upto"] - after


def _is_over(cursor: duckdb.DuckDBPyConnection, day: int) -> bool:
    newest = _number(cursor, f"SELECT max(begins_at) FROM rollup_parts WHERE width_us = {rolled.HOUR_US}")  # noqa: S608
    return newest >= day + rolled.DAY_US


def _slice(cursor: duckdb.DuckDBPyConnection, table: str, after: int, most: int) -> dict[str, int] | None:
    newest = _number(cursor, f"SELECT coalesce(max(arrival), 0) FROM {table}")  # noqa: S608
    return {"after": after, "upto": min(newest, after + most)} if newest > after else None


def _cursors(cursor: duckdb.DuckDBPyConnection) -> Mapping[str, int]:
    return dict(cursor.execute("SELECT name, arrival FROM rollup_cursors").fetchall())


def _move(cursor: duckdb.DuckDBPyConnection, name: str, arrival: int) -> None:
    cursor.execute("UPDATE rollup_cursors SET arrival = ? WHERE name = ?", [arrival, name])


def _number(cursor: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = cursor.execute(sql).fetchone()
    return int(row[0]) if row else 0
