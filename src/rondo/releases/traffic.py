"""The verbs that move traffic: promote, split, rollback. Rollouts move it by `move`, in a transaction of their own.

Each is one transaction: what holds now is read, the state machine decides, and the new state, its audit entry and the
new revision are written together. A verb that would change nothing writes nothing and gives back what holds, so
trying again is safe. Whoever is given more traffic is tried first (`rehearsal.py`), also on the way back, since one
that cannot be served would take the app away; and passes the app's gate. An app's first release does neither: nothing
served before. Both in that same transaction, so that nothing can change between the evidence and the step that it lets
through.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection

from rondo import clock
from rondo.catalog import revision
from rondo.catalog.engine import Catalog
from rondo.catalog.text import check_text
from rondo.errors import Conflict, NotFound, RondoError, Unservable
from rondo.governance import audit
from rondo.releases import state, store
from rondo.releases.gate_passage import ExceptionAsked, Passage, pass_through
from rondo.releases.model import Release, TrafficAction, TrafficChange
from rondo.releases.state import Shadow, Traffic

CheckRelease = Callable[[Connection, Release], object]
"""Raises RondoError where the release cannot be served: `rehearsal.py`."""

_WAYS_BACK = "The traffic stays as it is; `rondo rollback --to NUMBER` goes back to another release that has served."


def promote(
    catalog: Catalog,
    project: str,
    app: str,
    release: int,
    *,
    actor: str,
    reason: str = "",
    exception: ExceptionAsked | None = None,
    check_release: CheckRelease | None = None,
) -> TrafficChange:
    """The release serves everyone. Raises NotFound, Unservable, GateClosed; Forbidden for an exception of its own
    maker's."""
    step = Move(project, app, "promote", actor, reason, exception)
    return _take(catalog, step, [release], lambda now: state.promote(now, release), check_release)


def split(
    catalog: Catalog,
    project: str,
    app: str,
    percents: Mapping[int, object],
    *,
    actor: str,
    reason: str = "",
    exception: ExceptionAsked | None = None,
    check_release: CheckRelease | None = None,
) -> TrafficChange:
    """Candidates take shares in percent, e.g. `{7: 5}`; the stable release has the rest.

    Raises NotFound, InvalidRequest (`shares.<release>`), Unservable, GateClosed, and Forbidden as `promote` does.
    """
    salt = secrets.token_hex(8)
    step = Move(project, app, "split", actor, reason, exception)
    return _take(catalog, step, percents, lambda now: state.split(now, percents, salt=salt), check_release)


def rollback(
    catalog: Catalog,
    project: str,
    app: str,
    *,
    to: int | None = None,
    actor: str,
    reason: str = "",
    check_release: CheckRelease | None = None,
) -> TrafficChange:
    """End a split; without one, back to the stable release before; with `to`, back to that one.

    Raises NotFound, Conflict where there is nothing to go back to, and Unservable.
    """
    step = Move(project, app, "rollback", actor, reason)
    return _take(catalog, step, [] if to is None else [to], lambda now: state.rollback(now, to), check_release)


def shadow(
    catalog: Catalog,
    project: str,
    app: str,
    percents: Mapping[str, object],
    *,
    actor: str,
    reason: str = "",
    check_release: CheckRelease | None = None,
) -> TrafficChange:
    """Copy shares of the requests, in percent, to releases (by number) and models (by name); none ends all copying.

    Raises NotFound, InvalidRequest (`shares.<name>`), Unservable.
    """
    step = Move(project, app, "shadow", actor, reason)
    return _take(catalog, step, [], lambda now: state.shadow(now, percents), check_release)


def first(connection: Connection, release: Release, *, actor: str) -> TrafficChange | None:
    """Let an app's first release serve at once; None where something serves already."""
    if store.current_traffic(connection, release.project, release.app) is not None:
        return None
    step = Move(release.project, release.app, "release", actor, "The first release.")
    serves = state.release(state.NOTHING, release.number)
    without = "the app's first release serves without evidence: nothing served before"
    return _write(connection, step, None, serves, without if release.terms.get("gate") else None)


class Move(Struct, frozen=True):
    """Who moves the traffic of which app, how it is called, and why."""

    project: str
    app: str
    action: TrafficAction
    actor: str
    reason: str
    exception: ExceptionAsked | None = None


def _take(
    catalog: Catalog,
    step: Move,
    named: Collection[int],
    make: Callable[[Traffic], Traffic],
    check_release: CheckRelease | None,
) -> TrafficChange:
    """Move the app's traffic, once the releases that were `named` are known to exist."""
    check_text(step.reason, param="reason", longest=2_000)
    with catalog.begin() as connection:
        store.get_app(connection, step.project, step.app)
        for number in named:
            store.get_release(connection, step.project, step.app, number)
        moved = move(connection, step, make, check_release=check_release)
    if moved.refusal is not None:
        raise moved.refusal  # what was decided is kept
    return moved.change


