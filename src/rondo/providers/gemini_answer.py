"""Gemini's answers as chat completions, whole and streamed.

A stream is a row of partial answers, each with the tokens so far; it has no word for its end, so that it has ended when
every candidate has a reason to have finished.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from msgspec import Struct

from rondo.errors import UpstreamCut, UpstreamError
from rondo.ids import new_span_id
from rondo.providers import sse
from rondo.providers.dialect import DONE, Answer, tool_call, usage_of
from rondo.providers.reading import UNREADABLE, read

Json = dict[str, Any]


class _Call(Struct):
    name: str
    id: str | None = None
    args: msgspec.Raw = msgspec.Raw(b"{}")


class _Blob(Struct, rename="camel"):
    mime_type: str = ""


class _Part(Struct, rename="camel"):
    text: str | None = None
    thought: bool = False
    thought_signature: str | None = None
    function_call: _Call | None = None
    inline_data: _Blob | None = None


class _Content(Struct):
    parts: list[_Part] | None = None


class _Token(Struct, rename="camel"):
    token: str = ""
    log_probability: float | None = None


class _Tokens(Struct):
    candidates: list[_Token] | None = None


class _Logprobs(Struct, rename="camel"):
    chosen_candidates: list[_Token] = []
    top_candidates: list[_Tokens] = []


class _Candidate(Struct, rename="camel"):
    index: int = 0
    content: _Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    logprobs_result: _Logprobs | None = None


class _Usage(Struct, rename="camel"):
    prompt_token_count: int = 0
    tool_use_prompt_token_count: int = 0
    candidates_token_count: int = 0
    thoughts_token_count: int = 0
    cached_content_token_count: int = 0


class _Feedback(Struct, rename="camel"):
    block_reason: str | None = None


class _Error(Struct):
    code: int | None = None
    message: str = ""
    status: str = ""


class _Response(Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Usage | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: _Error | None = None


_response = msgspec.json.Decoder(_Response)
_FILTERED = frozenset(
    "SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT "
    "IMAGE_RECITATION MODEL_ARMOR".split()
)
_BROKEN = frozenset(
    "MALFORMED_FUNCTION_CALL UNEXPECTED_TOOL_CALL TOO_MANY_TOOL_CALLS MALFORMED_RESPONSE "
    "MISSING_THOUGHT_SIGNATURE".split()
)


def from_gemini(body: bytes, model: str) -> bytes:
    """A `chat.completion`. Raises UpstreamError where it is no answer, or none that can be used."""
    response = _read(body)
    answer = Answer(response.model_version or model, response.response_id or "")
    choices = [_choice(candidate) for candidate in response.candidates or ()]
    if not choices:
        choices = [{"index": 0, "message": _blocked(response), "finish_reason": "content_filter"}]
    return answer.whole(choices, _usage(response.usage_metadata))


class EventsFromGemini:
    """One stream: call it with the parts of its body. Raises UpstreamError where it holds one, or breaks off."""

    def __init__(self, model: str) -> None:
        self._answer = Answer(model)
        self._calls: dict[int, int] = {}
        self._open: dict[int, bool] = {}
        self._usage: _Usage | None = None

    async def __call__(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for _, data in sse.events(chunks):
            for event in self._take(_read(data)):
                yield event
        if not self._open or any(self._open.values()):
            raise UpstreamCut("Gemini broke off its answer.")
        usage = _usage(self._usage)
        if usage is not None:
            yield self._answer.usage_event(usage)
        yield DONE

    def _take(self, response: _Response) -> list[bytes]:
        self._answer.model = response.model_version or self._answer.model
        self._answer.answer_id = self._answer.answer_id or response.response_id or ""
        self._usage = response.usage_metadata or self._usage
        if not response.candidates and response.prompt_feedback is not None:
            self._open = {0: False}
            return [self._answer.event(_blocked(response), finish="content_filter")]
        return [event for candidate in response.candidates or () for event in self._candidate(candidate)]

    def _candidate(self, candidate: _Candidate) -> list[bytes]:
        at = candidate.index
        first = at not in self._open
        delta = _message(candidate)
        calls = delta.get("tool_calls", ())
        for position, call in enumerate(calls, self._calls.get(at, 0)):
            call["index"] = position
        self._calls[at] = self._calls.get(at, 0) + len(calls)
        if first:
            delta = {"role": "assistant", **delta}
        finish = _finish(candidate, called=self._calls[at] > 0)
        self._open[at] = finish is None and self._open.get(at, True)
        if not delta and finish is None:
            return []
        return [self._answer.event(delta, choice=at, finish=finish, **_logprobs(candidate))]


def _read(data: bytes) -> _Response:
    try:
        response = read(_response, data)
    except UNREADABLE as error:
        raise UpstreamCut(f"Gemini's answer cannot be read: {error}.") from None
    if response.error is not None:
        said = response.error.message or response.error.status or "unknown"
        raise UpstreamError(f"Gemini ended its answer with an error: {said}", status=response.error.code)
    return response


def _choice(candidate: _Candidate) -> Json:
    message = {"role": "assistant", "content": None, **_message(candidate)}
    finish = _finish(candidate, called="tool_calls" in message)
    if finish is None:
        raise UpstreamCut("Gemini broke off its answer.")
    if message["content"] is None and "tool_calls" not in message:
        message["content"] = ""
    return {"index": candidate.index, "message": message, "finish_reason": finish, **_logprobs(candidate)}


def _message(candidate: _Candidate) -> Json:
    """What a candidate says, as the fields of a message or of a delta."""
    said: dict[str, str] = {}
    calls: list[Json] = []
    for part in (candidate.content.parts if candidate.content else None) or ():
        if part.text:
            field = "reasoning_content" if part.thought else "content"
            said[field] = said.get(field, "") + part.text
        elif part.function_call is not None:
            calls.append(_tool_call(part.function_call, part.thought_signature))
        elif part.inline_data is not None:
            kind = part.inline_data.mime_type or "bytes"
            raise UpstreamError(f"Gemini answered with {kind}, which has no place in a chat completion.")
    return {**said, "tool_calls": calls} if calls else dict(said)


def _tool_call(call: _Call, signature: str | None) -> Json:
    """A call in our dialect; Gemini gives ids since version 3 only."""
    more = {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}
    arguments = bytes(call.args).decode("utf-8", "replace")
    call_id = call.id or f"call_{new_span_id()}"
    return {**tool_call(call_id, call.name, "{}" if arguments == "null" else arguments), **more}


def _finish(candidate: _Candidate, *, called: bool) -> str | None:
    reason = candidate.finish_reason
    if not reason:
        return None
    if reason in _BROKEN:
        more = f": {candidate.finish_message}" if candidate.finish_message else ""
        raise UpstreamError(f"Gemini's answer cannot be used ({reason}{more}).")
    if reason == "MAX_TOKENS":
        return "length"
    if reason in _FILTERED:
        return "content_filter"
    return "tool_calls" if called else "stop"


def _blocked(response: _Response) -> Json:
    """The message of an answer that was never begun. Raises UpstreamCut where nothing says why."""
    reason = response.prompt_feedback.block_reason if response.prompt_feedback else None
    if reason is None:
        raise UpstreamCut("Gemini's answer has no candidate.")
    return {"role": "assistant", "content": "", "refusal": f"Gemini blocked the prompt ({reason})."}


def _usage(used: _Usage | None) -> Json | None:
    """Gemini counts thoughts beside the answer, and what its tools read beside the prompt."""
    if used is None:
        return None
    return usage_of(
        used.prompt_token_count + used.tool_use_prompt_token_count,
        used.candidates_token_count + used.thoughts_token_count,
        cached=used.cached_content_token_count,
        reasoning=used.thoughts_token_count,
    )


def _logprobs(candidate: _Candidate) -> Json:
    result = candidate.logprobs_result
    if result is None:
        return {}
    content = []
    for position, token in enumerate(result.chosen_candidates):
        tops = result.top_candidates[position].candidates if position < len(result.top_candidates) else None
        content.append({**_logprob(token), "top_logprobs": [_logprob(top) for top in tops or ()]})
    return {"logprobs": {"content": content, "refusal": None}}


def _logprob(token: _Token) -> Json:
    return {"token": token.token, "logprob": token.log_probability, "bytes": list(token.token.encode())}
