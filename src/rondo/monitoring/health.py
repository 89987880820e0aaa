"""Is all well? The checks behind `rondo doctor` and `/readyz`: each says what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from sqlalchemy import Connection

from rondo.errors import Unavailable
from rondo.gateway.endpoint import Gateway
from rondo.gateway.plan import Plan
from rondo.limits.ledger import LedgerState
from rondo.monitoring.judging.model import LiveStatus
from rondo.releases import store
from rondo.releases.gate_view import summary
from rondo.traces.drain import DrainStatus, DrainView
from rondo.traces.telling.telling import TellingStatus

LATE_S = 30.0
"""Health turns red when the oldest queued record is older than this."""


class Check(Struct, frozen=True, kw_only=True):
    """One thing looked at; `remedy` where it is not ok."""

    name: str
    ok: bool
    detail: str
    remedy: str | None = None


def checks(drain: DrainView, gateway: Gateway, project: str, ledger: LedgerState | None = None) -> list[Check]:
    """Everything, in the order a request meets it."""
    plan, state = gateway.plan, drain.status()
    limits = [_limits(ledger)] if ledger is not None and (plan.limits or ledger.away_since) else []
    return [
        *limits,
        _apps(plan, project),
        *_left_out(plan, project),
        *_models(plan, project),
        _journal(gateway),
        *_records(state),
        *_quarantine(state),
    ]


def settings(fault: str | None) -> list[Check]:
    """Whether the server runs with what its `rondo.toml` says."""
    if fault is None:
        return []
    remedy = "What is released serves as before. Mend the file, then restart the server."
    return [Check(name="rondo.toml", ok=False, detail=fault, remedy=remedy)]


def gates(connection: Connection, project: str) -> list[Check]:
    """What keeps releases of each app from traffic. No gate is nothing wrong, but nothing to be silent about."""
    found = []
    for app in store.list_apps(connection, project):
        gate = summary(connection, project, app.name)
        detail = "none is declared: any release may take traffic"
        if gate.suites is not None:
            by = gate.exception
            detail = f"releases must pass {', '.join(gate.suites)}"
            detail += f"; the stable one serves by an exception of {by.created_by}: {by.reason}" if by else ""
            for number, given in sorted(gate.excepted.items()):
                detail += f"; the candidate #{number} serves by an exception of {given.created_by}: {given.reason}"
        found.append(Check(name=f"gate {app.name}", ok=True, detail=detail))
    return found


def rollouts(faults: Mapping[str, str]) -> list[Check]:
    """Rollouts that wait because nothing can be read of their calls."""
    remedy = "Nothing of it goes on until then; `rondo rollout abort` ends it."
    return [
        Check(name=f"rollout {name}", ok=False, detail=fault, remedy=remedy) for name, fault in sorted(faults.items())
    ]


def judged(apps: Iterable[LiveStatus]) -> list[Check]:
    """Whether apps' calls are scored while they happen. A budget that is spent is what was wished for."""
    found = []
    for each in apps:
        wrong = each.fault or each.last_error or (None if each.is_spent else each.resting)
        detail = f"{each.scored:,} calls scored, {each.waiting:,} waiting"
        if each.failed or each.skipped:
            detail += f", {each.failed:,} failed, {each.skipped:,} passed by"
        said = wrong or each.resting
        found.append(
            Check(
                name=f"live judging {each.app}",
                ok=wrong is None,
                detail=f"{detail}; {said}" if said else detail,
                remedy="Look at the judge's model and the app's `[live]`; calls go on without scores."
                if wrong
                else None,
            )
        )
    return found


def told(telemetry: TellingStatus | None) -> list[Check]:
    """Whether calls reach the endpoint of `[telemetry]`."""
    if telemetry is None:
        return []
    wrong = telemetry.retrying or telemetry.fault or telemetry.last_refusal
    counted = f"{telemetry.calls:,} calls and {telemetry.scores:,} scores sent, {telemetry.behind:,} calls behind"
    dropped = f", {telemetry.dropped:,} refused for good" if telemetry.dropped else ""
    return [
        Check(
            name="telemetry",
            ok=wrong is None,
            detail=f"{counted}{dropped}; {wrong}" if wrong else counted,
            remedy=f"Look at {telemetry.endpoint}; what has not been taken is kept and sent later." if wrong else None,
        )
    ]


