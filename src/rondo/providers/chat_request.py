"""A request of the dialect inside, read whole: for adapters that must translate it (docs/design.md). Pure.

Every field of the dialect is here; any other is refused by name, since a field that is dropped in silence is a wish
that nobody hears. Null is the same as absent, as with OpenAI.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from rondo.errors import InvalidRequest
from rondo.providers.reading import UNREADABLE, read


class CacheControl(Struct):
    """Where a provider's cache may end; `ttl` is "5m" or "1h"."""

    type: str = "ephemeral"
    ttl: str | None = None


class ImageUrl(Struct):
    url: str
    detail: str | None = None


class File(Struct):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class Audio(Struct):
    data: str
    format: str


class Part(Struct):
    """A piece of a message's content; which field counts is said by `type`."""

    type: str
    text: str = ""
    refusal: str = ""
    image_url: ImageUrl | None = None
    file: File | None = None
    input_audio: Audio | None = None
    cache_control: CacheControl | None = None


class CalledFunction(Struct):
    name: str
    arguments: str = ""


class ToolCall(Struct):
    id: str
    function: CalledFunction
    type: str = "function"
    extra_content: dict[str, Any] | None = None


class ThinkingBlock(Struct):
    type: str
    thinking: str = ""
    signature: str | None = None
    data: str = ""


class Message(Struct):
    """`content` is a text or a list of parts."""

    role: str
    content: str | list[Part] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    is_error: bool | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    thinking_blocks: list[ThinkingBlock] | None = None
    cache_control: CacheControl | None = None

    @property
    def parts(self) -> list[Part]:
        if isinstance(self.content, list):
            return self.content
        return [Part("text", text=self.content)] if self.content else []


class Function(Struct):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Struct):
    type: str
    function: Function | None = None
    cache_control: CacheControl | None = None


class JsonSchema(Struct):
    name: str | None = None
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class ResponseFormat(Struct):
    type: str
    json_schema: JsonSchema | None = None


class Thinking(Struct, omit_defaults=True):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class Named(Struct):
    """A tool as `tool_choice` names it."""

    type: str = "function"
    function: CalledFunction | None = None


class Allowed(Struct):
    mode: str = "auto"
    tools: list[Named] = []


class Chosen(Struct):
    """`tool_choice` where it is an object: one function, or the tools that are allowed."""

    type: str
    function: CalledFunction | None = None
    allowed_tools: Allowed | None = None


class ChatBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """The whole request. An adapter adds its provider's own fields in a subclass."""

    model: str = ""
    messages: list[Message]
    tools: list[Tool] | None = None
    tool_choice: str | Chosen | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    thinking: Thinking | None = None
    reasoning_effort: str | None = None
    service_tier: str | None = None
    verbosity: str | None = None
    modalities: list[str] | None = None
    audio: Any = None
    web_search_options: Any = None
    functions: Any = None
    function_call: Any = None
    # No provider but OpenAI's has a use for these, and no answer is another without them.
    stream: bool | None = None
    stream_options: Any = None
    user: Any = None
    metadata: Any = None
    store: Any = None
    prediction: Any = None
    prompt_cache_key: Any = None
    prompt_cache_retention: Any = None
    safety_identifier: Any = None

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def longest(self) -> int | None:
        """The limit of the answer's tokens."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


B = TypeVar("B", bound=Struct)
_UNKNOWN = re.compile(r"unknown field `([^`]{1,80})`(?: - at `\$\.?([^`]*)`)?")
_AT = re.compile(r" - at `\$\.?([^`]*)`$")
_DATA_URL = re.compile(r"data:([\w.+-]{1,80}/[\w.+-]{1,120})(?:;[\w.+=-]{1,80})*;base64,", re.ASCII)


def read_request(decoder: msgspec.json.Decoder[B], body: bytes, provider: str) -> B:
    """Raises InvalidRequest, which names the field. `provider` is as people call it."""
    try:
        return read(decoder, body)
    except msgspec.ValidationError as error:
        text = str(error)
        if unknown := _UNKNOWN.search(text):
            name = unknown[1]
            raise refused(name, f"{provider} has nothing for it.", remedy="Leave it out.") from None
        at = _AT.search(text)
        param = at[1] if at else None
        what = _AT.sub("", text)
        raise InvalidRequest(f"`{param or 'The request'}` cannot be read: {what}.", param=param) from None
    except UNREADABLE as error:
        raise InvalidRequest(f"The request cannot be read: {error}.") from None


def refused(param: str, why: str, *, remedy: str) -> InvalidRequest:
    return InvalidRequest(f"`{param}` cannot be used here: {why}", param=param, remedy=remedy)


def refuse_what_is_openais(request: ChatBody, provider: str, *fields: str) -> None:
    """Raise InvalidRequest for the first of `fields` that asks for something, and for what only OpenAI has."""
    only_openai = ("audio", "web_search_options", "logit_bias")
    for name in (*only_openai, *fields):
        if getattr(request, name):
            raise refused(name, f"{provider} has nothing like it.", remedy="Leave it out.")
    for name in ("functions", "function_call"):
        if getattr(request, name):
            raise refused(name, "it is out of date.", remedy="Use `tools` and `tool_choice`.")
    if request.parallel_tool_calls is False:
        raise refused(
            "parallel_tool_calls", f"{provider} cannot be kept to one call at a time.", remedy="Leave it out."
        )
    if request.verbosity not in (None, "medium"):
        raise refused("verbosity", f"{provider} has nothing like it.", remedy="Ask for it in the prompt.")
    if request.modalities not in (None, [], ["text"]):
        raise refused("modalities", "a chat completion from this provider is text.", remedy='Use ["text"].')


def wanted_tools(request: ChatBody) -> tuple[list[tuple[Function, CacheControl | None]], str]:
    """The functions that may be called, and how: "auto", "none", "required", or "=" and a function's name.

    Raises InvalidRequest for tools that are no functions, and for a choice that makes no sense.
    """
    tools: list[tuple[Function, CacheControl | None]] = []
    for position, tool in enumerate(request.tools or ()):
        if tool.type != "function" or tool.function is None:
            raise refused(f"tools[{position}].type", f"{tool.type!r} is no function.", remedy='Use "function".')
        tools.append((tool.function, tool.cache_control))
    choice = request.tool_choice
    if choice is None:
        return tools, "auto"
    if isinstance(choice, str):
        mode = choice
    elif choice.type == "function" and choice.function is not None:
        return tools, "=" + choice.function.name
    elif choice.type == "allowed_tools" and choice.allowed_tools is not None:
        mode = choice.allowed_tools.mode
        allowed = {named.function.name for named in choice.allowed_tools.tools if named.function is not None}
        tools = [(function, cache) for function, cache in tools if function.name in allowed]
    else:
        mode = ""
    if mode not in ("auto", "none", "required"):
        raise refused("tool_choice", "it names no way.", remedy='Use "auto", "none", "required", or a function.')
    return tools, mode


def wanted_schema(request: ChatBody) -> JsonSchema | None:
    """The schema that the answer must have. Raises InvalidRequest where `response_format` lacks one."""
    wanted = request.response_format
    if wanted is None or wanted.type in ("text", "json_object"):
        return None
    if wanted.type != "json_schema":
        raise refused("response_format.type", f"{wanted.type!r} is unknown.", remedy='Use "json_schema".')
    if wanted.json_schema is None or wanted.json_schema.schema is None:
        raise refused("response_format.json_schema", "it has no `schema`.", remedy="Give the JSON Schema there.")
    return wanted.json_schema


def data_url(url: str) -> tuple[str, str] | None:
    """(media type, base64) of a data: URL; None where it is none. Not copied, not decoded: the provider does that."""
    head = _DATA_URL.match(url[:400])
    return (head[1].lower(), url[head.end() :]) if head else None


def arguments_of(call: ToolCall, param: str) -> dict[str, Any]:
    """A tool call's arguments. Raises InvalidRequest where they are no JSON object."""
    try:
        arguments: Any = read(_any, (call.function.arguments or "{}").encode())
    except UNREADABLE:
        arguments = None
    if not isinstance(arguments, dict):
        raise refused(f"{param}.function.arguments", "it is no JSON object.", remedy="Send the call as it was made.")
    return arguments


_any = msgspec.json.Decoder(Any)


def text_of(parts: Iterable[Part]) -> str:
    """The text of parts that have no other."""
    return "".join(part.text or part.refusal for part in parts)
