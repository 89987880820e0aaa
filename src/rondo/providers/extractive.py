"""A provider without any model: it quotes the retrieved passages with their numbers, or hands over to a person.

The baseline that every model has to beat: free, answers in about a millisecond, invents nothing, and runs where no
key is. It answers from `ProviderRequest.question` and `.chunks` alone; of the body it reads only what the wire needs.
An answer that equals `hand_over` is one that it did not dare to give.
"""

from __future__ import annotations

from typing import Any

import msgspec

from rondo import clock, ids
from rondo.errors import UpstreamError
from rondo.providers.base import ProviderRequest, ReadyReply, Reply
from rondo.providers.quoting import quotes
from rondo.providers.sentences import count_words

MODEL = "extractive"


class _Body(msgspec.Struct):
    messages: list[Any] = []
    stream_options: dict[str, Any] | None = None


class Extractive:
    """Stateless; one serves all requests.

    Its `usage` counts words and marks of punctuation, not the tokens of any tokenizer: of the messages in the body, and
    of the answer.
    """

    async def send(self, request: ProviderRequest) -> Reply:
        """Raises UpstreamError with status 400 for embeddings, which it has none of, and for a body that is no JSON."""
        if request.path != "/chat/completions":
            raise UpstreamError(
                "The provider `extractive` makes no embeddings.", status=400, remedy="Use a model that does."
            )
        try:
            body = msgspec.json.decode(request.body, type=_Body)
        except msgspec.DecodeError as error:
            raise UpstreamError(f"The request is not valid: {error}.", status=400) from None
        parts = answer(request)
        usage = _usage(body.messages, "".join(parts))
        if not request.stream:
            return ReadyReply([_completion("".join(parts), usage)])
        wants_usage = bool((body.stream_options or {}).get("include_usage"))
        return ReadyReply(_events(parts, usage if wants_usage else None), content_type="text/event-stream")


def answer(request: ProviderRequest) -> list[str]:
    """The answer in pieces of one sentence each, to be joined as they are; `[hand_over]` where there is none."""
    found = quotes(request.question, request.chunks)
    if not found:
        return [request.hand_over]
    sentences = [f"{quote.text} [{quote.number}]" for quote in found]
    return [f"{sentence} " for sentence in sentences[:-1]] + sentences[-1:]


def _completion(text: str, usage: dict[str, int]) -> bytes:
    return msgspec.json.encode(
        {
            **_envelope("chat.completion"),
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text, "refusal": None},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": usage,
        }
    )


def _events(parts: list[str], usage: dict[str, int] | None) -> list[bytes]:
    envelope = _envelope("chat.completion.chunk")
    if usage is not None:
        envelope["usage"] = None

    def event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _event({**envelope, "choices": [choice]})

    events = [event({"role": "assistant", "content": ""})]
    events += [event({"content": part}) for part in parts]
    events.append(event({}, "stop"))
    if usage is not None:
        events.append(_event({**envelope, "choices": [], "usage": usage}))
    events.append(b"data: [DONE]\n\n")
    return events


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def _envelope(kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{ids.new_trace_id()}",
        "object": kind,
        "created": clock.now_us() // 1_000_000,
        "model": MODEL,
    }


def _usage(messages: list[Any], text: str) -> dict[str, int]:
    prompt = sum(count_words(each) for message in messages for each in _texts(message))
    completion = count_words(text)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _texts(message: Any) -> list[str]:
    """The text of a message, whose content is text or a list of parts."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        return []
    return [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
