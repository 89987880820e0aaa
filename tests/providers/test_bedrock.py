"""Bedrock's wire: what it is sent, what comes back, and how it fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from botocore.config import Config
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.session import Session
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from providers.asking import HELLO, Asker, events_of, reassembled
from providers.test_conformance import CONVERSATIONS
from providers.vendors import Json, Said, bedrock_stream_bytes, bedrock_whole, frame, streamed
from rondo.errors import InvalidRequest, UpstreamCut, UpstreamError
from rondo.providers.bedrock_answer import EventsFromBedrock, from_bedrock
from rondo.providers.bedrock_request import to_bedrock
from scripted_upstream import whole

HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"
OPUS = "us.anthropic.claude-opus-4-8"
NOVA = "amazon.nova-pro-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
GPT = "openai.gpt-oss-120b-1:0"
EVENTS = "application/vnd.amazon.eventstream"

ROUND = CONVERSATIONS["tool result"][0]

_MODEL = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"), "bedrock-runtime")
_CONVERSE: Any = _MODEL.operation_model("Converse").input_shape
# In JSON these are base64, which botocore makes itself of the bytes that it is given.
_VALIDATOR = ParamValidator()


def native(request: Json, model: str = HAIKU) -> Json:
    """The request, which AWS's own description of its API must allow."""
    made = json.loads(to_bedrock(json.dumps({"model": model, "messages": HELLO, **request}).encode(), model))
    assert isinstance(made, dict)
    report = _VALIDATOR.validate({"modelId": model, **made}, _CONVERSE)
    assert not report.has_errors(), report.generate_report()
    return made


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("model", [HAIKU, OPUS, NOVA, NOVA_2, GPT, "mistral.mistral-large-2407-v1:0"])
def test_what_is_sent_is_what_aws_describes(name: str, model: str) -> None:
    native(CONVERSATIONS[name][0], model)


def test_a_whole_request_as_the_documentation_has_it() -> None:
    cached = {"type": "ephemeral", "ttl": "1h"}
    tool = {"name": "weather", "description": "Tells it.", "strict": True}
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Zug"}'}}
    thoughts = [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "QUJD"},
        {"type": "thinking", "thinking": "of another model", "signature": ""},
    ]
    made = native(
        {
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "Be kind.", "cache_control": cached}]},
                {"role": "user", "content": ""},
                *HELLO,
                {"role": "assistant", "content": "Wait.", "tool_calls": [call], "thinking_blocks": thoughts},
                {"role": "tool", "tool_call_id": "c1", "content": "no", "is_error": True},
                {"role": "user", "content": "And?"},
            ],
            "tools": [{"type": "function", "function": tool, "cache_control": {"type": "ephemeral"}}],
            "tool_choice": "required",
            "max_tokens": 9,
            "temperature": 1.5,
            "stop": ["END", " "],
            "top_k": 4,
            "service_tier": "flex",
            "guardrailConfig": {"guardrailIdentifier": "g1", "guardrailVersion": "1"},
            "additionalModelRequestFields": {"anthropic_beta": ["x"]},
            "stream": True,
            "user": "u",
        }
    )
    assert made == {
        "system": [{"text": "Be kind."}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "messages": [
            {"role": "user", "content": [{"text": "Hello"}]},
            {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
                    {"reasoningContent": {"redactedContent": "QUJD"}},
                    {"text": "Wait."},
                    {"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"city": "Zug"}}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": "c1", "content": [{"text": "no"}], "status": "error"}},
                    {"text": "And?"},
                ],
            },
        ],
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "weather",
                        "description": "Tells it.",
                        "strict": True,
                        "inputSchema": {"json": {"type": "object", "properties": {}}},
                    }
                },
                {"cachePoint": {"type": "default"}},
            ],
            "toolChoice": {"any": {}},
        },
        "inferenceConfig": {"maxTokens": 9, "temperature": 1.0, "stopSequences": ["END"]},
        "additionalModelRequestFields": {"top_k": 4, "anthropic_beta": ["x"]},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
        "guardrailConfig": {"guardrailIdentifier": "g1", "guardrailVersion": "1"},
        "serviceTier": {"type": "flex"},
    }


