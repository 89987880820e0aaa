"""Writes what was decided of a rollout: its row, its event, the traffic and the audit entry, in one transaction.

Whoever writes names the last event that he knows. If another server, or a person, has decided something since,
nothing is written, and he looks again: so each step is taken once.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Literal

from msgspec import Struct, structs
from sqlalchemy import Connection

from rondo import clock
from rondo.catalog import revision
from rondo.errors import Conflict
from rondo.governance import audit
from rondo.releases import state as traffic_state
from rondo.releases import store as releases
from rondo.releases import traffic
from rondo.releases.gate_passage import ExceptionAsked
from rondo.releases.model import TrafficAction
from rondo.releases.state import Traffic, Trial
from rondo.releases.traffic import CheckRelease
from rondo.rollout import state, store
from rondo.rollout.model import Reading
from rondo.rollout.progress import Basis, Decision, Event, Progress, Rollout

ACTOR = "rollout"
"""Who does it, in the audit log, where the evidence decides."""


class Written(Struct, frozen=True, kw_only=True):
    """The rollout as it stands now. `refusal` is what kept it from what was decided: the gate, or that the candidate
    cannot be served."""

    rollout: Rollout
    refusal: Conflict | None = None


def write(
    connection: Connection,
    rollout: Rollout,
    decision: Decision,
    *,
    actor: str,
    basis: Basis | None = None,
    reading: Reading | None = None,
    exception: ExceptionAsked | None = None,
    check_release: CheckRelease | None = None,
) -> Written | None:
    """Carry the decision out; None where something else was decided meanwhile.

    Where the gate lets the candidate have no more traffic, or it cannot be served, the rollout pauses with the reason,
    or ends where it has not begun. `exception` is asked for by the `actor`, for this decision alone; one that the
    rollout was started with holds for all of them.
    """
    known = store.get(connection, rollout.project, rollout.app, rollout.id)
    if known.sequence != rollout.sequence or known.ended_at is not None:
        return None
    gone = taken_away(connection, rollout)
    if gone is not None:
        decision, moved = gone, None
    else:
        moved = move_traffic(
            connection, rollout, decision, actor=actor, exception=exception, check_release=check_release
        )
    refusal = moved.refusal if moved is not None else None
    if refusal is not None:
        if basis is None:  # a person asked for it, is told, and may ask again: nothing has changed
            return Written(rollout=rollout, refusal=refusal)
        decision = _refused(basis.before, decision, refusal)
    now = clock.now_us()
    after = structs.replace(
        stamped(rollout, decision.progress, now),
        baseline=_beside(moved) or rollout.baseline,
        sequence=rollout.sequence + 1,
        reading=reading or rollout.reading,
    )
    store.save(connection, after)
    record(connection, after, decision, actor=actor, basis=basis, now=now)
    return Written(rollout=after, refusal=refusal)


def stamped(rollout: Rollout, progress: Progress, now: int) -> Rollout:
    """The rollout at this progress, with the times of its beginning and its end."""
    serves = progress.status in ("running", "paused", "promoted")
    began_at = now if rollout.began_at is None and serves else rollout.began_at
    return structs.replace(rollout, progress=progress, began_at=began_at, ended_at=now if progress.has_ended else None)


def record(
    connection: Connection, rollout: Rollout, decision: Decision, *, actor: str, basis: Basis | None, now: int
) -> None:
    """The event, the audit entry, and the revision that all servers watch."""
    assert decision.kind is not None
    event = Event(
        rollout=rollout.id,
        sequence=rollout.sequence,
        at=now,
        actor=actor,
        kind=decision.kind,
        sentence=decision.sentence,
        traces=decision.traces,
        after=decision.progress,
        basis=basis,
    )
    store.insert_event(connection, rollout.project, event)
    details = {
        "rollout": rollout.id,
        "release": rollout.release,
        "step": decision.progress.step + 1,
        "share": f"{traffic_state.percent_text(decision.progress.share_bp)} %",
        "sentence": decision.sentence,
    }
    audit.record(connection, rollout.project, actor, f"rollout.{decision.kind}", f"app:{rollout.app}", details)
    revision.bump(connection)


def taken_away(connection: Connection, rollout: Rollout) -> Decision | None:
    """That somebody has moved the traffic by hand, which ends the rollout; None where it has it still."""
    if rollout.progress.status not in ("running", "paused"):
        return None
    change = releases.current_traffic(connection, rollout.project, rollout.app)
    trial = change.traffic.trial if change is not None else None
    if trial is not None and trial.rollout == rollout.id:
        return None
    told = f"{change.actor} has moved the traffic ({change.action})" if change is not None else "The traffic is gone"
    if change is not None and change.reason:
        told += f": {change.reason}"
    after = structs.replace(rollout.progress, status="aborted", share_bp=0, why=f"{told}.")
    return Decision(progress=after, kind="aborted", sentence=f"{told}.")


def move_traffic(
    connection: Connection,
    rollout: Rollout,
    decision: Decision,
    *,
    actor: str,
    exception: ExceptionAsked | None = None,
    check_release: CheckRelease | None = None,
) -> traffic.Moved | None:
    """The traffic as the decision wants it; None where it has none to move."""
    progress = decision.progress
    if progress.status == "scheduled" or (rollout.began_at is None and progress.status in ("aborted", "rolled_back")):
        return None
    gate_actor = actor
    if exception is None and rollout.exception is not None:
        given = rollout.exception
        exception, gate_actor = ExceptionAsked(reason=given.reason, by_admin=given.by_admin), given.by
    action, make = _wanted(rollout, progress)
    step = traffic.Move(rollout.project, rollout.app, action, actor, decision.sentence[:2_000], exception)
    return traffic.move(connection, step, make, gate_actor=gate_actor, check_release=check_release)


def _wanted(rollout: Rollout, progress: Progress) -> tuple[TrafficAction, Callable[[Traffic], Traffic]]:
    trial = Trial(rollout=rollout.id, candidate=rollout.release, sticky=rollout.terms.sticky)
    if progress.status == "promoted" and rollout.began_at is None:
        return "promote", lambda now: traffic_state.promote(now, rollout.release)
    if progress.has_ended:
        promotes = progress.status == "promoted"
        return (
            "promote" if promotes else "rollback",
            lambda now: traffic_state.end_trial(now, rollout.id, promotes=promotes),
        )
    step = rollout.terms.steps[progress.step]
    salt = secrets.token_hex(8)
    return (
        "split" if progress.share_bp else "shadow",
        lambda now: traffic_state.take_step(
            now,
            trial,
            share_bp=progress.share_bp,
            shadow_bp=step.share_bp if step.kind == "shadow" else 0,
            baseline_bp=state.baseline_bp(rollout.terms, progress),
            salt=salt,
        ),
    )


def _beside(moved: traffic.Moved | None) -> int | None:
    """The release that the candidate is tried beside; another one may serve by the time that it begins."""
    now = moved.change.traffic if moved is not None else None
    return now.stable if now is not None and now.trial is not None else None


def _refused(before: Progress, decision: Decision, refusal: Conflict) -> Decision:
    """A refusal is the last word: the rollout stays at the step where it is; where it has none yet, it is over."""
    kind: Literal["aborted", "paused"] = "aborted" if before.status == "scheduled" else "paused"
    after = structs.replace(before, status=kind, why=str(refusal))
    return Decision(progress=after, kind=kind, sentence=f"{decision.sentence} But {refusal}")
