"""The verbs of limits: set, remove, list; the table for the plan; and what several processes need.

A scope has one limit: setting it again replaces it whole. Every change is in the audit log, and gateways hold to it
with their next plan, without forgetting what has been used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import UNSET, Struct, UnsetType, structs
from sqlalchemy import Connection

from rondo import clock
from rondo.catalog import revision
from rondo.catalog.engine import Catalog
from rondo.catalog.text import check_name, check_text
from rondo.errors import Conflict, InvalidRequest, NotFound
from rondo.governance import audit, keys, projects
from rondo.limits import store
from rondo.limits.model import EACH, KINDS, MOST_COUNT, SHARES, Limit, LimitTable, budget, to_usd
from rondo.limits.store import StoredLimit

_REMEDY = "Set RONDO_REDIS_URL to a Redis or Valkey server, or run one process (without --workers)."
_MOST_SHARES = 10
_LONGEST_USER = 1_000


class Wanted(Struct, forbid_unknown_fields=True, kw_only=True):
    """A limit as it is asked for. A budget may be text, so that no digit of it is lost on the way."""

    scope: str
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None
    usd_per_day: float | str | None = None
    usd_per_month: float | str | None = None
    alert_at: list[float] | UnsetType = UNSET


def set_limit(catalog: Catalog, project: str, wanted: Wanted, *, actor: str) -> StoredLimit:
    """Set the limit of a scope. Raises InvalidRequest, which names the field, and NotFound for an unknown key."""
    limit = _checked(wanted)
    with catalog.begin() as connection:
        projects.require(connection, project)
        limit = structs.replace(limit, scope=_resolved(connection, project, limit.scope))
        before = store.get_limit(connection, project, limit.scope)
        now = clock.now_us()
        store.replace_limit(connection, project, limit, at=now, actor=actor)
        details = {"limit": shown(limit), "before": None if before is None else shown(before.limit)}
        audit.record(connection, project, actor, "limit.set", f"limit:{limit.scope}", details)
        revision.bump(connection)
        return StoredLimit(limit=limit, updated_at=now, updated_by=actor)


def remove_limit(catalog: Catalog, project: str, scope: str, *, actor: str) -> StoredLimit:
    """End the limit of a scope. Raises NotFound where it has none."""
    with catalog.begin() as connection:
        found = store.get_limit(connection, project, scope) or store.get_limit(
            connection, project, _resolved(connection, project, scope, must_exist=False)
        )
        if found is None:
            raise NotFound(
                f"{scope!r:.100} has no limit in {project!r}.", remedy="`rondo limits list` shows them.", param="scope"
            )
        limit = found.limit
        store.delete_limit(connection, project, limit.scope)
        audit.record(connection, project, actor, "limit.remove", f"limit:{limit.scope}", {"before": shown(limit)})
        revision.bump(connection)
        return found


def list_limits(connection: Connection, project: str) -> list[StoredLimit]:
    """All limits of the project."""
    return store.list_limits(connection, project)


def limit_table(connection: Connection) -> LimitTable:
    """The limits of all projects, for the plan."""
    found = store.all_limits(connection)
    if not found:
        return LimitTable()
    names = {grant.key_id: grant.name for grant in keys.grants(connection).values()}
    return LimitTable(found, names)


def require_shared_ledger(catalog: Catalog, *, workers: int, redis_url: str | None) -> None:
    """Raises Conflict where there are limits, and several processes that could not count together."""
    if workers > 1 and redis_url is None:
        with catalog.read() as connection:
            if not store.is_empty(connection):
                raise Conflict(
                    f"There are limits, which {workers} processes cannot hold to by themselves.", remedy=_REMEDY
                )


def refuse_without_redis(*, workers: int, redis_url: str | None) -> None:
    """Raises Conflict where a limit is to be set for several processes that could not count together."""
    if workers > 1 and redis_url is None:
        raise Conflict(f"{workers} processes run, which cannot hold to a limit by themselves.", remedy=_REMEDY)


def shown(limit: Limit) -> dict[str, object]:
    """A limit as people set it: money in dollars, without what is not limited."""
    fields = {
        "scope": limit.scope,
        "requests_per_minute": limit.requests_per_minute,
        "tokens_per_minute": limit.tokens_per_minute,
        "concurrent": limit.concurrent,
        "usd_per_day": None if limit.nano_per_day is None else to_usd(limit.nano_per_day),
        "usd_per_month": None if limit.nano_per_month is None else to_usd(limit.nano_per_month),
        "alert_at": list(limit.alert_at) if limit.has_budget else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _checked(wanted: Wanted) -> Limit:
    _check_scope(wanted.scope)
    counts = {
        name: _count(getattr(wanted, name), name) for name in ("requests_per_minute", "tokens_per_minute", "concurrent")
    }
    day, month = wanted.usd_per_day, wanted.usd_per_month
    limit = Limit(
        scope=wanted.scope,
        **counts,
        nano_per_day=None if day is None else budget(day, param="usd_per_day"),
        nano_per_month=None if month is None else budget(month, param="usd_per_month"),
        alert_at=SHARES if wanted.alert_at is UNSET else _shares(wanted.alert_at),
    )
    if not limit.has_budget and not any(value is not None for value in counts.values()):
        raise InvalidRequest(
            "This limits nothing.",
            remedy="Set requests_per_minute, tokens_per_minute, concurrent, usd_per_day or usd_per_month.",
        )
    if not limit.has_budget and wanted.alert_at is not UNSET:
        raise InvalidRequest(
            "`alert_at` is about a budget, and there is none.",
            remedy="Set usd_per_day or usd_per_month with it.",
            param="alert_at",
        )
    return limit


def _check_scope(scope: str) -> None:
    kind, colon, name = scope.partition(":")
    if kind not in KINDS or (kind == "project") is bool(colon):
        raise InvalidRequest(
            f"{scope!r:.100} is no scope of a limit.",
            remedy="Use project, app:NAME, key:ID or user:NAME; or app:*, key:* or user:*, for each of them.",
            param="scope",
        )
    if kind == "app" and name != EACH:
        check_name(name, param="scope")
    elif colon:
        check_text(name, param="scope", longest=_LONGEST_USER, required=True)


def _resolved(connection: Connection, project: str, scope: str, *, must_exist: bool = True) -> str:
    """The scope with a key's id, where it was given by the key's name. Raises NotFound, InvalidRequest."""
    kind, _, name = scope.partition(":")
    if kind != "key" or name == EACH:
        return scope
    live = [key for key in keys.list_keys(connection, project) if key.revoked_at is None]
    found = [key for key in live if key.id == name] or [key for key in live if key.name == name]
    if len(found) > 1:
        ids = ", ".join(key.id for key in found)
        raise InvalidRequest(
            f"Several keys are called {name!r:.100}: {ids}.", remedy="Name one by its id.", param="scope"
        )
    if not found:
        if not must_exist:
            return scope
        raise NotFound(
            f"There is no key {name!r:.100} in {project!r}.", remedy="`rondo keys list` shows them.", param="scope"
        )
    return f"key:{found[0].id}"


def _count(value: int | None, param: str) -> int | None:
    if value is not None and not 0 <= value <= MOST_COUNT:
        raise InvalidRequest(f"`{param}` must be between 0 and {MOST_COUNT:,}, not {value}.", param=param)
    return value


def _shares(given: Sequence[float]) -> tuple[float, ...]:
    if len(given) > _MOST_SHARES or not all(math.isfinite(share) and 0 < share <= 1 for share in given):
        raise InvalidRequest(
            f"`alert_at` has up to {_MOST_SHARES} shares above 0 and up to 1.",
            remedy="For example [0.8, 1].",
            param="alert_at",
        )
    return tuple(sorted(set(given)))