def test_a_schema() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    made = native({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}})
    wanted = made["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert wanted == {"name": "x", "schema": json.dumps(schema, separators=(",", ":"))}


@pytest.mark.parametrize(
    ("model", "request_", "additional", "effort"),
    [
        (OPUS, {"reasoning_effort": "high"}, {"thinking": {"type": "adaptive"}}, "high"),
        (OPUS, {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}, None),
        (
            HAIKU,
            {"reasoning_effort": "medium", "max_tokens": 20_000},
            {"thinking": {"type": "enabled", "budget_tokens": 8192}},
            None,
        ),
        (
            HAIKU,
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
            None,
        ),
        (
            NOVA_2,
            {"reasoning_effort": "low"},
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}},
            None,
        ),
        (NOVA_2, {"reasoning_effort": "none"}, {"reasoningConfig": {"type": "disabled"}}, None),
        (GPT, {"reasoning_effort": "minimal"}, {"reasoning_effort": "low"}, None),
        (NOVA, {"top_k": 5}, {"inferenceConfig": {"topK": 5}}, None),
        ("mistral.m", {"top_k": 5}, {"top_k": 5}, None),
        ("meta.llama", {"thinking": {"type": "disabled"}}, None, None),
        (HAIKU, {**ROUND, "reasoning_effort": "high", "max_tokens": 9000}, None, None),
        (HAIKU, {**ROUND, "messages": HELLO, "tool_choice": "required", "reasoning_effort": "high"}, None, None),
        (OPUS, {**ROUND, "reasoning_effort": "low"}, {"thinking": {"type": "adaptive"}}, "low"),
    ],
)
def test_thinking_and_sampling_by_maker(
    model: str, request_: Json, additional: Json | None, effort: str | None
) -> None:
    made = native(request_, model)
    assert made.get("additionalModelRequestFields") == additional
    assert made.get("outputConfig", {}).get("effort") == effort


def test_models_that_do_not_sample_are_not_told_to() -> None:
    made = native({"temperature": 0.3, "top_p": 0.1, "top_k": 4, "max_tokens": 5}, OPUS)
    assert made["inferenceConfig"] == {"maxTokens": 5}
    assert "additionalModelRequestFields" not in made


def _content(part: Json) -> Any:
    return native({"messages": [{"role": "user", "content": [part]}]})["messages"][0]["content"]


def _file(kind: str, name: str | None = None) -> Json:
    return {"type": "file", "file": {"file_data": f"data:{kind};base64,QUJD", "filename": name}}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,QUJD", "detail": "low"}},
            {"image": {"format": "jpeg", "source": {"bytes": "QUJD"}}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "s3://bucket/a.PNG"}},
            {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://bucket/a.PNG"}}}},
        ),
        (
            _file("application/pdf", "Terms; v2 (final).pdf"),
            {"document": {"format": "pdf", "name": "Terms v2 (final) 1", "source": {"bytes": "QUJD"}}},
        ),
        (_file("text/markdown"), {"document": {"format": "md", "name": "document 1", "source": {"bytes": "QUJD"}}}),
        (_file("image/png"), {"image": {"format": "png", "source": {"bytes": "QUJD"}}}),
        (
            {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}},
            {"audio": {"format": "mp3", "source": {"bytes": "QUJD"}}},
        ),
    ],
)
def test_parts(part: Json, expected: Json) -> None:
    assert _content(part) == [expected]


