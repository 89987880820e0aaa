"""A chat request as Bedrock's `Converse` takes it. Pure.

Converse is one language for models of many makers; what only some of them understand goes into
`additionalModelRequestFields`, by the model's maker. What Bedrock has no word for and what does not change the answer
is left out (docs/wires.md lists it); anything else is refused by name.
"""

from __future__ import annotations

from typing import Any

import msgspec

from rondo.providers.anthropic_models import EFFORTS, Claude, claude
from rondo.providers.bedrock_content import NAME, cache_point, conversation
from rondo.providers.chat_request import (
    ChatBody,
    Function,
    read_request,
    refuse_what_is_openais,
    refused,
    wanted_schema,
    wanted_tools,
)

Json = dict[str, Any]
_OWN = ("guardrailConfig", "performanceConfig", "requestMetadata")
_TIERS = {"flex": "flex", "priority": "priority"}
_ADDITIONAL = "Give it as the model itself has it, in `additionalModelRequestFields`."
_MAKERS = {
    "anthropic.": "anthropic",
    "amazon.nova-2": "nova-2",
    "amazon.nova": "nova",
    "openai.": "openai",
    "mistral.": "mistral",
}
_NOVA_EFFORTS = ("low", "medium", "high")
_LONGEST = 32_000


class BedrockBody(ChatBody, kw_only=True):
    """With the fields of Bedrock's own that may be given beside ours."""

    additionalModelRequestFields: dict[str, Any] | None = None  # noqa: N815
    guardrailConfig: dict[str, Any] | None = None  # noqa: N815
    performanceConfig: dict[str, Any] | None = None  # noqa: N815
    requestMetadata: dict[str, str] | None = None  # noqa: N815


_decoder = msgspec.json.Decoder(BedrockBody)
_encode = msgspec.json.Encoder().encode


