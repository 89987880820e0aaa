"""A request of the dialect inside as one of Anthropic's Messages. Pure; docs/wires.md has the table.

What Anthropic has no word for is refused by name. The exceptions change how an answer is drawn, not what is asked, and
are in the docs: sampling fields that a model does not take, `seed`, penalties, and OpenAI's own bookkeeping.
"""

from __future__ import annotations

from typing import Any

import msgspec

from rondo.errors import InvalidRequest
from rondo.providers.anthropic_content import blocks_of, cached, tool_input, tool_result
from rondo.providers.anthropic_models import EFFORTS, Claude, claude
from rondo.providers.chat_request import (
    ChatBody,
    Message,
    Thinking,
    ThinkingBlock,
    read_request,
    refused,
    wanted_schema,
    wanted_tools,
)

NAME = "Anthropic"
_JSON_ONLY = "Answer with one valid JSON object and nothing else."
_PASSED = ("inference_geo", "speed", "context_management", "cache_control")


_SYSTEM = ("system", "developer")


class AnthropicBody(ChatBody, forbid_unknown_fields=True, kw_only=True):
    """What a model's `params` may ask of Anthropic beyond the dialect goes on as it is."""

    inference_geo: str | None = None
    speed: str | None = None
    context_management: dict[str, Any] | None = None
    cache_control: dict[str, Any] | None = None


_decoder = msgspec.json.Decoder(AnthropicBody)


def messages_request(body: bytes, *, longest: int | None = None) -> dict[str, Any]:
    """The fields of `POST /v1/messages`. `longest` limits answers whose request sets no limit.

    Raises InvalidRequest, which names the field of the dialect inside.
    """
    request = read_request(_decoder, body, NAME)
    _refuse(request)
    model = claude(request.model)
    limit = request.longest if request.longest is not None else longest or model.longest
    system, messages = _Conversation(model).read(request.messages)
    fields: dict[str, Any] = {"model": request.model, "max_tokens": limit, "messages": messages}
    if (request.response_format is not None) and request.response_format.type == "json_object":
        system.append({"type": "text", "text": _JSON_ONLY})
    if system:
        fields["system"] = _plain(system)
    fields |= _tool_fields(request)
    fields |= _thinking_fields(request, model, limit)
    if (schema := wanted_schema(request)) is not None:
        shape = {"type": "json_schema", "schema": schema.schema}
        fields["output_config"] = {**fields.get("output_config", {}), "format": shape}
    fields |= _other_fields(request, model)
    return fields


_NOT_COUNTED = ("max_tokens", "metadata", "stream", "stop_sequences", "service_tier", "temperature", "top_p", "top_k")


def count_request(body: bytes) -> dict[str, Any]:
    """The fields of `POST /v1/messages/count_tokens` for the same request. Raises InvalidRequest."""
    return {name: value for name, value in messages_request(body).items() if name not in _NOT_COUNTED}


def _refuse(request: AnthropicBody) -> None:
    if request.n not in (None, 1):
        raise refused("n", "a Claude model gives one answer.", remedy="Send the request as often as you want answers.")
    for name in ("logprobs", "top_logprobs", "logit_bias", "audio", "web_search_options"):
        if getattr(request, name):
            raise refused(name, f"{NAME} has nothing like it.", remedy="Leave it out.")
    for name in ("functions", "function_call"):
        if getattr(request, name):
            raise refused(name, "it is out of date.", remedy="Use `tools` and `tool_choice`.")
    if request.verbosity not in (None, "medium"):
        raise refused("verbosity", f"{NAME} has nothing like it.", remedy="Ask for it in the prompt.")
    if request.modalities not in (None, [], ["text"]):
        raise refused("modalities", "a Claude model answers in text.", remedy='Use ["text"].')
    if request.reasoning_effort not in (None, *EFFORTS):
        known = ", ".join(f'"{effort}"' for effort in EFFORTS)
        raise refused("reasoning_effort", "there is no such effort.", remedy=f"Use one of {known}.")


def _tool_fields(request: AnthropicBody) -> dict[str, Any]:
    tools, mode = wanted_tools(request)
    if not tools:
        return {}
    made: list[dict[str, Any]] = []
    for function, cache in tools:
        schema = {"type": "object", **(function.parameters or {"properties": {}})}
        tool: dict[str, Any] = {"name": function.name, "input_schema": schema}
        if function.description:
            tool["description"] = function.description
        if function.strict:
            tool["strict"] = True
        made.append(cached(tool, cache))
    fields: dict[str, Any] = {"tools": made}
    if mode.startswith("="):
        choice: dict[str, Any] = {"type": "tool", "name": mode[1:]}
    else:
        choice = {"type": {"auto": "auto", "required": "any", "none": "none"}[mode]}
    if request.parallel_tool_calls is False and mode != "none":
        choice["disable_parallel_tool_use"] = True
    if choice != {"type": "auto"}:
        fields["tool_choice"] = choice
    return fields


def _thinking_fields(request: AnthropicBody, model: Claude, limit: int) -> dict[str, Any]:
    effort = request.reasoning_effort
    if request.thinking is not None:
        fields: dict[str, Any] = {"thinking": _thinking(request.thinking)}
        if effort is not None and model.adapts:
            fields |= {name: value for name, value in model.thinking(effort, limit).items() if name == "output_config"}
        return fields
    if effort is None:
        return {}
    fields = model.thinking(effort, limit)
    if not model.adapts and _forced(request):
        # Such a model calls no tool that it is made to call while it thinks.
        return {}
    if not model.adapts and _calls_without_thoughts(request.messages):
        # It would refuse to go on from calls whose thoughts the client did not send back.
        return {}
    return fields


