"""What is counted before it is asked for: the tables of rollups, and the parts of queries that read them. Pure.

Over millions of calls no page can count them anew. So a background step (`rollups.py`) adds up the calls by hour and
by day as they arrive, and remembers how far it has come (`arrival`). A query reads whole days and hours from there,
and the calls themselves at the edges of its window and since the last step: what it says is exact and of this moment.
Queries read a part as if it were a table: `{cells}`, `{buckets}`, `{appbuckets}`, `{users}`, `{tags}`, `{judgements}`.

Latencies are kept as counts in buckets that grow by 4 %, which tells any quantile to within 2 % (Masson, Rim and Lee,
"DDSketch", VLDB 2019); sums of such counts are as good as counts of all.
"""

from __future__ import annotations

from hashlib import sha256

from msgspec import Struct

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
GROWTH = 1.04
"""Of one latency bucket to the next. The middle of a bucket is off by at most (GROWTH - 1) / (GROWTH + 1)."""
LATENCY_ERROR = (GROWTH - 1) / (GROWTH + 1)
BUCKETS_MS = (10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000)
"""Upper bounds of the exact counts that Prometheus gets."""

OWN_PARAMETERS = frozenset({"rolled", "scored"})
"""What the store itself binds: how far calls and scores have been counted."""

_FOREVER = 1 << 62


class Rollup(Struct, frozen=True, kw_only=True):
    """A table of partial sums. `keys`, `sums`, `lows` and `highs` are columns, and expressions over `source`.

    `widths` are the lengths of time that are added up. Rows with the same keys may be there several times: whoever
    reads them adds up.
    """

    table: str
    source: str
    keys: dict[str, str]
    sums: dict[str, str]
    lows: dict[str, str] = {}
    highs: dict[str, str] = {}
    kinds: dict[str, str]
    widths: tuple[int, ...]

    @property
    def columns(self) -> list[str]:
        return [*self.keys, *self.sums, *self.lows, *self.highs]

    def create(self) -> str:
        columns = ", ".join(f'"{name}" {self.kinds.get(name, "BIGINT")}' for name in self.columns)
        return f"CREATE TABLE IF NOT EXISTS {self.table} (width_us BIGINT, begins_at BIGINT, {columns})"

    def fold(self, width: int) -> str:
        """Add what arrived after $after, up to $upto."""
        keys = [f'{expression} AS "{name}"' for name, expression in self.keys.items()]
        whole = [f'sum({expression}) AS "{name}"' for name, expression in self.sums.items()]
        ends = [f'min({expression}) AS "{name}"' for name, expression in self.lows.items()]
        ends += [f'max({expression}) AS "{name}"' for name, expression in self.highs.items()]
        source = self.source.format(where="arrival > $after AND arrival <= $upto")
        return (
            f"INSERT INTO {self.table} BY NAME SELECT {width} AS width_us,"  # noqa: S608
            f" started_at // {width} * {width} AS begins_at, "
            f"{', '.join(keys + whole + ends)} FROM {source} GROUP BY ALL ORDER BY begins_at"
        )

    def compact(self) -> tuple[str, str, str]:
        """Statements that make one row of those with the same keys, of the stretch ($width, $begins)."""
        totals = [f'sum("{name}")::{self.kinds.get(name, "BIGINT")} AS "{name}"' for name in self.sums]
        totals += [f'min("{name}") AS "{name}"' for name in self.lows]
        totals += [f'max("{name}") AS "{name}"' for name in self.highs]
        keys = ", ".join(f'"{name}"' for name in self.keys)
        one = f"{self.table} WHERE width_us = $width AND begins_at = $begins"
        return (
            f"CREATE OR REPLACE TEMP TABLE compacted AS SELECT width_us, begins_at, {keys}, {', '.join(totals)} "  # noqa: S608
            f"FROM {one} GROUP BY ALL",
            f"DELETE FROM {one}",  # noqa: S608
            f"INSERT INTO {self.table} BY NAME SELECT * FROM compacted",  # noqa: S608
        )

    def part(self) -> str:
        """The rows of a project in [$since, $until), as a query reads them: columns as above, and `begins_at`."""
        kept = ", ".join(f'"{name}"' for name in self.columns)
        stretches = [f"width_us = {DAY_US} AND begins_at >= $days_from AND begins_at < $days_until"]
        edges = ["arrival > $rolled AND started_at >= $since AND started_at < $until"]
        if HOUR_US in self.widths:
            stretches.append(f"width_us = {HOUR_US} AND begins_at >= $hours_from AND begins_at < $days_from")
            stretches.append(f"width_us = {HOUR_US} AND begins_at >= $days_until AND begins_at < $hours_until")
            edges.append("arrival <= $rolled AND started_at >= $since AND started_at < $hours_from")
            edges.append("arrival <= $rolled AND started_at >= $hours_until AND started_at < $until")
        else:
            edges.append("arrival <= $rolled AND started_at >= $since AND started_at < $days_from")
            edges.append("arrival <= $rolled AND started_at >= $days_until AND started_at < $until")
        each = {**self.keys, **self.sums, **self.lows, **self.highs}
        raw = ", ".join(f'{expression} AS "{name}"' for name, expression in each.items())
        selects = [
            f"SELECT begins_at, {kept} FROM {self.table} WHERE project = $project AND {where}"  # noqa: S608
            for where in stretches
        ]
        selects += [
            f"SELECT started_at AS begins_at, {raw} FROM {self.source.format(where=f'project = $project AND {where}')}"  # noqa: S608
            for where in edges
        ]
        return "(" + " UNION ALL ".join(selects) + ")"


