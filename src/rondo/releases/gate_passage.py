"""Lets releases through their gate, or does not: in the transaction that moves the traffic, and on record either way.

A release needs to pass whenever it is given more traffic than it has. Not so: the stable release (a split ends), what
traffic goes back to, an app's first release, and shadows, which nobody sees. An exception is a person's word against
the gate's: it needs a reason, holds for this one change, and is not given by who made the release, unless by an admin.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from rondo import clock
from rondo.catalog.text import check_text
from rondo.errors import Forbidden, GateClosed
from rondo.governance import audit
from rondo.governance.model import Grant, Role
from rondo.ids import new_trace_id
from rondo.releases import gate_store, store
from rondo.releases.gate_evidence import weigh
from rondo.releases.gate_model import KeptDecision, Named, Weighed
from rondo.releases.model import Release
from rondo.releases.state import Traffic, gaining


class ExceptionAsked(Struct, frozen=True, kw_only=True):
    """Traffic in spite of the gate: why, and whether an admin says so."""

    reason: str
    by_admin: bool = False


def exception_asked(grant: Grant, reason: str | None) -> ExceptionAsked | None:
    """The exception that the bearer of a key asks for, where they give a reason at all."""
    if reason is None:
        return None
    return ExceptionAsked(reason=reason, by_admin=grant.role is not None and grant.role.includes(Role.ADMIN))


class Passage(Struct, frozen=True, kw_only=True):
    """`told` is for the audit entry, by release; `refusal` is raised once what was decided has been written."""

    told: dict[str, Any]
    refusal: GateClosed | None = None


def pass_through(
    connection: Connection,
    project: str,
    app: str,
    before: Traffic,
    after: Traffic,
    *,
    actor: str,
    exception: ExceptionAsked | None = None,
) -> Passage:
    """Weigh every release that gains traffic, and keep what was decided of each.

    Raises Forbidden, InvalidRequest (`exception`) for an exception that cannot be made.
    """
    if exception is not None:
        check_text(exception.reason, param="exception", longest=2_000, required=True)
    weighed = []
    for number in gaining(before, after):
        release = store.get_release(connection, project, app, number)
        found = weigh(connection, project, app, Named(hash=release.hash, number=number), release.manifest)
        if found.decision.declared or found.decision.verdict != "pass":
            weighed.append((release, found))
    shut = [(release, found) for release, found in weighed if found.decision.verdict != "pass"]
    if shut and exception is None:
        for release, found in shut:
            kept = _keep(connection, release, found, actor)
            _record(connection, kept, release, found, "gate.refuse")
        return Passage(told={}, refusal=_refusal(*shut[0]))
    told: dict[str, Any] = {}
    for release, found in weighed:
        if found.decision.verdict == "pass":
            kept = _keep(connection, release, found, actor)
        else:
            assert exception is not None
            require_other_person(release, actor, exception)
            kept = _keep(connection, release, found, actor, exception)
            _record(connection, kept, release, found, "gate.exception")
        told[str(release.number)] = _told(kept, found)
    return Passage(told=told)


def _keep(
    connection: Connection, release: Release, found: Weighed, actor: str, exception: ExceptionAsked | None = None
) -> KeptDecision:
    kept = KeptDecision(
        id=f"gate_{new_trace_id()}",
        app=release.app,
        hash=release.hash,
        kind="decision" if exception is None else "exception",
        verdict=found.decision.verdict,
        reason=found.decision.why if exception is None else exception.reason,
        report=msgspec.to_builtins(found),
        created_by=actor,
        created_at=clock.now_us(),
    )
    gate_store.insert_decision(connection, release.project, kept)
    return kept


def _record(connection: Connection, kept: KeptDecision, release: Release, found: Weighed, action: str) -> None:
    details = {
        **_told(kept, found),
        "reason": kept.reason,
        "missing": [f"{check.name}: {check.sentence}" for check in found.decision.missing],
    }
    audit.record(connection, release.project, kept.created_by, action, f"release:{release.label}", details)


def _told(kept: KeptDecision, found: Weighed) -> dict[str, Any]:
    told: dict[str, Any] = {"decision": kept.id, "kind": kept.kind, "verdict": kept.verdict}
    if found.decision.changes:
        told["changes"] = found.decision.changes
    return told


def require_other_person(release: Release, actor: str, exception: ExceptionAsked) -> None:
    """Raises Forbidden for an exception of who made the release, unless an admin."""
    if release.created_by == actor and not exception.by_admin:
        raise Forbidden(
            f"{actor} made {release.label}, and so cannot except it from the gate.",
            remedy="Ask another approver, or an admin.",
            param="exception",
        )


def _refusal(release: Release, found: Weighed) -> GateClosed:
    decision = found.decision
    remedy = decision.missing[0].remedy if decision.missing else None  # of the check that `why` tells of
    more = f"`rondo gate {release.number}` shows everything; an approver can give a reason: `--exception`."
    return GateClosed(
        f"{release.label} may not take traffic ({decision.verdict}). {decision.why}",
        remedy=f"{remedy} {more}" if remedy else more,
        param="release",
    )
