"""Messages of calls that came apart from their calls, and how they get into them.

A call is one row, with its texts in it: lists, searches, exports and patterns read nothing else. So a message waits in
`call_messages`, before its call has come and after. Whatever comes next of the same call, from the same key, puts the
call on the list `calls_to_tell` in the transaction that stores it; `tell` goes through the list once that is committed,
and makes each call's texts anew from all of its messages, so that no order of coming makes a difference and no crash
leaves one out. A message is of a call that began within an hour of it, so that no batch reads all that waits. It is
forgotten when another comes a day after it. Only calls that others told of are touched.
"""

from __future__ import annotations

from typing import Any

import duckdb

from rondo.records import CallMessage
from rondo.store.columns import MESSAGE, SEARCH_TEXT, table

TABLES = {
    "call_messages": table("call_messages", CallMessage),
    "calls_to_tell": "CREATE TABLE calls_to_tell (project VARCHAR NOT NULL, trace_id VARCHAR NOT NULL,"
    " span_id VARCHAR NOT NULL, key_id VARCHAR NOT NULL, started_at BIGINT NOT NULL)",
}

_NEARBY_US = 3_600_000_000
_KEPT_US = 86_400_000_000
_MOST_OF_A_SIDE = 4 << 20
"""Bytes: a call is a row, and one that is told of without end would be too long for one."""

_AT_ONCE = 8 << 20
"""Bytes of messages in a transaction: they may be many times those of the batch, and memory is little."""

_KEY = "project, trace_id, span_id, key_id"
_CALL = f"{_KEY}, started_at"
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
INSERT INTO calls_to_tell
SELECT {_CALL} FROM calls
WHERE arm = 'traced' AND started_at BETWEEN $since AND $until AND ({_KEY}) IN (SELECT ({_KEY}) FROM new_messages)
"""  # noqa: S608

_AROUND_CALLS = "SELECT min(started_at) - $nearby, max(started_at) + $nearby FROM "
_AROUND_NEW = _AROUND_CALLS + "new_calls WHERE arm = 'traced'"
_LIST_NEW = f"""
INSERT INTO calls_to_tell
SELECT {_CALL} FROM new_calls
WHERE arm = 'traced' AND ({_KEY}) IN (SELECT ({_KEY}) FROM call_messages WHERE told_at BETWEEN $since AND $until)
"""  # noqa: S608

_AROUND_LISTED = _AROUND_CALLS + "calls_to_tell"
_OF_CALL = f"told_at BETWEEN $since AND $until AND abs(told_at - started_at) <= {_NEARBY_US}"
_SIZES = f"""
SELECT {_CALL}, sum(strlen(message))::BIGINT, min(told_at), max(told_at)
FROM (SELECT DISTINCT {_CALL} FROM calls_to_tell) JOIN call_messages USING ({_KEY})
WHERE {_OF_CALL}
GROUP BY {_CALL}
"""  # noqa: S608
_SINGLE_OUT = "CREATE OR REPLACE TEMP TABLE telling AS SELECT unnest($calls, recursive := true)"
_TOLD = f"DELETE FROM calls_to_tell WHERE ({_CALL}) IN (SELECT ({_CALL}) FROM telling)"  # noqa: S608
_TOLD_ALL = "DELETE FROM calls_to_tell"

# What the span said itself stands where no message of that side came.
_RETELL = f"""
CREATE OR REPLACE TEMP TABLE retold AS
WITH fitting AS MATERIALIZED (
    SELECT place, sum(strlen(message)) OVER (PARTITION BY {_KEY}, side ORDER BY told_at, number, place) AS so_far
    FROM (SELECT *, rowid AS place FROM call_messages) JOIN telling USING ({_KEY})
    WHERE {_OF_CALL}),
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
SELECT calls.* EXCLUDE (search_text, failed, tokens) REPLACE (
    coalesce(given, calls.input) AS input,
    CASE WHEN given IS NULL THEN calls.question ELSE coalesce(told.question, '') END AS question,
    coalesce(said, calls.output) AS output, coalesce(told.answer, calls.answer) AS answer)
FROM calls JOIN told USING ({_KEY})
WHERE calls.arm = 'traced' AND calls.started_at BETWEEN $since - {_NEARBY_US} AND $until + {_NEARBY_US}
"""  # noqa: S608

# Not an UPDATE: it would hold the texts in memory until the next checkpoint. A call keeps its number of arrival, and is
# found by it: a checkpoint between the transactions moves rowids, so that one may be another call's.
_REPLACE = (
    "DELETE FROM calls WHERE arrival IN (SELECT arrival FROM retold)",
    f"INSERT INTO calls BY NAME SELECT *, {SEARCH_TEXT} FROM retold",  # noqa: S608
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
    since, until = cursor.execute(_AROUND_NEW, {"nearby": _NEARBY_US}).fetchall()[0]
    if since is not None:
        cursor.execute(_LIST_NEW, {"since": since, "until": until})


def tell(cursor: duckdb.DuckDBPyConnection) -> None:
    """Make the texts of all calls that are listed. In transactions of its own."""
    since, until = cursor.execute(_AROUND_LISTED, {"nearby": _NEARBY_US}).fetchall()[0]
    if since is None:
        return
    listed = cursor.execute(_SIZES, {"since": since, "until": until}).fetchall()
    while listed:
        size, taken = 0, list[tuple[Any, ...]]()
        while listed and (not taken or size + listed[-1][5] <= _AT_ONCE):
            taken.append(listed.pop())
            size += taken[-1][5]
        _tell(cursor, taken)
    cursor.execute(_TOLD_ALL)  # those that are left have no message


def _tell(cursor: duckdb.DuckDBPyConnection, taken: list[tuple[Any, ...]]) -> None:
    names = ("project", "trace_id", "span_id", "key_id", "started_at")
    cursor.execute(_SINGLE_OUT, {"calls": [dict(zip(names, row, strict=False)) for row in taken]})
    cursor.execute(_RETELL, {"since": min(row[6] for row in taken), "until": max(row[7] for row in taken)})
    cursor.begin()
    try:
        for statement in _REPLACE:
            cursor.execute(statement)
        cursor.execute(_TOLD)
        cursor.commit()
    except BaseException:
        cursor.rollback()
        raise
