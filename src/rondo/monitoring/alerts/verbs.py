"""What people do to alerts: take one on, say that it is over, silence some for a while. All is audited."""

from __future__ import annotations

import secrets
from typing import Protocol

from msgspec import Struct, structs

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.catalog.text import check_text
from rondo.durations import parse_duration
from rondo.errors import Conflict, InvalidRequest
from rondo.governance import audit
from rondo.monitoring.alerts import changes, store
from rondo.monitoring.alerts.declared import settings_of
from rondo.monitoring.alerts.model import SEVERITIES, Acknowledged, Alert, Silence
from rondo.releases import store as releases

_LONGEST_NOTE = 2_000
_LONGEST_S = 90 * 86_400.0


class Quiet(Struct, forbid_unknown_fields=True, kw_only=True):
    """A silence that somebody wants. What is None matches all; it lasts for `lasting` (`2h`), or to `until`."""

    app: str | None = None
    rule: str | None = None
    severity: str | None = None
    lasting: str | None = None
    until: str | None = None
    reason: str = ""


class Verb(Protocol):
    """What somebody does to one alert."""

    def __call__(self, catalog: Catalog, project: str, alert: str, *, actor: str, note: str = "") -> Alert: ...


def acknowledge(catalog: Catalog, project: str, alert: str, *, actor: str, note: str = "") -> Alert:
    """Somebody looks after it: nobody is told again until it is over, or worse. Raises NotFound, Conflict."""
    check_text(note, param="note", longest=_LONGEST_NOTE)
    with catalog.begin() as connection:
        before = _open(store.get(connection, project, alert))
        now = clock.now_us()
        by = Acknowledged(by=actor, at=now, note=note, excess=max(before.seen.excess, 0.0))
        after = structs.replace(before, acknowledged=by)
        sentence = f"{actor} looks after it" + (f": {note}" if note else ".")
        after = changes.note(connection, after, "acknowledged", sentence, now, actor=actor)
        store.save_alert(connection, before, after)
        audit.record(
            connection, project, actor, "alert.acknowledge", f"alert:{alert}", {"rule": after.rule, "note": note}
        )
    return after


def resolve(catalog: Catalog, project: str, alert: str, *, actor: str, note: str = "") -> Alert:
    """Somebody says that it is over. Where it is not, it begins anew. Raises NotFound, Conflict."""
    check_text(note, param="note", longest=_LONGEST_NOTE)
    with catalog.begin() as connection:
        before = _open(store.get(connection, project, alert))
        now = clock.now_us()
        progress = structs.replace(before.progress, status="resolved")
        after = structs.replace(before, progress=progress, ended_at=now, resolved_by=actor)
        sentence = f"{actor} says that it is over" + (f": {note}" if note else ".")
        after = changes.note(connection, after, "resolved", sentence, now, actor=actor)
        if before.told_kind is not None:
            app = releases.get_app(connection, project, before.app)
            after = changes.tell_end(connection, after, settings_of(app.settings), now)
        store.save_alert(connection, before, after)
        audit.record(connection, project, actor, "alert.resolve", f"alert:{alert}", {"rule": after.rule, "note": note})
    return after


def silence(catalog: Catalog, project: str, wanted: Quiet, *, actor: str) -> Silence:
    """Tell nobody of alerts that match, for a while. Raises InvalidRequest, NotFound."""
    now = clock.now_us()
    check_text(wanted.reason, param="reason", longest=_LONGEST_NOTE, required=True)
    check_text(wanted.rule or "", param="rule", longest=200)
    if wanted.severity is not None and wanted.severity not in SEVERITIES:
        raise InvalidRequest(
            f"There is no severity {wanted.severity!r:.40}.",
            remedy=f"One of: {', '.join(SEVERITIES)}.",
            param="severity",
        )
    made = Silence(
        id=f"silence_{secrets.token_hex(8)}",
        app=wanted.app or None,
        rule=wanted.rule or None,
        severity=wanted.severity,
        reason=wanted.reason,
        created_by=actor,
        created_at=now,
        until=_until(wanted, now),
    )
    with catalog.begin() as connection:
        if made.app is not None:
            releases.get_app(connection, project, made.app)
        store.insert_silence(connection, project, made)
        audit.record(connection, project, actor, "alert.silence", f"silence:{made.id}", structs.asdict(made))
    return made


def unsilence(catalog: Catalog, project: str, silence: str, *, actor: str) -> None:
    """End a silence now. Raises NotFound."""
    with catalog.begin() as connection:
        store.end_silence(connection, project, silence, clock.now_us())
        audit.record(connection, project, actor, "alert.unsilence", f"silence:{silence}", {})


def _open(alert: Alert) -> Alert:
    if alert.ended_at is not None:
        raise Conflict(f"The alert {alert.id} is over.", remedy="`rondo alerts list` shows those that are not.")
    return alert


def _until(wanted: Quiet, now: int) -> int:
    """Raises InvalidRequest."""
    if (wanted.lasting is None) == (wanted.until is None):
        raise InvalidRequest("Say either for how long, or until when.", remedy="`lasting` is like 2h.", param="lasting")
    name = "lasting" if wanted.lasting is not None else "until"
    try:
        if wanted.lasting is not None:
            end = now + int(parse_duration(wanted.lasting) * 1_000_000)
        else:
            end = clock.parse_iso(wanted.until or "")
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"`{name}` cannot be read.", remedy="Write 30m, 2h or 3d, or a time such as 2026-12-01T09:00Z.", param=name
        ) from None
    if not now < end <= now + int(_LONGEST_S * 1_000_000):
        raise InvalidRequest("A silence ends after now, and within 90 days.", param=name)
    return end
