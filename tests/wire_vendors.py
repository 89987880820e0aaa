"""What a vendor was asked, read from the body that it got and told in no wire's language."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from asked import Call, Heard, Image, Item, Json, Result

_SAID = ("assistant", "model")


def openai_heard(body: Json) -> Heard:
    items: list[tuple[str, Item]] = []
    system: list[str] = []
    for message in body["messages"]:
        role = message["role"]
        if role == "system":
            system.append(message["content"])
        elif role == "tool":
            assert isinstance(message["content"], str), "OpenAI's tool messages are text"
            items.append(("user", Result(message["tool_call_id"], message["content"])))
        else:
            content = message["content"] or []
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            items += [(role, _openai_part(part)) for part in parts]
            for call in message.get("tool_calls") or ():
                function = call["function"]
                items.append((role, Call(call["id"], function["name"], json.loads(function["arguments"]))))
    choice = body.get("tool_choice", "")
    choice = "" if choice == "auto" else choice
    wanted = body.get("response_format")
    return Heard(
        items=items,
        system="\n\n".join(system),
        tools=[
            (t["function"]["name"], t["function"]["description"], t["function"]["parameters"])
            for t in body.get("tools", ())
        ],
        choice="=" + choice["function"]["name"] if isinstance(choice, dict) else choice,
        one_call=body.get("parallel_tool_calls") is False,
        schema=wanted["json_schema"]["schema"] if wanted else None,
        longest=body.get("max_completion_tokens") or body.get("max_tokens"),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        stop=tuple(body.get("stop", ())),
        thinks="reasoning_effort" in body,
    )


def _openai_part(part: Json) -> Item:
    if part["type"] == "text":
        return str(part["text"])
    return Image(part["image_url"]["url"].removeprefix("data:image/png;base64,"))


def anthropic_heard(body: Json) -> Heard:
    items: list[tuple[str, Item]] = []
    for turn in body["messages"]:
        content = turn["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        items += [(turn["role"], _anthropic_item(block)) for block in blocks if block["type"] != "thinking"]
    choice = body.get("tool_choice", {})
    wanted = body.get("output_config", {}).get("format")
    kind = choice.get("type", "")
    return Heard(
        items=items,
        system=body.get("system", ""),
        tools=[(t["name"], t["description"], t["input_schema"]) for t in body.get("tools", ())],
        choice={"any": "required", "tool": "=" + choice.get("name", ""), "auto": ""}.get(kind, kind),
        one_call=choice.get("disable_parallel_tool_use", False),
        schema=wanted["schema"] if wanted else None,
        longest=body["max_tokens"],
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        stop=tuple(body.get("stop_sequences", ())),
        thinks=_thinks(body.get("thinking")),
    )


def _thinks(thinking: Json | None) -> bool:
    return thinking is not None and thinking["type"] == "enabled" and thinking["budget_tokens"] > 0


def _anthropic_item(block: Json) -> Item:
    if block["type"] == "text":
        return str(block["text"])
    if block["type"] == "tool_use":
        return Call(block["id"], block["name"], block["input"])
    if block["type"] == "image":
        assert block["source"]["media_type"] == "image/png"
        return Image(block["source"]["data"])
    content = block.get("content", "")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    text, image = _text_and_image([_anthropic_item(part) for part in parts])
    return Result(block["tool_use_id"], text, failed=block.get("is_error", False), image=image)


def _text_and_image(items: list[Item]) -> tuple[str, str]:
    text = "".join(item for item in items if isinstance(item, str))
    return text, "".join(item.data for item in items if isinstance(item, Image))


def gemini_heard(body: Json) -> Heard:
    items: list[tuple[str, Item]] = []
    for content in body["contents"]:
        role = "assistant" if content["role"] == "model" else "user"
        items += [(role, _gemini_item(part)) for part in content["parts"]]
    config = body.get("generationConfig", {})
    calling = body.get("toolConfig", {}).get("functionCallingConfig", {})
    named = calling.get("allowedFunctionNames")
    mode = {"ANY": "required", "NONE": "none"}.get(calling.get("mode", ""), "")
    return Heard(
        items=items,
        system="".join(part["text"] for part in body.get("systemInstruction", {}).get("parts", ())),
        tools=[
            (one["name"], one["description"], one["parametersJsonSchema"])
            for tool in body.get("tools", ())
            for one in tool["functionDeclarations"]
        ],
        choice="=" + named[0] if named else mode,
        one_call=False,
        schema=config.get("responseJsonSchema"),
        longest=config.get("maxOutputTokens"),
        temperature=config.get("temperature"),
        top_p=config.get("topP"),
        stop=tuple(config.get("stopSequences", ())),
        thinks="thinkingLevel" in config.get("thinkingConfig", {}),
    )


def _gemini_item(part: Json) -> Item:
    if "text" in part:
        return str(part["text"])
    if "inlineData" in part:
        assert part["inlineData"]["mimeType"] == "image/png"
        return Image(part["inlineData"]["data"])
    if "functionCall" in part:
        call = part["functionCall"]
        return Call(call["id"], call["name"], call["args"])
    result = part["functionResponse"]
    failed = "error" in result["response"]
    _, image = _text_and_image([_gemini_item(inside) for inside in result.get("parts", ())])
    return Result(result["id"], result["response"]["error" if failed else "output"], failed=failed, image=image)


def bedrock_heard(body: Json) -> Heard:
    items: list[tuple[str, Item]] = []
    for turn in body["messages"]:
        items += [(turn["role"], _bedrock_item(block)) for block in turn["content"] if "reasoningContent" not in block]
    config, tools = body.get("inferenceConfig", {}), body.get("toolConfig", {})
    choice = tools.get("toolChoice", {})
    output = body.get("outputConfig", {}).get("textFormat")
    return Heard(
        items=items,
        system="".join(block["text"] for block in body.get("system", ())),
        tools=[
            (t["toolSpec"]["name"], t["toolSpec"]["description"], t["toolSpec"]["inputSchema"]["json"])
            for t in tools.get("tools", ())
        ],
        choice="=" + choice["tool"]["name"] if "tool" in choice else "required" if "any" in choice else "",
        one_call=False,
        schema=json.loads(output["structure"]["jsonSchema"]["schema"]) if output else None,
        longest=config.get("maxTokens"),
        temperature=config.get("temperature"),
        top_p=config.get("topP"),
        stop=tuple(config.get("stopSequences", ())),
        thinks=_thinks(body.get("additionalModelRequestFields", {}).get("thinking")),
    )


def _bedrock_item(block: Json) -> Item:
    if "text" in block:
        return str(block["text"])
    if "image" in block:
        assert block["image"]["format"] == "png"
        return Image(block["image"]["source"]["bytes"])
    if "toolUse" in block:
        call = block["toolUse"]
        return Call(call["toolUseId"], call["name"], call["input"])
    result = block["toolResult"]
    text, image = _text_and_image([_bedrock_item(inside) for inside in result["content"]])
    return Result(result["toolUseId"], text, failed=result.get("status") == "error", image=image)


HEARD: dict[str, Callable[[Any], Heard]] = {
    "openai": openai_heard,
    "azure": openai_heard,
    "anthropic": anthropic_heard,
    "gemini": gemini_heard,
    "bedrock": bedrock_heard,
}
