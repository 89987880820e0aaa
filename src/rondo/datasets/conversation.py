"""Conversations as chat completions have them: made of text, or of other forms. Pure."""

from __future__ import annotations

import json
from typing import Any

_ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant", "function": "tool"}
_KNOWN = frozenset(("system", "developer", "user", "assistant", "tool"))


def is_conversation(value: Any) -> bool:
    """Whether it is a list of messages, in OpenAI's form or ShareGPT's."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, dict) and ("role" in each or "from" in each) for each in value)
    )


def messages_of(value: Any) -> list[dict[str, Any]] | None:
    """Messages from a text, a number, or a conversation; None where it is none of these."""
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [{"role": "user", "content": str(value)}]
    if not is_conversation(value):
        return None
    messages = []
    for each in value:
        message = dict(each) if "role" in each else {"role": each["from"], "content": each.get("value")}
        role = message["role"]
        if not isinstance(role, str):
            return None
        message["role"] = _ROLES.get(role, role)
        if message["role"] not in _KNOWN:
            return None
        messages.append(message)
    return messages


def tool_calls_of(message: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The calls of an assistant's message, as {"name", "arguments"}; arguments that are no JSON stay text."""
    calls = message.get("tool_calls") or (
        [{"function": message["function_call"]}] if message.get("function_call") else []
    )
    found = []
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            found.append({"name": function["name"], "arguments": _arguments(function.get("arguments"))})
    return found or None


def _arguments(given: Any) -> Any:
    if not isinstance(given, str):
        return {} if given is None else given
    try:
        return json.loads(given or "{}")
    except (ValueError, RecursionError):
        return given
