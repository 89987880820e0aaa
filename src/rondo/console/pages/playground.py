"""The playground: ask an app or a model, see the answer arrive, with its sources and what it took.

It asks the gateway in-process, with the visitor's own grant: the same pipeline, the same record as any client's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import msgspec
from starlette.responses import Response, StreamingResponse

from rondo.console.cites import Cited, cite
from rondo.console.visit import Page, Visit, render
from rondo.errors import InvalidRequest, RondoError
from rondo.gateway.result import Answered, Streaming
from rondo.gateway.wire import status_of
from rondo.governance.model import Role
from rondo.records import Call

_LONGEST = 32_000
_ERROR = b'data: {"error"'


async def show(visit: Visit) -> Response:
    return _page(visit, {"model": visit.query("model") or "", "question": visit.query("question") or ""})


async def ask(visit: Visit) -> Response:
    """The whole answer at once: a part of the page for htmx, the page for a browser without scripts."""
    sent = await visit.form()
    try:
        answered = await visit.control.gateway.ask(visit.grant, body_of(sent, stream=False))
    except RondoError as error:
        if visit.is_partial:
            return visit.page("fault_part.html", status=status_of(error), error=error)
        return _page(visit, sent, error=error)
    assert isinstance(answered, Answered)
    if visit.is_partial:
        return visit.page("playground_answer.html", call=answered.call, cited=_cited(answered.call))
    return _page(visit, sent, call=answered.call)


async def stream(visit: Visit) -> Response:
    """The answer as server-sent events, as the gateway sends them, then one event `done` with the part of the page."""
    sent = await visit.form()
    try:
        streaming = await visit.control.gateway.ask(visit.grant, body_of(sent, stream=True))
    except RondoError as error:
        return visit.page("fault_part.html", status=status_of(error), error=error)
    assert isinstance(streaming, Streaming)
    # Begun before the reply is: an answer that nobody began to read would neither be recorded nor let go upstream.
    first = await anext(streaming.parts)
    return StreamingResponse(_events(visit, streaming, first), media_type="text/event-stream")


async def _events(visit: Visit, streaming: Streaming, first: bytes) -> AsyncIterator[bytes]:
    failed = first.startswith(_ERROR)
    async with aclosing(streaming.parts) as parts:
        yield first
        async for part in parts:
            failed = failed or part.startswith(_ERROR)
            yield part
    call = streaming.turn.recorded
    if not failed and call is not None:
        html = render(visit.request, "playground_answer.html", visit.grant, call=call, cited=_cited(call))
        yield b"event: done\ndata: " + msgspec.json.encode({"html": html}) + b"\n\n"


def body_of(sent: dict[str, str], *, stream: bool) -> bytes:
    """The chat request that the form stands for. Raises InvalidRequest, naming the field."""
    model, question = sent.get("model", "").strip(), sent.get("question", "").strip()
    if not model:
        raise InvalidRequest("`model` is empty.", remedy="Choose an app or a model.", param="model")
    if not question:
        raise InvalidRequest("`question` is empty.", remedy="Ask something.", param="question")
    if len(question) > _LONGEST:
        raise InvalidRequest(f"The question has more than {_LONGEST:,} characters.", param="question")
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "metadata": {"via": "playground"},
    }
    if sent.get("inputs", "").strip():
        body["inputs"] = _inputs(sent["inputs"])
    if sent.get("user", "").strip():
        body["user"] = sent["user"].strip()
    if stream:
        body["stream"] = True
    return msgspec.json.encode(body)


def _inputs(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(
            f"`inputs` is not a JSON object: {error}.", remedy='Write e.g. {"plan": "free"}.', param="inputs"
        ) from None


def _page(visit: Visit, sent: dict[str, str], *, call: Call | None = None, error: RondoError | None = None) -> Response:
    plan = visit.control.gateway.plan
    return visit.page(
        "playground.html",
        status=status_of(error) if error else 200,
        apps=sorted(name for project, name in plan.apps if project == visit.project),
        models=sorted(name for project, name in plan.models if project == visit.project),
        sent=sent,
        call=call,
        cited=_cited(call) if call else None,
        error=error,
    )


def _cited(call: Call) -> Cited:
    return cite(call.answer, (chunk.number for chunk in call.chunks))


PAGES = [
    Page("GET", "/playground", Role.DEVELOPER, show),
    Page("POST", "/playground", Role.DEVELOPER, ask),
    Page("POST", "/playground/stream", Role.DEVELOPER, stream),
]