def _bucket(column: str) -> str:
    return f"ceil(ln(least(greatest({column}, 0.001), 1e9)) / ln({GROWTH}))::INTEGER"


def _same(*names: str) -> dict[str, str]:
    return {name: f'"{name}"' for name in names}


_DOUBLE = dict.fromkeys(("cost_usd", "saved_usd", "duration_ms", "first_token_ms"), "DOUBLE")
_WORDS = dict.fromkeys(
    ("project", "app", "model", "provider", "arm", "key_id", "error_code", "measure", "user", "tag_key", "tag_value"),
    "VARCHAR",
)
_KINDS = {**_DOUBLE, **_WORDS, "failed": "BOOLEAN", "bucket": "INTEGER", "user_number": "UBIGINT"}
_ARM = {"arm": "coalesce(arm, 'live')"}
_SPENT = {
    "calls": "1",
    "errors": "failed::BIGINT",
    **_same("tokens", "cost_usd"),
    "cost_known": "(cost_usd IS NOT NULL)::BIGINT",
}

CELLS = Rollup(
    table="rollup_cells",
    source="(SELECT * FROM calls WHERE {where})",
    keys={
        **_same("project", "app", "release", "model", "provider"),
        **_ARM,
        **_same("key_id", "status", "error_code", "failed"),
    },
    sums={
        **_SPENT,
        "tokens_known": "(tokens IS NOT NULL)::BIGINT",
        **_same("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens"),
        **_same("saved_usd"),
        "cache_hits": '("cache" IS NOT NULL)::BIGINT',
        "handed_over": "coalesce(handed_over, FALSE)::BIGINT",
        "handed_over_answered": "(coalesce(handed_over, FALSE) AND NOT failed)::BIGINT",
        "handed_over_known": "(handed_over IS NOT NULL AND NOT failed)::BIGINT",
        **_same("duration_ms"),
        "first_tokens": "(first_token_ms IS NOT NULL)::BIGINT",
        **_same("first_token_ms"),
        **{f"le_{limit}": f"(duration_ms <= {limit})::BIGINT" for limit in BUCKETS_MS},
        **{f"first_le_{limit}": f"coalesce(first_token_ms <= {limit}, FALSE)::BIGINT" for limit in BUCKETS_MS},
    },
    lows={"first_at": "started_at"},
    highs={"last_at": "started_at"},
    kinds=_KINDS,
    widths=(HOUR_US, DAY_US),
)

