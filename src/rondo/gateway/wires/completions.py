"""OpenAI's legacy text completions, asked of chat models: the prompt becomes a user's message. Pure.

A chat model answers a prompt, where a base model would have gone on with it. What only makes sense for going on (a
suffix, token ids as a prompt, the prompt's own log probabilities) is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from rondo.errors import InvalidRequest, RondoError
from rondo.gateway.request import ChatRequest, Message
from rondo.gateway.stream import DONE
from rondo.gateway.wire import as_tags, error_body, models_of, read_field, top_level
from rondo.gateway.wires.base import Given, WireStream
from rondo.gateway.wires.inside import Choice, Said, completion_of, event_of
from rondo.records import Wire

_MAX_TOKENS = Raw(b"16")
"""What OpenAI takes where the client sets no limit."""

_OWN = ("prompt", "suffix", "echo", "best_of", "logprobs")
_REFUSED = {
    "messages": "Use `prompt`, or /v1/chat/completions.",
    "tools": "Use /v1/chat/completions: a text completion cannot call tools.",
    "tool_choice": "Use /v1/chat/completions: a text completion cannot call tools.",
    "functions": "Use /v1/chat/completions: a text completion cannot call tools.",
    "max_completion_tokens": "Use `max_tokens`.",
    "top_logprobs": "Use `logprobs`.",
    "responses": "Leave it out.",
}

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")

_encode = msgspec.json.Encoder().encode
_string = msgspec.json.Decoder(str)
_prompt = msgspec.json.Decoder(str | list[str])
_int = msgspec.json.Decoder(int)
_bool = msgspec.json.Decoder(bool)
_object = msgspec.json.Decoder(dict[str, Any])


class Completions:
    """`POST /v1/completions`."""

    name: Wire = "completions"

    def parse(self, body: bytes) -> ChatRequest:
        return parse_completion(body)

    def answer(self, given: Given, completion: bytes) -> bytes:
        read = completion_of(completion)
        prefix = _echoed(given)
        head = _head(given, read.model)
        choices = [_choice(choice, choice.message or Said(), prefix) for choice in read.choices or ()]
        for choice in choices:
            choice["finish_reason"] = choice["finish_reason"] or "stop"
        return _encode({**head, "choices": choices, "usage": _usage(read.usage)})

    def stream(self, given: Given) -> WireStream:
        return _Stream(given)

    def error(self, error: RondoError) -> bytes:
        return error_body(error)


class _Stream:
    """Chunks of a text completion. `echo` puts the prompt before each choice's first piece."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._echoed: set[int] = set()
        self._ends: dict[int, int] = {}
        """How long the text of each choice is so far, where log probabilities tell offsets."""

    def begin(self) -> bytes:
        return b""

    def event(self, event: bytes) -> bytes:
        completion = event_of(event)
        if completion is None:
            return event if event.startswith(b":") else b""
        head = _head(self._given, completion.model)
        choices = [said for choice in completion.choices or () if (said := self._said(choice)) is not None]
        usage = _usage(completion.usage) if self._given.request.wants_usage and not completion.choices else None
        if not choices and usage is None:
            return b""
        return b"data: " + _encode({**head, "choices": choices, "usage": usage}) + b"\n\n"

    def end(self) -> bytes:
        return DONE

    def error(self, error: RondoError) -> bytes:
        return b"data: " + error_body(error) + b"\n\n"

    def _said(self, choice: Choice) -> dict[str, Any] | None:
        """A piece of a choice; None where it has nothing that this wire can tell."""
        prefix = ""
        if choice.index not in self._echoed:
            self._echoed.add(choice.index)
            prefix = _echoed(self._given)
        said = _choice(choice, choice.delta or Said(), prefix, start=self._ends.get(choice.index, 0))
        self._ends[choice.index] = self._ends.get(choice.index, 0) + len(said["text"])
        return said if said["text"] or said["finish_reason"] else None


