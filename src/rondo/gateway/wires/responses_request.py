"""A request of the Responses wire as a chat completion's. Pure.

Fields that both have go on as they came, and so do fields that neither has: a provider's own. Fields of Responses that
a chat completion cannot express are refused by name; docs/wires.md has the table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from rondo.errors import InvalidRequest, PreviousNotFound
from rondo.gateway.request import ChatRequest, Message
from rondo.gateway.wire import as_tags, models_of, read_field, top_level
from rondo.gateway.wires.responses_input import InputItem, converse, read_input
from rondo.gateway.wires.responses_tools import Tool, ToolChoice, chat_choice, chat_tool, check

RESPONSE_ID = re.compile(r"resp_([0-9a-f]{32})")
_ITEM_ID = re.compile(r"[a-z]{2,3}_([0-9a-f]{32})(?:_\w{1,10})?")
_MAX_EARLIER = 32
_NULL, _TRUE = Raw(b"null"), Raw(b"true")
_USAGE = Raw(b'{"include_usage":true}')

_SEND_ALL = "Send the conversation in `input`, or name the last response in `previous_response_id`."
_REFUSED: dict[str, str] = {
    "conversation": _SEND_ALL,
    "prompt": "Call an app by its name in `model`: its prompt is versioned with its release.",
    "background_options": "Leave it out: Rondo answers while the client waits.",
    "context_management": "Shorten `input` yourself.",
    "moderation": "Set up [[guards]] in rondo.toml.",
    "access_programs": "Leave it out.",
    "image": "Leave it out.",
    "messages": "Use `input`.",
    "n": "Ask as often as you want answers.",
    "max_tokens": "Use `max_output_tokens`.",
    "max_completion_tokens": "Use `max_output_tokens`.",
    "response_format": "Use `text.format`.",
    "verbosity": "Use `text.verbosity`.",
    "reasoning_effort": "Use `reasoning.effort`.",
    "functions": "Use `tools`.",
    "function_call": "Use `tool_choice`.",
    "modalities": "Ask for text; an answer of this wire has nothing else.",
    "audio": "Ask for text; an answer of this wire has nothing else.",
    "responses": "Leave it out.",
}
"""Fields that cannot be had here, and what to do instead."""

_SAME = ("temperature", "top_p", "service_tier", "safety_identifier", "prompt_cache_key", "user")
_ECHOED: dict[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": None,
    "store": True,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
"""What a response repeats of its request, and what stands there where the client did not say."""

_TRANSLATED = frozenset(_ECHOED) - frozenset(_SAME)
_HANDLED = _TRANSLATED | {"model", "input", "include", "stream", "stream_options"}

_INCLUDES = (
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "code_interpreter_call.outputs",
)


class Own(Struct, omit_defaults=True):
    """What this wire alone has a word for, as the record keeps it under `params.responses`.

    `instructions`: the first message of the record's input is they. `custom`: the names of custom tools.
    """

    instructions: bool = False
    previous_response_id: str | None = None
    store: bool = True
    summary: str | None = None
    custom: list[str] = []


class ResponsesRequest(ChatRequest, kw_only=True):
    """`previous` is the trace that it continues, `references` are items of earlier responses that it names.

    `awaited` are the calls whose results it brings, and which must be in the earlier response. Until it has been
    joined with what it `needs`, it is not to be answered. `body` is kept where references must be put in.
    """

    own: Own
    previous: str | None = None
    references: tuple[str, ...] = ()
    awaited: tuple[str, ...] = ()
    body: bytes = b""

    @property
    def needs(self) -> tuple[str, ...]:
        """The traces of the earlier responses, each once."""
        traces = [self.previous] if self.previous else []
        return tuple(dict.fromkeys([*traces, *(trace for item in self.references if (trace := trace_of(item)))]))


class _Format(Struct):
    type: str
    name: str | None = None
    schema: Raw = Raw()
    strict: bool | None = None
    description: str | None = None


class _Text(Struct):
    format: _Format | None = None
    verbosity: str | None = None


class _Reasoning(Struct):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None
    mode: str | None = None
    context: str | None = None


_encode = msgspec.json.Encoder().encode
_string = msgspec.json.Decoder(str)
_bool = msgspec.json.Decoder(bool)
_int = msgspec.json.Decoder(int)
_object = msgspec.json.Decoder(dict[str, Any])
_tools = msgspec.json.Decoder(list[Tool])
_choice = msgspec.json.Decoder(str | ToolChoice)
_text = msgspec.json.Decoder(_Text)
_reasoning = msgspec.json.Decoder(_Reasoning)
_strings = msgspec.json.Decoder(list[str])


def parse_responses(body: bytes, known: Mapping[str, InputItem | None] | None = None) -> ResponsesRequest:
    """Raises InvalidRequest, naming the field.

    `known` are the items that references stand for. Without it, references are left out and listed in the request.
    """
    given = {name: raw for name, raw in top_level(body).items() if bytes(raw) != b"null"}
    _refuse(given)
    others = models_of(given) if "models" in given else []
    model = others[0] if others and "model" not in given else read_field(given, "model", _string)
    items = read_input(given.get("input", Raw()))
    references = () if known is not None else tuple(i.id or "" for i in items if i.kind == "item_reference")
    conversation = converse([i for i in items if i.kind != "item_reference"] if references else items, known or {})
    own, tools = Own(), _read_tools(given)
    messages = conversation.messages
    if "instructions" in given:
        messages.insert(0, {"role": "system", "content": read_field(given, "instructions", _string)})
        own.instructions = True
    fields = {name: raw for name, raw in given.items() if name not in _HANDLED}
    fields["model"] = Raw(_encode(model))
    fields["messages"] = Raw(_encode(messages))
    fields.update(_translated(given, tools, own))
    request = ResponsesRequest(
        fields=fields,
        model=model,
        models=others,
        messages=[Message(message["role"], message["content"]) for message in messages],
        extended=conversation.extended,
        awaited=tuple(conversation.awaited),
        references=references,
        body=body if references else b"",
        echo=echo_of(given),
        own=own,
    )
    _read_rest(request, given)
    return request


def trace_of(item_id: str) -> str | None:
    """The trace whose answer an output item is part of; None for an id that is not ours."""
    found = _ITEM_ID.fullmatch(item_id)
    return found[1] if found else None


def _refuse(given: dict[str, Raw]) -> None:
    """Raises InvalidRequest for a field that cannot be had."""
    for name in given.keys() & _REFUSED.keys():
        raise InvalidRequest(f"`{name}` cannot be had on this wire.", remedy=_REFUSED[name], param=name)
    if "background" in given and read_field(given, "background", _bool):
        raise InvalidRequest(
            "`background` is not served: Rondo answers while the client waits.",
            remedy="Leave it out, and use `stream`.",
            param="background",
        )
    if "truncation" in given and (way := read_field(given, "truncation", _string)) != "disabled":
        raise InvalidRequest(
            f"`truncation` may not be {way!r:.50}: only the provider knows what fits.",
            remedy="Leave it out, and shorten `input` where it grows too long.",
            param="truncation",
        )


def _read_tools(given: dict[str, Raw]) -> list[Tool]:
    tools: list[Tool] = read_field(given, "tools", _tools) if "tools" in given else []
    check(tools)
    return tools


def _translated(given: dict[str, Raw], tools: list[Tool], own: Own) -> dict[str, Raw]:
    """The fields that a chat completion spells differently. What only this wire has goes into `own`."""
    fields: dict[str, Any] = {}
    if "max_output_tokens" in given:
        fields["max_completion_tokens"] = given["max_output_tokens"]
    fields.update(_tool_fields(given, tools))
    own.custom = [tool.name for tool in tools if tool.type == "custom"]
    if "text" in given:
        fields.update(_text_fields(read_field(given, "text", _text)))
    if "reasoning" in given:
        reasoning = _read_reasoning(given)
        own.summary = reasoning.summary or reasoning.generate_summary
        if reasoning.effort is not None:
            fields["reasoning_effort"] = reasoning.effort
    fields.update(_logprob_fields(given))
    if "stream" in given and read_field(given, "stream", _bool):
        fields["stream"], fields["stream_options"] = _TRUE, _USAGE
    if "store" in given:
        own.store = read_field(given, "store", _bool)
    if "previous_response_id" in given:
        own.previous_response_id = read_field(given, "previous_response_id", _string)
    if own != Own():
        fields["responses"] = own
    return {name: value if isinstance(value, Raw) else Raw(_encode(value)) for name, value in fields.items()}


def _tool_fields(given: dict[str, Raw], tools: list[Tool]) -> dict[str, Any]:
    """What is the default anyway is left out where there are no tools: OpenAI's chat completions refuse it there."""
    fields: dict[str, Any] = {}
    left = tools
    if "tool_choice" in given:
        choice, chosen = chat_choice(read_field(given, "tool_choice", _choice), tools)
        left = list(chosen)
        if tools or choice != "auto":
            fields["tool_choice"] = choice
    if left:
        fields["tools"] = [chat_tool(tool) for tool in left]
    if "parallel_tool_calls" in given and (tools or not read_field(given, "parallel_tool_calls", _bool)):
        fields["parallel_tool_calls"] = given["parallel_tool_calls"]
    return fields