def test_ids_that_bedrock_refuses_are_replaced_the_same_way_in_call_and_result() -> None:
    ids = ["fine.id:1", "x" * 65, "ä/ö", ""]
    calls = [{"id": each, "type": "function", "function": {"name": "f", "arguments": ""}} for each in ids[:3]]
    results = [{"role": "tool", "tool_call_id": each, "content": ""} for each in ids[:3]]
    tools = [{"type": "function", "function": {"name": "f"}}]
    made = native({"messages": [*HELLO, {"role": "assistant", "tool_calls": calls}, *results], "tools": tools})
    sent = [block["toolUse"]["toolUseId"] for block in made["messages"][1]["content"]]
    back = [block["toolResult"]["toolUseId"] for block in made["messages"][2]["content"]]
    assert sent == back
    assert sent[0] == "fine.id:1"
    assert len(set(sent)) == 3


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({**ROUND, "tool_choice": "none"}, "tool_choice"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "messages[0].role"),
        ({"min_p": 0.3}, "min_p"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
    ],
)
def test_what_bedrock_has_no_word_for_is_refused_by_name(request_: Json, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        native(request_)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"top_k": 3}, "top_k"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, "thinking"),
    ],
)
def test_what_an_unknown_maker_calls_otherwise_is_refused_with_a_way_out(request_: Json, param: str) -> None:
    with pytest.raises(InvalidRequest, match="additionalModelRequestFields") as caught:
        native(request_, "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123")
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "http://169.254.169.254/a.png"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,QUJD"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "s3://bucket/a.exe"}}, "image_url.url"),
        (_file("application/zip"), "file.file_data"),
        ({"type": "file", "file": {"file_id": "f1"}}, "file.file_id"),
        ({"type": "video"}, "type"),
    ],
)
def test_parts_that_bedrock_cannot_read(part: Json, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        _content(part)
    assert caught.value.param == f"messages[0].content[0].{field}"


# Answers


def answered(blocks: list[Json], reason: str = "end_turn", **more: Any) -> Json:
    body = {"output": {"message": {"role": "assistant", "content": blocks}}, "stopReason": reason, **more}
    answer = json.loads(from_bedrock(json.dumps(body).encode(), HAIKU))
    assert isinstance(answer, dict)
    return answer


def test_blocks_of_every_kind() -> None:
    message = answered(
        [
            {"reasoningContent": {"redactedContent": "QUJD"}},
            {"reasoningContent": {"reasoningText": {"text": "unsigned"}}},
            {"text": "a"},
            {"citationsContent": {"content": [{"text": "b"}], "citations": [{"title": "t"}]}},
            {"somethingNew": {"x": 1}},
        ]
    )["choices"][0]["message"]
    assert message["content"] == "ab"
    assert message["thinking_blocks"] == [{"type": "redacted_thinking", "data": "QUJD"}]
    assert message["reasoning_content"] == "unsigned"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("something_new", "stop"),
    ],
)
def test_finish(reason: str, finish: str) -> None:
    answer = answered([{"text": "x"}], reason)
    assert answer["choices"][0]["finish_reason"] == finish
    assert answer["usage"] is None


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_an_answer_that_cannot_be_used_is_the_providers_fault(reason: str) -> None:
    with pytest.raises(UpstreamError, match=reason):
        answered([], reason)
    with pytest.raises(UpstreamError, match=reason):
        collected(frame("messageStop", {"stopReason": reason}))


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<x/>", b'{"output":' + b"[" * 100_000, b'{"output":{}}'])
def test_garbage(body: bytes) -> None:
    with pytest.raises(UpstreamCut):
        from_bedrock(body, HAIKU)


# Streams


def collected(body: bytes, cuts: list[int] | None = None) -> bytes:
    """What the adapter makes of a stream that arrives in parts."""

    async def parts() -> AsyncIterator[bytes]:
        edges = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts or ())})
        for start, end in pairwise(edges):
            yield body[start:end]

    async def run() -> bytes:
        return b"".join([event async for event in EventsFromBedrock(HAIKU)(parts())])

    return asyncio.run(run())


LONG = Said(
    "Grüezi 👋 wohl",
    thinking="Hm, „denken“.",
    signature="c2ln",
    calls=(("c1", "f", {"a": "ö"}), ("c2", "g", {})),
    stop="tool_calls",
)
STREAM = bedrock_stream_bytes(LONG)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_cut_anywhere_is_the_same(cuts: list[int]) -> None:
    whole_, parts = (events_of(collected(STREAM, each)) for each in ([], cuts))
    for event in (*whole_, *parts):
        del event["id"], event["created"]
    assert parts == whole_


STOP_AT = STREAM.index(b"messageStop") + 100


@given(st.integers(0, STOP_AT))
def test_a_stream_that_breaks_off_is_never_whole(at: int) -> None:
    with pytest.raises(UpstreamCut):
        collected(STREAM[:at])