def parse_completion(body: bytes) -> ChatRequest:
    """Raises InvalidRequest, naming the field."""
    given = {name: raw for name, raw in top_level(body).items() if bytes(raw) != b"null"}
    for name in given.keys() & _REFUSED.keys():
        raise InvalidRequest(f"`{name}` cannot be had on this wire.", remedy=_REFUSED[name], param=name)
    others = models_of(given) if "models" in given else []
    model = others[0] if others and "model" not in given else read_field(given, "model", _string)
    prompt = _read_prompt(given)
    _check(given)
    fields = {"max_tokens": _MAX_TOKENS, **{name: raw for name, raw in given.items() if name not in _OWN}}
    fields["messages"] = Raw(_encode([{"role": "user", "content": prompt}]))
    if "logprobs" in given:
        fields["logprobs"], fields["top_logprobs"] = Raw(b"true"), given["logprobs"]
    request = ChatRequest(fields=fields, model=model, models=others, messages=[Message("user", prompt)])
    if "echo" in given and read_field(given, "echo", _bool):
        request.echo = _encode(prompt)
    if "stream" in given:
        request.stream = read_field(given, "stream", _bool)
    if "stream_options" in given:
        request.wants_usage = bool(read_field(given, "stream_options", _object).get("include_usage"))
    if "n" in given:
        request.choices = read_field(given, "n", _int) or 1
    if "user" in given:
        request.user = read_field(given, "user", _string)
    if "session" in given:
        request.session = read_field(given, "session", _string)
    if "metadata" in given:
        request.tags = as_tags(read_field(given, "metadata", _object))
    if "inputs" in given:
        request.inputs = read_field(given, "inputs", _object)
    return request


def _read_prompt(given: dict[str, Raw]) -> str:
    raw = bytes(given.get("prompt", Raw())).lstrip()
    if raw.startswith(b"[") and raw[1:].lstrip()[:1] not in (b'"', b"]"):
        raise InvalidRequest("`prompt` holds token ids.", remedy="Send the text itself.", param="prompt")
    prompt: str | list[str] = read_field(given, "prompt", _prompt)
    if isinstance(prompt, list):
        if len(prompt) != 1:
            raise InvalidRequest(
                f"`prompt` holds {len(prompt)} prompts.", remedy="Send one request for each.", param="prompt"
            )
        prompt = prompt[0]
    if not prompt:
        raise InvalidRequest("`prompt` is empty.", remedy="Send a text to answer.", param="prompt")
    return prompt


def _check(given: dict[str, Raw]) -> None:
    """Raises InvalidRequest for what a chat completion cannot do."""
    if "suffix" in given and read_field(given, "suffix", _string):
        raise InvalidRequest(
            "`suffix` needs a model that fills in.", remedy="Say in the prompt what follows.", param="suffix"
        )
    answers = read_field(given, "n", _int) if "n" in given else 1
    if "best_of" in given and read_field(given, "best_of", _int) != answers:
        raise InvalidRequest(
            "`best_of` is not served: nobody would have compared the answers.",
            remedy="Leave it out; `n` gives several answers to choose from.",
            param="best_of",
        )
    if "logprobs" in given and "echo" in given and read_field(given, "echo", _bool):
        raise InvalidRequest(
            "`echo` with `logprobs` asks for the prompt's log probabilities, which a chat completion does not have.",
            remedy="Leave one of them out.",
            param="echo",
        )


def _echoed(given: Given) -> str:
    """What comes before the answer: the prompt, where the client wants it back."""
    return _string.decode(given.request.echo) if given.request.echo else ""


def _head(given: Given, model: str | None) -> dict[str, Any]:
    return {
        "id": f"cmpl-{given.trace_id}",
        "object": "text_completion",
        "created": given.created_at // 1_000_000,
        "model": model or given.request.model,
    }


def _usage(usage: dict[str, Any] | None) -> dict[str, Any] | None:
    """As the provider gave it, without details that are none; None where it lacks what clients insist on."""
    if usage is None or not all(isinstance(usage.get(name), int) for name in _COUNTS):
        return None
    details = {
        name: {part: count for part, count in value.items() if isinstance(count, int)}
        for name, value in usage.items()
        if isinstance(value, dict)
    }
    return {**{name: usage[name] for name in _COUNTS}, **details}


def _choice(choice: Choice, said: Said, prefix: str, *, start: int = 0) -> dict[str, Any]:
    """A choice, or a piece of one. A refusal is text here; a tool call (an app's own tools) is no text at all."""
    finish = choice.finish_reason
    return {
        "index": choice.index,
        "text": prefix + (said.text or said.refused),
        "logprobs": _logprobs(choice.tokens, start) if choice.tokens else None,
        "finish_reason": "stop" if finish == "tool_calls" else finish,
    }


def _logprobs(tokens: Sequence[Mapping[str, Any]], start: int) -> dict[str, Any]:
    """Log probabilities in the columns of this wire."""
    texts = [str(token.get("token", "")) for token in tokens]
    offsets = [start]
    for text in texts[:-1]:
        offsets.append(offsets[-1] + len(text))
    return {
        "tokens": texts,
        "token_logprobs": [token.get("logprob") for token in tokens],
        "top_logprobs": [
            {str(other.get("token")): other.get("logprob") for other in _others(token)} for token in tokens
        ],
        "text_offset": offsets,
    }


def _others(token: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    others = token.get("top_logprobs")
    return [other for other in others if isinstance(other, dict)] if isinstance(others, list) else []