# How long answered calls took, and when their first token came.
BUCKETS = Rollup(
    table="rollup_buckets",
    source="(SELECT *, 'duration' AS measure, duration_ms AS ms FROM calls WHERE NOT failed AND {where}"
    " UNION ALL SELECT *, 'first_token', first_token_ms FROM calls"
    " WHERE NOT failed AND first_token_ms IS NOT NULL AND {where})",
    keys={**_same("project", "app", "release", "model"), **_ARM, **_same("measure"), "bucket": _bucket("ms")},
    sums={"calls": "1"},
    kinds=_KINDS,
    widths=(HOUR_US, DAY_US),
)

# The same without the model, but for copies: a third of the rows, for whoever looks at whole apps.
APP_BUCKETS = Rollup(
    table="rollup_app_buckets",
    source=BUCKETS.source,
    keys={
        **_same("project", "app", "release"),
        **_ARM,
        "shadow_model": "CASE WHEN arm = 'shadow' THEN model END",
        **_same("measure"),
        "bucket": _bucket("ms"),
    },
    sums={"calls": "1"},
    kinds={**_KINDS, "shadow_model": "VARCHAR"},
    widths=(HOUR_US, DAY_US),
)

# Whom `user_number` counts is as good as who: two of a million users share one with a chance of 1 in 30 million.
USERS = Rollup(
    table="rollup_users",
    source='(SELECT * FROM calls WHERE "user" IS NOT NULL AND {where})',
    keys={**_same("project", "app"), **_ARM, **_same("user"), "user_number": 'hash("user")'},
    sums=_SPENT,
    kinds=_KINDS,
    widths=(DAY_US,),
)

TAGS = Rollup(
    table="rollup_tags",
    source="(SELECT * EXCLUDE (tag), tag.key AS tag_key, tag.value AS tag_value"
    " FROM (SELECT *, unnest(map_entries(tags)) AS tag FROM calls WHERE {where}))",
    keys={**_same("project", "app"), **_ARM, **_same("tag_key", "tag_value")},
    sums=_SPENT,
    kinds=_KINDS,
    widths=(HOUR_US, DAY_US),
)

ROLLUPS = (CELLS, BUCKETS, APP_BUCKETS, USERS, TAGS)

_JUDGED = {
    **dict.fromkeys(
        ("project", "id", "trace_id", "place", "name", "kind", "key_id", "data_type", "label", "app", "model", "arm"),
        "VARCHAR",
    ),
    "unit": "UBIGINT",
    "value": "DOUBLE",
    "verdict": "BIGINT",
    "release": "BIGINT",
    "started_at": "BIGINT",
}
"""The columns of a score beside its call. `started_at` is the call's, and NULL where the call is not there yet; `unit`
is whose the call is (the user, else the session, else the trace), and `place` where its trace stands among samples
(`reviews.model.is_sampled`)."""

# Which call of a trace comes first: the gateway's own before what others tell of (an SDK's span around it begins sooner
# and arrives later), an app's before others, then by time; copies for a shadow have traces of their own.
_TURN = (
    "{0}started_at + CASE WHEN {0}arm = 'traced' THEN 2305843009213693952 ELSE 0 END"
    " + CASE WHEN {0}app IS NULL THEN 1152921504606846976 ELSE 0 END"
)
_FIRST = _TURN.format("")
_FIRST_CALL = (
    f"(SELECT project, trace_id, arg_min(started_at, {_FIRST}) AS started_at, arg_min_null(app, {_FIRST}) AS app,"  # noqa: S608
    f' arg_min_null(model, {_FIRST}) AS model, arg_min_null("release", {_FIRST}) AS "release",'
    f" arg_min(coalesce(arm, 'live'), {_FIRST}) AS arm,"
    f""" arg_min(hash(coalesce(nullif("user", ''), nullif(session, ''), trace_id)), {_FIRST}) AS unit"""
    " FROM calls WHERE {where} GROUP BY ALL)"
)
_JUDGEMENT = (
    "SELECT s.project, s.id, s.trace_id, left(sha256(s.trace_id), 8) AS place, s.name, s.kind, s.key_id, s.data_type,"
    ' s.label, c.app, c.model, c.arm, c.unit, s.value, s.verdict, c."release", c.started_at'
)


