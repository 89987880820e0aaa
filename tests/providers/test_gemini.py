"""Gemini's wire: what it is sent, what comes back, and how it fails."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.asking import HELLO, Asker, events_of, reassembled
from providers.vendors import Json, Said, gemini_stream, gemini_stream_bytes, gemini_whole, sse, streamed
from rondo.errors import InvalidRequest, SettingsError, UpstreamCut, UpstreamError, UpstreamUnreachable
from rondo.providers.base import ModelSpec, ProviderRequest
from rondo.providers.gemini_answer import EventsFromGemini, from_gemini
from rondo.providers.gemini_request import to_gemini
from rondo.providers.registry import Providers
from rondo.providers.upstream import Upstream
from scripted_upstream import raw, whole

OLD, NEW = "gemini-2.5-flash", "gemini-3.5-flash"


def native(request: Json, model: str = NEW) -> Json:
    made = json.loads(to_gemini(json.dumps({"model": model, "messages": HELLO, **request}).encode(), model))
    assert isinstance(made, dict)
    return made


def config(request: Json, model: str = NEW) -> Any:
    return native(request, model).get("generationConfig", {})


def test_a_whole_request_as_the_documentation_has_it() -> None:
    tool = {"name": "weather", "description": "Tells it.", "parameters": {"type": "object", "$defs": {"a": {}}}}
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Zug"}'}}
    signed = {**call, "extra_content": {"google": {"thought_signature": "c2ln"}}}
    made = native(
        {
            "messages": [
                {"role": "system", "content": "Be kind."},
                *HELLO,
                {"role": "assistant", "content": "Wait.", "tool_calls": [signed]},
                {"role": "tool", "tool_call_id": "c1", "content": "14 C"},
            ],
            "tools": [{"type": "function", "function": tool}],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
            "max_completion_tokens": 9,
            "temperature": 1.5,
            "user": "u",
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    )
    assert made == {
        "systemInstruction": {"parts": [{"text": "Be kind."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Hello"}]},
            {
                "role": "model",
                "parts": [
                    {"text": "Wait."},
                    {
                        "functionCall": {"id": "c1", "name": "weather", "args": {"city": "Zug"}},
                        "thoughtSignature": "c2ln",
                    },
                ],
            },
            {
                "role": "user",
                "parts": [{"functionResponse": {"id": "c1", "name": "weather", "response": {"output": "14 C"}}}],
            },
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "weather",
                        "description": "Tells it.",
                        "parametersJsonSchema": {"type": "object", "$defs": {"a": {}}},
                    }
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}},
        "generationConfig": {"maxOutputTokens": 9, "temperature": 1.5},
    }


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"n": 2, "seed": 4}, {"candidateCount": 2, "seed": 4}),
        ({"n": 1}, {}),
        ({"top_k": 40, "top_p": 0.5}, {"topK": 40, "topP": 0.5}),
        ({"stop": "a"}, {"stopSequences": ["a"]}),
        ({"presence_penalty": 0.0, "frequency_penalty": -1}, {"presencePenalty": 0.0, "frequencyPenalty": -1.0}),
        ({"logprobs": True, "top_logprobs": 3}, {"responseLogprobs": True, "logprobs": 3}),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        ({"response_format": {"type": "text"}}, {}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array"}}}},
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "array"}},
        ),
        ({"generationConfig": {"topK": 3}, "top_k": 9}, {"topK": 3}),
        ({"temperature": None, "tools": None, "stop": None}, {}),
    ],
)
def test_generation(request_: Json, expected: Json) -> None:
    assert config(request_) == expected


@pytest.mark.parametrize(
    ("model", "request_", "expected"),
    [
        (NEW, {"reasoning_effort": "low"}, {"thinkingLevel": "low"}),
        (NEW, {"reasoning_effort": "none"}, {"thinkingLevel": "minimal"}),
        (OLD, {"reasoning_effort": "high"}, {"thinkingBudget": 24576}),
        (OLD, {"reasoning_effort": "none"}, {"thinkingBudget": 0}),
        (
            NEW,
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
            {"includeThoughts": True, "thinkingBudget": 2048},
        ),
        (NEW, {"thinking": {"type": "adaptive"}}, {"includeThoughts": True}),
        (
            NEW,
            {"thinking": {"type": "enabled", "budget_tokens": 9}, "reasoning_effort": "high"},
            {"includeThoughts": True, "thinkingLevel": "high"},
        ),
        (OLD, {"thinking": {"type": "disabled"}}, {"thinkingBudget": 0}),
        ("gemini-flash-latest", {"thinking": {"type": "disabled"}}, {"thinkingLevel": "minimal"}),
        ("gemini-10-pro", {"reasoning_effort": "low"}, {"thinkingLevel": "low"}),
    ],
)
def test_thinking(model: str, request_: Json, expected: Json) -> None:
    assert config(request_, model)["thinkingConfig"] == expected


TOOLS = [{"type": "function", "function": {"name": name}} for name in ("a", "b")]


@pytest.mark.parametrize(
    ("choice", "expected", "declared"),
    [
        (None, None, ["a", "b"]),
        ("auto", {"mode": "AUTO"}, ["a", "b"]),
        ("none", {"mode": "NONE"}, ["a", "b"]),
        ("required", {"mode": "ANY"}, ["a", "b"]),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": TOOLS[1:]}},
            {"mode": "ANY"},
            ["b"],
        ),
    ],
)
def test_tool_choice(choice: Any, expected: Json | None, declared: list[str]) -> None:
    made = native({"tools": TOOLS, "tool_choice": choice})
    assert made.get("toolConfig", {}).get("functionCallingConfig") == expected
    assert [one["name"] for one in made["tools"][0]["functionDeclarations"]] == declared


def _asked(*parts: Json) -> Json:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def _image(url: str) -> Json:
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (_image("data:image/jpeg;base64,AAAA"), {"inlineData": {"mimeType": "image/jpeg", "data": "AAAA"}}),
        (
            _image("https://example.com/a.png?x=1"),
            {"fileData": {"fileUri": "https://example.com/a.png?x=1", "mimeType": "image/png"}},
        ),
        (_image("https://example.com/a"), {"fileData": {"fileUri": "https://example.com/a"}}),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,QUJD", "filename": "a.pdf"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "QUJD"}},
        ),
        (
            {"type": "file", "file": {"file_id": "gs://bucket/a.pdf"}},
            {"fileData": {"fileUri": "gs://bucket/a.pdf", "mimeType": "application/pdf"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
            {"inlineData": {"mimeType": "audio/wav", "data": "QUJD"}},
        ),
        ({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}, {"text": "x"}),
    ],
)
def test_parts(part: Json, expected: Json) -> None:
    assert native(_asked(part))["contents"] == [{"role": "user", "parts": [expected]}]


def _round(content: Any, **more: Any) -> Json:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    return {
        "messages": [
            *HELLO,
            {"role": "assistant", "tool_calls": [call, {**call, "id": "c2"}], "content": None},
            {"role": "tool", "tool_call_id": "c1", "content": content, **more},
            {"role": "tool", "tool_call_id": "c2", "content": "two"},
        ]
    }


def test_a_tools_images_are_part_of_its_result_or_stand_behind_it() -> None:
    content = [{"type": "text", "text": "map"}, _image("data:image/png;base64,AAAA")]
    new, old = (native(_round(content), model)["contents"][2]["parts"] for model in (NEW, OLD))
    image = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    assert new[0]["functionResponse"]["parts"] == [image]
    assert [new[1]["functionResponse"]["id"], len(new)] == ["c2", 2]
    assert old[1] == image
    assert old[2]["functionResponse"]["response"] == {"output": "two"}


def test_a_failed_tool() -> None:
    made = native(_round("no", is_error=True))
    assert made["contents"][2]["parts"][0]["functionResponse"]["response"] == {"error": "no"}


def test_calls_of_another_model_go_in_unsigned_where_signatures_are_checked() -> None:
    """Only the first call of a turn bears one, as Gemini itself signs them; older models check none."""
    new, old = (native(_round("x"), model)["contents"][1]["parts"] for model in (NEW, OLD))
    assert [part.get("thoughtSignature") for part in new] == ["skip_thought_signature_validator", None]
    assert [part.get("thoughtSignature") for part in old] == [None, None]


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"verbosity": "low"}, "verbosity"),
        ({"web_search_options": {"x": 1}}, "web_search_options"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"min_p": 0.1}, "min_p"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": TOOLS, "tool_choice": "always"}, "tool_choice"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        (_asked(_image("http://example.com/a.png")), "messages[0].content[0].image_url.url"),
        (_asked(_image("file:///etc/passwd")), "messages[0].content[0].image_url.url"),
        (_asked({"type": "video"}), "messages[0].content[0].type"),
        ({"messages": [{"role": "tool", "tool_call_id": "c9", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"temperature": "hot"}, "temperature"),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "[1]"}}],
                    }
                ]
            },
            "messages[0].tool_calls[0].function.arguments",
        ),
    ],
)
def test_what_gemini_has_no_word_for_is_refused_by_name(request_: Json, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        native(request_)
    assert caught.value.param == param
    assert f"`{param}`" in str(caught.value)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"messages":' + b"[" * 100_000, b'{"messages":[{"role":"\xff"}]}']
)
def test_bytes_that_are_no_request(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        to_gemini(body, NEW)


def test_half_a_surrogate_pair_is_read() -> None:
    body = b'{"messages":[{"role":"user","content":"a\\ud83d"}]}'
    assert json.loads(to_gemini(body, NEW))["contents"][0]["parts"] == [{"text": "a\ufffd"}]


# Answers


def test_calls_without_ids_get_some() -> None:
    part = {"functionCall": {"name": "f", "args": {"a": 1}}}
    empty = {"functionCall": {"name": "g"}}
    body = {"candidates": [{"content": {"parts": [part, empty]}, "finishReason": "STOP"}]}
    message = json.loads(from_gemini(json.dumps(body).encode(), NEW))["choices"][0]["message"]
    first, second = message["tool_calls"]
    assert first["id"] != second["id"]
    assert first["id"].startswith("call_")
    assert [json.loads(call["function"]["arguments"]) for call in (first, second)] == [{"a": 1}, {}]
    assert message["content"] is None


def test_a_blocked_prompt_is_an_answer() -> None:
    body = json.dumps({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}).encode()
    answer = json.loads(from_gemini(body, NEW))
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "content_filter"
    assert "SAFETY" in choice["message"]["refusal"]
    assert answer["usage"]["prompt_tokens"] == 3
    streamed_ = reassembled(collected(sse(json.loads(body))))
    assert streamed_["choices"][0]["finish_reason"] == "content_filter"
    assert streamed_["usage"] == answer["usage"]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("OTHER", "stop"),
        ("NEW_REASON", "stop"),
        *((name, "content_filter") for name in ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII")),
    ],
)
def test_finish(reason: str, finish: str) -> None:
    body = {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": reason}]}
    assert json.loads(from_gemini(json.dumps(body).encode(), NEW))["choices"][0]["finish_reason"] == finish


@pytest.mark.parametrize(
    "candidate",
    [
        {"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "Malformed: print(x)"},
        {"finishReason": "UNEXPECTED_TOOL_CALL"},
        {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "A"}}]}, "finishReason": "STOP"},
        {"content": {"parts": [{"text": "and"}]}},
    ],
)
def test_an_answer_that_cannot_be_used_is_the_providers_fault(candidate: Json) -> None:
    body = json.dumps({"candidates": [candidate]}).encode()
    with pytest.raises(UpstreamError):
        from_gemini(body, NEW)
    with pytest.raises(UpstreamError):
        collected(b"data: " + body + b"\n\n")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"<html>", b'{"candidates":' + b"[" * 100_000, b'{"candidates":[]}']
)
def test_garbage(body: bytes) -> None:
    with pytest.raises(UpstreamCut):
        from_gemini(body, NEW)


def test_logprobs() -> None:
    token = {"token": "é", "logProbability": -0.5}
    result = {
        "chosenCandidates": [token],
        "topCandidates": [{"candidates": [token, {"token": "e", "logProbability": -2}]}],
    }
    body = {"candidates": [{"content": {"parts": [{"text": "é"}]}, "finishReason": "STOP", "logprobsResult": result}]}
    (choice,) = json.loads(from_gemini(json.dumps(body).encode(), NEW))["choices"]
    (found,) = choice["logprobs"]["content"]
    assert (found["token"], found["logprob"], found["bytes"]) == ("é", -0.5, [0xC3, 0xA9])
    assert [top["logprob"] for top in found["top_logprobs"]] == [-0.5, -2]


def test_several_candidates() -> None:
    def event(index: int, text: str, finish: str | None) -> Json:
        return {"candidates": [{"index": index, "content": {"parts": [{"text": text}]}, "finishReason": finish}]}

    made = reassembled(collected(sse(event(0, "a", None), event(1, "x", "STOP"), event(0, "b", "MAX_TOKENS"))))
    found = [(c["index"], c["message"]["content"], c["finish_reason"]) for c in made["choices"]]
    assert found == [(0, "ab", "length"), (1, "x", "stop")]
    with pytest.raises(UpstreamCut):
        collected(sse(event(0, "a", None), event(1, "x", "STOP")))


# Streams


def collected(body: bytes, cuts: list[int] | None = None) -> bytes:
    """What the adapter makes of a stream that arrives in parts."""

    async def parts() -> AsyncIterator[bytes]:
        edges = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts or ())})
        for start, end in pairwise(edges):
            yield body[start:end]

    async def run() -> bytes:
        return b"".join([event async for event in EventsFromGemini(NEW)(parts())])

    return asyncio.run(run())


LONG = Said(
    "Grüezi 👋 wohl",
    thinking="Hm, „denken“.",
    signature="c2ln",
    calls=(("c1", "f", {"a": "ö"}), ("c2", "g", {})),
    stop="tool_calls",
)
STREAM = gemini_stream_bytes(LONG)
ID = "chatcmpl-r-1"


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_cut_anywhere_is_the_same(cuts: list[int]) -> None:
    whole_, parts = (events_of(collected(STREAM, each)) for each in ([], cuts))
    for event in (*whole_, *parts):
        assert event.pop("id") == ID
        event.pop("created")
    assert parts == whole_


@given(st.integers(0, len(STREAM) - 3))
def test_a_stream_that_breaks_off_is_never_whole(at: int) -> None:
    with pytest.raises(UpstreamCut):
        collected(STREAM[:at])


def test_lines_may_end_in_crlf() -> None:
    assert reassembled(collected(STREAM.replace(b"\n", b"\r\n"))) == reassembled(collected(STREAM))


async def test_an_error_in_a_stream(asker: Asker) -> None:
    first = {"candidates": [{"content": {"parts": [{"text": "a"}]}}]}
    error = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    with pytest.raises(UpstreamError, match="overloaded") as caught:
        await asker.send("gemini", streamed(sse(first, error)), stream=True)
    assert caught.value.status == 503


async def test_a_connection_that_breaks(asker: Asker) -> None:
    with pytest.raises(UpstreamCut):
        await asker.send("gemini", streamed(STREAM[:300], then="cut"), stream=True)


# The way there


async def test_where_it_goes_and_with_which_key(asker: Asker) -> None:
    await asker.send("gemini", gemini_whole(Said("x")), query={"trace": "1"})
    heard = asker.upstream.last
    assert heard.path == "/v1/models/gemini-3.5-flash:generateContent?trace=1"
    assert heard.headers["x-goog-api-key"] == "gemini-secret"
    assert "authorization" not in heard.headers
    await asker.send("gemini", gemini_stream(Said("x")), stream=True)
    assert asker.upstream.last.path == "/v1/models/gemini-3.5-flash:streamGenerateContent?alt=sse"


async def test_an_id_is_escaped(asker: Asker) -> None:
    """A caller may choose it: `gemini/...`."""
    await asker.send("gemini", gemini_whole(Said("x")), model="a?key=1#x:y")
    assert asker.upstream.last.path == "/v1/models/a%3Fkey%3D1%23x%3Ay:generateContent"
    await asker.send("gemini", gemini_whole(Said("x")), model="tunedModels/mine")
    assert asker.upstream.last.path == "/v1/tunedModels/mine:generateContent"


@pytest.mark.parametrize("model", ["", ".", "..", "../files", "files/x", "models/", "a/b/c"])
def test_an_id_that_is_none(model: str) -> None:
    with pytest.raises(SettingsError, match=r"models\.m\.model"):
        Providers(Upstream(), secret={"GEMINI_API_KEY": "k"}.get).make(
            ModelSpec(name="m", provider="gemini", model=model)
        )


async def test_without_a_key() -> None:
    provider = Providers(Upstream(), secret=lambda name: None).make(ModelSpec(name="m", provider="gemini", model=NEW))
    with pytest.raises(UpstreamUnreachable, match="GEMINI_API_KEY"):
        await provider.send(_request())


def _request() -> ProviderRequest:
    return ProviderRequest(path="/chat/completions", body=json.dumps({"messages": HELLO}).encode())


def _error(status: int, message: str, *details: Json) -> Json:
    return {"error": {"code": status, "message": message, "status": "X", "details": list(details)}}


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "body", "headers", "seen", "retry_after"),
    [
        (400, _error(400, "bad"), {}, 400, None),
        (400, _error(400, "API key not valid.", BAD_KEY), {}, 401, None),
        (401, _error(401, "no"), {}, 401, None),
        (403, _error(403, "no"), {}, 403, None),
        (404, _error(404, "no such model"), {}, 404, None),
        (429, _error(429, "quota", RETRY), {}, 429, "35"),
        (429, _error(429, "quota", RETRY), {"retry-after": "7"}, 429, "7"),
        (500, {"oops": 1}, {}, 500, None),
        (503, [1], {"retry-after": "2"}, 503, "2"),
        (529, {"error": "text"}, {}, 529, None),
    ],
)
async def test_errors(
    asker: Asker,
    stream: bool,
    status: int,
    body: object,
    headers: dict[str, str],
    seen: int,
    retry_after: str | None,
) -> None:
    play = whole(body, status, **{name.replace("-", "_"): value for name, value in headers.items()})
    found, heads, said = await asker.send("gemini", play, stream=stream)
    assert (found, heads.get("retry-after"), json.loads(said)) == (seen, retry_after, body)
    assert b"gemini-secret" not in said


async def test_no_http(asker: Asker) -> None:
    with pytest.raises(UpstreamError):
        await asker.send("gemini", raw(b"SSH-2.0-x\r\n"))


# Embeddings


async def test_embeddings(asker: Asker) -> None:
    play = whole({"embeddings": [{"values": [0.5, -1]}, {"values": [1, 0]}], "usageMetadata": {"promptTokenCount": 6}})
    request = {"model": "x", "input": ["a", "b"], "dimensions": 2, "encoding_format": "float", "user": "u"}
    _, _, body = await asker.send("gemini", play, json.dumps(request).encode(), path="/embeddings", model="embed-1")
    assert asker.upstream.last.path == "/v1/models/embed-1:batchEmbedContents"
    one = {"model": "models/embed-1", "outputDimensionality": 2}
    assert asker.heard == {"requests": [{**one, "content": {"parts": [{"text": text}]}} for text in "ab"]}
    answer = json.loads(body)
    assert [(each["index"], each["embedding"]) for each in answer["data"]] == [(0, [0.5, -1]), (1, [1, 0])]
    assert answer["usage"] == {"prompt_tokens": 6, "total_tokens": 6}


async def test_embeddings_in_base64(asker: Asker) -> None:
    """What OpenAI's Python SDK asks for unless told otherwise."""
    request = json.dumps({"model": "x", "input": "a", "encoding_format": "base64"}).encode()
    play = whole({"embeddings": [{"values": [0.5, -1.25]}]})
    _, _, body = await asker.send("gemini", play, request, path="/embeddings")
    answer = json.loads(body)
    assert struct.unpack("<2f", base64.b64decode(answer["data"][0]["embedding"])) == (0.5, -1.25)
    assert answer["usage"] is None, "what it cost is unknown, not zero"


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"input": [1, 2]}, "input"),
        ({"input": []}, "input"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
    ],
)
async def test_embeddings_that_cannot_be_asked_for(asker: Asker, request_: Json, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await asker.send("gemini", whole({}), json.dumps({"model": "x", **request_}).encode(), path="/embeddings")
    assert caught.value.param == param


async def test_embeddings_that_are_none(asker: Asker) -> None:
    with pytest.raises(UpstreamCut):
        await asker.send("gemini", whole({"x": 1}), b'{"model":"x","input":"a"}', path="/embeddings")


async def test_moderations_are_refused(asker: Asker) -> None:
    with pytest.raises(InvalidRequest, match="/moderations"):
        await asker.send("gemini", whole({}), b'{"model":"x","input":"a"}', path="/moderations")
    assert not asker.upstream.heard