def _text_fields(text: _Text) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if text.verbosity is not None:
        fields["verbosity"] = text.verbosity
    form = text.format
    if form is None or form.type == "text":
        return fields
    if form.type == "json_object":
        return {**fields, "response_format": {"type": "json_object"}}
    if form.type != "json_schema" or form.name is None or not bytes(form.schema):
        raise InvalidRequest(
            f"`text.format` of type {form.type!r:.50} cannot be used.",
            remedy="Use text, json_object, or json_schema with a `name` and a `schema`.",
            param="text.format",
        )
    schema: dict[str, Any] = {"name": form.name, "schema": form.schema}
    if form.strict is not None:
        schema["strict"] = form.strict
    if form.description is not None:
        schema["description"] = form.description
    return {**fields, "response_format": {"type": "json_schema", "json_schema": schema}}


def _read_reasoning(given: dict[str, Raw]) -> _Reasoning:
    reasoning: _Reasoning = read_field(given, "reasoning", _reasoning)
    for name, value, usual in (("mode", reasoning.mode, "standard"), ("context", reasoning.context, "auto")):
        if value not in (None, usual):
            raise InvalidRequest(
                f"`reasoning.{name}` cannot be {value!r:.50} here.", remedy="Leave it out.", param=f"reasoning.{name}"
            )
    return reasoning


