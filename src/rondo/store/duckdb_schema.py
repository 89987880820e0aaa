"""The tables of the DuckDB store, and the statements that fill them.

`calls` is one wide row per call in order of arrival; lists read its narrow columns only. `spans` and `scores` hang
on it by trace id; `call_messages` wait for their calls. A new field of a record becomes a new column when the file is
opened.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from rondo.errors import CorruptData
from rondo.records import Call, Position, Score, Span, TraceSpan
from rondo.store import call_messages, rollups
from rondo.store.base import Holdings
from rondo.store.columns import CALL, SCORE, SEARCH_TEXT, SPAN, TRACE_SPAN, defaults, table

VERSION = 1

# A call has failed if its status says so, or if it broke off after a good status had been sent; not if its client left.
_FAILED = """failed BOOLEAN GENERATED ALWAYS AS (
    (status >= 400 OR error_code IS NOT NULL) AND error_code IS DISTINCT FROM 'client_closed') VIRTUAL"""
_TOKENS = """tokens BIGINT GENERATED ALWAYS AS (
    CASE WHEN coalesce(input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens) IS NOT NULL
    THEN coalesce(input_tokens, 0) + coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0)
        + coalesce(output_tokens, 0) + coalesce(reasoning_tokens, 0) END) VIRTUAL"""
_SEARCHED = "search_text VARCHAR NOT NULL"
# Read a call at a time, and most of a call's bytes: zstd makes them half as large as what DuckDB would choose, in half
# the time. What lists and searches read many of, as the question and the answer, is left to it.
_PACKED = ("input", "output", "rendered", "chunks")
# Is a score for (1) or against (-1) what it judges? Only a boolean tells: nobody knows the scale of a number.
_VERDICT = """verdict BIGINT GENERATED ALWAYS AS (
    CASE WHEN data_type <> 'boolean' THEN 0 WHEN value >= 0.5 THEN 1 ELSE -1 END) VIRTUAL"""
# Counted on whenever a score is written, also over another: what has changed since a moment is found by it.
_ARRIVALS = "CREATE SEQUENCE IF NOT EXISTS score_arrivals"
_ARRIVAL = "arrival BIGINT DEFAULT nextval('score_arrivals')"

_TRACE_SPANS = table("trace_spans", TraceSpan)

_TABLES = (
    _TRACE_SPANS,
    *call_messages.TABLES.values(),
    _ARRIVALS,
    table("calls", Call, "arrival BIGINT NOT NULL", _SEARCHED, _FAILED, _TOKENS, leave_out=("spans",), packed=_PACKED),
    table(
        "spans",
        Span,
        "project VARCHAR NOT NULL",
        "trace_id VARCHAR NOT NULL",
        "call_span_id VARCHAR NOT NULL",
        strict=False,
    ),
    table("scores", Score, _VERDICT, _ARRIVAL, "PRIMARY KEY (project, id)"),
    'CREATE TABLE journal_positions (writer VARCHAR PRIMARY KEY, segment BIGINT NOT NULL, "offset" BIGINT NOT NULL,'
    " sequence BIGINT NOT NULL, missing BIGINT NOT NULL)",
    "CREATE TABLE quarantine (writer VARCHAR NOT NULL, sequence BIGINT NOT NULL, kind BIGINT NOT NULL,"
    " accepted_at BIGINT NOT NULL, reason VARCHAR NOT NULL, payload BLOB NOT NULL, stored_at BIGINT NOT NULL)",
    "CREATE TABLE schema_version (version BIGINT NOT NULL)",
)

_SCORE_NAMES = ", ".join(f'"{name}"' for name in SCORE)
_SCORE_CHANGES = ", ".join(
    f'"{name}" = excluded."{name}"' for name in (*SCORE, "arrival") if name not in ("project", "id")
)

_UNSAID = ", ".join(
    f'coalesce("{name}", {value}) AS "{name}"' for name, value in defaults(Call).items() if name != "spans"
)

INSERT_CALLS = f"""
INSERT INTO calls BY NAME
SELECT * EXCLUDE (spans) REPLACE ({_UNSAID}), $before + row_number() OVER () AS arrival, {SEARCH_TEXT}
FROM new_calls
"""  # noqa: S608

INSERT_SPANS = """
INSERT INTO spans BY NAME
SELECT span.*, project, trace_id, call_span_id
FROM (SELECT project, trace_id, span_id AS call_span_id, unnest(spans) AS span FROM new_calls)
"""

# The newest stands, whichever writer's journal it came by; of two at the same time the later entry.
UPSERT_SCORES = f"""
INSERT INTO scores ({_SCORE_NAMES})
SELECT {_SCORE_NAMES} FROM new_scores
QUALIFY row_number() OVER (PARTITION BY project, id ORDER BY created_at DESC, rowid DESC) = 1
ON CONFLICT (project, id) DO UPDATE SET {_SCORE_CHANGES}
WHERE excluded.created_at >= scores.created_at
"""  # noqa: S608

# What others tell of comes again where their exporter missed our answer, nearly always soon: stored rows are looked at
# from an hour before the first to an hour after the last of the batch, which zone maps find without reading the rest.
_NEAR = "started_at BETWEEN $since AND $until"
_NEW_TRACED = "FROM new_calls WHERE arm = 'traced'"
TRACED_TIMES = f"SELECT min(started_at), max(started_at) {_NEW_TRACED}"
TRACE_SPAN_TIMES = "SELECT min(started_at), max(started_at) FROM new_trace_spans"
NEARBY_US = 3_600_000_000

FORGET_KNOWN_CALLS = f"""
DELETE FROM new_calls WHERE arm = 'traced' AND (
    (project, trace_id, span_id) IN (
        SELECT (project, trace_id, span_id) FROM calls WHERE arm = 'traced' AND {_NEAR})
    OR rowid NOT IN (SELECT min(rowid) {_NEW_TRACED} GROUP BY project, trace_id, span_id))
