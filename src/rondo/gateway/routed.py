"""Rules in the gateway's words: the facts of a chat request, and the models that a decision means.

An app without `[[rules]]` never comes here. The facts are those of the request as the client sent it, before any guard
has blotted something out: a rule that keeps personal data at home must see it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from rondo import clock
from rondo.gateway.plan import ServedModel, ServedRelease
from rondo.gateway.reading import UNREADABLE, read
from rondo.gateway.request import ChatRequest
from rondo.rules.chain import Decision
from rondo.rules.facts import Conversation, Facts

_DEEPEST = 40
_NO_TEXT = frozenset(("role", "type", "id", "tool_call_id", "detail", "signature"))
_DATA = frozenset(("url", "image_url", "file_data", "data"))
_IMAGES = frozenset(("image_url", "input_image", "image"))
_any = msgspec.json.Decoder(Any)
_list = msgspec.json.Decoder(list[Any])

BudgetLeft = Callable[[], float | None]


class Routed(Struct, frozen=True):
    """The models that are to be tried, and the rule that said so; None where none held."""

    route: tuple[ServedModel, ...]
    decision: Decision | None


def routed(release: ServedRelease, request: ChatRequest, budget_left: BudgetLeft) -> Routed:
    """Who answers, by the release's rules. `budget_left` is asked only where a rule asks for it."""
    decision = release.rules.decide(facts_of(release, request, budget_left))
    if decision is None:
        return Routed(release.route, None)
    return Routed(models_of(release, decision.use), decision)


def models_of(release: ServedRelease, names: tuple[str, ...]) -> tuple[ServedModel, ...]:
    """The release's models of these names, in this order."""
    return tuple(release.models[name] for name in names)


def facts_of(
    release: ServedRelease, request: ChatRequest, budget_left: BudgetLeft, *, now_us: int | None = None
) -> Facts:
    """What rules can know of the request, at this moment or at `now_us`; nothing of it is worked out yet."""
    return Facts(
        text=request.question,
        conversation=lambda: _conversation(request),
        inputs=request.inputs,
        tags=request.tags,
        user=request.user,
        session=request.session,
        tools=lambda: _tools(request),
        now_us=clock.now_us() if now_us is None else now_us,
        sources=release.rules.sources(budget_left),
    )


def _conversation(request: ChatRequest) -> Conversation:
    messages = _messages(request)
    return Conversation(
        messages=len(request.messages),
        characters=sum(len(text) for message in request.messages for text in _texts(message.content, 0)),
        images=sum(_images(message.content) for message in request.messages),
        texts=tuple(_texts(messages, 0)),
    )


def _messages(request: ChatRequest) -> Any:
    """The client's messages with all of their fields; tool calls are among them."""
    raw = request.fields.get("messages")
    try:
        return [message.content for message in request.messages] if raw is None else read(_any, raw)
    except UNREADABLE:
        return [message.content for message in request.messages]


def _texts(value: Any, depth: int) -> Iterator[str]:
    """Every text in a message, whoever wrote it; pictures, files and sound are none."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth < _DEEPEST:
        for each in value:
            yield from _texts(each, depth + 1)
    elif isinstance(value, dict) and depth < _DEEPEST:
        for name, each in value.items():
            if name not in _NO_TEXT and not (name in _DATA and isinstance(each, str)):
                yield from _texts(each, depth + 1)


def _images(content: Any) -> int:
    if not isinstance(content, list):
        return 0
    return sum(isinstance(part, dict) and part.get("type") in _IMAGES for part in content)


def _tools(request: ChatRequest) -> int:
    raw = request.fields.get("tools")
    try:
        return 0 if raw is None else len(read(_list, raw))
    except UNREADABLE:
        return 0
