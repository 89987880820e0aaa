"""What people do with rollouts: start, pause, resume, approve, promote, abort.

Each is one transaction. Whatever gives the candidate more traffic is tried and passes the app's gate in it, as with
`rondo promote`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.catalog.text import check_text
from rondo.errors import Conflict, Forbidden, InvalidRequest, NotFound
from rondo.ids import new_trace_id
from rondo.releases import state as traffic_state
from rondo.releases import store as releases
from rondo.releases import traffic
from rondo.releases.gate_passage import ExceptionAsked, pass_through, require_other_person
from rondo.releases.model import Release
from rondo.releases.state import Traffic
from rondo.releases.traffic import CheckRelease
from rondo.rollout import moves, state, store
from rondo.rollout.progress import Decision, ExceptionGiven, Progress, Rollout
from rondo.rollout.terms import terms_for
from rondo.settings.steps import parse_moment

_LONGEST = 2_000


class Whose(Struct, frozen=True):
    """An app's rollout, and who acts on it. `is_admin` lets someone approve what they made themselves."""

    project: str
    app: str
    actor: str
    is_admin: bool = False


def start(
    catalog: Catalog,
    whose: Whose,
    release: int,
    *,
    asked: Mapping[str, Any] | None = None,
    at: str | None = None,
    reason: str = "",
    exception: ExceptionAsked | None = None,
    check_release: CheckRelease | None = None,
) -> Rollout:
    """Begin to roll a release out, or at a later time; `asked` takes the place of what `[rollout]` declares.

    Raises NotFound, InvalidRequest, Conflict where one goes on or the traffic is split by hand, Unservable, GateClosed,
    and Forbidden for an exception of its own maker's.
    """
    check_text(reason, param="reason", longest=_LONGEST)
    begin_at = _moment(at)
    with catalog.begin() as connection:
        app = releases.get_app(connection, whose.project, whose.app)
        made = releases.get_release(connection, whose.project, whose.app, release)
        if exception is not None:  # it holds for later steps too, so it has to hold from the start
            require_other_person(made, whose.actor, exception)
        terms = terms_for(app.settings, asked or {})
        _end_what_was_taken_away(connection, whose)
        now = clock.now_us()
        rollout = Rollout(
            id=f"rollout_{new_trace_id()}",
            project=whose.project,
            app=whose.app,
            release=release,
            baseline=_stable(connection, made),
            sequence=1,
            terms=terms,
            progress=Progress(status="scheduled", start_at=begin_at),
            exception=None
            if exception is None
            else ExceptionGiven(reason=exception.reason, by=whose.actor, by_admin=exception.by_admin),
            reason=reason,
            created_at=now,
            created_by=whose.actor,
        )
        refusal = _insert(connection, rollout, exception, check_release)
        begun = rollout if refusal is not None else store.get(connection, whose.project, whose.app, rollout.id)
    if refusal is not None:
        raise refusal  # what the gate decided is kept
    return begun


def pause(catalog: Catalog, whose: Whose, *, reason: str = "") -> Rollout:
    """Stay at the present step. Guards, and goals that get worse, roll back all the same."""
    why = f"{whose.actor} has paused it." + _because(reason)
    return _act(catalog, whose, reason, lambda rollout: state.pause(rollout.progress, why))


def resume(catalog: Catalog, whose: Whose, *, reason: str = "") -> Rollout:
    """Go on; where it paused for a suspected mismatch, in spite of that."""

    def decide(rollout: Rollout) -> Decision:
        mismatch = rollout.reading.mismatch if rollout.reading is not None else None
        told = f"{whose.actor} lets it go on." + _because(reason)
        return state.resume(rollout.progress, told, mismatch=mismatch is not None and mismatch.suspected)

    return _act(catalog, whose, reason, decide)


def approve(catalog: Catalog, whose: Whose, *, reason: str = "") -> Rollout:
    """Let it go on from a step `approve`. Raises Forbidden for who made the release, unless an admin."""

    def decide(rollout: Rollout) -> Decision:
        told = f"{whose.actor} has approved it." + _because(reason)
        return state.approve(rollout.terms, rollout.progress, whose.actor, told)

    return _act(catalog, whose, reason, decide, by_another=lambda _: True)


def promote(
    catalog: Catalog,
    whose: Whose,
    *,
    reason: str = "",
    exception: ExceptionAsked | None = None,
    check_release: CheckRelease | None = None,
) -> Rollout:
    """Skip what is left: the candidate serves everyone. Raises Conflict, Unservable, GateClosed; as `approve` does,
    where that would skip a step `approve`."""
    told = f"{whose.actor} has promoted it before its end." + _because(reason)
    return _act(
        catalog,
        whose,
        reason,
        lambda rollout: state.promote(rollout.progress, told),
        exception=exception,
        check_release=check_release,
        by_another=lambda rollout: state.awaits_approval(rollout.terms, rollout.progress),
    )


def abort(catalog: Catalog, whose: Whose, *, reason: str = "") -> Rollout:
    """End it: the stable release serves everyone again."""
    told = f"{whose.actor} has ended it." + _because(reason)
    return _act(catalog, whose, reason, lambda rollout: state.abort(rollout.progress, told))