def to_bedrock(body: bytes, model: str) -> bytes:
    """Raises InvalidRequest, which names the field of the request."""
    request = read_request(_decoder, body, NAME)
    refuse_what_is_openais(request, NAME, "logprobs", "top_logprobs")
    if request.n not in (None, 1):
        raise refused("n", "Bedrock gives one answer.", remedy="Send the request as often as you want answers.")
    if request.response_format is not None and request.response_format.type == "json_object":
        raise refused("response_format.type", "Bedrock knows JSON by its schema only.", remedy='Use "json_schema".')
    maker = _maker(model)
    system, messages = conversation(request.messages)
    made: Json = {"messages": messages}
    if system:
        made["system"] = system
    if config := _inference(request, maker):
        made["inferenceConfig"] = config
    if tools := _tools(request):
        made["toolConfig"] = tools
    additional, effort = _thinking(request, maker)
    if request.top_k is not None:
        additional |= _top_k(request.top_k, maker)
    if maker.name == "anthropic" and request.stops:
        made["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    if additional := {**additional, **(request.additionalModelRequestFields or {})}:
        made["additionalModelRequestFields"] = additional
    if output := _output(request, effort):
        made["outputConfig"] = output
    for name in _OWN:
        if value := getattr(request, name):
            made[name] = value
    if tier := _TIERS.get(request.service_tier or ""):
        made["serviceTier"] = {"type": tier}
    return _encode(made)


class _Maker(msgspec.Struct, frozen=True):
    """Who made a model, as far as it changes how the model is asked. `claude` says more where it is one."""

    name: str
    claude: Claude


def _maker(model: str) -> _Maker:
    """An inference profile's id holds the model's; the ARN of an application's own does not, and says nothing."""
    return _Maker(next((maker for part, maker in _MAKERS.items() if part in model), ""), claude(model))


def _inference(request: ChatBody, maker: _Maker) -> Json:
    samples = maker.name != "anthropic" or maker.claude.samples
    config = {
        "maxTokens": request.longest,
        "temperature": min(request.temperature, 1.0) if samples and request.temperature is not None else None,
        "topP": request.top_p if samples else None,
        "stopSequences": [stop for stop in request.stops if stop.strip()] or None,
    }
    return {name: value for name, value in config.items() if value is not None}


def _tools(request: ChatBody) -> Json:
    functions, mode = wanted_tools(request)
    if not functions:
        return {}
    if mode == "none":
        if any(message.tool_calls or message.role == "tool" for message in request.messages):
            why = "Bedrock must know the tools of a conversation that has called some, and may then call them."
            raise refused("tool_choice", why, remedy='Use "auto".')
        return {}
    tools: list[Json] = []
    for function, cache in functions:
        tools.append({"toolSpec": _tool(function)})
        tools += cache_point(cache)
    choice: Json = (
        {"tool": {"name": mode[1:]}} if mode.startswith("=") else {"any" if mode == "required" else "auto": {}}
    )
    return {"tools": tools, **({"toolChoice": choice} if request.tool_choice is not None else {})}


def _tool(function: Function) -> Json:
    schema = {"type": "object", **(function.parameters or {"properties": {}})}
    made: Json = {"name": function.name, "inputSchema": {"json": schema}}
    if function.description:
        made["description"] = function.description
    if function.strict:
        made["strict"] = True
    return made


def _thinking(request: ChatBody, maker: _Maker) -> tuple[Json, str | None]:
    """The model's own fields, and `outputConfig.effort`."""
    thinking, effort = request.thinking, request.reasoning_effort
    if effort is not None and effort not in EFFORTS:
        known = ", ".join(EFFORTS)
        raise refused("reasoning_effort", "there is no such effort.", remedy=f"Use one of {known}.")
    if maker.name == "anthropic":
        thinks = effort is not None and _may_think(request, maker.claude)
        fields = maker.claude.thinking(effort or "", request.longest or _LONGEST) if thinks else {}
        if thinking is not None:
            kept = {"type": thinking.type, "budget_tokens": thinking.budget_tokens, "display": thinking.display}
            fields["thinking"] = {name: value for name, value in kept.items() if value is not None}
        level = fields.pop("output_config", {}).get("effort")
        return fields, level
    if thinking is not None and thinking.type != "disabled":
        raise refused("thinking", "this model is no Claude.", remedy=f"Use `reasoning_effort`. {_ADDITIONAL}")
    if effort is None:
        return {}, None
    if maker.name == "openai":
        return {"reasoning_effort": "low" if effort in ("none", "minimal") else effort}, None
    if maker.name == "nova-2":
        if effort in ("none", "minimal"):
            return {"reasoningConfig": {"type": "disabled"}}, None
        level = effort if effort in _NOVA_EFFORTS else "high"
        return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": level}}, None
    raise refused("reasoning_effort", "how this model is told to think is not known.", remedy=_ADDITIONAL)


def _may_think(request: ChatBody, claude: Claude) -> bool:
    """Older models call no tool that they must while they think, nor go on from calls whose thoughts are lost."""
    if claude.adapts:
        return True
    if request.tool_choice not in (None, "auto", "none"):
        return False
    if not request.messages or request.messages[-1].role != "tool":
        return True
    last = next((message for message in reversed(request.messages) if message.role == "assistant"), None)
    return last is not None and any(block.signature or block.data for block in last.thinking_blocks or ())


def _top_k(top_k: int, maker: _Maker) -> Json:
    if maker.name == "anthropic":
        return {"top_k": top_k} if maker.claude.samples else {}
    if maker.name in ("nova", "nova-2"):
        return {"inferenceConfig": {"topK": top_k}}
    if maker.name == "mistral":
        return {"top_k": top_k}
    raise refused("top_k", "what this model calls it is not known.", remedy=_ADDITIONAL)


def _output(request: ChatBody, effort: str | None) -> Json:
    output: Json = {"effort": effort} if effort else {}
    schema = wanted_schema(request)
    if schema is not None:
        made = {"schema": _encode(schema.schema).decode(), "name": schema.name, "description": schema.description}
        kept = {name: value for name, value in made.items() if value}
        output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": kept}}
    return output