@given(st.integers(0, len(STREAM) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_found_by_its_checksum(at: int, flip: int) -> None:
    body = bytearray(STREAM)
    body[at] ^= flip
    with pytest.raises(UpstreamError):
        collected(bytes(body))


def test_thoughts_of_a_stream() -> None:
    """Each whole block comes once, signed; a redacted one in parts is put together."""
    redacted = [
        frame("contentBlockDelta", {"delta": {"reasoningContent": {"redactedContent": part}}, "contentBlockIndex": 0})
        for part in ("QUJD", "REVG")
    ]
    end = [frame("contentBlockStop", {"contentBlockIndex": 0}), frame("messageStop", {"stopReason": "end_turn"})]
    message = reassembled(collected(b"".join([*redacted, *end])))["choices"][0]["message"]
    assert message["thinking_blocks"] == [{"type": "redacted_thinking", "data": "QUJDREVG"}]
    events = events_of(collected(STREAM))
    blocks = [
        event["choices"][0]["delta"]["thinking_blocks"]
        for event in events[:-1]
        if "thinking_blocks" in event["choices"][0]["delta"]
    ]
    assert blocks == [[{"type": "thinking", "thinking": LONG.thinking, "signature": "c2ln"}]]


@pytest.mark.parametrize(
    ("name", "payload", "kind", "status"),
    [
        ("throttlingException", {"message": "slow down"}, "exception", 429),
        ("validationException", {"message": "bad"}, "exception", 400),
        ("internalServerException", {"message": "oops"}, "exception", 500),
        ("serviceUnavailableException", {"message": "busy"}, "exception", 503),
        ("modelStreamErrorException", {"message": "oops", "originalStatusCode": 500}, "exception", 502),
        ("modelTimeoutException", {"message": "late"}, "exception", 408),
        ("newException", {"message": "new"}, "exception", 500),
        ("InternalError", {}, "error", 500),
    ],
)
async def test_an_error_in_a_stream(asker: Asker, name: str, payload: Json, kind: str, status: int) -> None:
    body = frame("messageStart", {"role": "assistant"}) + frame(name, payload, kind=kind)
    with pytest.raises(UpstreamError, match=name) as caught:
        await asker.send("bedrock", streamed(body, EVENTS), stream=True)
    assert caught.value.status == status


async def test_a_connection_that_breaks(asker: Asker) -> None:
    with pytest.raises(UpstreamCut):
        await asker.send("bedrock", streamed(STREAM[:300], EVENTS, then="cut"), stream=True)


async def test_an_answer_in_another_language(asker: Asker) -> None:
    with pytest.raises(UpstreamCut):
        await asker.send("bedrock", streamed(b"data: {}\n\n" * 5), stream=True)


@pytest.mark.parametrize(
    ("status", "kind", "seen"),
    [
        (400, "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/", 400),
        (400, "ServiceQuotaExceededException", 429),
        (401, "", 401),
        (403, "UnrecognizedClientException", 403),
        (404, "ResourceNotFoundException", 404),
        (408, "ModelTimeoutException", 408),
        (424, "ModelErrorException", 502),
        (424, "", 502),
        (429, "ThrottlingException", 429),
        (500, "InternalServerException", 500),
        (503, "ServiceUnavailableException", 503),
        (529, "", 529),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_errors(asker: Asker, status: int, kind: str, seen: int, stream: bool) -> None:
    play = whole({"message": "why"}, status, **{"x_amzn_errortype": kind, "retry_after": "3"})
    found, headers, body = await asker.send("bedrock", play, stream=stream)
    assert (found, headers["retry-after"], body) == (seen, "3", b'{"message": "why"}')


@pytest.mark.parametrize("path", ["/embeddings", "/moderations"])
async def test_what_converse_does_not_do_is_refused(asker: Asker, path: str) -> None:
    with pytest.raises(InvalidRequest, match=path):
        await asker.send("bedrock", bedrock_whole(Said("x")), path=path)
    assert not asker.upstream.heard


# Against botocore's own client, which knows the wire


def test_what_botocore_itself_would_send_is_what_we_send() -> None:
    """The same request, once by AWS's own client: address and body are the same."""
    session = Session()
    session.set_credentials("AKIDEXAMPLE", "secret")
    client: Any = session.create_client(
        "bedrock-runtime", region_name="us-east-1", config=Config(retries={"total_max_attempts": 1})
    )
    seen: dict[str, Any] = {}

    def stop(request: Any, **_: Any) -> Any:
        seen.update(url=request.url, body=request.body)
        raise _Seen

    client.meta.events.register("before-send.bedrock-runtime.Converse", stop)
    request = CONVERSATIONS["tool result"][0]
    made = native(request)
    with pytest.raises(_Seen):
        client.converse(modelId=HAIKU, **made)
    assert json.loads(seen["body"]) == made
    assert seen["url"].endswith("/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/converse")


class _Seen(Exception):
    pass
