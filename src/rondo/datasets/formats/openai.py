"""OpenAI's formats: rows of fine-tuning (chat, preference) and of evals (the library's, the API's). Pure.

- chat: {"messages": [..., {"role": "assistant", ...}], "tools": [...]}: the last message is what is expected
- preference: {"input": {"messages"}, "preferred_output": [...], "non_preferred_output": [...]}
- evals: {"input": [messages] or text, "ideal": text or several}
- Evals API: {"item": {...}}, whose fields may have any names
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rondo.datasets.conversation import messages_of
from rondo.datasets.fields import Unfit
from rondo.datasets.model import Example


def unwrapped(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row with what is wrapped in it at its top, so that columns can be found by their names."""
    item = fields.get("item")
    if isinstance(item, dict) and "messages" not in fields:
        rest = {name: value for name, value in fields.items() if name != "item" and name not in item}
        return {**item, **rest}
    asked = fields.get("input")
    if "preferred_output" in fields and isinstance(asked, dict) and isinstance(asked.get("messages"), list):
        rest = {name: value for name, value in fields.items() if name not in ("input", "preferred_output")}
        return {**asked, "expected": fields["preferred_output"], **rest}
    return fields


def require_chat(fields: Mapping[str, Any]) -> None:
    """Raises Unfit where a row is none of fine-tuning."""
    if "preferred_output" in fields:
        return
    messages = messages_of(fields.get("messages"))
    if messages is None:
        raise Unfit("`messages` is missing, or no list of messages.", "messages")
    if messages[-1]["role"] != "assistant":
        raise Unfit("The last message is not the assistant's.", "messages")


def require_evals(fields: Mapping[str, Any]) -> None:
    """Raises Unfit where a row is none of evals."""
    if not isinstance(fields.get("item"), dict) and "input" not in fields:
        raise Unfit("There is neither `input` nor `item`.", "input")


def to_chat(example: Example) -> dict[str, Any] | None:
    """A row of fine-tuning; None where the example says nothing of the right answer."""
    if example.expected is None and not example.tool_calls:
        return None
    answer: dict[str, Any] = {"role": "assistant"}
    if example.expected is not None:
        answer["content"] = first_text(example.expected)
    if example.tool_calls:
        answer["tool_calls"] = [
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {"name": call["name"], "arguments": as_json(call.get("arguments", {}))},
            }
            for number, call in enumerate(example.tool_calls, 1)
        ]
    row: dict[str, Any] = {"messages": [*example.messages, answer]}
    return {
        **row,
        **{name: example.params[name] for name in ("tools", "parallel_tool_calls") if name in example.params},
    }


def to_evals(example: Example) -> dict[str, Any] | None:
    """A row of evals; None where no answer is known to be right."""
    if example.expected is None:
        return None
    ideal = example.expected
    if not (isinstance(ideal, str) or (isinstance(ideal, list) and all(isinstance(each, str) for each in ideal))):
        ideal = as_json(ideal)
    return {"input": example.messages, "ideal": ideal}


def first_text(expected: Any) -> str:
    """What is expected as one text: the first of several, JSON as its text."""
    if isinstance(expected, list) and expected and all(isinstance(each, str) for each in expected):
        return str(expected[0])
    return expected if isinstance(expected, str) else as_json(expected)


def as_json(value: Any) -> str:
    """Compact JSON."""
    return msgspec.json.encode(value).decode()
