"""A chat completion as an answer on Anthropic's wire, and errors in its form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import Message

from rondo.errors import (
    BudgetExceeded,
    Forbidden,
    InvalidRequest,
    NotFound,
    Overloaded,
    RateLimited,
    RondoError,
    TooLarge,
    Unauthorized,
    Unavailable,
    UpstreamCut,
    UpstreamError,
    UpstreamTimeout,
)
from rondo.gateway.wires.base import Given
from rondo.gateway.wires.messages import Messages
from rondo.providers.anthropic_answer import completion_of

BODY = b'{"model":"m","max_tokens":10,"messages":[{"role":"user","content":"Hello"}]}'
GIVEN = Given(trace_id="0" * 31 + "1", created_at=1, request=Messages().parse(BODY))
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}


def answered(finish: str | None = "stop", usage: Any = None, choice: dict[str, Any] | None = None, **said: Any) -> Any:
    message = {"role": "assistant", "content": None, **said}
    one = {"index": 0, "message": message, "finish_reason": finish, **(choice or {})}
    completion = {"object": "chat.completion", "model": "served-2026", "choices": [one], "usage": usage}
    body = Messages().answer(GIVEN, json.dumps(completion).encode())
    Message.model_validate_json(body, strict=True)  # what Anthropic's SDK takes for a message
    return json.loads(body)


def test_a_text() -> None:
    assert answered(content="Hi", usage={"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}) == {
        "id": "msg_00000000000000000000000000000001",
        "type": "message",
        "role": "assistant",
        "model": "served-2026",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 5,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 2,
        },
    }


def test_no_token_is_counted_twice() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
        "completion_tokens_details": {"reasoning_tokens": 20},
    }
    assert answered(content="x", usage=usage)["usage"] == {
        "input_tokens": 10,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 60,
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 20},
    }


def test_calls_and_thoughts() -> None:
    signed = {"type": "thinking", "thinking": "Hm.", "signature": "sig"}
    redacted = {"type": "redacted_thinking", "data": "xyz"}
    answer = answered("tool_calls", content="Wait.", thinking_blocks=[signed, redacted], tool_calls=[CALL, CALL])
    use = {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}}
    assert answer["content"] == [signed, redacted, {"type": "text", "text": "Wait."}, use, use]
    assert answer["stop_reason"] == "tool_use"


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_another_models_thoughts_have_an_empty_signature(field: str) -> None:
    said: Any = {field: "Hm."}
    content = answered(content="Hi", **said)["content"]
    assert content[0] == {"type": "thinking", "thinking": "Hm.", "signature": ""}


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ("", {}),
        ("  ", {}),
        ('{"a": 1.0}', {"a": 1.0}),
        ("[1]", {"arguments": "[1]"}),
        ('{"a":', {"arguments": '{"a":'}),
    ],
)
def test_arguments_that_are_odd(arguments: str, given: dict[str, Any]) -> None:
    call = {"type": "function", "function": {"name": "f", "arguments": arguments}}
    (block,) = answered(tool_calls=[call])["content"]
    assert block["input"] == given
    assert block["id"] == f"toolu_{GIVEN.trace_id}_0"


@pytest.mark.parametrize(
    ("finish", "said", "choice", "reason"),
    [
        ("stop", {"content": "x"}, {}, "end_turn"),
        ("length", {"content": "x"}, {}, "max_tokens"),
        ("content_filter", {"content": ""}, {}, "refusal"),
        ("stop", {"refusal": "No."}, {}, "refusal"),
        ("stop", {"content": "x"}, {"stop_sequence": "END"}, "stop_sequence"),
        ("tool_calls", {"tool_calls": [CALL]}, {}, "tool_use"),
        ("stop", {"tool_calls": [CALL]}, {}, "tool_use"),
        (None, {"content": "x"}, {}, "end_turn"),
        ("eos", {"content": "x"}, {}, "end_turn"),
    ],
)
def test_why_it_stopped(finish: str | None, said: dict[str, Any], choice: dict[str, Any], reason: str) -> None:
    answer = answered(finish, choice=choice, **said)
    assert answer["stop_reason"] == reason
    assert answer["stop_sequence"] == choice.get("stop_sequence")


def test_a_refusal_is_said() -> None:
    assert answered(refusal="No.")["content"] == [{"type": "text", "text": "No."}]


def test_nothing_said() -> None:
    assert answered(content="")["content"] == []


def test_from_anthropic_to_anthropic() -> None:
    """Through the dialect inside, an answer of Anthropic's is the same, but for its id."""
    content = [
        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    ]
    usage = {"input_tokens": 1, "output_tokens": 9, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 3}
    original = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-5",
        "content": content,
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": usage,
    }
    body = Messages().answer(GIVEN, completion_of(json.dumps(original).encode()))
    assert json.loads(body) == {**original, "id": f"msg_{GIVEN.trace_id}"}


@pytest.mark.parametrize("body", [b"oops", b"[]", b'{"choices": 5}'])
def test_what_is_no_completion(body: bytes) -> None:
    with pytest.raises(UpstreamCut):
        Messages().answer(GIVEN, body)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidRequest("x", param="messages"), "invalid_request_error"),
        (Unauthorized("x"), "authentication_error"),
        (Forbidden("x"), "permission_error"),
        (NotFound("x"), "not_found_error"),
        (TooLarge("x"), "request_too_large"),
        (RateLimited("x", retry_after=1), "rate_limit_error"),
        (BudgetExceeded("x", retry_after=1), "rate_limit_error"),
        (Overloaded("x"), "overloaded_error"),
        (Unavailable("x"), "overloaded_error"),
        (UpstreamTimeout("x"), "timeout_error"),
        (UpstreamError("x", status=500), "api_error"),
        (UpstreamError("x", status=422), "invalid_request_error"),
        (RondoError("x"), "api_error"),
    ],
)
def test_errors(error: RondoError, kind: str) -> None:
    error.trace_id = "t"
    body = json.loads(Messages().error(error))
    details = {"error_code": error.code, **({"param": error.param} if error.param else {})}
    assert body == {
        "type": "error",
        "error": {"type": kind, "message": "x", "details": details},
        "request_id": "t",
    }