def _logprob_fields(given: dict[str, Raw]) -> dict[str, Any]:
    included: list[str] = read_field(given, "include", _strings) if "include" in given else []
    for name in included:
        if name not in _INCLUDES:
            raise InvalidRequest(
                f"`include` may not have {name!r:.100}.", remedy=f"It may have {', '.join(_INCLUDES)}.", param="include"
            )
    top = read_field(given, "top_logprobs", _int) if "top_logprobs" in given else 0
    wanted = top > 0 or "message.output_text.logprobs" in included
    return {"logprobs": True, "top_logprobs": top} if wanted else {}


def _read_rest(request: ResponsesRequest, given: dict[str, Raw]) -> None:
    """What Rondo itself reads."""
    request.stream = request.wants_usage = "stream" in request.fields
    for name in ("user", "safety_identifier"):
        if request.user is None and name in given:
            request.user = read_field(given, name, _string)
    if "session" in given:
        request.session = read_field(given, "session", _string)
    if "metadata" in given:
        request.tags = as_tags(read_field(given, "metadata", _object))
    if "inputs" in given:
        request.inputs = read_field(given, "inputs", _object)
    if len(request.needs) > _MAX_EARLIER:
        raise InvalidRequest(
            f"`input` refers to more than {_MAX_EARLIER} earlier responses.",
            remedy="Send the items themselves, or use `previous_response_id`.",
            param="input",
        )
    if request.own.previous_response_id is not None:
        found = RESPONSE_ID.fullmatch(request.own.previous_response_id)
        if found is None:
            raise previous_not_found(request.own.previous_response_id)
        request.previous = found[1]
    elif request.awaited and not request.references:
        raise call_not_found(request.awaited[0])


def previous_not_found(response_id: str) -> PreviousNotFound:
    return PreviousNotFound(
        f"Previous response with id {response_id!r:.100} not found.",
        remedy="Send the conversation in `input`.",
        param="previous_response_id",
    )


def call_not_found(call_id: str) -> InvalidRequest:
    return InvalidRequest(
        f"No tool call found for the output of the call {call_id!r:.100}.",
        remedy="Send the `function_call` item too, or name its response in `previous_response_id`.",
        param="input",
    )


def echo_of(given: Mapping[str, Raw]) -> bytes:
    return _encode({name: given.get(name, default) for name, default in _ECHOED.items()})
