"""The story of one answer, with the release behind it: who made it, from what, and who let it serve."""

from __future__ import annotations

from sqlalchemy import Connection

from rondo.errors import NotFound
from rondo.prompts import store as prompts
from rondo.releases import store as releases
from rondo.releases.gate_view import let_through
from rondo.releases.model import Release
from rondo.store.base import RecordStore
from rondo.traces.why import GateFacts, ReleaseFacts, Story, story


def why(connection: Connection, store: RecordStore, project: str, trace_id: str) -> Story:
    """Everything that is known of a trace. Raises NotFound, InvalidRequest."""
    return story(store, project, trace_id, lambda app, number: release_facts(connection, project, app, number))


def release_facts(connection: Connection, project: str, app: str, number: int) -> ReleaseFacts | None:
    """What is known of a release; None where the catalog no longer has it."""
    try:
        release = releases.get_release(connection, project, app, number)
    except NotFound:
        return None
    prompt = release.manifest["prompt"]
    first = next(
        (
            change
            for change in releases.traffic_history(connection, project, app)
            if number == change.traffic.stable or any(arm.release == number for arm in change.traffic.arms)
        ),
        None,
    )
    return ReleaseFacts(
        app=app,
        number=number,
        hash=release.hash,
        created_by=release.created_by,
        created_at=release.created_at,
        message=release.message,
        promoted_by=first.actor if first else None,
        promoted_at=first.at if first else None,
        gate=_gate(connection, release),
        prompt_source=prompts.get(connection, project, prompt["name"], prompt["version"]).source,
    )


def _gate(connection: Connection, release: Release) -> GateFacts | None:
    found = let_through(connection, release.project, release.app, release.hash)
    if found is None:
        return None
    return GateFacts(
        decision=found.id,
        is_exception=found.kind == "exception",
        verdict=found.verdict,
        reason=found.reason,
        by=found.created_by,
        at=found.created_at,
    )
