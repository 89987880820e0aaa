"""Rollouts: started, followed, held up, ended; and the report of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from starlette.responses import Response

from rondo.api.door import Asked, Door
from rondo.control import Connection
from rondo.errors import InvalidRequest
from rondo.governance.model import Role
from rondo.releases import store as releases
from rondo.releases.gate_passage import exception_asked
from rondo.rollout import report, store, verbs
from rondo.rollout.progress import Rollout
from rondo.rollout.report import RolloutView
from rondo.rollout.verbs import Whose


class Start(Struct, forbid_unknown_fields=True):
    """`steps`, `kind`, `sticky` and `baseline` take the place of what `[rollout]` declares. `at` (ISO 8601) is when it
    begins; `exception` is the reason to give traffic in spite of the gate, and holds for every step."""

    release: int
    steps: list[str] | None = None
    kind: str | None = None
    sticky: str | None = None
    baseline: bool | None = None
    at: str | None = None
    reason: str = ""
    exception: str | None = None


class Told(Struct, forbid_unknown_fields=True):
    """Why."""

    reason: str = ""


class Promoted(Struct, forbid_unknown_fields=True):
    """Why; `exception` is the reason to promote in spite of the gate."""

    reason: str = ""
    exception: str | None = None


async def start(asked: Asked) -> RolloutView:
    """Begin to roll a release out, now or later. It needs to have passed its gate, or an exception."""
    wanted = await asked.body(Start)
    given = {"steps": wanted.steps, "kind": wanted.kind, "sticky": wanted.sticky, "baseline": wanted.baseline}
    whose, exception = _whose(asked), exception_asked(asked.grant, wanted.exception)
    return await _done(
        asked,
        lambda: verbs.start(
            asked.control.catalog,
            whose,
            wanted.release,
            asked=given,
            at=wanted.at,
            reason=wanted.reason,
            exception=exception,
            check_release=asked.control.check_release,
        ),
    )


async def show(asked: Asked) -> dict[str, RolloutView | None]:
    """The rollout that goes on, else the last one; `rollout` is null where there was none yet."""
    return {"rollout": await _view(asked, None)}


async def show_one(asked: Asked) -> RolloutView:
    """One rollout by its id, with everything that was decided."""
    found = await _view(asked, asked.path("id"))
    assert found is not None
    return found


async def history(asked: Asked) -> dict[str, Any]:
    """The app's rollouts, newest first, without their events."""
    app, limit = asked.path("app"), asked.query_number("limit", 50, most=500)

    def read(connection: Connection) -> list[RolloutView]:
        releases.get_app(connection, asked.project, app)
        return [report.view(each, []) for each in store.listed(connection, asked.project, app, limit=limit)]

    return {"rollouts": await asked.control.read(read)}


async def show_report(asked: Asked) -> RolloutView | Response:
    """The report of a rollout: its verdicts with their intervals, and what happened; as JSON, or `format=markdown`."""
    wanted = asked.query("format") or "json"
    if wanted not in ("json", "markdown"):
        raise InvalidRequest(f"There is no format {wanted!r:.20}.", remedy="Use json or markdown.", param="format")
    found = await show_one(asked)
    if wanted == "json":
        return found
    return Response(report.markdown(found), media_type="text/markdown; charset=utf-8")


async def pause(asked: Asked) -> RolloutView:
    """Stay at the present step; guards roll back all the same."""
    return await _told(asked, verbs.pause)


async def resume(asked: Asked) -> RolloutView:
    """Go on, also in spite of a suspected mismatch of the callers."""
    return await _told(asked, verbs.resume)


async def approve(asked: Asked) -> RolloutView:
    """Let it go on from a step `approve`. Whoever made the release cannot, unless an admin."""
    return await _told(asked, verbs.approve)


async def promote(asked: Asked) -> RolloutView:
    """Skip the rest: the candidate serves everyone. It needs to have passed its gate, or an exception."""
    wanted = await asked.body(Promoted)
    whose, exception = _whose(asked), exception_asked(asked.grant, wanted.exception)
    return await _done(
        asked,
        lambda: verbs.promote(
            asked.control.catalog,
            whose,
            reason=wanted.reason,
            exception=exception,
            check_release=asked.control.check_release,
        ),
    )


async def abort(asked: Asked) -> RolloutView:
    """End it: the stable release serves everyone again."""
    return await _told(asked, verbs.abort)


async def _told(asked: Asked, verb: Callable[..., Rollout]) -> RolloutView:
    wanted, whose = await asked.body(Told), _whose(asked)
    return await _done(asked, lambda: verb(asked.control.catalog, whose, reason=wanted.reason))


def _whose(asked: Asked) -> Whose:
    role = asked.grant.role
    is_admin = role is not None and role.includes(Role.ADMIN)
    return Whose(asked.project, asked.path("app"), asked.actor, is_admin=is_admin)


async def _done(asked: Asked, work: Callable[[], Rollout]) -> RolloutView:
    """Do it, serve what it changed, and show the rollout."""
    rollout = await asked.control.change(work)
    found = await _view(asked, rollout.id)
    assert found is not None
    return found


async def _view(asked: Asked, rollout: str | None) -> RolloutView | None:
    """Raises NotFound for an app or a rollout that there is not."""
    app = asked.path("app")

    def read(connection: Connection) -> RolloutView | None:
        releases.get_app(connection, asked.project, app)
        found = report.found(connection, asked.project, app, rollout)
        if found is None:
            return None
        return report.view(*found, asked.control.watching.rollouts.latest(found[0]))

    return await asked.control.read(read)


DOORS = [
    Door("GET", "/api/apps/{app}/rollout", Role.VIEWER, show),
    Door("POST", "/api/apps/{app}/rollout", Role.APPROVER, start),
    Door("POST", "/api/apps/{app}/rollout/pause", Role.APPROVER, pause),
    Door("POST", "/api/apps/{app}/rollout/resume", Role.APPROVER, resume),
    Door("POST", "/api/apps/{app}/rollout/approve", Role.APPROVER, approve),
    Door("POST", "/api/apps/{app}/rollout/promote", Role.APPROVER, promote),
    Door("POST", "/api/apps/{app}/rollout/abort", Role.APPROVER, abort),
    Door("GET", "/api/apps/{app}/rollouts", Role.VIEWER, history),
    Door("GET", "/api/apps/{app}/rollouts/{id}", Role.VIEWER, show_one),
    Door("GET", "/api/apps/{app}/rollouts/{id}/report", Role.VIEWER, show_report),
]