TABLES = (*(each.table for each in ROLLUPS), "rollup_active", "rollup_judgements", "rollup_parts", "rollup_cursors")


def version(database: str) -> int:
    """Changes with what is counted and how, and with the database's own version, whose `hash` tells users apart: tables
    of another version are counted anew."""
    how = [database, *(statement for rollup in ROLLUPS for statement in (rollup.create(), rollup.fold(DAY_US)))]
    return int(sha256("\n".join([*how, *create(), *FOLD_SCORES]).encode()).hexdigest()[:15], 16)


def create() -> list[str]:
    """Statements for all tables of rollups, where they are not there yet."""
    judged = ", ".join(f'"{name}" {kind}' for name, kind in _JUDGED.items())
    return [
        *(rollup.create() for rollup in ROLLUPS),
        f"CREATE TABLE IF NOT EXISTS rollup_judgements ({judged})",
        "CREATE TABLE IF NOT EXISTS rollup_active"
        " (project VARCHAR, begins_at BIGINT, app VARCHAR, arm VARCHAR, users BIGINT)",
        "CREATE TABLE IF NOT EXISTS rollup_parts (width_us BIGINT, begins_at BIGINT)",
        "CREATE TABLE IF NOT EXISTS rollup_cursors (name VARCHAR PRIMARY KEY, arrival BIGINT NOT NULL)",
        "INSERT INTO rollup_cursors VALUES ('calls', 0), ('scores', 0) ON CONFLICT DO NOTHING",
    ]


COUNT_ACTIVE = """
INSERT INTO rollup_active
SELECT project, begins_at, app, arm, count(DISTINCT user_number) AS users
FROM rollup_users
WHERE width_us = $width AND begins_at = $begins
GROUP BY GROUPING SETS ((project, begins_at), (project, begins_at, app), (project, begins_at, arm),
    (project, begins_at, app, arm))
HAVING grouping(app) = 1 OR app IS NOT NULL
"""
"""The users of a whole day, by app and arm; NULL stands for all of them."""

FORGET_ACTIVE = """
DELETE FROM rollup_active WHERE begins_at IN (
    SELECT started_at // 86400000000 * 86400000000 FROM calls WHERE arrival > $after AND arrival <= $upto
)
"""
"""Of days that something was added to."""

FOLD_SCORES = (
    "DELETE FROM rollup_judgements WHERE (project, id) IN"
    " (SELECT (project, id) FROM scores WHERE arrival > $after AND arrival <= $upto)",
    "CREATE OR REPLACE TEMP TABLE new_judged AS SELECT * FROM scores WHERE arrival > $after AND arrival <= $upto",
    f"INSERT INTO rollup_judgements BY NAME {_JUDGEMENT} FROM new_judged s LEFT JOIN "  # noqa: S608
    + _FIRST_CALL.format(
        where="trace_id >= (SELECT min(trace_id) FROM new_judged) AND trace_id IN (SELECT trace_id FROM new_judged)"
    )
    + " c ON c.project = s.project AND c.trace_id = s.trace_id",
)
"""Put scores that arrived after $after, up to $upto, beside their calls; what they said before is gone."""

PLACE_SCORES = (
    "CREATE OR REPLACE TEMP TABLE moved AS SELECT j.project, j.id, j.trace_id FROM rollup_judgements j JOIN "  # noqa: S608
    + _FIRST_CALL.format(where="arrival > $after AND arrival <= $upto")
    + " c ON c.project = j.project AND c.trace_id = j.trace_id"
    f" WHERE j.started_at IS NULL OR {_TURN.format('c.')} < {_TURN.format('j.')}",
    "UPDATE rollup_judgements SET app = c.app, model = c.model, arm = c.arm, unit = c.unit,"  # noqa: S608
    ' "release" = c."release", started_at = c.started_at FROM '
    + _FIRST_CALL.format(
        where="trace_id >= (SELECT min(trace_id) FROM moved) AND trace_id IN (SELECT trace_id FROM moved)"
    )
    + " c WHERE (rollup_judgements.project, rollup_judgements.id) IN (SELECT (project, id) FROM moved)"
    " AND c.project = rollup_judgements.project AND c.trace_id = rollup_judgements.trace_id",
)
"""For scores that came before their calls, or before the first call of their trace."""


