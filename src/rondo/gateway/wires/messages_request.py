"""A request on Anthropic's wire as a chat completion's. Pure; docs/wires.md has the table."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from rondo.errors import InvalidRequest
from rondo.gateway.reading import UNREADABLE, read
from rondo.gateway.request import ChatRequest
from rondo.gateway.request import Message as Said
from rondo.gateway.wire import as_tags
from rondo.gateway.wires.messages_blocks import Body, CacheControl, Format, Tool, ToolChoice, asks, is_object
from rondo.gateway.wires.messages_turns import messages_of, system_parts

_decoder = msgspec.json.Decoder(Body)
_any = msgspec.json.Decoder(Any)
_encode = msgspec.json.Encoder().encode
_AT = re.compile(r" - at `\$\.?([^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `([^`]{1,80})`")
_ONLY_ANTHROPICS = ("container", "inference_geo", "mcp_servers", "speed", "user_profile_id")
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_STREAM_OPTIONS = {"include_usage": True}


def parse_messages(body: bytes, *, counting: bool = False) -> ChatRequest:
    """Raises InvalidRequest, naming the field. A request whose tokens are to be counted needs no `max_tokens`."""
    request = _read(body)
    for name in _ONLY_ANTHROPICS:
        if asks(getattr(request, name)):
            raise _anthropics(name)
    if request.max_tokens is None and not counting:
        raise InvalidRequest("`max_tokens` is missing.", remedy="Say how long the answer may be.", param="max_tokens")
    if request.max_tokens is not None and request.max_tokens < 1:
        raise InvalidRequest("`max_tokens` is below 1.", remedy="Ask for at least one token.", param="max_tokens")
    messages = [*system_parts(request.system), *messages_of(request.messages)]
    if all(message["role"] == "system" for message in messages):
        raise InvalidRequest("`messages` is empty.", remedy="Send at least one message.", param="messages")
    if request.cache_control is not None:
        _mark_end(messages, request.cache_control)
    fields = _fields(request)
    tags = dict(request.metadata or {})
    user_id = tags.pop("user_id", None)
    if user_id is not None and not isinstance(user_id, str):
        raise InvalidRequest("`metadata.user_id` is no text.", remedy="Send a string.", param="metadata.user_id")
    user = user_id or None
    if user is not None:
        fields["user"] = user
    raw = {name: Raw(_encode(value)) for name, value in fields.items()}
    raw["messages"] = Raw(_encode(messages))
    return ChatRequest(
        fields=raw,
        model=request.model,
        messages=[Said(message["role"], message.get("content")) for message in messages],
        user=user,
        session=request.session,
        tags=as_tags(tags),
        inputs=request.inputs or {},
        stream=bool(request.stream),
        wants_usage=bool(request.stream),
        extended=_is_extended(fields, messages),
    )


def _read(body: bytes) -> Body:
    try:
        if not body.isascii():
            str(body, "utf-8")  # some values go on undecoded, and are recorded
        return read(_decoder, body)
    except msgspec.ValidationError as error:
        text = str(error)
        at = _AT.search(text)
        param = at[1] if at else None
        if unknown := _UNKNOWN.search(text):
            param = f"{param}.{unknown[1]}" if param else unknown[1]
            raise InvalidRequest(f"`{param}` is not known here.", remedy="Leave it out.", param=param) from None
        where = f"`{param}`" if param else "The request"
        raise InvalidRequest(f"{where} cannot be read: {_AT.sub('', text)}.", param=param) from None
    except UNREADABLE as error:
        raise InvalidRequest(f"The body is not a JSON object: {error}.") from None


def _fields(request: Body) -> dict[str, Any]:
    """Everything but the messages and the user, where the request has it."""
    output = request.output_config
    wanted: dict[str, Any] | None
    if output is not None and output.format is not None:
        wanted = _response_format(output.format, "output_config.format")
    else:  # the older name
        wanted = _response_format(request.output_format, "output_format") if request.output_format else None
    fields = {
        "model": request.model,
        "max_completion_tokens": request.max_tokens,
        "tools": [_tool(tool, position) for position, tool in enumerate(request.tools)] if request.tools else None,
        "stop": request.stop_sequences or None,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "thinking": request.thinking if asks(request.thinking) else None,
        "reasoning_effort": output.effort if output else None,
        "response_format": wanted,
        "service_tier": "default" if request.service_tier == "standard_only" else None,
        "stream": True if request.stream else None,
        "stream_options": _STREAM_OPTIONS if request.stream else None,
    }
    kept = {name: value for name, value in fields.items() if value is not None}
    return kept | _choice(request.tool_choice) if request.tools and request.tool_choice else kept


def _anthropics(param: str) -> InvalidRequest:
    return InvalidRequest(
        f"`{param}` is Anthropic's own, and cannot be asked for through Rondo.", remedy="Leave it out.", param=param
    )


def _tool(tool: Tool, position: int) -> dict[str, Any]:
    where = f"tools[{position}]"
    if tool.type not in (None, "custom"):
        raise InvalidRequest(
            f"`{where}.type` is {tool.type!r:.80}, a tool of Anthropic's own, which Rondo cannot pass on.",
            remedy="Describe a tool of yours with `input_schema`, and run it yourself.",
            param=f"{where}.type",
        )
    if not is_object(tool.input_schema):
        raise InvalidRequest(
            f"`{where}.input_schema` is no JSON Schema.",
            remedy='Send an object, at least {"type": "object"}.',
            param=f"{where}.input_schema",
        )
    if asks(tool.input_examples):
        raise _anthropics(f"{where}.input_examples")
    if tool.defer_loading:
        raise _anthropics(f"{where}.defer_loading")
    if any(caller != "direct" for caller in tool.allowed_callers or ()):
        raise _anthropics(f"{where}.allowed_callers")
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.input_schema}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    made: dict[str, Any] = {"type": "function", "function": function}
    if tool.cache_control is not None:
        made["cache_control"] = tool.cache_control
    return made


def _choice(choice: ToolChoice) -> dict[str, Any]:
    if choice.type == "tool":
        if not choice.name:
            raise InvalidRequest("`tool_choice.name` is missing.", remedy="Name the tool.", param="tool_choice.name")
        made: Any = {"type": "function", "function": {"name": choice.name}}
    else:
        made = _CHOICES[choice.type]
    return {"tool_choice": made, **({"parallel_tool_calls": False} if choice.disable_parallel_tool_use else {})}


def _response_format(wanted: Format, param: str) -> dict[str, Any]:
    """As strict as the schema allows: OpenAI refuses strictness where a property may be left out."""
    try:
        schema = read(_any, wanted.schema)
        strict = _is_strict(schema)
    except UNREADABLE as error:
        raise InvalidRequest(f"`{param}.schema` cannot be read: {error}.", param=f"{param}.schema") from None
    if not isinstance(schema, dict):
        raise InvalidRequest(f"`{param}.schema` is no JSON Schema.", remedy="Send an object.", param=f"{param}.schema")
    named: dict[str, Any] = {"name": "answer", "schema": wanted.schema}
    return {"type": "json_schema", "json_schema": {**named, "strict": True} if strict else named}


def _is_strict(schema: Any) -> bool:
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or properties is not None:
        required = schema.get("required")
        required = required if isinstance(required, list) else []
        names = properties if isinstance(properties, dict) else {}
        if schema.get("additionalProperties") is not False or any(name not in required for name in names):
            return False
    return all(map(_is_strict, schema.values()))


def _mark_end(messages: list[dict[str, Any]], cache: CacheControl) -> None:
    """Anthropic's automatic caching: the mark is put at the end of what was sent, unless there is one."""
    last = messages[-1]
    content = last.get("content")
    if isinstance(content, str) and content:
        last["content"] = [{"type": "text", "text": content, "cache_control": cache}]
    elif isinstance(content, list) and content:
        content[-1].setdefault("cache_control", cache)


def _is_extended(fields: dict[str, Any], messages: list[dict[str, Any]]) -> bool:
    """Whether there is anything of which OpenAI's own dialect has no word."""
    if "thinking" in fields or "top_k" in fields or any("cache_control" in tool for tool in fields.get("tools", ())):
        return True
    for message in messages:
        if message["role"] == "tool" and (message.get("is_error") or isinstance(message["content"], list)):
            return True
        if "thinking_blocks" in message or "reasoning_content" in message:
            return True
        content = message.get("content")
        if isinstance(content, list) and any("cache_control" in part for part in content):
            return True
    return False
