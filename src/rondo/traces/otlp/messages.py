"""What a model was given and what it said, from any of the conventions to the form of a chat completion. Pure.

Messages come as JSON (`gen_ai.input.messages`), as events, spread over numbered attributes, or only as a text. Each is
looked for in this order, and the first that is there is all that counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from rondo.traces.otlp import conventions as told
from rondo.traces.otlp.facts import loaded, text
from rondo.traces.otlp.model import Attributes, SentEvent
from rondo.traces.otlp.nested import gather
from rondo.traces.otlp.values import plain

Message = dict[str, Any]


class Talk(Struct, frozen=True):
    """`given` and `said` are JSON as a Call has them, or a text where that is all there is."""

    given: Any = None
    said: list[Message] = []
    finish: str | None = None

    @property
    def question(self) -> str:
        """The text of the last message of a user; of a text, all of it."""
        if isinstance(self.given, list):
            for message in reversed(self.given):
                if isinstance(message, dict) and message.get("role") == "user":
                    return text_of(message.get("content"))
            return ""
        return self.given if isinstance(self.given, str) else ""

    @property
    def answer(self) -> str:
        return text_of(self.said[0].get("content")) if self.said else ""


def talk_of(events: Sequence[SentEvent], attributes: Attributes) -> Talk:
    """The talk that a span tells of by its events and attributes, those of its details among them."""
    said = _said(events, attributes)
    finish = next((str(each["finish_reason"]) for each in said if each.get("finish_reason")), None)
    for message in said:
        message.pop("finish_reason", None)
    return Talk(given=_given(events, attributes), said=said, finish=finish)


def embedded_of(attributes: Attributes) -> Any:
    """The texts that were embedded."""
    texts = [_inner(each, "embedding").get("text") for each in gather(attributes, told.EMBEDDED)]
    known = [each for each in texts if isinstance(each, str)]
    return known or first_text(attributes, told.TEXT_IN)


def first_text(attributes: Attributes, names: tuple[str, ...]) -> Any:
    """The first of these that is there, JSON read."""
    for name in names:
        value = attributes.get(name)
        if value not in (None, "", []):
            return plain(loaded(value))
    return None


def _given(events: Sequence[SentEvent], attributes: Attributes) -> Any:
    system = _system(attributes.get(told.SYSTEM))
    for name in told.MESSAGES_IN:
        if attributes.get(name) not in (None, ""):
            read = plain(loaded(attributes[name]))
            if isinstance(read, list):
                return system + [each for part in read for each in _from_parts(part)]
            return [*system, {"role": "user", "content": text(read)}]
    for prefix in told.NUMBERED_IN:
        numbered = [_numbered(each) for each in gather(attributes, prefix)]
        if numbered:
            return system + numbered
    happened = [
        _from_event(event.attributes, told.EVENTS_IN[event.name]) for event in events if event.name in told.EVENTS_IN
    ]
    if happened:
        return system + happened
    found = first_text(attributes, told.TEXT_IN)
    if isinstance(found, dict) and isinstance(found.get("messages"), list):
        found = found["messages"]
    if isinstance(found, list) and found and all(isinstance(each, dict) and "role" in each for each in found):
        return system + found
    return (
        [*system, {"role": "user", "content": text(found)}] if system and found is not None else found or system or None
    )


def _said(events: Sequence[SentEvent], attributes: Attributes) -> list[Message]:
    for name in told.MESSAGES_OUT:
        if attributes.get(name) not in (None, ""):
            read = plain(loaded(attributes[name]))
            if isinstance(read, list):
                return [each for part in read for each in _from_parts(part, "assistant")]
            return [{"role": "assistant", "content": text(read)}]
    for prefix in told.NUMBERED_OUT:
        numbered = [_numbered(each, "assistant") for each in gather(attributes, prefix)]
        if numbered:
            return numbered
    happened = [_from_event(event.attributes, "assistant") for event in events if event.name == told.EVENT_OUT]
    if happened:
        return happened
    found = first_text(attributes, told.TEXT_OUT)
    return [] if found is None else [_answer(found)]


def _answer(found: Any) -> Message:
    """What a program told of as its output: a chat completion, a message, or anything."""
    if isinstance(found, dict):
        choices = found.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            inner = choices[0].get("message")
            if isinstance(inner, dict):
                return {"role": "assistant", **inner, "finish_reason": choices[0].get("finish_reason")}
        if isinstance(found.get("content"), str):
            return {"role": "assistant", **found}
    return {"role": "assistant", "content": text(found)}


def _system(value: Any) -> list[Message]:
    if value in (None, ""):
        return []
    read = plain(loaded(value))
    parts = read if isinstance(read, list) else [read]
    texts = [part.get("content") if isinstance(part, dict) else part for part in parts]
    return [{"role": "system", "content": "\n".join(text(each) for each in texts if each is not None)}]


def _from_parts(message: Any, role: str = "user") -> list[Message]:
    """A message of `gen_ai.input.messages`: a role and parts. Results of tools become messages of their own."""
    if not isinstance(message, dict):
        return [{"role": role, "content": text(message)}]
    made: Message = {"role": str(message.get("role") or role)}
    parts = message.get("parts")
    if not isinstance(parts, list):
        return [{**made, **{name: value for name, value in message.items() if name != "parts"}}]
    texts, calls, results = [], [], []
    for part in parts:
        if not isinstance(part, dict):
            texts.append(text(part))
        elif part.get("type") == "tool_call":
            calls.append(_tool_call(part.get("id"), part.get("name"), part.get("arguments")))
        elif part.get("type") == "tool_call_response":
            result = part.get("response", part.get("result"))
            results.append({"role": "tool", "tool_call_id": part.get("id"), "content": text(result)})
        elif part.get("type") in ("text", None):
            texts.append(text(part.get("content", "")))
        else:
            made.setdefault("parts", []).append(part)
    made["content"] = "\n".join(texts) if texts or not calls else None
    if calls:
        made["tool_calls"] = calls
    if message.get("finish_reason"):
        made["finish_reason"] = message["finish_reason"]
    return results if results and not (texts or calls) else [made, *results]


def _numbered(item: Any, role: str = "user") -> Message:
    """A message of `llm.input_messages.N.message` or of `gen_ai.prompt.N`."""
    found = _inner(item, "message")
    made: Message = {"role": str(found.get("role") or role), "content": found.get("content")}
    contents = found.get("contents")
    if isinstance(contents, list):
        made["content"] = [_content(_inner(each, "message_content")) for each in contents]
    calls = found.get("tool_calls")
    if isinstance(calls, list):
        made["tool_calls"] = [_numbered_call(_inner(each, "tool_call")) for each in calls]
    return made | {name: found[name] for name in ("tool_call_id", "name", "finish_reason") if found.get(name)}


def _numbered_call(call: dict[str, Any]) -> Message:
    function = call.get("function")
    inner = function if isinstance(function, dict) else call
    return _tool_call(call.get("id"), inner.get("name"), inner.get("arguments"))


def _content(part: dict[str, Any]) -> Message:
    if isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    return part


def _tool_call(name: Any, function: Any, arguments: Any) -> Message:
    return {
        "id": name,
        "type": "function",
        "function": {"name": function, "arguments": "" if arguments is None else text(arguments)},
    }


def _from_event(attributes: Attributes, role: str) -> Message:
    inner = loaded(attributes.get("message"))
    found = plain(inner) if isinstance(inner, dict) else attributes
    made: Message = {"role": str(found.get("role") or role), "content": _parts_or_text(found.get("content"))}
    calls = plain(loaded(found.get("tool_calls") or attributes.get("tool_calls")))
    if isinstance(calls, list):
        made["tool_calls"] = calls
    if attributes.get("id"):
        made["tool_call_id"] = attributes["id"]
    if attributes.get("finish_reason"):
        made["finish_reason"] = attributes["finish_reason"]
    return made


def _parts_or_text(content: Any) -> Any:
    """A list of parts, also where it is told as JSON; any other text stays one, even where it reads as JSON."""
    read = plain(loaded(content))
    return content if isinstance(content, str) and not isinstance(read, list) else read


def _inner(item: Any, name: str) -> dict[str, Any]:
    """`item[name]`, or the item itself where it has no such layer."""
    if not isinstance(item, dict):
        return {"content": text(item), "text": item}
    below = item.get(name)
    return below if isinstance(below, dict) else item


def text_of(content: Any) -> str:
    """As `gateway.request.text_of`, of whatever was sent."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "\n".join(part for part in parts if isinstance(part, str))
    return "" if content is None else text(content)