def _judgements() -> str:
    kept = ", ".join(f'"{name}"' for name in _JUDGED)
    new = "SELECT id FROM scores WHERE project = $project AND arrival > $scored"
    traces = "SELECT trace_id FROM scores WHERE project = $project AND arrival > $scored"
    waiting = "SELECT trace_id FROM rollup_judgements WHERE project = $project AND started_at IS NULL"
    inside = "started_at >= $since AND started_at < $until"
    first = "project = $project AND trace_id IN ({}) AND {}"
    return (
        f"(SELECT {kept} FROM rollup_judgements WHERE project = $project AND {inside} AND id NOT IN ({new})"  # noqa: S608
        f" UNION ALL {_JUDGEMENT} FROM scores s JOIN {_FIRST_CALL.format(where=first.format(traces, 'TRUE'))} c"
        f" ON c.project = s.project AND c.trace_id = s.trace_id"
        f" WHERE s.project = $project AND s.arrival > $scored AND c.{inside.replace('AND ', 'AND c.')}"
        f" UNION ALL {_JUDGEMENT} FROM rollup_judgements s"
        f" JOIN {_FIRST_CALL.format(where=first.format(waiting, 'arrival > $rolled'))} c"
        f" ON c.project = s.project AND c.trace_id = s.trace_id"
        f" WHERE s.project = $project AND s.started_at IS NULL AND s.id NOT IN ({new})"
        f" AND c.{inside.replace('AND ', 'AND c.')})"
    )


PARTS = {
    "cells": CELLS.part(),
    "buckets": BUCKETS.part(),
    "appbuckets": APP_BUCKETS.part(),
    "users": USERS.part(),
    "tags": TAGS.part(),
    "judgements": _judgements(),
}
"""What stands for `{cells}` and the others in a query."""


def bounds(since: int, until: int, bucket_us: int | None = None) -> dict[str, int]:
    """Which hours and days of [since, until) are whole, for a query that tells buckets of `bucket_us` apart.

    Without a bucket of whole hours no rollup can be used, without one of whole days none of days.
    """
    until = min(until, _FOREVER)
    since = min(since, until)
    if bucket_us is not None and bucket_us % HOUR_US:
        return {"hours_from": until, "hours_until": until, "days_from": until, "days_until": until}
    hours_from, hours_until = _up(since, HOUR_US), until // HOUR_US * HOUR_US
    if hours_from >= hours_until:
        return {"hours_from": until, "hours_until": until, "days_from": until, "days_until": until}
    days_from, days_until = _up(hours_from, DAY_US), hours_until // DAY_US * DAY_US
    if days_from >= days_until or (bucket_us is not None and bucket_us % DAY_US):
        days_from = days_until = hours_until
    return {"hours_from": hours_from, "hours_until": hours_until, "days_from": days_from, "days_until": days_until}


def _up(moment: int, width: int) -> int:
    return -(-moment // width) * width


def quantile(share: float, measure: str) -> str:
    """An aggregate over rows (measure, bucket, upto, last) of a group: what `share` of the calls took at most.

    `upto` is how many calls are in this bucket and those before it, `last` the number of all, less one. Between two
    calls it is drawn straight, as `quantile_cont` does.
    """
    place, mine = f"(last * {share:g})", f"measure = '{measure}'"
    low = _middle(f"min(bucket) FILTER (WHERE upto > floor({place}) AND {mine})")
    high = _middle(f"min(bucket) FILTER (WHERE upto > ceil({place}) AND {mine})")
    return f"({low} + ({high} - {low}) * max({place} - floor({place})) FILTER (WHERE {mine}))"


def _middle(bucket: str) -> str:
    return f"(pow({GROWTH}, {bucket}) * {2 / (1 + GROWTH)!r})"
