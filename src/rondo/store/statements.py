"""Named queries and the filters they allow, made into SQL with bound parameters. Pure but for reading its own files.

A query is a file in `queries/`. Where it says `{where:calls}` or `{where:scores}`, filters are put in: each is a
fragment from the tables below, never text from a caller. A filter's values are bound as `$f_<name>`, or
`$f_<name>_1`, `$f_<name>_2`, ... where it takes several. `{cells}` and other names of `rolled.PARTS` stand for what has
been counted before, in the window from `$since` to `$until`; `{p95:duration}` for a quantile of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from rondo.errors import InvalidRequest
from rondo.store import rolled

CALL_FILTERS: dict[str, str] = {
    "app": "app = $f_app",
    "release": '"release" = $f_release',
    "model": "$f_model IN (model, served_model, requested_model)",
    "provider": "provider = $f_provider",
    "user": '"user" = $f_user',
    "session": "session = $f_session",
    "trace_id": "trace_id = $f_trace_id",
    "tag_key": "map_contains(tags, $f_tag_key::VARCHAR)",
    "tag": "tags[$f_tag_1::VARCHAR] = $f_tag_2",
    "failed": "failed = $f_failed",
    "status": "status = $f_status",
    "error_code": "error_code = $f_error_code",
    "arm": "coalesce(arm, 'live') = $f_arm",
    "other_than": "coalesce(arm, 'live') <> $f_other_than",
    "key": "key_id = $f_key",
    "cache": '"cache" = $f_cache',
    "min_cost": "cost_usd >= $f_min_cost",
    "max_cost": "cost_usd <= $f_max_cost",
    "min_ms": "duration_ms >= $f_min_ms",
    "max_ms": "duration_ms <= $f_max_ms",
    "since": "started_at >= $f_since",
    "until": "started_at < $f_until",
    "text": "contains(search_text, lower($f_text))",
    "handed_over": "handed_over = $f_handed_over",
    "feedback": "trace_id IN (SELECT trace_id FROM scores WHERE project = $project AND name = $f_feedback)",
    "verdict": "trace_id IN (SELECT trace_id FROM scores"
    " WHERE project = $project AND kind = 'user' AND verdict = $f_verdict)",
    "feedback_verdict": "trace_id IN (SELECT trace_id FROM scores"
    " WHERE project = $project AND name = $f_feedback_verdict_1 AND verdict = $f_feedback_verdict_2)",
    "before": "started_at <= $f_before_1 AND (started_at, trace_id, span_id) < ($f_before_1, $f_before_2, $f_before_3)",
}

SCORE_FILTERS: dict[str, str] = {
    "name": "name = $f_name",
    "kind": "kind = $f_kind",
    "author": "author = $f_author",
    "trace_id": "trace_id = $f_trace_id",
    "verdict": "verdict = $f_verdict",
    "app": "trace_id IN (SELECT trace_id FROM calls WHERE project = $project AND app = $f_app)",
    "release": 'trace_id IN (SELECT trace_id FROM calls WHERE project = $project AND "release" = $f_release)',
    "since": "created_at >= $f_since",
    "until": "created_at < $f_until",
    "text": "contains(lower(comment), lower($f_text))",
    "before": "created_at <= $f_before_1 AND (created_at, id) < ($f_before_1, $f_before_2)",
}

# What a call or span of a trace says of the trace, and what it is itself. The latter must hold of the same one.
_OF_THE_TRACE = {name: CALL_FILTERS[name] for name in ("user", "session", "tag_key", "tag")}
_OF_ITSELF = {
    **{name: CALL_FILTERS[name] for name in ("app", "failed")},
    "from_outside": "from_outside = $f_from_outside",
    # Of one plain column with few values: each is looked at once, whatever the number of rows.
    "text": "contains(lower(name), lower($f_text))",
}


def _renamed(filters: Mapping[str, str], prefix: str, fragment: str = "{}") -> dict[str, str]:
    return {prefix + name: fragment.format(one.replace("$f_", f"$f_{prefix}")) for name, one in filters.items()}


# A trace is found by what a call or span of it fits (`told`), from the newest down (`place`); once it is found, others
# of its calls and spans may fit the rest: each of these alone (`also`), or these together (`same`).
TOLD_FILTERS = {**_OF_THE_TRACE, **_OF_ITSELF}
PLACE_FILTERS = {name: CALL_FILTERS[name] for name in ("since", "until", "before")}
SAME_FILTERS = _renamed(_OF_ITSELF, "same_")
ALSO_FILTERS = {
    **_renamed(_OF_THE_TRACE, "also_", "bool_or({})"),
    **{f"no_{name}": f"coalesce(bool_or({name}), FALSE) <> $f_no_{name}" for name in ("failed", "from_outside")},
}

# Of what has been counted before: by these alone it is told apart.
CELL_FILTERS: dict[str, str] = {
    "app": "app = $f_app",
    "release": '"release" = $f_release',
    "model": "model = $f_model",
    "arm": "arm = $f_arm",
    "other_than": "arm <> $f_other_than",
}
# Users and tags are counted without the release and the model.
NARROW_FILTERS = {name: CELL_FILTERS[name] for name in ("app", "arm", "other_than")}

FILTERS = {
    "calls": CALL_FILTERS,
    "scores": SCORE_FILTERS,
    "told": TOLD_FILTERS,
    "also": ALSO_FILTERS,
    "same": SAME_FILTERS,
    "place": PLACE_FILTERS,
    "cells": CELL_FILTERS,
    "narrow": NARROW_FILTERS,
}

_NAME = re.compile(r"[a-z][a-z_]*")
_MARKER = re.compile(r"\{where:([a-z]+)\}")
_QUANTILE = re.compile(r"\{p([0-9]+):([a-z_]+)\}")
_PART = re.compile(r"\{([a-z]+)\}")
_PARAMETER = re.compile(r"\$([a-z_][a-z0-9_]*)")
_COMMENT = re.compile(r"--[^\n]*")


def names() -> list[str]:
    """The queries there are."""
    folder = files("rondo.store") / "queries"
    return sorted(entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql"))


@cache
def text(name: str) -> str:
    """A query's file. Raises InvalidRequest where there is none."""
    if _NAME.fullmatch(name):
        source = files("rondo.store") / "queries" / f"{name}.sql"
        if source.is_file():
            return source.read_text(encoding="utf-8")
    raise InvalidRequest(f"There is no query {name!r}.", remedy=f"Queries: {', '.join(names())}.", param="query")


