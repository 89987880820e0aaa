"""Guards on the gateway's way: a request before anything else sees it, an answer before anyone does.

What goes in and out here is the dialect inside. What a guard redacts is gone from what comes back: the record, the
provider and the cache only ever get the rest. Where tokens stand for values, the record has the tokens, and the
client's copy of the answer the values.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct, structs

from rondo.errors import InvalidRequest, RondoError, UpstreamCut, unexpected
from rondo.gateway.reading import UNREADABLE, read
from rondo.gateway.request import ChatRequest, Message
from rondo.guards.chain import Guards, Outcome, keeps_thoughts, run
from rondo.guards.model import Ask, Role
from rondo.guards.texts import Slots, TooDeep
from rondo.providers.dialect import completion
from rondo.records import Chunk, Verdict

_log = logging.getLogger("rondo.gateway")
_encode = msgspec.json.Encoder().encode
_messages = msgspec.json.Decoder(list[dict[str, Any]])
_object = msgspec.json.Decoder(dict[str, Any])
_any = msgspec.json.Decoder(Any)

_ROLES: dict[str, Role] = {"user": "user", "tool": "tool", "function": "tool", "assistant": "assistant"}
_DECLARED = frozenset(
    "model models messages inputs tools functions tool_choice function_call response_format stream "
    "stream_options".split()
)
"""Fields that the developer or the protocol fills, and those that are looked at on their own."""

_WHO = frozenset("user session metadata safety_identifier prompt_cache_key".split())
"""Fields that name somebody: never a reason to block, but redacted in what the provider gets."""


class Guarded(Struct, kw_only=True):
    """A request as the guards left it. Take it in place of the original, then raise `failure` if there is one.

    `blocked` is what to answer instead of asking a model, `route` the names of the models to ask in place of the app's.
    `issued` are the tokens that may be turned back in this request's answer.
    """

    request: ChatRequest
    context: list[Chunk] | None
    verdicts: list[Verdict]
    blocked: str | None = None
    route: tuple[str, ...] = ()
    issued: set[str]
    failure: RondoError | None = None


class GuardedAnswer(Struct, kw_only=True):
    """A whole answer as the guards left it: what is recorded, and what the client gets.

    `repair`: the model should mend its answer; these two messages, behind the rendered ones, ask it to.
    """

    record: bytes
    client: bytes
    verdicts: list[Verdict]
    blocked: bool = False
    repair: list[dict[str, Any]] | None = None


def withheld(request: ChatRequest) -> ChatRequest:
    """The request without a word of what the client said: what may be recorded of it until the guards have looked."""
    fields = {name: value for name, value in request.fields.items() if name in _DECLARED or name in _WHO}
    for name in ("messages", "inputs"):
        fields.pop(name, None)
    return structs.replace(request, fields=fields, messages=[], inputs={}, echo=b"")


async def guard_request(
    guards: Guards, request: ChatRequest, ask: Ask, *, context: Sequence[Chunk] | None = None
) -> Guarded:
    """Look at all that a client wrote: messages, variables and its own `context`. Raises nothing but cancellation."""
    issued: set[str] = set()
    if not guards.input:
        return Guarded(request=request, context=None if context is None else list(context), verdicts=[], issued=issued)
    try:
        opened = _Opened(request, context)
        outcome = await run(guards.input, "input", opened.slots.texts, ask, issued)
        changed = opened.slots.put(outcome.texts, keep_thoughts=keeps_thoughts(guards.input))
        who = _redact_who(guards, request, issued)
        now = opened.request(request, who) if changed or who else request
        kept = opened.context(context) if changed else context
    except Exception as error:
        failure = error if isinstance(error, RondoError) else unexpected()
        if not isinstance(error, RondoError):
            _log.exception("the guards failed on a request")
        return Guarded(request=withheld(request), context=None, verdicts=[], issued=issued, failure=failure)
    return Guarded(
        request=now,
        context=None if kept is None else list(kept),
        verdicts=outcome.verdicts,
        blocked=outcome.blocked,
        route=outcome.route,
        issued=issued,
        failure=outcome.failure,
    )


class _Opened:
    """A request's JSON, opened, with all text in it."""

    def __init__(self, request: ChatRequest, context: Sequence[Chunk] | None) -> None:
        try:
            raw = request.fields.get("messages")
            self._messages: list[dict[str, Any]] = (
                [{"role": each.role, "content": each.content} for each in request.messages]
                if raw is None
                else read(_messages, raw)
            )
            self._inputs: dict[str, Any] = read(_object, _encode(request.inputs)) if request.inputs else {}
            self._others = {
                name: read(_any, value)
                for name, value in request.fields.items()
                if name not in _DECLARED and name not in _WHO and memoryview(value)[0] in b'"{['
            }
            self._context = [
                {"title": each.title, "heading": each.heading, "text": each.text} for each in context or ()
            ]
            self.slots = Slots()
            for message in self._messages:
                role = _ROLES.get(str(message.get("role")), "system")
                self.slots.add_message(message, role, others=role)
            for name in self._inputs:
                self.slots.add(self._inputs, name, "inputs")
            for name in self._others:
                self.slots.add(self._others, name, "inputs", message=True)
            for position in range(len(self._context)):
                self.slots.add(self._context, position, "context")
        except (*UNREADABLE, TooDeep) as error:
            raise InvalidRequest(f"The request cannot be checked: {error}.", param="messages") from None

    def request(self, before: ChatRequest, who: dict[str, Raw]) -> ChatRequest:
        """The request with what now stands in the JSON."""
        fields = {**before.fields, **who, "messages": Raw(_encode(self._messages))}
        if "inputs" in fields:
            fields["inputs"] = Raw(_encode(self._inputs))
        for name, value in self._others.items():
            fields[name] = Raw(_encode(value))
        messages = [Message(str(each.get("role")), each.get("content")) for each in self._messages]
        return structs.replace(before, fields=fields, messages=messages, inputs=self._inputs)

    def context(self, before: Sequence[Chunk] | None) -> list[Chunk] | None:
        if before is None:
            return None
        return [structs.replace(chunk, **now) for chunk, now in zip(before, self._context, strict=True)]