"""  # noqa: S608

_SPAN_NAMES = ", ".join(f'"{name}"' for name in TRACE_SPAN)
INSERT_TRACE_SPANS = f"""
INSERT INTO trace_spans ({_SPAN_NAMES})
SELECT {_SPAN_NAMES} FROM new_trace_spans
WHERE (project, trace_id, span_id) NOT IN (SELECT (project, trace_id, span_id) FROM trace_spans WHERE {_NEAR})
QUALIFY row_number() OVER (PARTITION BY project, trace_id, span_id ORDER BY rowid) = 1
"""  # noqa: S608

QUARANTINE = "INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?)"

FIRST_POSITION = """
INSERT INTO journal_positions (segment, "offset", sequence, missing, writer) VALUES (?, ?, ?, ?, ?)
"""

# Not one statement for both: `ON CONFLICT` takes four times as long, in every batch.
MOVE_POSITION = """
UPDATE journal_positions SET segment = ?, "offset" = ?, sequence = ?, missing = missing + ? WHERE writer = ?
"""


def prepare(database: duckdb.DuckDBPyConnection) -> None:
    """Create or complete the tables. Raises CorruptData where a newer Rondo wrote the file."""
    tables = {row[0] for row in database.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    database.begin()
    if "schema_version" not in tables:
        for statement in _TABLES:
            database.execute(statement)
        database.execute("INSERT INTO schema_version VALUES (?)", [VERSION])
    else:
        version = _number(database, "SELECT version FROM schema_version")
        if version > VERSION:
            raise CorruptData(
                f"The record store has version {version}, this program knows up to {VERSION}.",
                remedy="A newer Rondo wrote it: start that version.",
            )
        if "trace_spans" not in tables:
            database.execute(_TRACE_SPANS)
        for name, create in call_messages.TABLES.items():
            if name not in tables:
                database.execute(create)
        _add_columns(database)
    rollups.prepare(database)
    database.commit()


def forget_known_calls(cursor: duckdb.DuckDBPyConnection) -> int:
    """Take out of `new_calls` what others had told of before; how many that were."""
    since, until = _times(cursor, TRACED_TIMES)
    if since is None or until is None:
        return 0
    near = {"since": since - NEARBY_US, "until": until + NEARBY_US}
    return _number(cursor, FORGET_KNOWN_CALLS, near)


def insert_trace_spans(cursor: duckdb.DuckDBPyConnection) -> None:
    """Store those of `new_trace_spans` that are not stored yet."""
    since, until = _times(cursor, TRACE_SPAN_TIMES)
    if since is not None and until is not None:
        cursor.execute(INSERT_TRACE_SPANS, {"since": since - NEARBY_US, "until": until + NEARBY_US})


def arrivals(cursor: duckdb.DuckDBPyConnection) -> int:
    """The highest arrival number of a call."""
    return _number(cursor, "SELECT coalesce(max(arrival), 0) FROM calls")


def positions(cursor: duckdb.DuckDBPyConnection) -> dict[str, Position]:
    """How far each writer's journal has been stored."""
    rows = cursor.execute('SELECT writer, segment, "offset", sequence FROM journal_positions').fetchall()
    return {writer: Position(segment, offset, sequence) for writer, segment, offset, sequence in rows}


def holdings(cursor: duckdb.DuckDBPyConnection) -> Holdings:
    """Positions and what could not be stored as rows, of one moment."""
    cursor.begin()
    held = Holdings(
        positions(cursor),
        _number(cursor, "SELECT count(*) FROM quarantine"),
        _number(cursor, "SELECT coalesce(sum(missing), 0)::BIGINT FROM journal_positions"),
    )
    cursor.commit()
    return held


def _add_columns(database: duckdb.DuckDBPyConnection) -> None:
    for name, wanted in (("calls", CALL), ("spans", SPAN), ("scores", SCORE), ("trace_spans", TRACE_SPAN)):
        present = {
            row[0]
            for row in database.execute(
                "SELECT column_name FROM duckdb_columns() WHERE table_name = ?", [name]
            ).fetchall()
        }
        for column, kind in wanted.items():
            if column not in present and column != "spans":
                database.execute(f'ALTER TABLE {name} ADD COLUMN "{column}" {kind}')
        if name == "scores" and "arrival" not in present:
            database.execute(_ARRIVALS)
            database.execute(f"ALTER TABLE scores ADD COLUMN {_ARRIVAL}")


def _number(cursor: duckdb.DuckDBPyConnection, sql: str, bound: Mapping[str, object] | None = None) -> int:
    row = cursor.execute(sql, dict(bound or {})).fetchone()
    return int(row[0]) if row else 0


def _times(cursor: duckdb.DuckDBPyConnection, sql: str) -> tuple[int | None, int | None]:
    row = cursor.execute(sql).fetchone()
    return (row[0], row[1]) if row else (None, None)
