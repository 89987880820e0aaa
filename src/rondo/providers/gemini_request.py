"""A chat request as Gemini's `generateContent` takes it. Pure.

What Gemini has no word for and what does not change the answer is left out (docs/wires.md lists it); anything else is
refused by name.
"""

from __future__ import annotations

import mimetypes
import re
from typing import Any

import msgspec

from rondo.providers.chat_request import (
    ChatBody,
    Message,
    Part,
    ToolCall,
    arguments_of,
    data_url,
    read_request,
    refuse_what_is_openais,
    refused,
    text_of,
    wanted_schema,
    wanted_tools,
)

NAME = "Gemini"


class GeminiBody(ChatBody, kw_only=True):
    """With the fields of Gemini's own that may be given beside ours; `generationConfig` goes over what is mapped."""

    safetySettings: list[dict[str, Any]] | None = None  # noqa: N815
    cachedContent: str | None = None  # noqa: N815
    generationConfig: dict[str, Any] | None = None  # noqa: N815


_decoder = msgspec.json.Decoder(GeminiBody)
_encode = msgspec.json.Encoder().encode
_VERSION = re.compile(r"gemini-(\d{1,3})(?![0-9])")
_ROLES = {"user": "user", "assistant": "model"}
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
_LEVELS = {"none": "minimal", "minimal": "minimal", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh"}
_TIERS = {"flex": "flex", "priority": "priority", "default": "standard"}
_AUDIO = {"wav": "audio/wav", "mp3": "audio/mp3"}
# Google's own word for a call that another model made, whose thoughts Gemini cannot have signed.
_UNSIGNED = "skip_thought_signature_validator"


def to_gemini(body: bytes, model: str) -> bytes:
    """Raises InvalidRequest, which names the field of the request."""
    request = read_request(_decoder, body, NAME)
    refuse_what_is_openais(request, NAME)
    levels = thinks_in_levels(model)
    system, contents = _conversation(request.messages, levels)
    made: dict[str, Any] = {"contents": contents}
    if system:
        made["systemInstruction"] = {"parts": system}
    made.update(_tools(request))
    if config := _generation(request, levels):
        made["generationConfig"] = config
    for name in ("safetySettings", "cachedContent"):
        if value := getattr(request, name):
            made[name] = value
    if tier := _TIERS.get(request.service_tier or ""):
        made["serviceTier"] = tier
    return _encode(made)


def thinks_in_levels(model: str) -> bool:
    """Whether a model is told how much to think by a level, as all are since Gemini 3, and not by a budget."""
    version = _VERSION.search(model)
    return version is None or int(version[1]) >= 3


def _conversation(messages: list[Message], levels: bool) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The system's parts and the contents. Results of tools that were called together belong in one content."""
    system: list[dict[str, Any]] = []
    contents: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    results: list[dict[str, Any]] | None = None
    for position, message in enumerate(messages):
        where = f"messages[{position}]"
        if message.role == "tool":
            if results is None:
                results = []
                contents.append({"role": "user", "parts": results})
            results += _result(message, names, where, nested=levels)
            continue
        results = None
        if message.role in ("system", "developer"):
            system += _parts(message.parts, where)
            continue
        if message.role not in _ROLES:
            raise refused(f"{where}.role", f"{message.role!r} is no role.", remedy="Use user or assistant.")
        parts = _parts(message.parts, where)
        if message.refusal:
            parts.append({"text": message.refusal})
        for number, call in enumerate(message.tool_calls or ()):
            names[call.id] = call.function.name
            parts.append(_call(call, f"{where}.tool_calls[{number}]", unsigned=levels and number == 0))
        if parts:
            contents.append({"role": _ROLES[message.role], "parts": parts})
    if not contents:
        raise refused("messages", f"{NAME} needs at least one message of a user.", remedy="Add one.")
    return system, contents


def _parts(parts: list[Part], where: str) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for position, part in enumerate(parts):
        at = f"{where}.content[{position}]"
        if part.type in ("text", "refusal"):
            if text := part.text or part.refusal:
                made.append({"text": text})
        elif part.type == "image_url" and part.image_url is not None:
            made.append(_media(part.image_url.url, f"{at}.image_url.url", "image/"))
        elif part.type == "file" and part.file is not None and (where_from := part.file.file_data or part.file.file_id):
            made.append(_media(where_from, f"{at}.file", ""))
        elif part.type == "input_audio" and part.input_audio is not None:
            kind = _AUDIO.get(part.input_audio.format, f"audio/{part.input_audio.format}")
            made.append({"inlineData": {"mimeType": kind, "data": part.input_audio.data}})
        else:
            raise refused(f"{at}.type", f"{NAME} cannot read {part.type!r}.", remedy="Send text, an image, or a file.")
    return made


def _media(url: str, param: str, kind: str) -> dict[str, Any]:
    """An image or a file: its bytes, or where Gemini itself finds them. Rondo fetches nothing."""
    if inline := data_url(url):
        return {"inlineData": {"mimeType": inline[0], "data": inline[1]}}
    if not url.startswith(("https://", "gs://")):
        raise refused(param, "it is no data: URL.", remedy="Send a data: URL in base64, or https:// or gs://.")
    guessed = mimetypes.guess_type(url.partition("?")[0])[0]
    found = {"mimeType": guessed} if guessed and guessed.startswith(kind) else {}
    return {"fileData": {"fileUri": url, **found}}


def _call(call: ToolCall, where: str, *, unsigned: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "functionCall": {"id": call.id, "name": call.function.name, "args": arguments_of(call, where)}
    }
    google = (call.extra_content or {}).get("google")
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    if signature or unsigned:
        made["thoughtSignature"] = signature or _UNSIGNED
    return made


def _result(message: Message, names: dict[str, str], where: str, *, nested: bool) -> list[dict[str, Any]]:
    """A tool's result. Its images are part of it since Gemini 3, and stand behind it before."""
    call_id = message.tool_call_id or ""
    name = names.get(call_id) or message.name
    if not name:
        raise refused(f"{where}.tool_call_id", "no call before it has this id.", remedy="Send the call's own id.")
    media = _parts([part for part in message.parts if part.type != "text"], where)
    said = {"error" if message.is_error else "output": text_of(message.parts)}
    response: dict[str, Any] = {"id": call_id, "name": name, "response": said}
    if media and nested:
        return [{"functionResponse": {**response, "parts": media}}]
    return [{"functionResponse": response}, *media]


def _tools(request: ChatBody) -> dict[str, Any]:
    functions, mode = wanted_tools(request)
    if not functions:
        return {}
    declared = []
    for function, _ in functions:
        one: dict[str, Any] = {"name": function.name}
        if function.description:
            one["description"] = function.description
        if function.parameters:
            one["parametersJsonSchema"] = function.parameters
        declared.append(one)
    config: dict[str, Any] = {"mode": {"auto": "AUTO", "none": "NONE"}.get(mode, "ANY")}
    if mode.startswith("="):
        config["allowedFunctionNames"] = [mode[1:]]
    return {
        "tools": [{"functionDeclarations": declared}],
        **({"toolConfig": {"functionCallingConfig": config}} if request.tool_choice is not None else {}),
    }


def _generation(request: GeminiBody, levels: bool) -> dict[str, Any]:
    config: dict[str, Any] = {
        "maxOutputTokens": request.longest,
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": request.top_k,
        "stopSequences": request.stops or None,
        "candidateCount": request.n if request.n != 1 else None,
        "seed": request.seed,
        "presencePenalty": request.presence_penalty,
        "frequencyPenalty": request.frequency_penalty,
        "responseLogprobs": request.logprobs or None,
        "logprobs": request.top_logprobs if request.logprobs else None,
        "thinkingConfig": _thinking(request, levels) or None,
    }
    schema = wanted_schema(request)
    if request.response_format is not None and request.response_format.type != "text":
        config["responseMimeType"] = "application/json"
    if schema is not None:
        config["responseJsonSchema"] = schema.schema
    kept = {name: value for name, value in config.items() if value is not None}
    return {**kept, **(request.generationConfig or {})}


def _thinking(request: ChatBody, levels: bool) -> dict[str, Any]:
    config: dict[str, Any] = {}
    effort, thinking = request.reasoning_effort, request.thinking
    if effort is not None:
        known = _LEVELS if levels else _BUDGETS
        if effort not in known:
            raise refused("reasoning_effort", f"{NAME} has no {effort!r}.", remedy=f"Use one of {', '.join(known)}.")
        config["thinkingLevel" if levels else "thinkingBudget"] = known[effort]
    if thinking is None:
        return config
    if thinking.type == "disabled":
        return {"thinkingLevel": "minimal"} if levels else {"thinkingBudget": 0}
    config["includeThoughts"] = True
    if thinking.budget_tokens is not None and effort is None:
        config["thinkingBudget"] = thinking.budget_tokens
    return config
