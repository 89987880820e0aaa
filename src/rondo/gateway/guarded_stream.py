"""Guards over an answer on its way: events in, and for each what is recorded and what the client gets.

Text flows through the guards' windows (`guards/windows.py`), so an event may come out later, with more or less text,
or not at all; events that no guard touches go on byte for byte. Tool calls are held until they are whole, and come as
one event. Fields that nobody knows are left out where guards redact or block: their pieces cannot be followed.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from rondo.errors import UpstreamCut
from rondo.gateway.reading import UNREADABLE, read
from rondo.gateway.stream import add_fragment, data_of
from rondo.guards.chain import Guards, keeps_thoughts
from rondo.guards.model import Ask, Role
from rondo.guards.pseudonyms import Restorer
from rondo.guards.texts import Slots, TooDeep
from rondo.guards.windows import Flow, Watch
from rondo.records import Verdict

_event = msgspec.json.Decoder(dict[str, Any])
_encode = msgspec.json.Encoder().encode
_CHANNELS: dict[str, Role] = {
    "content": "assistant",
    "reasoning_content": "reasoning",
    "reasoning": "reasoning",
    "refusal": "assistant",
}
_KNOWN = frozenset((*_CHANNELS, "role", "tool_calls", "thinking_blocks"))


class Part(Struct, frozen=True):
    """One event; either may be empty. `record` is what is read for the record, `client` what is sent."""

    record: bytes
    client: bytes


class GuardedEvents:
    """One streamed answer. Call `read` with every event up to `[DONE]`, and `end` in its place.

    Once `blocked` is true the answer has ended, whatever else the provider would say: read no more.
    """

    def __init__(self, guards: Guards, ask: Ask, issued: set[str]) -> None:
        self._guards = guards
        self._issued = issued
        self._watch = Watch(guards.output, ask, issued)
        self._choices: dict[int, _Choice] = {}
        self._head: dict[str, Any] = {}
        self.blocked = False

    @property
    def verdicts(self) -> list[Verdict]:
        """As of now; final after `end`."""
        return self._watch.verdicts

    async def read(self, event: bytes) -> list[Part]:
        """What goes on now, in order. Raises Unavailable where a guard cannot look, UpstreamCut for no event."""
        data = data_of(event)
        if data is None or self.blocked:
            return [] if self.blocked else [Part(event, event)]
        try:
            parsed = read(_event, data)
        except UNREADABLE:
            raise UpstreamCut("The provider sent an event that is no part of a completion.") from None
        choices = parsed.get("choices")
        if not choices or not isinstance(choices, list):
            return [Part(event, event)]
        self._head = {name: value for name, value in parsed.items() if name not in ("choices", "usage")}
        changed = False
        client: list[dict[str, Any]] = []
        kept: list[dict[str, Any]] = []
        for choice in choices:
            if not isinstance(choice, dict) or not isinstance(choice.get("delta") or {}, dict):
                raise UpstreamCut("The provider sent an event that is no part of a completion.")
            record, restored, other = await self._of(choice).read(choice)
            changed |= other
            kept += record
            client += restored
            if self._watch.blocked is not None:
                break
        if self._watch.blocked is not None:
            return [self._part(parsed, kept, client), *self._stop()]
        if not changed:
            return [Part(event, event)]
        return [self._part(parsed, kept, client)]

    async def end(self) -> list[Part]:
        """What was still held back, when the provider has nothing more to say. Raises Unavailable."""
        if self.blocked:
            return []
        parts: list[Part] = []
        for choice in self._choices.values():
            record, restored = await choice.end()
            if record or restored:
                parts.append(self._part(self._head, record, restored))
            if self._watch.blocked is not None:
                return [*parts, *self._stop()]
        return parts

    def _of(self, choice: dict[str, Any]) -> _Choice:
        index = choice.get("index")
        index = index if isinstance(index, int) else 0
        if index not in self._choices:
            self._choices[index] = _Choice(self._guards, self._watch, self._issued, index)
        return self._choices[index]

    def _stop(self) -> list[Part]:
        """Every choice ends with the guard's answer. What has been sent is sent."""
        self.blocked = True
        answer = self._watch.blocked or ""
        parts: list[Part] = []
        for index, choice in self._choices.items():
            if choice.finished:
                continue
            text = f"\n\n{answer}" if choice.said else answer
            ends = [{"index": index, "delta": {"content": text}, "finish_reason": "content_filter"}]
            parts.append(self._part(self._head, ends, ends))
        return parts

    def _part(self, parsed: dict[str, Any], record: list[dict[str, Any]], client: list[dict[str, Any]]) -> Part:
        """`usage` in such an event is kept even where its text is not."""
        usage = parsed.get("usage") is not None

        def event(choices: list[dict[str, Any]]) -> bytes:
            return b"data: " + _encode({**parsed, "choices": choices}) + b"\n\n" if choices or usage else b""

        return Part(event(record), event(client))


