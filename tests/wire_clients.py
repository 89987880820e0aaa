"""Clients of every wire: they write a request as their SDK does, and read an answer by the SDK's own types.

What the types refuse is a fault of the gateway. A streamed answer is put together by the SDK's own code.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response
from pydantic import TypeAdapter

from asked import Asked, Call, Image, Item, Json, Result, Told
from responses_wire import events as responses_events

_ANTHROPIC_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


class Client(NamedTuple):
    """One wire: `ask` writes a request, `again` a message or items that say what an answer said."""

    path: str
    ask: Callable[[Asked], Json]
    whole: Callable[[bytes], Json]
    """The answer, checked."""
    streamed: Callable[[bytes], Json]
    """The same, from a stream."""
    told: Callable[[Json], Told]
    again: Callable[[Json], list[Json]]
    conversation: str = "messages"
    tells_stop_text: bool = False
    tells_signature: bool = True


def data(url: str) -> str:
    return f"data:image/png;base64,{url}"


# Chat completions


def ask_chat(asked: Asked) -> Json:
    messages: list[Json] = [{"role": "system", "content": asked.system}] if asked.system else []
    for role, items in asked.turns:
        messages += _chat_turn(role, items)
    body: Json = {"messages": messages, "max_tokens": asked.longest}
    if asked.tools:
        body["tools"] = [
            {"type": "function", "function": {"name": t.name, "description": t.about, "parameters": t.schema}}
            for t in asked.tools
        ]
    if asked.choice:
        named = {"type": "function", "function": {"name": asked.choice[1:]}}
        body["tool_choice"] = named if asked.choice[0] == "=" else asked.choice
    if asked.one_call:
        body["parallel_tool_calls"] = False
    if asked.schema:
        wanted = {"name": "answer", "schema": asked.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": wanted}
    if asked.effort:
        body["reasoning_effort"] = asked.effort
    return {**body, **_sampling(asked), **({"stop": list(asked.stop)} if asked.stop else {})}


def _sampling(asked: Asked) -> Json:
    given = {"temperature": asked.temperature, "top_p": asked.top_p}
    return {name: value for name, value in given.items() if value is not None}


def _chat_turn(role: str, items: tuple[Item, ...]) -> list[Json]:
    made = [
        {"role": "tool", "tool_call_id": item.id, "content": _chat_result(item)}
        | ({"is_error": True} if item.failed else {})
        for item in items
        if isinstance(item, Result)
    ]
    parts = [_chat_part(item) for item in items if isinstance(item, str | Image)]
    calls = [
        {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": json.dumps(c.given)}}
        for c in items
        if isinstance(c, Call)
    ]
    plain = parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts
    if calls:
        return [{"role": role, "content": plain or None, "tool_calls": calls}]
    return [*made, *([{"role": role, "content": plain}] if parts else [])]


def _chat_result(result: Result) -> Any:
    if not result.image:
        return result.text
    return [_chat_part(result.text), _chat_part(Image(result.image))]


def _chat_part(item: str | Image) -> Json:
    if isinstance(item, str):
        return {"type": "text", "text": item}
    return {"type": "image_url", "image_url": {"url": data(item.data)}}


def chat_whole(body: bytes) -> Json:
    ChatCompletion.model_validate_json(body, strict=False)
    answer: Json = json.loads(body)
    return answer


def events_of(body: bytes) -> list[Json]:
    """The events of OpenAI's older wires, without the comments that keep a connection open."""
    assert body.endswith(b"data: [DONE]\n\n"), body[-200:]
    return [json.loads(event.removeprefix(b"data: ")) for event in body.split(b"\n\n")[:-2] if event[:1] != b":"]


def chat_streamed(body: bytes) -> Json:
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    blocks: list[Json] = []
    stop_text: str | None = None
    for parsed in events_of(body):
        for choice in parsed["choices"]:  # what the SDK does not know it does not add up
            blocks += choice["delta"].pop("thinking_blocks", [])
            stop_text = choice.get("stop_sequence") or stop_text
        state.handle_chunk(ChatCompletionChunk.model_validate(parsed))
    answer: Json = state.current_completion_snapshot.model_dump()
    if blocks:
        answer["choices"][0]["message"]["thinking_blocks"] = blocks
    answer["choices"][0]["stop_sequence"] = stop_text
    return answer


