"""The three conventions, row by row of the mapping: whichever a program speaks, the record is the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from otlp_makers import NOW, TRACE, as_protobuf, decoded, one, records_of, span
from rondo.errors import InvalidRequest
from rondo.governance.model import Grant
from rondo.records import Call, TraceSpan

FIXTURES = Path(__file__).parent
ASKED = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hello?"}]

NEWEST = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.system_instructions": '[{"type":"text","content":"be kind"}]',
    "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"hello?"}]}]',
    "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"hi"}],"finish_reason":"stop"}]',
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 20,
    "gen_ai.usage.cache_read.input_tokens": 60,
    "gen_ai.usage.cache_write.input_tokens": 10,
    "gen_ai.usage.reasoning.output_tokens": 5,
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.response.time_to_first_chunk": 0.25,
    "gen_ai.conversation.id": "s1",
    "user.id": "u1",
}
OLDEST = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.prompt_tokens": 100,
    "gen_ai.usage.completion_tokens": 20,
    "gen_ai.usage.cache_read_input_tokens": 60,
    "gen_ai.usage.cache_creation_input_tokens": 10,
    "gen_ai.usage.reasoning_tokens": 5,
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.server.time_to_first_token": 0.25,
    "session.id": "s1",
    "gen_ai.user": "u1",
}
OLDEST_EVENTS = [
    ("gen_ai.system.message", 1, {"content": "be kind"}),
    ("gen_ai.user.message", 2, {"content": "hello?"}),
    ("gen_ai.choice", 3, {"index": 0, "finish_reason": "stop", "message": '{"role":"assistant","content":"hi"}'}),
]
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.provider": "openai",
    "llm.request.model_name": "gpt-4o",
    "llm.response.model_name": "gpt-4o-2024-08-06",
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "be kind",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.content": "hello?",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "hi",
    "input.value": "something else",
    "output.value": "something else",
    "llm.token_count.prompt": 100,
    "llm.token_count.completion": 20,
    "llm.token_count.total": 120,
    "llm.token_count.prompt_details.cache_read": 60,
    "llm.token_count.prompt_details.cache_write": 10,
    "llm.token_count.completion_details.reasoning": 5,
    "llm.finish_reason": "stop",
    "session.id": "s1",
    "user.id": "u1",
}
OPENLLMETRY = {
    "llm.request.type": "chat",
    "gen_ai.system": "OpenAI",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "be kind",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": "hello?",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "hi",
    "gen_ai.completion.0.finish_reason": "stop",
    "gen_ai.usage.prompt_tokens": "100",
    "gen_ai.usage.completion_tokens": 20.0,
    "llm.usage.total_tokens": 120,
    "gen_ai.usage.cache_read_input_tokens": 60,
    "gen_ai.usage.cache_creation_input_tokens": 10,
    "gen_ai.usage.reasoning_tokens": 5,
    "traceloop.association.properties.session_id": "s1",
    "traceloop.association.properties.user_id": "u1",
    "traceloop.association.properties.channel": "web",
}


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
@pytest.mark.parametrize(
    ("attributes", "events", "first_token"),
    [
        (NEWEST, [], 250.0),
        (OLDEST, OLDEST_EVENTS, 250.0),
        (OPENINFERENCE, [("First Token Stream Event", NOW * 1_000 - 1_750_000_000, {})], 250.0),
        (OPENLLMETRY, [], None),
        ({**OPENINFERENCE, **NEWEST}, [], 250.0),
    ],
    ids=["newest", "oldest", "openinference", "openllmetry", "two at once"],
)
def test_each_convention_makes_the_same_call(
    encoding: str, attributes: dict[str, Any], events: list[Any], first_token: float | None
) -> None:
    call = one(attributes=attributes, events=events, encoding=encoding)
    assert isinstance(call, Call)
    assert (call.project, call.key_id, call.wire, call.arm, call.app) == ("p", "key_1", "otlp", "traced", "shop")
    assert (call.trace_id, call.status, call.error_code) == (TRACE.hex(), 200, None)
    assert (call.provider, call.requested_model, call.served_model) == ("openai", "gpt-4o", "gpt-4o-2024-08-06")
    assert json.loads(call.input) == ASKED
    assert json.loads(call.output) == {"role": "assistant", "content": "hi"}
    assert (call.question, call.answer, call.finish_reason) == ("hello?", "hi", "stop")
    buckets = call.input_tokens, call.cache_read_tokens, call.cache_write_tokens
    assert (*buckets, call.output_tokens, call.reasoning_tokens) == (30, 60, 10, 15, 5)
    assert (call.user, call.session, call.first_token_ms) == ("u1", "s1", first_token)
    assert (call.started_at, call.duration_ms) == (NOW - 2_000_000, 1_500.0)
    assert call.cost_usd == pytest.approx((30 * 2.5 + 60 * 1.25 + 10 * 2.5 + 20 * 10) / 1e6)
    assert call.price_version is not None


def test_more_cached_tokens_than_input_are_counted_beside_it() -> None:
    call = one(attributes={**NEWEST, "gen_ai.usage.cache_read.input_tokens": 500, "gen_ai.usage.input_tokens": 100})
    assert (call.input_tokens, call.cache_read_tokens) == (90, 500)


def test_a_cost_that_was_sent_counts_and_one_without_a_price_is_unknown() -> None:
    call = one(attributes={**OPENINFERENCE, "llm.cost.total": 0.5})
    assert (call.cost_usd, call.price_version) == (0.5, None)
    call = one(attributes={**OPENINFERENCE, "llm.cost.prompt": 0.25, "llm.cost.completion": 0.5})
    assert call.cost_usd == 0.75
    unknown = {"gen_ai.request.model": "nobody-knows", "gen_ai.response.model": "nobody-knows"}
    assert one(attributes={**NEWEST, **unknown}).cost_usd is None
    assert one(attributes={**NEWEST, "gen_ai.provider.name": "nobody"}).cost_usd is None


def test_a_call_that_counts_nothing_has_unknown_tokens() -> None:
    call = one(attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"})
    assert call.input_tokens is None
    assert call.cost_usd is None


def test_an_error_is_a_failed_call() -> None:
    call = one(attributes={**NEWEST, "error.type": "RateLimitError"}, failed=True, message="too fast")
    assert (call.status, call.error_code, call.error_message) == (500, "RateLimitError", "too fast")
    thrown = ("exception", 1, {"exception.type": "TimeoutError", "exception.message": "late"})
    call = one(attributes={**NEWEST, "http.response.status_code": 408}, failed=True, events=[thrown])
    assert (call.status, call.error_code, call.error_message) == (408, "TimeoutError", "late")


def test_tools_that_are_called_and_that_answer() -> None:
    asked = [
        {"role": "user", "parts": [{"type": "text", "content": "weather?"}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "look", "arguments": {"in": "York"}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "rain"}]},
    ]
    call = one(attributes={**NEWEST, "gen_ai.system_instructions": "", "gen_ai.input.messages": json.dumps(asked)})
    function = {"name": "look", "arguments": '{"in":"York"}'}
    assert json.loads(call.input) == [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
    ]
    said = {
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "look",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"in":"York"}',
    }
    kept = {name: value for name, value in OPENINFERENCE.items() if "output" not in name}
    call = one(attributes={**kept, **said})
    assert json.loads(call.output)["tool_calls"] == [{"id": "c1", "type": "function", "function": function}]


def test_embeddings_keep_their_texts_and_no_vectors() -> None:
    attributes = {
        "openinference.span.kind": "EMBEDDING",
        "embedding.model_name": "text-embedding-3-small",
        "llm.provider": "openai",
        "embedding.embeddings.0.embedding.text": "one",
        "embedding.embeddings.0.embedding.vector": [0.1, 0.2],
        "embedding.embeddings.1.embedding.text": "two",
        "llm.token_count.prompt": 4,
    }
    call = one(attributes=attributes)
    assert (call.requested_model, json.loads(call.input), call.output) == (
        "text-embedding-3-small",
        ["one", "two"],
        "",
    )
    assert "vector" not in call.params
    assert call.cost_usd is not None


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"gen_ai.operation.name": "retrieval"}, "retrieval"),
        ({"gen_ai.operation.name": "execute_tool"}, "tool"),
        ({"gen_ai.operation.name": "create_agent"}, "agent"),
        ({"gen_ai.operation.name": "invoke_agent"}, "agent"),
        ({"gen_ai.operation.name": "invoke_workflow"}, "workflow"),
        ({"openinference.span.kind": "CHAIN"}, "workflow"),
        ({"openinference.span.kind": "RETRIEVER"}, "retrieval"),
        ({"openinference.span.kind": "RERANKER"}, "rerank"),
        ({"openinference.span.kind": "TOOL"}, "tool"),
        ({"openinference.span.kind": "AGENT"}, "agent"),
        ({"openinference.span.kind": "GUARDRAIL"}, "guard"),
        ({"openinference.span.kind": "EVALUATOR"}, "evaluation"),
        ({"openinference.span.kind": "PROMPT"}, "prompt"),
        ({"openinference.span.kind": "EMBEDDING"}, "embedding"),
        ({"traceloop.span.kind": "workflow"}, "workflow"),
        ({"traceloop.span.kind": "task"}, "step"),
        ({"llm.request.type": "rerank"}, "rerank"),
        ({"db.vector.query.top_k": 3}, "retrieval"),
        ({"http.request.method": "GET"}, "step"),
        ({"gen_ai.operation.name": 7, "openinference.span.kind": ["LLM"]}, "step"),
    ],
)
def test_kinds_of_spans(attributes: dict[str, Any], kind: str) -> None:
    made = one(attributes=attributes)
    assert isinstance(made, TraceSpan)
    assert made.kind == kind


def test_a_tool_and_a_retrieval() -> None:
    tool = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "look",
        "gen_ai.tool.call.id": "c1",
        "gen_ai.tool.call.arguments": '{"in":"York"}',
        "gen_ai.tool.call.result": "rain",
    }
    made = one(attributes=tool, parent=b"parentid")
    assert (made.name, json.loads(made.input), made.output) == ("look", {"in": "York"}, "rain")
    assert (made.parent_span_id, made.service) == (b"parentid".hex(), "shop")
    assert json.loads(made.attributes) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "look",
        "gen_ai.tool.call.id": "c1",
        "otel.scope.name": "mine",
    }
    found = {
        "openinference.span.kind": "RETRIEVER",
        "input.value": "returns",
        "retrieval.documents.0.document.id": "d0",
        "retrieval.documents.0.document.score": 0.5,
        "retrieval.documents.1.document.id": "d1",
    }
    made = one(attributes=found)
    assert made.input == "returns"
    assert json.loads(made.output) == [{"id": "d0", "score": 0.5}, {"id": "d1"}]


def test_apps_tags_and_keys() -> None:
    tagged = {
        **NEWEST,
        "rondo.app": "bot",
        "rondo.tag.tier": "gold",
        "tag.tags": ["night"],
        "metadata": '{"shop": 7, "deep": {"no": 1}}',
    }
    call = one(attributes=tagged)
    assert (call.app, call.tags) == ("bot", {"tier": "gold", "night": "true", "shop": "7"})
    assert one(attributes=NEWEST, resource={"service.name": "unknown_service:python"}).app is None
    narrow = Grant(project="p", key_id="k", name="narrow", kind="secret", apps=("bot",))
    claimed = records_of(as_protobuf(span(attributes={**NEWEST, "rondo.app": "other"})), grant=narrow)
    assert (claimed.entries, claimed.rejected) == ([], 1)
    (call,) = decoded(records_of(as_protobuf(span(attributes=NEWEST)), grant=narrow))
    assert call.app is None  # the service is no claim, and not this key's


def test_results_of_evaluations_on_a_span() -> None:
    event = {
        "gen_ai.evaluation.name": "Answer Relevance",
        "gen_ai.evaluation.score.value": 0.75,
        "gen_ai.evaluation.score.label": "good",
        "gen_ai.evaluation.explanation": "to the point",
    }
    numbered = {
        "evaluations.0.evaluation.name": "toxic",
        "evaluations.0.evaluation.label": "no",
        "evaluations.1.evaluation.name": "says nothing",
    }
    sent = span(attributes={**NEWEST, **numbered}, events=[("gen_ai.evaluation.result", 1, event)])
    _, relevance, toxic = decoded(records_of(as_protobuf(sent)))
    assert (relevance.name, relevance.value, relevance.comment) == ("Answer_Relevance", 0.75, "good: to the point")
    assert (relevance.kind, relevance.data_type, relevance.trace_id) == ("judge", "number", TRACE.hex())
    assert (toxic.name, toxic.label, toxic.data_type) == ("toxic", "no", "category")
    again = decoded(records_of(as_protobuf(sent)))
    assert [each.id for each in again[1:]] == [relevance.id, toxic.id]


@pytest.mark.parametrize("name", ["openinference", "openllmetry"])
def test_what_real_instrumentation_sends(name: str) -> None:
    """Recorded from openinference-instrumentation-openai 0.1.66 and opentelemetry-instrumentation-openai 0.62.4."""
    records = records_of((FIXTURES / f"{name}.binpb").read_bytes())
    assert records.rejected == 0
    answered, streamed, failed, turn = decoded(records)
    assert isinstance(turn, TraceSpan)
    assert (turn.name, turn.kind, turn.parent_span_id) == ("turn", "step", None)
    assert json.loads(answered.input) == ASKED
    assert (answered.requested_model, answered.served_model, answered.user) == ("bot", "scripted", "u1")
    assert (answered.answer, answered.finish_reason) == ("You asked: hello?", "stop")
    assert (answered.input_tokens, answered.output_tokens) == (1, 3)
    assert json.loads(answered.params)["temperature"] == 0.2
    assert (streamed.requested_model, streamed.stream, streamed.answer) == ("parrot", True, "You asked: stream it")
    assert streamed.first_token_ms is not None
    assert (failed.requested_model, failed.status, failed.question) == ("nothing", 500, "x")
    assert {each.parent_span_id for each in (answered, streamed, failed)} == {turn.span_id}


def test_a_bad_id_is_refused_and_the_rest_is_kept() -> None:
    sent = [span(attributes=NEWEST), span(trace_id=b"short"), span(span_id=b"\0" * 8), span(attributes=NEWEST)]
    records = records_of(as_protobuf(*sent))
    assert (len(records.entries), records.rejected) == (2, 2)
    assert "trace id" in records.reason
    with pytest.raises(InvalidRequest, match="no Export"):
        records_of(b"\x0a\xff")
