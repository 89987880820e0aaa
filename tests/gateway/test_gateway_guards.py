"""Guards on requests and answers in the dialect inside: what the provider, the record and the client each get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.errors import RondoError, Unavailable, UpstreamCut
from rondo.gateway.guarded import (
    Guarded,
    blocked_completion,
    guard_answer,
    guard_request,
    withheld,
)
from rondo.gateway.guarded_stream import GuardedEvents
from rondo.gateway.stream import StreamedAnswer
from rondo.gateway.streaming import ready
from rondo.gateway.wire import parse_chat
from rondo.guards.build import build
from rondo.guards.chain import Guards
from rondo.providers.dialect import completion, completion_events
from rondo.records import Chunk

EMAIL = "anna@shop.example"
REDACT: dict[str, Any] = {"check": "pii", "action": "redact", "on": ["input", "output"]}
TOKENS: dict[str, Any] = {**REDACT, "pseudonyms": True}


def guards(*specs: dict[str, Any]) -> Guards:
    made = build(specs, hand_over="A colleague takes over.", project="p", secret=lambda: b"k" * 32)
    assert made is not None
    return made


async def nobody(model: str, path: str, body: dict[str, Any]) -> bytes:
    raise Unavailable(f"{model} is away")


async def asked(made: Guards, context: Sequence[Chunk] | None = None, **fields: Any) -> Guarded:
    body = {"model": "bot", "messages": [{"role": "user", "content": f"I am {EMAIL}"}], **fields}
    return await guard_request(made, parse_chat(msgspec.json.encode(body)), nobody, context=context)


def everything(guarded: Guarded) -> bytes:
    """All that is left of a request."""
    request = guarded.request
    fields = {name: value for name, value in request.fields.items() if name not in ("user", "metadata")}
    return msgspec.json.encode([fields, request.messages, request.inputs, request.question, guarded.context])


async def test_nothing_of_what_is_redacted_is_left() -> None:
    chunk = Chunk(number=1, id="c", source="request", title="", heading="", text=f"ticket of {EMAIL}", score=0.0)
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": f'{{"mail": "{EMAIL}"}}'}}
    guarded = await asked(
        guards(REDACT),
        context=[chunk],
        messages=[
            {"role": "system", "content": f"You speak with {EMAIL}."},
            {"role": "user", "content": [{"type": "text", "text": f"I am {EMAIL}"}]},
            {"role": "assistant", "content": None, "reasoning_content": f"{EMAIL}!", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": f"{EMAIL} has 2 orders"},
            {"role": "user", "content": f"{EMAIL} again", "name": EMAIL},
        ],
        inputs={"customer": {"mail": EMAIL}, "n": 3},
        prediction={"type": "content", "content": EMAIL},
    )
    assert EMAIL.encode() not in everything(guarded)
    assert guarded.request.question == "[EMAIL] again"
    assert guarded.request.inputs == {"customer": {"mail": "[EMAIL]"}, "n": 3}
    assert guarded.verdicts[0].found == {"email": 10}
    assert guarded.failure is None


async def test_what_holds_nothing_is_the_very_same_request() -> None:
    request = parse_chat(b'{ "model":"bot", "messages":[{"role":"user","content":"hello"}], "x":1.0}')
    guarded = await guard_request(guards(REDACT), request, nobody)
    assert guarded.request is request
    assert guarded.verdicts[0].found == {}


async def test_the_provider_does_not_learn_who_asks_and_the_record_does() -> None:
    guarded = await asked(guards(REDACT), user=EMAIL, metadata={"mail": EMAIL, "channel": "web"})
    assert msgspec.json.decode(guarded.request.fields["user"]) == "[EMAIL]"
    assert msgspec.json.decode(guarded.request.fields["metadata"]) == {"mail": "[EMAIL]", "channel": "web"}
    assert (guarded.request.user, guarded.request.tags["mail"]) == (EMAIL, EMAIL)
    blocking = await asked(
        guards({"check": "pii", "action": "block"}), user=EMAIL, messages=[{"role": "user", "content": "hi"}]
    )
    assert blocking.blocked is None


async def test_a_request_that_breaks_a_guard_leaves_nothing_behind() -> None:
    made = guards(REDACT)

    class Broken:
        def look(self, texts: object) -> Any:
            raise RuntimeError("a defect")

    broken = msgspec.structs.replace(made, input=(msgspec.structs.replace(made.input[0], check=Broken()),))
    guarded = await asked(broken)
    assert isinstance(guarded.failure, RondoError)
    assert EMAIL.encode() not in everything(guarded)


async def test_a_request_too_deep_to_check_is_refused_without_a_trace() -> None:
    deep: Any = EMAIL
    for _ in range(200):
        deep = [deep]
    guarded = await asked(guards(REDACT), inputs={"x": deep})
    assert guarded.failure is not None
    assert guarded.failure.code == "invalid_request"
    assert EMAIL.encode() not in everything(guarded)


def test_a_withheld_request_has_no_text() -> None:
    request = parse_chat(
        msgspec.json.encode({"model": "b", "messages": [{"role": "user", "content": EMAIL}], "top_p": 1})
    )
    assert EMAIL.encode() not in msgspec.json.encode([withheld(request), withheld(request).fields])
    assert withheld(request).model == "b"


async def test_route_and_block() -> None:
    guarded = await asked(guards({"check": "pii", "action": "route", "use": ["private"]}))
    assert (guarded.route, guarded.blocked) == (("private",), None)
    guarded = await asked(guards({"check": "pii", "action": "block", "answer": "No names, please."}))
    assert guarded.blocked == "No names, please."


def test_a_blocked_answer_is_a_completion_on_either_way() -> None:
    whole = msgspec.json.decode(blocked_completion("No.", "m"))
    assert whole["choices"][0]["message"]["content"] == "No."
    assert whole["choices"][0]["finish_reason"] == "content_filter"
    answer = StreamedAnswer()
    for event in ready(blocked_completion("No.", "m")).first:
        answer.read(event)
    assert (answer.text, answer.finish_reason, answer.ended) == ("No.", "content_filter", True)


async def test_the_client_gets_values_where_the_record_has_tokens() -> None:
    made = guards(TOKENS)
    guarded = await asked(made)
    (token,) = guarded.issued
    assert guarded.request.question == f"I am {token}"
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": f'{{"to": "{token}"}}'}}
    body = msgspec.json.decode(completion(f"Dear {token}, <EMAIL:{'A' * 40}>", model="m", prompt_tokens=1))
    body["choices"][0]["message"]["tool_calls"] = [call]
    answer = await guard_answer(made, msgspec.json.encode(body), nobody, guarded.issued)
    client = msgspec.json.decode(answer.client)["choices"][0]["message"]
    assert client["content"] == f"Dear {EMAIL}, <EMAIL:{'A' * 40}>"
    assert msgspec.json.decode(client["tool_calls"][0]["function"]["arguments"]) == {"to": EMAIL}
    assert EMAIL.encode() not in answer.record
    assert answer.verdicts[0].found == {}


async def test_an_answer_that_no_guard_touches_keeps_its_bytes() -> None:
    body = b'{ "choices":[{"message":{"role":"assistant","content":"fine"},"finish_reason":"stop"}], "x":1e40}'
    answer = await guard_answer(guards(REDACT), body, nobody, set())
    assert answer.client is body
    assert answer.record is body


async def test_an_answer_is_redacted_with_its_tool_calls_and_probabilities() -> None:
    body = msgspec.json.decode(completion(f"Ask {EMAIL}.", model="m", prompt_tokens=1))
    body["choices"][0]["logprobs"] = {"content": [{"token": EMAIL}]}
    answer = await guard_answer(guards(REDACT), msgspec.json.encode(body), nobody, set())
    assert EMAIL.encode() not in answer.client + answer.record
    assert msgspec.json.decode(answer.client)["usage"] == body["usage"]


async def test_a_blocked_answer_says_only_what_the_guard_says() -> None:
    made = guards({**REDACT, "action": "block", "on": ["output"]})
    answer = await guard_answer(made, completion(f"Ask {EMAIL}.", model="m", prompt_tokens=1), nobody, set())
    assert answer.blocked
    message = msgspec.json.decode(answer.client)["choices"][0]
    assert (message["message"]["content"], message["finish_reason"]) == ("A colleague takes over.", "content_filter")
    assert EMAIL.encode() not in answer.record


SCHEMA = {
    "check": "schema",
    "on": ["output"],
    "json_schema": {"type": "object", "required": ["price"]},
    "action": "block",
}


async def test_an_answer_of_the_wrong_shape_is_mended_once() -> None:
    made, wrong = guards(SCHEMA), completion('{"cost": 3}', model="m", prompt_tokens=1)
    first = await guard_answer(made, wrong, nobody, set())
    assert first.repair is not None
    assert not first.blocked
    assert [message["role"] for message in first.repair] == ["assistant", "user"]
    assert "'price' is a required property" in first.repair[1]["content"]
    second = await guard_answer(made, wrong, nobody, set(), may_repair=False)
    assert second.repair is None
    assert second.blocked
    good = await guard_answer(made, completion('{"price": 3}', model="m", prompt_tokens=1), nobody, set())
    assert (good.repair, good.blocked) == (None, False)


async def test_without_repair_a_wrong_shape_is_blocked_at_once() -> None:
    made = guards({**SCHEMA, "repair": False})
    answer = await guard_answer(made, completion("x", model="m", prompt_tokens=1), nobody, set())
    assert (answer.repair, answer.blocked) == (None, True)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"choices": [1]}', b'{"choices": [{"message": "x"}]}'])
async def test_what_is_no_completion_is_a_fault_of_the_provider(body: bytes) -> None:
    with pytest.raises(UpstreamCut):
        await guard_answer(guards(REDACT), body, nobody, set())


async def through(
    made: Guards, events: Sequence[bytes], issued: set[str] | None = None
) -> tuple[Any, Any, GuardedEvents]:
    """A stream, whole again, as the record and as the client have it."""
    guarded = GuardedEvents(made, nobody, set() if issued is None else issued)
    record, client = StreamedAnswer(), StreamedAnswer()
    parts = []
    for event in events:
        parts += await (guarded.end() if event == b"data: [DONE]\n\n" else guarded.read(event))
        if guarded.blocked:
            break
    for part in parts:
        for answer, data in ((record, part.record), (client, part.client)):
            if data:
                answer.read(data)
    return record, client, guarded


async def test_a_stream_that_no_guard_touches_keeps_its_bytes() -> None:
    events = completion_events(["Hello", " world"], model="m")[:-1]
    guarded = GuardedEvents(guards({**REDACT, "action": "flag"}), nobody, set())
    parts = [part for event in events for part in await guarded.read(event)]
    assert [part.client for part in parts] == events == [part.record for part in parts]


async def test_a_stream_is_redacted_across_its_pieces() -> None:
    events = completion_events(["Ask ", "anna", "@shop", ".exam", "ple about it", "."], model="m")
    record, client, guarded = await through(guards(REDACT), events)
    assert record.text == client.text == "Ask [EMAIL] about it."
    assert (client.finish_reason, client.usage) == ("stop", record.usage)
    assert guarded.verdicts[0].found == {"email": 1}


@settings(deadline=None)
@given(st.lists(st.integers(1, 30), max_size=30))
async def test_tokens_turn_back_in_a_stream_however_it_is_cut(sizes: list[int]) -> None:
    made = guards(TOKENS)
    issued = (await asked(made)).issued
    (token,) = issued
    text, pieces = f"Dear {token}, you <b>are</b> {token}. Bye {token}", []
    for size in sizes:
        pieces.append(text[:size])
        text = text[size:]
    record, client, _ = await through(made, completion_events([*pieces, text], model="m"), set(issued))
    assert client.text == f"Dear {EMAIL}, you <b>are</b> {EMAIL}. Bye {EMAIL}"
    assert EMAIL not in record.text
    assert record.text.count(token) == 3


async def test_a_stream_is_blocked_where_it_stands() -> None:
    made = guards({"check": "words", "words": ["acme"], "on": ["output"], "action": "block", "answer": "Not that."})
    events = completion_events(
        ["Better than anything else there is would be ", "Ac", "me bikes, ", "by far. " * 9], model="m"
    )
    record, client, guarded = await through(made, events)
    assert guarded.blocked
    assert client.text == record.text == "Better than anything else there is would be \n\nNot that."
    assert (client.finish_reason, client.ended) == ("content_filter", True)
    assert await guarded.read(events[1]) == []


def event(delta: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish, **more}
    return b"data: " + msgspec.json.encode({"id": "x", "choices": [choice]}) + b"\n\n"


async def test_tool_calls_come_whole_and_guarded() -> None:
    function = {"name": "send", "arguments": ""}
    events = [
        event({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": function}]}),
        event({"tool_calls": [{"index": 0, "function": {"arguments": '{"to": "anna@sh'}}]}),
        event({"tool_calls": [{"index": 0, "function": {"arguments": 'op.example"}'}}]}),
        event({}, "tool_calls"),
    ]
    record, client, _ = await through(guards(REDACT), events)
    for answer in (record, client):
        (call,) = msgspec.json.decode(answer.output())["tool_calls"]
        assert (call["id"], call["function"]) == ("a", {"name": "send", "arguments": '{"to":"[EMAIL]"}'})
        assert answer.finish_reason == "tool_calls"


async def test_thoughts_and_their_signed_blocks_are_guarded() -> None:
    blocks = [{"type": "thinking", "thinking": f"about {EMAIL}", "signature": "s"}]
    guarded = GuardedEvents(guards(REDACT), nobody, set())
    parts = await guarded.read(event({"reasoning_content": f"about {EMAIL} "}))
    parts += await guarded.read(event({"thinking_blocks": blocks}))
    parts += await guarded.read(event({"content": "hi"}, "stop"))
    sent = b"".join(part.client for part in parts)
    assert EMAIL.encode() not in sent
    assert b"about [EMAIL] " in sent


async def test_several_choices_are_guarded_apart() -> None:
    events = [event({"content": "anna@shop"}), event({"content": "hello "}, index=1)]
    events += [event({"content": ".example"}, "stop"), event({"content": "there"}, "stop", index=1)]
    record, _, _ = await through(guards(REDACT), events)
    assert [message["content"] for message in msgspec.json.decode(record.output())] == ["[EMAIL]", "hello there"]


async def test_what_is_held_back_comes_out_when_a_stream_just_ends() -> None:
    record, client, _ = await through(
        guards(REDACT), [event({"content": "see anna@shop.example"}), b"data: [DONE]\n\n"]
    )
    assert record.text == client.text == "see [EMAIL]"


@pytest.mark.parametrize(
    "bad",
    [
        b"data: nonsense\n\n",
        b'data: {"choices": [1]}\n\n',
        b'data: {"choices": [{"delta": 3}]}\n\n',
        b'data: {"choices": [{"delta": {"content": [{"text": "x"}]}}]}\n\n',
        b'data: {"choices": [{"delta": {"tool_calls": [3]}}]}\n\n',
    ],
)
async def test_no_odd_event_slips_by(bad: bytes) -> None:
    with pytest.raises(UpstreamCut):
        await GuardedEvents(guards(REDACT), nobody, set()).read(bad)


async def test_comments_and_usage_pass() -> None:
    guarded = GuardedEvents(guards(REDACT), nobody, set())
    for passing in (b": ping\n\n", b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n'):
        (part,) = await guarded.read(passing)
        assert part.client is passing


async def test_a_guard_that_cannot_look_ends_the_stream() -> None:
    made = guards({"check": "moderation", "model": "mod", "on": ["output"], "action": "block"})
    guarded = GuardedEvents(made, nobody, set())
    with pytest.raises(Unavailable, match="moderation"):
        await guarded.read(event({"content": "x" * 500}))


@pytest.mark.parametrize("pieces", [True, 7, "x", {"a": 1}, ["x"], [None]])
async def test_pieces_of_calls_that_are_none_end_the_answer(pieces: object) -> None:
    guarded = GuardedEvents(guards(TOKENS), nobody, set())
    event = msgspec.json.encode({"choices": [{"index": 0, "delta": {"tool_calls": pieces}, "finish_reason": None}]})
    with pytest.raises(UpstreamCut):
        await guarded.read(b"data: " + event + b"\n\n")