def _act(
    catalog: Catalog,
    whose: Whose,
    reason: str,
    decide: Callable[[Rollout], Decision],
    *,
    exception: ExceptionAsked | None = None,
    check_release: CheckRelease | None = None,
    by_another: Callable[[Rollout], bool] = lambda _: False,
) -> Rollout:
    """Raises NotFound where no rollout goes on; Forbidden where it takes somebody else than who made the release."""
    check_text(reason, param="reason", longest=_LONGEST)
    with catalog.begin() as connection:
        releases.get_app(connection, whose.project, whose.app)
        _end_what_was_taken_away(connection, whose)
        rollout = store.active(connection, whose.project, whose.app)
        if rollout is not None:
            decision = decide(rollout)
            if by_another(rollout):
                _require_another(connection, rollout, whose)
            written = moves.write(
                connection, rollout, decision, actor=whose.actor, exception=exception, check_release=check_release
            )
    if rollout is None:
        raise NotFound(
            f"No rollout of {whose.app!r:.80} goes on.", remedy="`rondo rollout start N` begins one.", param="app"
        )
    assert written is not None  # one writer at a time, and it was read in the same transaction
    if written.refusal is not None:
        raise written.refusal
    return written.rollout


def _end_what_was_taken_away(connection: Connection, whose: Whose) -> None:
    """Where somebody rolled back by hand a moment ago, the rollout is over, also before its next look."""
    rollout = store.active(connection, whose.project, whose.app)
    gone = moves.taken_away(connection, rollout) if rollout is not None else None
    if rollout is not None and gone is not None:
        moves.write(connection, rollout, gone, actor=moves.ACTOR)


def _insert(
    connection: Connection, rollout: Rollout, exception: ExceptionAsked | None, check_release: CheckRelease | None
) -> Conflict | None:
    """The row and its first event, with the traffic of its first step. Raises Conflict."""
    active = store.active(connection, rollout.project, rollout.app)
    if active is not None:
        raise Conflict(
            f"A rollout of {active.app}#{active.release} goes on: {active.id}.",
            remedy="`rondo rollout status` shows it; `rondo rollout abort` ends it.",
        )
    start_at = rollout.progress.start_at
    decision = (
        state.begin(rollout.terms, rollout.progress)
        if start_at is None
        else state.schedule(start_at, f"{clock.iso(start_at)[:19]}Z")
    )
    refusal = _first_step(connection, rollout, decision, exception, check_release)
    if refusal is None:
        after = moves.stamped(rollout, decision.progress, rollout.created_at)
        store.insert_rollout(connection, after)
        moves.record(connection, after, decision, actor=rollout.created_by, basis=None, now=rollout.created_at)
    return refusal


def _first_step(
    connection: Connection,
    rollout: Rollout,
    decision: Decision,
    exception: ExceptionAsked | None,
    check_release: CheckRelease | None,
) -> Conflict | None:
    """Tried and through the gate, also where the first step gives the candidate no traffic yet: nobody should wait in
    vain."""
    if not decision.progress.share_bp:
        refusal = _refusal(connection, rollout, exception, check_release)
        if refusal is not None:
            return refusal
    actor = rollout.created_by
    moved = moves.move_traffic(
        connection, rollout, decision, actor=actor, exception=exception, check_release=check_release
    )
    return moved.refusal if moved is not None else None


def _refusal(
    connection: Connection, rollout: Rollout, exception: ExceptionAsked | None, check_release: CheckRelease | None
) -> Conflict | None:
    """What would keep the candidate from all the traffic."""
    now = Traffic(stable=rollout.baseline)
    all_of_it = traffic_state.promote(now, rollout.release)
    project, app, actor = rollout.project, rollout.app, rollout.created_by
    if check_release is not None:
        step = traffic.Move(project, app, "promote", actor, "")
        refusal = traffic.unservable(connection, step, now, all_of_it, check_release)
        if refusal is not None:
            return refusal
    return pass_through(connection, project, app, now, all_of_it, actor=actor, exception=exception).refusal


def _stable(connection: Connection, release: Release) -> int:
    """The release that is compared with. Raises Conflict where there is none, or it is the same."""
    change = releases.current_traffic(connection, release.project, release.app)
    stable = change.traffic.stable if change is not None else None
    if stable is None or stable == release.number:
        raise Conflict(
            f"{release.label} serves already, so there is nothing to roll out.",
            remedy="Release something new: `rondo release`.",
            param="release",
        )
    return stable


def _require_another(connection: Connection, rollout: Rollout, whose: Whose) -> None:
    release = releases.get_release(connection, rollout.project, rollout.app, rollout.release)
    if release.created_by == whose.actor and not whose.is_admin:
        raise Forbidden(
            f"{whose.actor} made {release.label}, and so cannot approve it.",
            remedy="Ask another approver, or an admin.",
        )


def _moment(at: str | None) -> int | None:
    if at is None:
        return None
    try:
        return parse_moment(at)
    except ValueError as error:
        raise InvalidRequest(f"`at`: {error}", param="at") from None


def _because(reason: str) -> str:
    return f" {reason}" if reason else ""