def compose(name: str, params: Mapping[str, object], filters: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """SQL and the values to bind. `params` must be exactly what the query names.

    Raises InvalidRequest, which names the parameter or filter that is missing, unknown or out of place.
    """
    bound = dict(params)
    used: set[str] = set()

    def conditions(marker: re.Match[str]) -> str:
        table = FILTERS[marker[1]]
        fragments = []
        for filter_name, value in filters.items():
            if filter_name not in table:
                continue
            used.add(filter_name)
            fragments.append(table[filter_name])
            if isinstance(value, tuple):
                bound.update({f"f_{filter_name}_{number}": part for number, part in enumerate(value, 1)})
            else:
                bound[f"f_{filter_name}"] = value
        return "(" + " AND ".join(fragments) + ")" if fragments else "TRUE"

    sql = _MARKER.sub(conditions, _COMMENT.sub("", text(name)))
    sql = _QUANTILE.sub(lambda wanted: rolled.quantile(int(wanted[1]) / 100, wanted[2]), sql)
    sql = _PART.sub(lambda part: rolled.PARTS[part[1]], sql)
    wanted = set(_PARAMETER.findall(sql)) - rolled.OWN_PARAMETERS
    bound.update(_whole_stretches(bound, wanted))
    for odd in [*(set(filters) - used), *(set(bound) - wanted)]:
        raise InvalidRequest(f"The query {name!r} does not take {odd!r}.", param=odd)
    named = (
        wanted - set(rolled.bounds(0, 0)) or wanted
    )  # what is made of `since` and `until` is not the caller's to give
    for missing in sorted(named - set(bound)):
        raise InvalidRequest(f"The query {name!r} needs a value for {missing!r}.", param=missing)
    return sql, bound


def _whole_stretches(bound: Mapping[str, object], wanted: set[str]) -> dict[str, int]:
    """The hours and days that a query reads from what was counted before, where it does. Raises InvalidRequest."""
    if "days_from" not in wanted or "since" not in bound or "until" not in bound:
        return {}
    times = [bound["since"], bound["until"], bound.get("bucket_us", rolled.DAY_US)]
    for name, value in zip(("since", "until", "bucket_us"), times, strict=True):
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidRequest(f"{name!r} must be a whole number of microseconds.", param=name)
    since, until, bucket_us = times
    stretches = rolled.bounds(since, until, bucket_us)  # type: ignore[arg-type]
    return {name: value for name, value in stretches.items() if name in wanted}
