"""What is told of a call: names of the conventions, tokens as they count them, nothing that was said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from otlp_receiver import logs_of, spans_of
from record_makers import make_call, make_score
from rondo import clock
from rondo.records import Chunk
from rondo.traces.telling import encode
from rondo.traces.telling.attributes import of_call, of_step
from rondo.traces.telling.content import input_of, output_of, system_of
from rondo.traces.telling.post import asked_to_wait


def test_tokens_are_counted_as_the_conventions_do() -> None:
    call = make_call(
        provider="bedrock",
        input_tokens=100,
        cache_read_tokens=30,
        cache_write_tokens=5,
        output_tokens=20,
        reasoning_tokens=7,
        first_token_ms=250.0,
        cost_usd=0.5,
        session="s",
        tags={"plan": "gold"},
        rollout="r",
        variant="candidate",
    )
    told = of_call(call, content=False)
    assert told["gen_ai.provider.name"] == "aws.bedrock"
    assert told["gen_ai.usage.input_tokens"] == 135
    assert told["gen_ai.usage.output_tokens"] == 27
    assert told["gen_ai.usage.cache_read.input_tokens"] == 30
    assert told["gen_ai.usage.cache_creation.input_tokens"] == 5
    assert told["gen_ai.usage.reasoning.output_tokens"] == 7
    assert told["gen_ai.response.time_to_first_chunk"] == 0.25
    assert told["gen_ai.conversation.id"] == "s"
    assert told["llm.cost.total"] == told["rondo.cost_usd"] == 0.5
    assert (told["rondo.tag.plan"], told["rondo.variant"]) == ("gold", "candidate")
    bare = of_call(make_call(), content=False)
    assert not any(name.startswith("gen_ai.usage") for name in bare), "what is not known is not told"
    assert of_call(make_call(wire="embeddings"), content=False)["gen_ai.operation.name"] == "embeddings"


def test_errors_are_told_without_their_words() -> None:
    call = make_call(status=502, error_code="upstream_error", error_message="it said: my secret")
    (span,) = [each for each in spans_of(encode.spans([call], service="s", content=False)) if each.parent_id == ""]
    assert (span.attributes["error.type"], span.sent.status.code, span.sent.status.message) == ("upstream_error", 2, "")
    (span,) = [each for each in spans_of(encode.spans([call], service="s", content=True)) if each.parent_id == ""]
    assert span.sent.status.message == "it said: my secret"
    left = make_call(status=200, error_code="client_closed")
    assert "error.type" not in of_call(left, content=False)


def test_messages_have_parts() -> None:
    rendered = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "Where?"}, {"type": "image_url", "image_url": "x"}]},
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "find", "arguments": '{"a": 1}'}}]},
        {"role": "tool", "tool_call_id": "c", "content": "here"},
    ]
    call = make_call(rendered=json.dumps(rendered), output='{"role": "assistant", "content": "There."}')
    assert json.loads(system_of(call) or "") == [{"type": "text", "content": "Be kind."}]
    user, assistant, tool = json.loads(input_of(call) or "")
    assert user["parts"][0] == {"type": "text", "content": "Where?"}
    assert assistant["parts"] == [{"type": "tool_call", "id": "c", "name": "find", "arguments": {"a": 1}}]
    assert tool["parts"] == [{"type": "tool_call_response", "id": "c", "response": "here"}]
    (said,) = json.loads(output_of(call) or "")
    assert said["parts"] == [{"type": "text", "content": "There."}]
    odd = make_call(input="no JSON", question="Why?", answer="So.", output="[]")
    assert json.loads(input_of(odd) or "")[0]["parts"][0]["content"] == "Why?"
    assert json.loads(output_of(odd) or "")[0]["parts"][0]["content"] == "So."


def test_documents_only_by_name() -> None:
    chunk = Chunk(number=1, id="d#1", source="d", title="", heading="", text="confidential", score=0.5)
    call = make_call(chunks=[chunk], question="Where?")
    step = structs.replace(call.spans[0], kind="retrieve", name="handbook", attributes='{"k": 4, "deep": {"x": 1}}')
    told = of_step(call, step, content=False)
    assert told["gen_ai.operation.name"] == "retrieval"
    assert json.loads(told["gen_ai.retrieval.documents"]) == [{"id": "d#1", "score": 0.5}]
    assert told["rondo.k"] == 4
    assert "rondo.deep" not in told
    assert "confidential" not in str(told)
    assert "confidential" in str(of_step(call, step, content=True))


TEXT = st.text(st.characters(codec=None), max_size=20)


@settings(deadline=None)
@given(TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=3), st.one_of(st.none(), st.floats()), st.booleans())
def test_whatever_is_recorded_can_be_told(name: str, text: str, tags: Any, cost: float | None, content: bool) -> None:
    call = make_call(
        requested_model=name, question=text, input=text, output=text, params=text, tags=tags, cost_usd=cost, user=name
    )
    told = spans_of(encode.spans([call], service="s", content=content))
    assert [each.span_id for each in told] == [call.span_id, call.spans[0].span_id]
    score = make_score(call, comment=text, label=text, value=None)
    (result,) = logs_of(encode.results([(score, None)], service="s", content=content))
    assert result.trace_id == call.trace_id


@pytest.mark.parametrize(
    ("given", "seconds"),
    [({}, 0), ({"retry-after": "7"}, 7), ({"retry-after": "99999"}, 600), ({"retry-after": "soon"}, 0)],
)
def test_how_long_to_wait(given: dict[str, str], seconds: float) -> None:
    assert asked_to_wait(given) == seconds


def test_a_date_to_wait_for() -> None:
    with clock.at(1_800_000_000_000_000):
        assert asked_to_wait({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}) == 30
        assert asked_to_wait({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}) == 0


def test_what_no_receiver_could_read_keeps_nothing_waiting() -> None:
    """Each of these once could not be written, so that nothing was ever sent again."""
    (span,) = [
        each
        for each in spans_of(encode.spans([make_call(params=f'{{"seed": 1{"0" * 400}}}')], service="s", content=False))
        if not each.parent_id
    ]
    assert span.attributes["gen_ai.request.seed"] == f"1{'0' * 400}"
    for depth in range(900, 1_000):  # readable from here, but not writable a little deeper
        nested = "[" * depth + "]" * depth
        given = [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": nested}}]}]
        encode.spans([make_call(input=json.dumps(given))], service="s", content=True)