def chat_told(answer: Json) -> Told:
    (choice,) = answer["choices"]
    message, usage = choice["message"], answer["usage"]
    blocks = message.get("thinking_blocks") or ()
    prompt, completion = usage["prompt_tokens_details"], usage.get("completion_tokens_details") or {}
    return Told(
        text=message.get("content") or "",
        thinking=message.get("reasoning_content") or "",
        signature="".join(block["signature"] for block in blocks),
        calls=[
            Call(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in message.get("tool_calls") or ()
        ],
        stop=choice["finish_reason"],
        stop_text=choice.get("stop_sequence"),
        given=usage["prompt_tokens"],
        read=prompt["cached_tokens"],
        written=prompt.get("cache_write_tokens") or 0,
        made=usage["completion_tokens"],
        reasoned=completion.get("reasoning_tokens") or 0,
    )


def chat_again(answer: Json) -> list[Json]:
    message: Json = answer["choices"][0]["message"]
    for call in message["tool_calls"]:
        call.get("function", {}).pop("parsed_arguments", None)
        call.pop("index", None)
    return [{name: value for name, value in message.items() if name != "parsed"}]


# Responses


def ask_responses(asked: Asked) -> Json:
    items: list[Json] = []
    for role, said in asked.turns:
        items += [_responses_item(item) for item in said if isinstance(item, Result)]
        if parts := [_responses_part(role, item) for item in said if isinstance(item, str | Image)]:
            items.append({"type": "message", "role": role, "content": parts})
        items += [_responses_item(item) for item in said if isinstance(item, Call)]
    body: Json = {"input": items, "max_output_tokens": asked.longest, **_sampling(asked)}
    if asked.system:
        body["instructions"] = asked.system
    if asked.tools:
        body["tools"] = [
            {"type": "function", "name": t.name, "description": t.about, "parameters": t.schema, "strict": False}
            for t in asked.tools
        ]
    if asked.choice:
        named = {"type": "function", "name": asked.choice[1:]}
        body["tool_choice"] = named if asked.choice[0] == "=" else asked.choice
    if asked.one_call:
        body["parallel_tool_calls"] = False
    if asked.schema:
        body["text"] = {"format": {"type": "json_schema", "name": "answer", "schema": asked.schema, "strict": True}}
    if asked.effort:
        body["reasoning"] = {"effort": asked.effort}
    return body


def _responses_item(item: Result | Call) -> Json:
    if isinstance(item, Call):
        return {"type": "function_call", "call_id": item.id, "name": item.name, "arguments": json.dumps(item.given)}
    output: Any = item.text
    if item.image:
        output = [_responses_part("user", item.text), _responses_part("user", Image(item.image))]
    return {"type": "function_call_output", "call_id": item.id, "output": output}


def _responses_part(role: str, item: str | Image) -> Json:
    if isinstance(item, str):
        return {"type": "output_text" if role == "assistant" else "input_text", "text": item}
    return {"type": "input_image", "image_url": data(item.data), "detail": "auto"}


def responses_whole(body: bytes) -> Json:
    Response.model_validate_json(body)
    answer: Json = json.loads(body)
    return answer


def responses_streamed(body: bytes) -> Json:
    """The last event's response, once its items are those that were announced and its texts those of the deltas."""
    told = responses_events(b"".join(part + b"\n\n" for part in body.split(b"\n\n")[:-1] if part[:1] != b":"))
    last: Json = told[-1]["response"]
    assert told[-1]["type"] == f"response.{last['status']}"
    done = [event["item"] for event in told if event["type"] == "response.output_item.done"]
    assert done == last["output"]
    said = "".join(event["delta"] for event in told if event["type"] == "response.output_text.delta")
    assert said == _responses_text(last)
    written = "".join(event["delta"] for event in told if event["type"] == "response.function_call_arguments.delta")
    assert sorted(written) == sorted("".join(i["arguments"] for i in last["output"] if i["type"] == "function_call"))
    return last


def _responses_text(answer: Json) -> str:
    return "".join(
        part["text"] if part["type"] == "output_text" else part["refusal"]
        for item in answer["output"]
        if item["type"] == "message"
        for part in item["content"]
    )


def responses_told(answer: Json) -> Told:
    items, usage = answer["output"], answer["usage"]
    thoughts = [item for item in items if item["type"] == "reasoning"]
    calls = [item for item in items if item["type"] == "function_call"]
    reason = (answer["incomplete_details"] or {}).get("reason") or ""
    stop = "length" if reason == "max_output_tokens" else reason
    return Told(
        text=_responses_text(answer),
        thinking="".join(part["text"] for item in thoughts for part in item["summary"]),
        signature="",
        calls=[Call(item["call_id"], item["name"], json.loads(item["arguments"])) for item in calls],
        stop=stop or ("tool_calls" if calls else "stop"),
        stop_text=None,
        given=usage["input_tokens"],
        read=usage["input_tokens_details"]["cached_tokens"],
        written=usage["input_tokens_details"]["cache_write_tokens"],
        made=usage["output_tokens"],
        reasoned=usage["output_tokens_details"]["reasoning_tokens"],
    )


def responses_again(answer: Json) -> list[Json]:
    items: list[Json] = answer["output"]
    return items


# Anthropic's Messages


def ask_messages(asked: Asked) -> Json:
    turns = [{"role": role, "content": [_block(item) for item in items]} for role, items in asked.turns]
    body: Json = {"messages": turns, "max_tokens": asked.longest, **_sampling(asked)}
    if asked.system:
        body["system"] = asked.system
    if asked.tools:
        body["tools"] = [{"name": t.name, "description": t.about, "input_schema": t.schema} for t in asked.tools]
    if asked.choice:
        named = {"type": "tool", "name": asked.choice[1:]}
        body["tool_choice"] = named if asked.choice[0] == "=" else {"type": _CHOICES.get(asked.choice, asked.choice)}
    if asked.one_call:
        body["tool_choice"] = {**body.get("tool_choice", {"type": "auto"}), "disable_parallel_tool_use": True}
    if asked.stop:
        body["stop_sequences"] = list(asked.stop)
    config: Json = {"format": {"type": "json_schema", "schema": asked.schema}} if asked.schema else {}
    if asked.effort:
        config["effort"] = asked.effort
    return {**body, **({"output_config": config} if config else {})}


_CHOICES = {"required": "any"}


def _block(item: Item) -> Json:
    if isinstance(item, str):
        return {"type": "text", "text": item}
    if isinstance(item, Image):
        return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": item.data}}
    if isinstance(item, Call):
        return {"type": "tool_use", "id": item.id, "name": item.name, "input": item.given}
    content: Any = [_block(item.text), _block(Image(item.image))] if item.image else item.text
    failed = {"is_error": True} if item.failed else {}
    return {"type": "tool_result", "tool_use_id": item.id, "content": content, **failed}


def messages_whole(body: bytes) -> Json:
    Message.model_validate_json(body)
    answer: Json = json.loads(body)
    return answer


def messages_streamed(body: bytes) -> Json:
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    last = ""
    for event in body.decode().split("\n\n")[:-1]:
        name, _, text = event.partition("\ndata: ")
        parsed = json.loads(text)
        last = parsed["type"]
        assert name == f"event: {last}"
        if last != "ping":
            checked = _ANTHROPIC_EVENT.validate_python(parsed)
            snapshot = accumulate_event(event=checked, current_snapshot=snapshot, json_bufs=buffers)
    assert last == "message_stop"
    answer: Json = snapshot.model_dump()
    return answer


def messages_told(answer: Json) -> Told:
    blocks, usage = answer["content"], answer["usage"]
    read, written = usage["cache_read_input_tokens"] or 0, usage["cache_creation_input_tokens"] or 0
    reason = answer["stop_reason"]
    return Told(
        text="".join(block["text"] for block in blocks if block["type"] == "text"),
        thinking="".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        signature="".join(block["signature"] for block in blocks if block["type"] == "thinking"),
        calls=[Call(block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"],
        stop=_REASONS[reason],
        stop_text=answer["stop_sequence"],
        given=usage["input_tokens"] + read + written,
        read=read,
        written=written,
        made=usage["output_tokens"],
        reasoned=(usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0,
    )


_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def messages_again(answer: Json) -> list[Json]:
    kept = {"text": ("text",), "thinking": ("thinking", "signature"), "tool_use": ("id", "name", "input")}
    blocks = [{name: block[name] for name in ("type", *kept[block["type"]])} for block in answer["content"]]
    return [{"role": "assistant", "content": blocks}]


# Legacy completions


def ask_completions(asked: Asked) -> Json:
    ((_, (prompt,)),) = asked.turns
    body: Json = {"prompt": prompt, "max_tokens": asked.longest, **_sampling(asked)}
    return {**body, **({"stop": list(asked.stop)} if asked.stop else {})}


def completions_whole(body: bytes) -> Json:
    Completion.model_validate_json(body)
    answer: Json = json.loads(body)
    return answer


def completions_streamed(body: bytes) -> Json:
    events = events_of(body)
    for event in events:
        if event["choices"]:
            _COMPLETION_EVENT.validate_python(event["choices"][0]["text"])
            assert event["object"] == "text_completion"
    choices = [event["choices"][0] for event in events if event["choices"]]
    text = "".join(choice["text"] for choice in choices)
    return {**events[-1], "choices": [{**choices[-1], "text": text}]}


_COMPLETION_EVENT: TypeAdapter[Any] = TypeAdapter(str)


def completions_told(answer: Json) -> Told:
    (choice,) = answer["choices"]
    return chat_told(
        {"choices": [{**choice, "message": {"content": choice["text"]}}], "usage": answer["usage"]}
    )._replace(stop_text=None)


def completions_again(answer: Json) -> list[Json]:
    raise AssertionError("a text completion has no turns")


CLIENTS = {
    "chat": Client(
        "/v1/chat/completions", ask_chat, chat_whole, chat_streamed, chat_told, chat_again, tells_stop_text=True
    ),
    "responses": Client(
        "/v1/responses",
        ask_responses,
        responses_whole,
        responses_streamed,
        responses_told,
        responses_again,
        conversation="input",
        tells_signature=False,
    ),
    "messages": Client(
        "/v1/messages",
        ask_messages,
        messages_whole,
        messages_streamed,
        messages_told,
        messages_again,
        tells_stop_text=True,
    ),
    "completions": Client(
        "/v1/completions",
        ask_completions,
        completions_whole,
        completions_streamed,
        completions_told,
        completions_again,
        tells_signature=False,
    ),
}