class _Choice:
    """One choice's texts, each through its own windows."""

    def __init__(self, guards: Guards, watch: Watch, issued: set[str], index: int) -> None:
        self._guards = guards
        self._watch = watch
        self._issued = issued
        self._index = index
        self._flows: dict[str, Flow] = {}
        self._restorers: dict[str, Restorer] = {}
        self._tool_calls: dict[tuple[int, int], dict[str, Any]] = {}
        self._function: dict[str, str] = {}
        self._holds_calls = bool(issued) or any(guard.placing is not None for guard in guards.output)
        self.finished = False
        self.said = False

    async def read(self, choice: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], bool]:
        """The choice for the record and for the client, and whether either is another one."""
        delta: dict[str, Any] = dict(choice.get("delta") or {})
        finish = choice.get("finish_reason")
        said, shown = dict(delta), dict(delta)
        changed = False
        for channel in _CHANNELS:
            text = delta.get(channel)
            if isinstance(text, str) and text:
                changed |= await self._feed(channel, text, said, shown)
            elif text is not None and not isinstance(text, str):
                raise UpstreamCut(f"The provider streams `{channel}` that is no text, so no guard can look at it.")
        changed |= await self._thoughts(delta, said, shown)
        if self._holds_calls and delta.get("tool_calls"):
            fragments = delta["tool_calls"]
            if not isinstance(fragments, list) or not all(isinstance(fragment, dict) for fragment in fragments):
                raise UpstreamCut("The provider sent a piece of a tool call that is none.")
            for fragment in fragments:
                add_fragment(self._tool_calls, self._index, fragment)
            for each in (said, shown):
                each.pop("tool_calls", None)
            changed = True
        if self._holds_calls:
            for name in [name for name, value in delta.items() if value and name not in _KNOWN]:
                self._function_call(name, delta[name])
                del said[name], shown[name]
                changed = True
        if finish is not None:
            self.finished = True
            changed |= await self._flush(said, shown)
        if not changed:
            self.said = self.said or bool(delta.get("content"))
            return [choice], [choice], False
        self.said = self.said or bool(shown.get("content"))
        bare = {name: value for name, value in choice.items() if name not in ("delta", "logprobs")}
        return _choice(bare, said, delta, finish), _choice(bare, shown, delta, finish), True

    async def end(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """What was held back, where no finish came."""
        said: dict[str, Any] = {}
        shown: dict[str, Any] = {}
        if not self.finished:
            await self._flush(said, shown)
        head = {"index": self._index}
        return _choice(head, said, {}, None), _choice(head, shown, {}, None)

    async def _feed(self, channel: str, text: str, said: dict[str, Any], shown: dict[str, Any]) -> bool:
        passed = await self._flow(channel).feed(text)
        restored = self._restore(channel, passed)
        said[channel], shown[channel] = passed, restored
        return passed != text or restored != text

    async def _flush(self, said: dict[str, Any], shown: dict[str, Any]) -> bool:
        """Add what is held back to the deltas; whether there was anything."""
        any_left = False
        for channel, flow in list(self._flows.items()):
            rest = await flow.feed("", last=True)
            restored = self._restore(channel, rest, last=True)
            for deltas, text in ((said, rest), (shown, restored)):
                if text:
                    deltas[channel] = (deltas.get(channel) or "") + text
                    any_left = True
            if self._watch.blocked is not None:
                return True
        if self._tool_calls:
            calls = [{"index": position, **call} for (_, position), call in sorted(self._tool_calls.items())]
            said["tool_calls"], shown["tool_calls"] = await self._guarded_calls(calls)
            self._tool_calls = {}
            any_left = True
        if self._function:
            holder = {"tool_calls": [{"function": self._function}]}
            for deltas, whole in zip((said, shown), await self._whole(holder), strict=True):
                deltas["function_call"] = whole["tool_calls"][0]["function"]
            self._function = {}
            any_left = True
        return any_left

    def _function_call(self, name: str, piece: Any) -> None:
        """Put a call in the way of old together, which is held like any other."""
        if name == "function_call" and isinstance(piece, dict):
            for part, text in piece.items():
                if isinstance(text, str):
                    self._function[part] = self._function.get(part, "") + text

    def _flow(self, channel: str) -> Flow:
        if channel not in self._flows:
            self._flows[channel] = Flow(self._watch, _CHANNELS[channel])
        return self._flows[channel]

    def _restore(self, channel: str, text: str, *, last: bool = False) -> str:
        if self._guards.pseudonyms is None or (not self._issued and channel not in self._restorers):
            return text
        if channel not in self._restorers:
            self._restorers[channel] = Restorer(self._guards.pseudonyms, self._issued)
        restorer = self._restorers[channel]
        return restorer.feed(text) + (restorer.end() if last else "")

    async def _thoughts(self, delta: dict[str, Any], said: dict[str, Any], shown: dict[str, Any]) -> bool:
        """Signed thoughts come whole, each in one piece."""
        if not delta.get("thinking_blocks"):
            return False
        holder = {"thinking_blocks": delta["thinking_blocks"]}
        record, client = await self._whole(holder)
        said.update(record)
        shown.update(client)
        return record != holder or client != holder

    async def _guarded_calls(self, calls: list[dict[str, Any]]) -> tuple[Any, Any]:
        record, client = await self._whole({"tool_calls": calls})
        return record.get("tool_calls"), client.get("tool_calls")

    async def _whole(self, message: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """A part of a message that is whole: for the record and for the client."""
        record = _copy(message)
        slots = _slots(record)
        values = [await Flow(self._watch, "arguments").feed(text.value, last=True) for text in slots.texts]
        slots.put(values, keep_thoughts=keeps_thoughts(self._guards.output))
        if not self._issued or self._guards.pseudonyms is None:
            return record, record
        client = _copy(record)
        slots = _slots(client)
        slots.put(
            [self._guards.pseudonyms.restore(text.value, self._issued) for text in slots.texts], keep_thoughts=True
        )
        return record, client


def _choice(
    head: dict[str, Any], delta: dict[str, Any], before: dict[str, Any], finish: str | None
) -> list[dict[str, Any]]:
    """The choice with its new delta; none where nothing is left to say."""
    kept = {
        name: value
        for name, value in delta.items()
        if value or (name in before and before[name] == value and name not in ("tool_calls", "thinking_blocks"))
    }
    if not any(kept.values()) and finish is None and not (kept and kept == before):
        return []
    return [{**head, "delta": kept, "finish_reason": finish}]


def _copy(message: dict[str, Any]) -> dict[str, Any]:
    return read(_event, _encode(message))


def _slots(message: dict[str, Any]) -> Slots:
    slots = Slots()
    try:
        slots.add_message(message, "assistant", others="reasoning")
    except TooDeep as error:
        raise UpstreamCut(f"The provider's answer cannot be checked: {error}.") from None
    return slots
