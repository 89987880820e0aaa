"""What was said, as `gen_ai.input.messages` and `gen_ai.output.messages` have it: JSON, messages of parts. Pure.

The records hold messages as their wires have them; what no part of the conventions fits is told as it is.
"""

from __future__ import annotations

import json
from typing import Any

from rondo.records import Call

Part = dict[str, Any]
_SYSTEM = ("system", "developer")


def input_of(call: Call) -> str | None:
    """What the model was given, without its instructions."""
    messages = [_message(each) for each in _given(call) if each.get("role") not in _SYSTEM]
    if not messages and call.question:
        messages = [{"role": "user", "parts": [{"type": "text", "content": call.question}]}]
    return _text(messages) if messages else None


def system_of(call: Call) -> str | None:
    """Its instructions."""
    parts = [part for each in _given(call) if each.get("role") in _SYSTEM for part in _parts(each)]
    return _text(parts) if parts else None


def output_of(call: Call) -> str | None:
    """What it said: a message for each choice."""
    found = _load(call.output)
    said = found if isinstance(found, list) else [found]
    messages = [_message(each, "assistant") for each in said if isinstance(each, dict)]
    if not any(message["parts"] for message in messages):
        if not call.answer:
            return None
        messages = [{"role": "assistant", "parts": [{"type": "text", "content": call.answer}]}]
    return _text([{**message, "finish_reason": call.finish_reason or ""} for message in messages])


def _given(call: Call) -> list[dict[str, Any]]:
    found = _load(call.rendered) or _load(call.input)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _message(message: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"role": str(message.get("role") or role), "parts": _parts(message)}


def _parts(message: dict[str, Any]) -> list[Part]:
    content = message.get("content")
    if message.get("role") == "tool":
        return [{"type": "tool_call_response", "id": message.get("tool_call_id"), "response": content}]
    parts: list[Part] = []
    if isinstance(content, str):
        parts = [{"type": "text", "content": content}] if content else []
    elif isinstance(content, list):
        parts = [_part(each) for each in content]
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            arguments = _load(function.get("arguments"))
            parts.append(
                {
                    "type": "tool_call",
                    "id": call.get("id"),
                    "name": function.get("name"),
                    "arguments": function.get("arguments") if arguments is None else arguments,
                }
            )
    return parts


def _part(part: Any) -> Part:
    if isinstance(part, str):
        return {"type": "text", "content": part}
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return {"type": "text", "content": part["text"]}
    return part if isinstance(part, dict) else {"type": "text", "content": json.dumps(part)}


def _load(text: Any) -> Any:
    if not isinstance(text, str) or not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text(value: Any) -> str | None:
    """None for what is nested so deep that it could just be read, and not be written a little deeper."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return None