class Moved(Struct, frozen=True):
    """What holds now; or still, where what was to have more traffic cannot be served, or is refused by the gate."""

    change: TrafficChange
    refusal: Conflict | None = None


def move(
    connection: Connection,
    step: Move,
    make: Callable[[Traffic], Traffic],
    *,
    gate_actor: str = "",
    check_release: CheckRelease | None = None,
) -> Moved:
    """Move the app's traffic in this transaction; a refusal is for the caller to raise, once what the gate decided is
    written.

    `gate_actor` is who asks for an exception, where the step has one and is somebody else's. `check_release` is called
    with every release that is to have more traffic, or copies, to refuse those that cannot be served.
    """
    before = store.current_traffic(connection, step.project, step.app)
    after = make(before.traffic if before else state.NOTHING)
    there = before.traffic.shadows if before else ()
    for shadowing in after.shadows:
        if shadowing not in there:  # a model that has left the project since must not keep anyone from going back
            _require(connection, step, shadowing)
    if before is not None and after == before.traffic:
        return Moved(before)
    if before is not None and check_release is not None:
        refusal = unservable(connection, step, before.traffic, after, check_release)
        if refusal is not None:
            return Moved(before, refusal)
    passage = _at_the_gate(connection, step, before, after, gate_actor or step.actor)
    if passage.refusal is None:
        return Moved(_write(connection, step, before, after, passage.told))
    assert before is not None  # an app's first release needs no evidence
    return Moved(before, passage.refusal)


def unservable(
    connection: Connection, step: Move, before: Traffic, after: Traffic, check_release: CheckRelease
) -> Unservable | None:
    """Why a release that is to have more traffic, or copies, is not given it; None where all of them can be served.

    The stable release is not tried, so that ending a split or a rollout never fails: it serves already.
    """
    copied = {each.release for each in after.shadows if each not in before.shadows and each.release is not None}
    for number in sorted({*state.gaining(before, after), *copied}):
        release = store.get_release(connection, step.project, step.app, number)
        try:
            check_release(connection, release)
        except RondoError as error:
            remedies = [error.remedy, _WAYS_BACK if step.action == "rollback" else "The traffic stays as it is."]
            told = " ".join(each for each in remedies if each)
            return Unservable(f"{release.label} cannot be served: {error.message}", remedy=told, param="release")
    return None


def _at_the_gate(
    connection: Connection, step: Move, before: TrafficChange | None, after: Traffic, actor: str
) -> Passage:
    """Going back is always free, and so is what nobody sees."""
    if before is None or step.action not in ("promote", "split"):
        return Passage(told={})
    return pass_through(
        connection, step.project, step.app, before.traffic, after, actor=actor, exception=step.exception
    )


def _require(connection: Connection, step: Move, shadow: Shadow) -> None:
    """Raises NotFound unless there is such a release, or model."""
    if shadow.release is not None:
        store.get_release(connection, step.project, step.app, shadow.release)
    elif store.get_model(connection, step.project, shadow.name) is None:
        raise NotFound(
            f"There is no model called {shadow.name!r:.100}.",
            remedy="`rondo models list` shows the models; releases go by their number.",
            param=f"shares.{shadow.name:.100}",
        )


def _write(
    connection: Connection,
    step: Move,
    before: TrafficChange | None,
    after: Traffic,
    gate: Mapping[str, object] | str | None = None,
) -> TrafficChange:
    change = TrafficChange(
        project=step.project,
        app=step.app,
        sequence=before.sequence + 1 if before else 1,
        at=clock.now_us(),
        actor=step.actor,
        action=step.action,
        reason=step.reason,
        traffic=after,
    )
    store.insert_traffic(connection, change)
    details: dict[str, Any] = {
        "sequence": change.sequence,
        "from": _describe(before.traffic) if before else None,
        "to": _describe(after),
        "reason": step.reason,
    }
    if gate:
        details["gate"] = gate
    audit.record(connection, step.project, step.actor, f"traffic.{step.action}", f"app:{step.app}", details)
    revision.bump(connection)
    return change


def _describe(traffic: Traffic) -> dict[str, object]:
    """For the audit log: `{"stable": 3, "split": {"4": "12.5 %"}}`."""
    shares = {str(arm.release): f"{state.percent_text(arm.share_bp)} %" for arm in traffic.arms}
    told: dict[str, object] = {"stable": traffic.stable, "split": shares}
    if traffic.shadows:
        told["shadow"] = {each.name: f"{state.percent_text(each.share_bp)} %" for each in traffic.shadows}
    if traffic.trial is not None:
        told["rollout"] = traffic.trial.rollout
    return told