def _thinking(thinking: Thinking) -> dict[str, Any]:
    kept = {"budget_tokens": thinking.budget_tokens, "display": thinking.display}
    return {"type": thinking.type, **{name: value for name, value in kept.items() if value is not None}}


def _forced(request: AnthropicBody) -> bool:
    return request.tool_choice not in (None, "auto", "none")


def _calls_without_thoughts(messages: list[Message]) -> bool:
    """Whether the conversation stands in the middle of tool calls that came without signed thoughts."""
    if messages[-1].role != "tool":
        return False
    last = next((message for message in reversed(messages) if message.role == "assistant"), None)
    return last is not None and not any(_keeps(block) for block in last.thinking_blocks or ())


def _other_fields(request: AnthropicBody, model: Claude) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    stops = [stop for stop in request.stops if stop.strip()]
    if stops:
        fields["stop_sequences"] = stops
    if model.samples:
        if request.temperature is not None:
            fields["temperature"] = min(request.temperature, 1.0)
        for name in ("top_p", "top_k"):
            if (value := getattr(request, name)) is not None:
                fields[name] = value
    user = request.user or request.safety_identifier
    if isinstance(user, str) and user:
        fields["metadata"] = {"user_id": user}
    if request.service_tier in ("auto", "default", "priority", "standard_only"):
        fields["service_tier"] = "auto" if request.service_tier in ("auto", "priority") else "standard_only"
    for name in _PASSED:
        if (value := getattr(request, name)) is not None:
            fields[name] = value
    if request.stream:
        fields["stream"] = True
    return fields


class _Conversation:
    """Messages as Anthropic wants them: the system's apart, turns that alternate, tool results in the user's."""

    def __init__(self, model: Claude) -> None:
        self._model = model
        self._system: list[dict[str, Any]] = []
        self._turns: list[dict[str, Any]] = []

    def read(self, messages: list[Message]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """(system blocks, turns). Raises InvalidRequest."""
        for position, message in enumerate(messages):
            where = f"messages[{position}]"
            if message.role in _SYSTEM:
                after = (other.role for other in messages[position + 1 :] if other.role not in _SYSTEM)
                self._take_system(message, where, next(after, "assistant"))
            elif message.role == "user":
                self._add("user", blocks_of(message.parts, where))
            elif message.role == "assistant":
                self._add("assistant", self._said(message, where))
            elif message.role == "tool":
                self._add("user", [tool_result(message, where)])
            else:
                raise refused(
                    f"{where}.role", f"{message.role!r} is no role.", remedy="Use system, user, assistant or tool."
                )
        if not self._turns:
            raise InvalidRequest("`messages` asks nothing.", remedy="Send a user message with text.", param="messages")
        _trim_end(self._turns[-1])
        for turn in self._turns:
            turn["content"] = _plain(turn["content"])
        return self._system, self._turns

    def _take_system(self, message: Message, where: str, following: str) -> None:
        blocks = blocks_of(message.parts, where)
        if any(block["type"] != "text" for block in blocks):
            raise refused(f"{where}.content", "a system message is text.", remedy="Move other parts to the user's.")
        # In its place where the model takes it there: after a user's turn and before the assistant's.
        in_place = self._model.hears_system_later and following == "assistant"
        if in_place and self._turns and self._turns[-1]["role"] in ("user", "system"):
            self._add("system", blocks)
        else:
            self._system += blocks

    def _said(self, message: Message, where: str) -> list[dict[str, Any]]:
        thoughts = [_thought(block, where) for block in message.thinking_blocks or () if _keeps(block)]
        blocks = thoughts + blocks_of(message.parts, where)
        if message.refusal and message.refusal.strip():
            blocks.append({"type": "text", "text": message.refusal})
        return blocks + [
            tool_input(call, f"{where}.tool_calls[{number}]") for number, call in enumerate(message.tool_calls or ())
        ]

    def _add(self, role: str, blocks: list[dict[str, Any]]) -> None:
        if not blocks:
            return
        if self._turns and self._turns[-1]["role"] == role:
            self._turns[-1]["content"] += blocks
        else:
            self._turns.append({"role": role, "content": blocks})


def _keeps(block: ThinkingBlock) -> bool:
    """Thoughts that Anthropic has not signed are another model's, and of no use to it."""
    return bool(block.signature) or block.type == "redacted_thinking"


def _thought(block: ThinkingBlock, where: str) -> dict[str, Any]:
    if block.type == "thinking":
        return {"type": "thinking", "thinking": block.thinking, "signature": block.signature}
    if block.type == "redacted_thinking":
        return {"type": "redacted_thinking", "data": block.data}
    raise refused(f"{where}.thinking_blocks", f"{block.type!r} is no thought.", remedy="Send them as they came.")


def _trim_end(turn: dict[str, Any]) -> None:
    """An answer that is to be continued may not end in white space."""
    last = turn["content"][-1]
    if turn["role"] == "assistant" and last["type"] == "text":
        last["text"] = last["text"].rstrip()


def _plain(blocks: list[dict[str, Any]]) -> Any:
    """A single text as a text."""
    only = blocks[0] if len(blocks) == 1 else {}
    return only["text"] if only.keys() == {"type", "text"} else blocks