def _redact_who(guards: Guards, request: ChatRequest, issued: set[str]) -> dict[str, Raw]:
    """The fields that name somebody, where a guard redacts something in them; the record's own user stays."""
    redacting = [guard for guard in guards.input if guard.action == "redact" and guard.check is not None]
    changed: dict[str, Raw] = {}
    if not redacting:
        return changed
    for name in _WHO & request.fields.keys():
        holder = {name: read(_any, request.fields[name])}
        slots = Slots()
        slots.add(holder, name, "inputs")
        texts = slots.texts
        for guard in redacting:
            assert guard.check is not None
            places = guard.check.look(texts).places
            texts = [
                structs.replace(text, value=guard.redacted(text.value, found, issued))
                for text, found in zip(texts, places, strict=False)
            ] or texts
        if slots.put([text.value for text in texts], keep_thoughts=True):
            changed[name] = Raw(_encode(holder[name]))
    return changed


async def guard_answer(
    guards: Guards, body: bytes, ask: Ask, issued: set[str], *, may_repair: bool = True
) -> GuardedAnswer:
    """Look at a whole `chat.completion`. `may_repair` until the model has been asked to mend its answer once.

    Raises Unavailable where a guard that must look cannot, and UpstreamCut where the body is no completion.
    """
    if not guards.output and not issued:
        return GuardedAnswer(record=body, client=body, verdicts=[])
    whole, choices = _choices(body)
    slots = _answer_slots(choices)
    outcome = await run(guards.output, "output", slots.texts, ask, issued, may_repair=may_repair and len(choices) == 1)
    if outcome.failure is not None:
        raise outcome.failure
    changed = slots.put(outcome.texts, keep_thoughts=keeps_thoughts(guards.output))
    if outcome.blocked is not None:
        blocked = _encode({**whole, "choices": _instead(choices, outcome.blocked)})
        return GuardedAnswer(record=blocked, client=blocked, verdicts=outcome.verdicts, blocked=True)
    repair = None
    if outcome.complaint is not None:
        repair = _mend(choices[0], outcome)
    if changed or issued:
        for choice in choices:
            choice.pop("logprobs", None)  # they spell out the text as the model wrote it
    record = _encode(whole) if changed else body
    return GuardedAnswer(
        record=record, client=_restored(guards, record, issued), verdicts=outcome.verdicts, repair=repair
    )


def _choices(body: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    try:
        whole = read(_object, body)
        choices = whole["choices"]
        if all(isinstance(choice["message"], dict) for choice in choices):
            return whole, choices
    except (*UNREADABLE, KeyError, TypeError):
        pass
    raise UpstreamCut("The provider's answer is no chat completion, so no guard can look at it.")


def _answer_slots(choices: Sequence[dict[str, Any]]) -> Slots:
    slots = Slots()
    try:
        for choice in choices:
            slots.add_message(choice["message"], "assistant", others="reasoning")
    except TooDeep as error:
        raise UpstreamCut(f"The provider's answer cannot be checked: {error}.") from None
    return slots


def _instead(choices: Sequence[dict[str, Any]], answer: str) -> list[dict[str, Any]]:
    return [
        {
            "index": choice.get("index", position),
            "message": {"role": "assistant", "content": answer},
            "logprobs": None,
            "finish_reason": "content_filter",
        }
        for position, choice in enumerate(choices)
    ]


def _mend(choice: dict[str, Any], outcome: Outcome) -> list[dict[str, Any]]:
    """The model's answer, as the guards left it, and what is wrong with it."""
    asked = (
        "Your answer does not have the form that is required:\n"
        f"{outcome.complaint}\n"
        "Answer again with the whole corrected JSON, and nothing else."
    )
    answer = choice["message"].get("content") or ""
    return [{"role": "assistant", "content": answer}, {"role": "user", "content": asked}]


def _restored(guards: Guards, record: bytes, issued: set[str]) -> bytes:
    """The client's copy: values where tokens stand. The same bytes where none does."""
    if not issued or guards.pseudonyms is None:
        return record
    whole, choices = _choices(record)
    slots = _answer_slots(choices)
    restored = [guards.pseudonyms.restore(text.value, issued) for text in slots.texts]
    if not slots.put(restored, keep_thoughts=True):
        return record
    for choice in choices:
        choice.pop("logprobs", None)
    return _encode(whole)


def blocked_completion(answer: str, model: str) -> bytes:
    """What a blocked request is answered, as a `chat.completion`."""
    whole = read(_object, completion(answer, model=model, prompt_tokens=0))
    whole["choices"][0]["finish_reason"] = "content_filter"
    whole["usage"] = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    return _encode(whole)
