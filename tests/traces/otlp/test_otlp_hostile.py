"""What comes from outside is hostile: whatever a span holds, there is a record of bounded size, or a refusal."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otlp_makers import NOW, as_json, as_protobuf, decoded, one, records_of, span
from rondo.errors import InvalidRequest, TooLarge
from rondo.records import Call, TraceSpan
from rondo.traces.otlp import conventions as told
from rondo.traces.otlp.intake import unpack
from rondo.traces.otlp.nested import gather
from rondo.traces.otlp.timing import EARLIEST, LONGEST_MS, timing_of
from rondo.traces.otlp.values import DROPPED, MAX_ATTRIBUTES, MAX_TEXT, TOO_DEEP

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}


def test_keys_of_prototypes_are_names_and_no_more() -> None:
    odd = {
        "__proto__": "x",
        "constructor.prototype.polluted": "y",
        "llm.input_messages.0.message.__class__.__init__": "z",
        "llm.input_messages.__proto__.message.content": "p",
        "rondo.project": "other",
        "project": "other",
        "key_id": "other",
        "arm": "live",
    }
    call = one(attributes={**CHAT, **odd})
    assert (call.project, call.key_id, call.arm) == ("p", "key_1", "traced")
    kept = json.loads(call.params)["otlp"]["attributes"]
    assert kept["__proto__"] == "x"
    assert kept["project"] == "other"


def test_huge_values_are_cut_and_say_so() -> None:
    call = one(attributes={**CHAT, "input.value": "x" * (MAX_TEXT + 100), "other": "y" * (2 * MAX_TEXT)})
    assert len(call.question) < MAX_TEXT + 200
    assert call.question.endswith(f"… [cut: {MAX_TEXT + 100:,} characters]")
    assert len(call.params) < MAX_TEXT + 1_000


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_million_attributes(encoding: str) -> None:
    write = as_protobuf if encoding == "protobuf" else as_json
    sent = span(attributes={**CHAT, **{f"a{number}": number for number in range(50_000)}})
    (call,) = decoded(records_of(write(sent), encoding))
    kept = json.loads(call.params)["otlp"]["attributes"]
    assert kept[DROPPED] == 50_000 + len(CHAT) - MAX_ATTRIBUTES
    assert len(kept) < MAX_ATTRIBUTES + 5


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_deep_nesting_is_cut(encoding: str) -> None:
    deep: Any = "bottom"
    for _ in range(30):
        deep = [deep]
    call = one(attributes={**CHAT, "deep": deep}, encoding=encoding)
    assert TOO_DEEP in call.params
    assert "bottom" not in call.params


def test_text_that_nests_too_deeply_stays_text() -> None:
    bomb = "[" * 100_000
    call = one(attributes={**CHAT, "gen_ai.input.messages": bomb, "metadata": bomb, "llm.invocation_parameters": bomb})
    assert bomb in json.loads(call.input)[0]["content"]
    with pytest.raises(InvalidRequest, match="JSON"):
        records_of(b'{"resourceSpans":' + b"[" * 100_000, "json")


def test_nul_and_halves_of_surrogates() -> None:
    call = one(attributes={**CHAT, "input.value": "a\0b", "user.id": "u\0"})
    assert (call.question, call.user) == ("a\N{REPLACEMENT CHARACTER}b", "u\N{REPLACEMENT CHARACTER}")
    body = as_json(span(attributes={**CHAT, "input.value": "MARK"})).replace(b"MARK", b"\\ud800!")
    assert decoded(records_of(body, "json"))[0].question.endswith("!")
    inner = one(attributes={**CHAT, "gen_ai.input.messages": '[{"role":"user","parts":[{"content":"\\ud800!"}]}]'})
    assert inner.question.endswith("!")


@pytest.mark.parametrize("wrong", [True, 7, 0.5, [1, "x"], {"a": 1}, None, "", "\0", b"\xff"])
def test_values_of_the_wrong_kind(wrong: Any) -> None:
    names = [name for name in told.TOLD if not name.startswith("gen_ai.operation")]
    sent = span(attributes={**dict.fromkeys(names, wrong), "openinference.span.kind": "LLM", "metadata": wrong})
    records = records_of(as_protobuf(sent))
    assert records.rejected == 0, records.reason
    (call,) = decoded(records)
    assert isinstance(call, Call)
    assert call.cost_usd is None or call.cost_usd >= 0


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-1", "1e400", "9" * 500, -5, float("nan"), float("inf"), 10**17]
)
def test_numbers_that_make_no_sense_count_nothing(number: Any) -> None:
    call = one(attributes={**CHAT, "gen_ai.usage.input_tokens": number, "llm.cost.total": number, "x": number})
    assert (call.input_tokens, call.cost_usd) == (None, None)
    json.loads(call.params)


def test_evaluations_that_are_no_numbers() -> None:
    result = {"gen_ai.evaluation.name": "odd", "gen_ai.evaluation.score.value": float("nan")}
    sent = span(attributes=CHAT, events=[("gen_ai.evaluation.result", 1, result)])
    assert len(records_of(as_protobuf(sent)).entries) == 1


def test_clocks_that_are_wrong() -> None:
    now = NOW
    assert timing_of(0, 0, now)[:2] == (now, 0.0)
    assert timing_of(-(10**18), -1, now)[:2] == (now, 0.0)
    assert timing_of((now + 10**12) * 1_000, 0, now)[:2] == (now, 0.0)
    assert timing_of(0, now * 1_000 - 5_000, now)[:2] == (now - 5, 0.0)
    assert timing_of(now * 1_000, now * 1_000 - 1_000_000, now)[:2] == (now, 0.0)
    late = timing_of(EARLIEST * 1_000, now * 1_000, now)
    assert (late.started_at, late.duration_ms) == (EARLIEST, LONGEST_MS)
    assert late.note is not None
    fine = timing_of(now * 1_000 - 2_500_000, now * 1_000, now)
    assert fine == (now - 2_500, 2.5, None)
    call = one(attributes=CHAT, start=0, end=0)
    assert "start was 0" in json.loads(call.params)["otlp"]["attributes"]["rondo.note"]


def test_lists_with_odd_numbers() -> None:
    spread = {"m.7.a": 1, "m.3.a": 2, "m.3": "taken", "m.x.a": 3, "m.7.a.b": 4, "m.99999999999.a": 5, "m.٣.a": 6}
    assert gather(spread, "m.") == []
    assert gather({"m.7.a": 1, "m.3.a": 2, "m.7.a.b": 4}, "m.") == [{"a": 2}, {"a": 1}]
    assert gather({"m." + ".".join(["0"] * 500): 1}, "m.") == []


def test_bombs_are_given_up_early() -> None:
    bomb = gzip.compress(b"\0" * (20 << 20))
    assert len(bomb) < 1 << 16
    for packed, packing in ((bomb, "gzip"), (zlib.compress(b"\0" * (20 << 20)), "deflate")):
        with pytest.raises(TooLarge, match="16 MB"):
            unpack(packed, packing, 16 << 20)
    with pytest.raises(TooLarge):
        unpack(b"x" * 11, "", 10)
    with pytest.raises(InvalidRequest, match="members"):
        unpack(gzip.compress(b"") * 1_000, "gzip", 1 << 20)


def test_packings() -> None:
    raw = zlib.compressobj(wbits=-15)
    bare = raw.compress(b"abc") + raw.flush()
    packed = [
        (gzip.compress(b"a") + gzip.compress(b"bc"), "gzip"),
        (zlib.compress(b"abc"), "Deflate"),
        (bare, "deflate"),
    ]
    assert {unpack(body, packing, 100) for body, packing in [*packed, (b"abc", "identity"), (b"abc", "")]} == {b"abc"}
    for body, packing, said in (
        (b"abc", "br", "not known"),
        (b"abc", "gzip", "no gzip"),
        (gzip.compress(b"abc")[:-9], "gzip", "too early"),
    ):
        with pytest.raises(InvalidRequest, match=said):
            unpack(body, packing, 100)


NAMES = st.sampled_from(
    sorted(told.TOLD | {"metadata", "tag.tags", "openinference.span.kind", "gen_ai.operation.name"})
)
SPREAD = st.builds(
    lambda prefix, rest: prefix + ".".join(rest),
    st.sampled_from(told.FLATTENED),
    st.lists(st.sampled_from(["0", "1", "message", "role", "content", "tool_calls", "document", "embedding", "text"])),
)
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=20)
JSON_TEXT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
).map(json.dumps)
VALUES = st.recursive(
    PLAIN | JSON_TEXT | st.sampled_from(["LLM", "chat", "TOOL", "embeddings", "AGENT", "EMBEDDING", "RETRIEVER"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(
    attributes=st.dictionaries(NAMES | SPREAD | st.text(max_size=8), VALUES, max_size=8),
    event=st.dictionaries(st.sampled_from(["content", "message", "tool_calls", "id", "role"]), VALUES, max_size=3),
    name=st.sampled_from(["gen_ai.user.message", "gen_ai.choice", "exception", told.EVALUATION_EVENT]),
    start=st.integers(0, 2**64 - 1),
    end=st.integers(0, 2**64 - 1),
    failed=st.booleans(),
)
def test_whatever_is_sent_becomes_a_sound_record(
    attributes: dict[str, Any], event: dict[str, Any], name: str, start: int, end: int, failed: bool
) -> None:
    sent = span(attributes=attributes, events=[(name, start, event)], start=start, end=end, failed=failed)
    records = records_of(as_protobuf(sent))
    assert records.rejected == 0, records.reason
    made = decoded(records)[0]
    assert isinstance(made, Call | TraceSpan)
    assert made.project == "p"
    assert EARLIEST <= made.started_at <= NOW + 86_400_000_000
    assert 0 <= made.duration_ms <= LONGEST_MS
    assert b"\0" not in records.entries[0][1]
    if isinstance(made, Call):
        assert made.arm == "traced"
        json.loads(made.params)
        buckets = made.input_tokens, made.cache_read_tokens, made.output_tokens, made.reasoning_tokens, made.cost_usd
        assert all(bucket is None or bucket >= 0 for bucket in buckets)
    else:
        json.loads(made.attributes)


@settings(max_examples=100, deadline=None)
@given(JSON_TEXT)
def test_json_that_is_no_otlp_is_refused_or_passed_over(text: str) -> None:
    with contextlib.suppress(InvalidRequest):
        records_of(text.encode(), "json")
    wrapped = msgspec.json.encode(
        {"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": None, "name": text}]}]}]}
    )
    assert records_of(wrapped, "json").rejected == 1