def is_ready(drain: DrainView, gateway: Gateway) -> bool:
    """Whether requests should come here: the journal takes records, and they reach their store in time."""
    return all(check.ok for check in (_journal(gateway), *_records(drain.status())))


def _journal(gateway: Gateway) -> Check:
    try:
        gateway.check()
    except Unavailable as error:
        return Check(name="journal", ok=False, detail=error.message, remedy=error.remedy)
    return Check(name="journal", ok=True, detail="takes records")


def _records(state: DrainStatus) -> list[Check]:
    """Do the records reach their store, all of them, in time?"""
    late = state.oldest_queued_s is not None and state.oldest_queued_s > LATE_S
    return [
        Check(
            name="records",
            ok=not late,
            detail=f"{state.accepted} accepted = {state.stored} stored + {state.queued} queued"
            + (f"; the oldest has waited {state.oldest_queued_s:.0f} s" if late else ""),
            remedy=f"The record store does not keep up: {state.last_error or 'no error so far'}." if late else None,
        )
    ]


def _quarantine(state: DrainStatus) -> list[Check]:
    if not state.quarantined:
        return []
    detail = f"{state.quarantined} records could not be read and are kept whole in quarantine"
    remedy = "They are in the table `quarantine` of the record store."
    return [Check(name="quarantine", ok=False, detail=detail, remedy=remedy)]


def _limits(ledger: LedgerState) -> Check:
    """Can limits be checked?"""
    if ledger.away_since is None and ledger.reason is None:
        where = "Redis" if ledger.backend == "redis" else "this process"
        return Check(name="limits", ok=True, detail=f"counted in {where}")
    closed = ledger.fail == "closed"
    count = ledger.refused if closed else ledger.passed
    return Check(
        name="limits",
        ok=False,
        detail=f"{'Redis: ' if ledger.backend == 'redis' else ''}{ledger.reason}; requests with a limit are"
        + (f" refused, {count:,} so far" if closed else f" let through uncounted, {count:,} so far"),
        remedy="Start Redis, or correct RONDO_REDIS_URL; `limits.fail` in rondo.toml says what happens meanwhile.",
    )


def _apps(plan: Plan, project: str) -> Check:
    faults = [
        f"{name}: {reason}" + (" What served before goes on." if (owner, name) in plan.apps else "")
        for (owner, name), reason in plan.faults.items()
        if owner == project
    ]
    served = [name for owner, name in plan.apps if owner == project]
    if faults:
        return Check(name="apps", ok=False, detail="; ".join(faults), remedy="Release the app again: `rondo release`.")
    if not served:
        return Check(name="apps", ok=False, detail="no app has been released", remedy="`rondo release` makes one.")
    return Check(name="apps", ok=True, detail=", ".join(sorted(served)))


def _left_out(plan: Plan, project: str) -> list[Check]:
    """Candidates and shadows without which their apps go on."""
    ends = "`rondo rollout abort`, `rondo split --end`, `rondo shadow --end`"
    remedy = f"The app goes on without it. Mend that, or end it: {ends}."
    return [
        Check(name=f"{app} {_named(what)}", ok=False, detail=f"gets no calls: {reason}", remedy=remedy)
        for (owner, app, what), reason in sorted(plan.unserved.items())
        if owner == project
    ]


def _named(what: str) -> str:
    return f"#{what}" if what.isdigit() else what


def _models(plan: Plan, project: str) -> list[Check]:
    """Models on the routes that serve now, and whether their keys are there."""
    on_routes = {
        model.spec.name: model
        for (owner, _), app in plan.apps.items()
        if owner == project
        for release in (app.stable, *(arm for arm, _ in app.arms))
        for model in release.route
    }
    found = []
    for name, model in sorted(on_routes.items()):
        missing = model.missing_key
        found.append(
            Check(
                name=f"model {name}",
                ok=missing is None,
                detail=f"{model.spec.provider} {model.spec.model}".strip()
                + (f": {missing} is not set" if missing else ""),
                remedy=f"Set {missing} in the server's environment and restart it." if missing else None,
            )
        )
    return found
