"""Messages of calls that came apart from their calls, and how they get into them.

A call is one row, with its texts in it: lists, searches, exports and patterns read nothing else. So a message waits in
`call_messages`, before its call has come and after. Whatever comes next of the same call, from the same key, puts the
call on the list `untold_calls` in the transaction that stores it; `tell` goes through the list once that is committed,
and makes each call's texts anew from all of its messages, so that no order of coming makes a difference and no crash
leaves one out. After a day a message is forgotten. Only calls that others told of are touched.
"""

from __future__ import annotations

from typing import Any

import duckdb

from rondo.records import CallMessage
from rondo.store.columns import MESSAGE, table

TABLES = {
    "call_messages": table("call_messages", CallMessage),
    "untold_calls": "CREATE TABLE untold_calls (project VARCHAR NOT NULL, trace_id VARCHAR NOT NULL,"
    " span_id VARCHAR NOT NULL, key_id VARCHAR NOT NULL)",
}

_NEARBY_US = 3_600_000_000
_KEPT_US = 86_400_000_000
_MOST_OF_A_SIDE = 4 << 20
"""Bytes: a call is a row, and one that is told of without end would be too long for one."""

_AT_ONCE = 8 << 20
"""Bytes of messages in a transaction: they may be many times those of the batch, and memory is little."""

_KEY = "project, trace_id, span_id, key_id"
_NAMES = ", ".join(f'"{name}"' for name in MESSAGE)
_SPOKEN = "told_at, number, rowid"

_TIMES = "SELECT min(told_at) - $nearby, max(told_at) + $nearby, max(received_at) - $kept FROM new_messages"
_FORGET = "DELETE FROM call_messages WHERE received_at < $before"
_KEEP = f"""
INSERT INTO call_messages ({_NAMES})
SELECT {_NAMES} FROM new_messages
WHERE id NOT IN (SELECT id FROM call_messages WHERE told_at BETWEEN $since AND $until)
QUALIFY row_number() OVER (PARTITION BY id ORDER BY rowid) = 1
"""  # noqa: S608
_LIST_STORED = f"""
INSERT INTO untold_calls
SELECT {_KEY} FROM calls
WHERE arm = 'traced' AND started_at BETWEEN $since AND $until AND ({_KEY}) IN (SELECT ({_KEY}) FROM new_messages)
"""  # noqa: S608
_LIST_NEW = f"""
INSERT INTO untold_calls
SELECT {_KEY} FROM new_calls WHERE arm = 'traced' AND ({_KEY}) IN (SELECT ({_KEY}) FROM call_messages)
"""  # noqa: S608

_SIZES = f"""
SELECT {_KEY}, coalesce(sum(strlen(message)), 0)::BIGINT, min(told_at), max(told_at)
FROM (SELECT DISTINCT {_KEY} FROM untold_calls) LEFT JOIN call_messages USING ({_KEY})
GROUP BY {_KEY}
"""  # noqa: S608
_SINGLE_OUT = "CREATE OR REPLACE TEMP TABLE telling AS SELECT unnest($keys, recursive := true)"
_TOLD = f"DELETE FROM untold_calls WHERE ({_KEY}) IN (SELECT ({_KEY}) FROM telling)"  # noqa: S608

# What the span said itself stands where no message of that side came.
_RETELL = f"""
CREATE OR REPLACE TEMP TABLE retold AS
WITH fitting AS MATERIALIZED (
    SELECT rowid AS place, sum(strlen(message)) OVER (PARTITION BY {_KEY}, side ORDER BY {_SPOKEN}) AS so_far
    FROM call_messages
    WHERE ({_KEY}) IN (SELECT ({_KEY}) FROM telling) AND told_at BETWEEN $since AND $until),
told AS (
    SELECT {_KEY},
        '[' || string_agg(message, ',' ORDER BY {_SPOKEN}) FILTER (side = 'input') || ']' AS given,
        arg_max(text, ({_SPOKEN})) FILTER (side = 'input' AND role = 'user') AS question,
        CASE count(*) FILTER (side = 'output')
            WHEN 1 THEN any_value(message) FILTER (side = 'output')
            ELSE '[' || string_agg(message, ',' ORDER BY {_SPOKEN}) FILTER (side = 'output') || ']' END AS said,
        arg_min(text, ({_SPOKEN})) FILTER (side = 'output') AS answer
    FROM call_messages
    WHERE rowid IN (SELECT place FROM fitting WHERE so_far <= {_MOST_OF_A_SIDE})
    GROUP BY {_KEY})
SELECT calls.rowid AS place, calls.* EXCLUDE (failed, tokens) REPLACE (
    coalesce(given, calls.input) AS input,
    CASE WHEN given IS NULL THEN calls.question ELSE coalesce(told.question, '') END AS question,
    coalesce(said, calls.output) AS output, coalesce(told.answer, calls.answer) AS answer)
FROM calls JOIN told USING ({_KEY})
WHERE calls.arm = 'traced' AND calls.started_at BETWEEN $since - {_NEARBY_US} AND $until + {_NEARBY_US}
"""  # noqa: S608

# Not an UPDATE: it would hold the texts in memory until the next checkpoint. A call keeps its number of arrival.
_REPLACE = (
    "DELETE FROM calls WHERE rowid IN (SELECT place FROM retold)",
    "INSERT INTO calls BY NAME SELECT * EXCLUDE (place) FROM retold",
)


def keep(cursor: duckdb.DuckDBPyConnection) -> None:
    """Keep `new_messages`, list their calls that are stored, and forget messages of yesterday."""
    since, until, before = cursor.execute(_TIMES, {"nearby": _NEARBY_US, "kept": _KEPT_US}).fetchall()[0]
    if before is not None:
        cursor.execute(_FORGET, {"before": before})
        cursor.execute(_KEEP, {"since": since, "until": until})
        cursor.execute(_LIST_STORED, {"since": since, "until": until})


def list_new_calls(cursor: duckdb.DuckDBPyConnection) -> None:
    """List those of `new_calls` of which messages came before."""
    cursor.execute(_LIST_NEW)


def tell(cursor: duckdb.DuckDBPyConnection) -> None:
    """Make the texts of all calls that are listed. In transactions of its own."""
    listed = cursor.execute(_SIZES).fetchall()
    while listed:
        size, taken = 0, list[tuple[Any, ...]]()
        while listed and (not taken or size + listed[-1][4] <= _AT_ONCE):
            taken.append(listed.pop())
            size += taken[-1][4]
        _tell(cursor, taken)


def _tell(cursor: duckdb.DuckDBPyConnection, taken: list[tuple[Any, ...]]) -> None:
    keys = [dict(zip(("project", "trace_id", "span_id", "key_id"), row, strict=False)) for row in taken]
    times = [row[5:7] for row in taken if row[5] is not None]
    cursor.execute(_SINGLE_OUT, {"keys": keys})
    if times:
        cursor.execute(_RETELL, {"since": min(first for first, _ in times), "until": max(last for _, last in times)})
    cursor.begin()
    try:
        for statement in _REPLACE if times else ():
            cursor.execute(statement)
        cursor.execute(_TOLD)
        cursor.commit()
    except BaseException:
        cursor.rollback()
        raise
