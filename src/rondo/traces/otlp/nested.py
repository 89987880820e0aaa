"""Lists that are spread over many attributes, put together again. Pure.

`llm.input_messages.0.message.role` is the role of the first of a list of messages. Numbers only order: `...7` alone
is a list of one. Names are keys of dictionaries and nothing else, whatever they spell.
"""

from __future__ import annotations

from typing import Any

from rondo.traces.otlp.model import Attributes
from rondo.traces.otlp.values import MAX_DEPTH


def gather(attributes: Attributes, prefix: str) -> list[Any]:
    """What stands under `prefix`, which ends in a dot, in the order of its numbers."""
    root: dict[str, Any] = {}
    for name, value in attributes.items():
        if name.startswith(prefix):
            _put(root, name[len(prefix) :].split("."), value)
    found = _lists(root)
    return found if isinstance(found, list) else []


def _put(node: dict[str, Any], path: list[str], value: Any) -> None:
    if len(path) > MAX_DEPTH:
        return
    for part in path[:-1]:
        below = node.setdefault(part, {})
        if not isinstance(below, dict):  # a value has taken the place
            return
        node = below
    node.setdefault(path[-1], value)


def _lists(node: Any) -> Any:
    """Dictionaries whose keys are all numbers become lists."""
    if not isinstance(node, dict):
        return node
    if node and all(_is_index(key) for key in node):
        return [_lists(node[key]) for key in sorted(node, key=int)]
    return {key: _lists(value) for key, value in node.items()}


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) < 10
