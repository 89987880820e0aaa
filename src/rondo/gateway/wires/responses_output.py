"""A chat completion as a response: output items, status, usage. Pure but for the time at which it was done.

An item's id tells its answer's trace and its kind, so that the record gives the same ids again: `msg_<trace>`,
`rs_<trace>`, `fc_<trace>_<call>`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from rondo import clock
from rondo.gateway.wires import thinking
from rondo.gateway.wires.inside import Choice, Completion, Said, ToolCall
from rondo.gateway.wires.responses_tools import custom_input
from rondo.traces.cost import is_counted, usage_from

Item = dict[str, Any]
INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Reasons to finish by which an answer stays incomplete, in this wire's words."""

_encode = msgspec.json.Encoder().encode
_echo = msgspec.json.Decoder(dict[str, Raw])


class _ToolName(Struct):
    type: str = ""
    name: str = ""


_tool_names = msgspec.json.Decoder(list[_ToolName])


def reasoning_item(item_id: str, texts: Sequence[str], kept: str | None, status: str = "completed") -> Item:
    """`kept` is what the client must send back unchanged."""
    return {
        "id": item_id,
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text} for text in texts],
        "encrypted_content": kept,
        "status": status,
    }


def message_item(trace_id: str, parts: Sequence[dict[str, Any]], status: str = "completed") -> Item:
    return {
        "id": f"msg_{trace_id}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [dict(part) for part in parts],
    }


def text_part(text: str, tokens: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """`tokens` are log probabilities as a chat completion has them."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": [_token(token) for token in tokens]}


def refusal_part(text: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": text}


def call_item(trace_id: str, call: ToolCall, custom: Collection[str], status: str = "completed") -> Item:
    """A call of a function, or of a custom tool that a function stood for."""
    item = {"id": f"fc_{trace_id}_{call.index}", "call_id": call_id(trace_id, call), "name": call.name}
    if call.name in custom:
        return {**item, "type": "custom_tool_call", "input": custom_input(call.arguments)}
    return {**item, "type": "function_call", "arguments": call.arguments, "status": status}


def call_id(trace_id: str, call: ToolCall) -> str:
    """The provider's id of a call, or, from one that gives none, ours."""
    return call.id or f"call_{trace_id}_{call.index}"


def signatures_item(trace_id: str, calls: Sequence[ToolCall]) -> Item | None:
    """A last reasoning item that keeps the signatures of tool calls; None where they have none."""
    signed = {
        call_id(trace_id, call): signature
        for call in calls
        if call.extra_content is not None and (signature := thinking.signature(call.extra_content))
    }
    return reasoning_item(f"rs_{trace_id}_calls", [], thinking.wrap(extra_content=signed)) if signed else None


def items_of(
    trace_id: str,
    said: Said,
    finish_reason: str | None,
    *,
    custom: Collection[str] = (),
    tokens: Sequence[dict[str, Any]] = (),
) -> list[Item]:
    """The output items of a whole answer."""
    items: list[Item] = []
    thought, blocks = said.thinking, said.blocks
    if thought or blocks:
        items.append(reasoning_item(f"rs_{trace_id}", [thought] if thought else [], thinking.wrap(blocks)))
    parts = [text_part(said.text, tokens)] if said.text else []
    if said.refused:
        parts.append(refusal_part(said.refused))
    if parts:
        items.append(message_item(trace_id, parts))
    calls = said.calls()
    for place, call in enumerate(calls):
        call.index = place
        items.append(call_item(trace_id, call, custom))
    return closed(trace_id, items, finish_reason, calls)


def closed(trace_id: str, items: list[Item], finish_reason: str | None, calls: Sequence[ToolCall]) -> list[Item]:
    """The items with what comes last: an empty message where there is nothing, and the calls' signatures."""
    if not items:
        items = [message_item(trace_id, [text_part("")])]
    if finish_reason in INCOMPLETE and "status" in items[-1]:
        items[-1]["status"] = "incomplete"
    signatures = signatures_item(trace_id, calls)
    return [*items, signatures] if signatures else items


class Frame:
    """What a response says beside its output: the request's fields, its id and times."""

    def __init__(self, trace_id: str, created_at: int, model: str, echo: bytes) -> None:
        """`created_at` is in microseconds; `echo` the request's fields, as JSON."""
        self.trace_id = trace_id
        self.model = model
        self.service_tier: Any = None
        self._created_at = created_at // 1_000_000
        self._echo = _echo.decode(echo) if echo else {}

    def custom(self) -> frozenset[str]:
        """The names of the request's custom tools."""
        raw = bytes(self._echo.get("tools", Raw()))
        if b"custom" not in raw:
            return frozenset()
        return frozenset(tool.name for tool in _tool_names.decode(raw) if tool.type == "custom")

    def heard(self, completion: Completion) -> None:
        """Take up what the provider says of itself."""
        self.model = completion.model or self.model
        self.service_tier = completion.service_tier or self.service_tier

    def response(
        self,
        status: str,
        items: Sequence[Item] = (),
        *,
        usage: Mapping[str, Any] | None = None,
        incomplete: str | None = None,
        error: Mapping[str, Any] | None = None,
        completed_at: int | None = None,
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "id": f"resp_{self.trace_id}",
            "object": "response",
            "created_at": self._created_at,
            "status": status,
            "completed_at": completed_at,
            "error": error,
            "incomplete_details": {"reason": incomplete} if incomplete else None,
            "model": self.model,
            "output": items,
            "usage": usage_of(usage) if usage is not None else None,
            **self._echo,
        }
        if isinstance(self.service_tier, str):
            body["service_tier"] = self.service_tier
        return body

    def finished(
        self, items: Sequence[Item], finish_reason: str | None, usage: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """The response of an answer that came to its end, if not to the model's."""
        incomplete = INCOMPLETE.get(finish_reason or "")
        return self.response(
            "incomplete" if incomplete else "completed",
            items,
            usage=usage,
            incomplete=incomplete,
            completed_at=None if incomplete else clock.now_us() // 1_000_000,
        )


def answer(frame: Frame, completion: Completion) -> bytes:
    """The response of a whole completion."""
    choice = completion.choices[0] if completion.choices else Choice()
    frame.heard(completion)
    items = items_of(
        frame.trace_id, choice.message or Said(), choice.finish_reason, custom=frame.custom(), tokens=choice.tokens
    )
    return _encode(frame.finished(items, choice.finish_reason, completion.usage))


def usage_of(usage: Mapping[str, Any]) -> dict[str, Any] | None:
    """Tokens in this wire's words; None where they are not known."""
    if not is_counted(usage):
        return None
    counted = usage_from(usage)
    return usage_in(
        counted.input + counted.cache_read + counted.cache_write,
        counted.cache_read,
        counted.cache_write,
        counted.output + counted.reasoning,
        counted.reasoning,
    )


def usage_in(prompt: int, cached: int, written: int, completion: int, reasoning: int) -> dict[str, Any]:
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + completion,
    }


def _token(token: Mapping[str, Any]) -> dict[str, Any]:
    others = token.get("top_logprobs")
    return {
        **_logprob(token),
        "top_logprobs": [_logprob(other) for other in others if isinstance(other, dict)]
        if isinstance(others, list)
        else [],
    }


def _logprob(token: Mapping[str, Any]) -> dict[str, Any]:
    text = token.get("token")
    text = text if isinstance(text, str) else ""
    raw = token.get("bytes")
    return {
        "token": text,
        "logprob": token.get("logprob"),
        "bytes": raw if isinstance(raw, list) else list(text.encode("utf-8", "replace")),
    }
