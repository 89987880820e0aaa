"""From what the gateway gave, or what the records have of it, to an Answer; and names for what kept one from coming.
Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Struct, structs

from rondo.datasets.model import text_of
from rondo.errors import RondoError, UpstreamError
from rondo.evals.model import Answer
from rondo.records import Call

TIMEOUT = "timeout"
CONTEXT_WINDOW = "context_window"
_TOO_LONG = (
    *("context_length_exceeded", "maximum context length", "context window", "prompt is too long"),
    *("input is too long", "exceeds the maximum number of tokens", "too many tokens"),
)
_TOO_LONG_STATUS = (400, 413, 422)
_LONGEST_MESSAGE = 500


class _Likely(Struct):
    token: str
    logprob: float


class _Token(Struct):
    logprob: float
    top_logprobs: list[_Likely] | None = None


class _Logprobs(Struct):
    content: list[_Token] | None = None


class _Choice(Struct):
    message: dict[str, Any] = {}
    logprobs: _Logprobs | None = None


class _Completion(Struct):
    choices: list[_Choice] = []


_completion = msgspec.json.Decoder(_Completion)


def answer_of(body: bytes, call: Call) -> Answer:
    """A chat completion as its client would get it, with what the record knows. Raises DecodeError for other bytes."""
    choices = _completion.decode(body).choices
    choice = choices[0] if choices else _Choice()
    tokens = choice.logprobs.content if choice.logprobs is not None else None
    answer = _answer(choice.message, call, [token.logprob for token in tokens] if tokens else None)
    if not tokens or not any(token.top_logprobs for token in tokens):
        return answer
    likely = [{each.token: each.logprob for each in token.top_logprobs or ()} for token in tokens]
    return structs.replace(answer, top_logprobs=likely)


def recorded_answer(call: Call) -> Answer | None:
    """What the records have of an answer, None where they have none; token probabilities are not recorded."""
    try:
        said = json.loads(call.output)
    except (ValueError, RecursionError):
        return None
    message = said[0] if isinstance(said, list) and said else said
    return _answer(message, call, None) if isinstance(message, dict) else None


def embedding_answer(body: bytes, call: Call) -> Answer:
    """An embeddings response, whole, as the answer's message."""
    return _answer(msgspec.json.decode(body, type=dict[str, Any]), call, None)


def _answer(message: dict[str, Any], call: Call, logprobs: list[float] | None) -> Answer:
    return Answer(
        text=text_of(message),
        message=message,
        tool_calls=[_tool_call(each) for each in message.get("tool_calls") or ()],
        chunks=call.chunks,
        handed_over=call.handed_over,
        finish_reason=call.finish_reason,
        logprobs=logprobs,
        latency_ms=call.duration_ms,
        first_token_ms=call.first_token_ms,
        input_tokens=_sum(call.input_tokens, call.cache_read_tokens, call.cache_write_tokens),
        output_tokens=_sum(call.output_tokens, call.reasoning_tokens),
        cost_usd=call.cost_usd,
        trace_id=call.trace_id,
    )


def _tool_call(call: Any) -> dict[str, Any]:
    """Arguments that are no JSON stay the text that they are."""
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        return {"name": "", "arguments": None}
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        with suppress(ValueError):
            arguments = json.loads(arguments or "{}")
    return {"name": str(function.get("name") or ""), "arguments": arguments}


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def error_name(error: RondoError) -> str:
    """What reports count: the error's code, with the provider's status where it gave one."""
    if not isinstance(error, UpstreamError) or error.status is None:
        return error.code
    said = (error.body.decode("utf-8", "replace") + str(error)).lower()
    if error.status in _TOO_LONG_STATUS and any(words in said for words in _TOO_LONG):
        return CONTEXT_WINDOW
    return f"upstream_{error.status}"


def error_message(error: Exception) -> str:
    """For people, not longer than a list can show."""
    return str(error)[:_LONGEST_MESSAGE] or type(error).__name__
