"""Where the text is in JSON: every piece of it in turn, and new text put back in its place. Pure.

Arguments of tool calls are JSON inside of a text: they are opened, so that what is put back leaves them JSON. Data
(files, pictures, signatures, ids) is passed over, and so are the names of fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from rondo.guards.model import Role, Text

MOST_DEPTH = 64
_NO_TEXT = frozenset(
    "role type id tool_call_id call_id signature data file_data file_id url detail format cache_control "
    "encrypted_content status".split()
)
_encode = msgspec.json.Encoder().encode


class TooDeep(ValueError):
    """Nested deeper than anyone needs."""


class Slots:
    """The texts of one or more JSON values, which are changed in place."""

    def __init__(self) -> None:
        self.texts: list[Text] = []
        self._places: list[Callable[[str], None]] = []
        self._keep_thoughts = True
        self._after: list[Callable[[], None]] = []

    def put(self, values: Sequence[str], *, keep_thoughts: bool) -> bool:
        """Put new text in the place of each; whether any was different.

        A thought that is signed and changed is taken out, unless `keep_thoughts`: the signature would not hold.
        """
        changed = False
        self._keep_thoughts = keep_thoughts
        for text, place, value in zip(self.texts, self._places, values, strict=True):
            if value != text.value:
                place(value)
                changed = True
        if changed:
            for after in self._after:
                after()
        return changed

    def add(self, holder: Any, key: Any, role: Role, *, message: bool = False, depth: int = 0) -> None:
        """All text in `holder[key]`; in a message, what is only data is passed over. Raises TooDeep."""
        value = holder[key]
        if isinstance(value, str):
            if value and not (message and key in _NO_TEXT):
                self._add_text(holder, key, role, value)
            return
        if depth > MOST_DEPTH:
            raise TooDeep("nested too deep")
        if isinstance(value, dict):
            for name in value:
                self.add(value, name, role, message=message, depth=depth + 1)
        elif isinstance(value, list):
            for position in range(len(value)):
                self.add(value, position, role, message=message, depth=depth + 1)

    def add_message(self, message: dict[str, Any], role: Role, *, others: Role) -> None:
        """A message: its content has `role`, its thoughts and tool calls their own, whatever else is in it `others`."""
        for key, value in message.items():
            if key == "content":
                self.add(message, key, role, message=True)
            elif key == "tool_calls" and isinstance(value, list):
                for call in value:
                    if isinstance(call, dict) and isinstance(call.get("function"), dict):
                        self.add_arguments(call["function"])
            elif key == "thinking_blocks" and isinstance(value, list):
                self._add_thoughts(value)
            elif key == "reasoning_content":
                self.add(message, key, "reasoning", message=True)
            else:
                self.add(message, key, others, message=True)

    def add_arguments(self, function: dict[str, Any]) -> None:
        """The arguments of a tool call: the texts in their JSON; as they are, where they are none."""
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            return
        try:
            opened = [msgspec.json.decode(arguments)]
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            self.add(function, "arguments", "arguments")
            return
        before = len(self.texts)
        self.add(opened, 0, "arguments")
        if len(self.texts) > before:
            first = self.texts[before:]
            self._after.append(lambda: _close(function, opened, first))

    def _add_thoughts(self, blocks: list[Any]) -> None:
        for block in list(blocks):
            if isinstance(block, dict) and isinstance(block.get("thinking"), str) and block["thinking"]:
                self.texts.append(Text("reasoning", block["thinking"]))
                self._places.append(partial(self._put_thought, blocks, block))

    def _put_thought(self, blocks: list[Any], block: dict[str, Any], value: str) -> None:
        if self._keep_thoughts:
            block["thinking"] = value
        else:
            blocks[:] = [each for each in blocks if each is not block]

    def _add_text(self, holder: Any, key: Any, role: Role, value: str) -> None:
        self.texts.append(Text(role, value))
        self._places.append(lambda new: holder.__setitem__(key, new))


def _close(function: dict[str, Any], opened: list[Any], before: list[Text]) -> None:
    """Write arguments as JSON again, where a text in them is another one now."""
    now = Slots()
    now.add(opened, 0, "arguments")
    if now.texts != before:
        function["arguments"] = _encode(opened[0]).decode()
