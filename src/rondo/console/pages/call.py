"""One call: why this answer. Question, answer and sources; the steps in time; the release and who let it serve; money,
tokens, judgements. And a form for a reviewer's own judgement.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
from starlette.responses import Response

from rondo.console.cites import cite
from rondo.console.named_values import params
from rondo.console.visit import Page, Visit, go
from rondo.control import Connection
from rondo.errors import InvalidRequest, NotFound
from rondo.governance.model import Role
from rondo.monitoring.story import why
from rondo.records import Score
from rondo.traces.why import Story

_NAME = "helpful"
_PATIENCE = (0.05, 0.1, 0.2, 0.4)
"""Seconds to wait for the drain, between tries to read what was written a moment ago."""


async def show(visit: Visit) -> Response:
    trace_id = visit.path("trace_id")

    def read(connection: Connection) -> Story:
        return why(connection, visit.control.records, visit.project, trace_id)

    story = await _patiently(visit, read)
    call = story.call
    return visit.page(
        "call.html",
        story=story,
        call=call,
        cited=cite(call.answer, (passage.chunk.number for passage in story.passages)),
        messages=_messages(call.rendered or call.input),
        whole_ms=_whole(story),
        params_lists=params(call.params),
        attributes={step.span.span_id: _attributes(step.span.attributes) for step in story.steps},
    )


async def judge(visit: Visit) -> Response:
    """A reviewer's thumb, kept like all feedback: in the journal before the answer."""
    trace_id = visit.path("trace_id")
    sent = await visit.form()
    if sent.get("value") not in ("good", "bad"):
        raise InvalidRequest("`value` is neither good nor bad.", remedy="Use one of the two buttons.", param="value")
    body: dict[str, Any] = {"trace_id": trace_id, "name": _NAME, "value": sent["value"] == "good"}
    if sent.get("comment", "").strip():
        body["comment"] = sent["comment"].strip()
    score = await visit.control.gateway.judge(visit.grant, msgspec.json.encode(body), kind="human")
    visit.control.drain.wake()
    if visit.is_partial:
        return visit.page("judged.html", good=sent["value"] == "good")
    await _until_stored(visit, score)
    return go(f"/calls/{trace_id}", did="feedback")


async def _patiently(visit: Visit, read: Any) -> Story:
    """Read, and again a little later where the drain has not stored the call yet."""
    for pause in _PATIENCE:
        try:
            story: Story = await visit.control.read(read)
            return story
        except NotFound:
            await asyncio.sleep(pause)
    last: Story = await visit.control.read(read)
    return last


async def _until_stored(visit: Visit, score: Score) -> None:
    about = {"project": visit.project, "trace_id": score.trace_id}
    for pause in _PATIENCE:
        rows = await asyncio.to_thread(visit.control.records.query, "scores_by_trace", about)
        if any(row["id"] == score.id and row["created_at"] >= score.created_at for row in rows):
            return
        await asyncio.sleep(pause)


def _messages(text: str) -> list[tuple[str, str]]:
    """(role, text) of each message that the model got; content that is no text is shown as JSON."""
    try:
        messages = json.loads(text) if text else []
    except ValueError:
        return [("input", text)]
    if not isinstance(messages, list):
        return [("input", text)]
    return [_message(each) for each in messages]


def _message(message: Any) -> tuple[str, str]:
    if not isinstance(message, dict):
        return "input", message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    content = message.get("content")
    rest = {name: value for name, value in message.items() if name not in ("role", "content") and value is not None}
    parts = [] if content is None else [content if isinstance(content, str) else json.dumps(content, indent=2)]
    if rest:
        parts.append(json.dumps(rest, indent=2, ensure_ascii=False))
    return str(message.get("role", "message")), "\n".join(parts)


def _whole(story: Story) -> float:
    """The length of the scale that the steps are drawn on, in milliseconds."""
    ends = [step.offset_ms + step.span.duration_ms for step in story.steps]
    return max([story.call.duration_ms, *ends])


def _attributes(text: str) -> list[tuple[str, str]]:
    try:
        found = json.loads(text)
    except ValueError:
        return [("attributes", text)]
    if not isinstance(found, dict):
        return [("attributes", text)]
    known = {name: value for name, value in found.items() if value is not None and value != ""}
    return [(name, _shown(value)) for name, value in known.items()]


def _shown(value: object) -> str:
    """A value on one line: what a rule looked at, say, as `input.words=8 input.pii=false`."""
    if isinstance(value, dict):
        return " ".join(f"{name}={_shown(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(_shown(each) for each in value)
    return value if isinstance(value, str) else json.dumps(value)


PAGES = [
    Page("GET", "/calls/{trace_id}", Role.VIEWER, show),
    Page("POST", "/calls/{trace_id}/feedback", Role.DEVELOPER, judge),
]
