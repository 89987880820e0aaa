"""Scorers of JSON, labels, passages, citations, tool calls, refusals and measures."""

from __future__ import annotations

import asyncio
import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from rondo.evals.model import Answer
from rondo.evals.scorers.citations import claims_in, supported_by_words
from rondo.evals.scorers.json_answers import leaves
from rondo.evals.scorers.refusals import refuses
from rondo.evals.scorers.retrieval import ndcg
from rondo.evals.scorers.tool_calls import longest_in_order, most_pairs
from scorer_cases import Model, case, chunk, scored

SCHEMA = {
    "type": "object",
    "required": ["sku"],
    "properties": {"sku": {"type": "string"}},
    "additionalProperties": False,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(alphabet="ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(alphabet="xyz", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "right"),
    [('{"sku": "A"}', True), ('```json\n{"sku": "A"}\n```', True), ('{"sku": 1}', False), ("{}", False), ("A", False)],
)
async def test_json_schema(text: str, right: bool) -> None:
    found = await scored("json_schema", case(text), json_schema=SCHEMA)
    assert (found.value, found.passed, bool(found.reason)) == (float(right), right, not right)


async def test_json_schema_may_refuse_fences() -> None:
    found = await scored("json_schema", case('```\n{"sku": "A"}\n```'), json_schema=SCHEMA, fenced=False)
    assert found.passed is False


ORDER = {"order": {"id": 7, "total": 19.99, "items": [{"sku": "A"}, {"sku": "B"}]}, "name": "Ada"}


@pytest.mark.parametrize(
    ("text", "options", "value"),
    [
        ('{"order":{"id":7,"total":19.99,"items":[{"sku":"A"},{"sku":"B"}]},"name":"Ada","more":1}', {}, 1.0),
        ('{"order":{"id":7,"total":20.0,"items":[{"sku":"A"}]},"name":"Ada"}', {}, 0.6),
        ('{"order":{"id":7,"total":20.0,"items":[{"sku":"A"},{"sku":"B"}]},"name":"Ada"}', {"abs": 0.02}, 1.0),
        ('{"order":{"id":7},"name":"ada"}', {"fields": ["order.id", "name"]}, 0.5),
        ('{"order":{"id":7},"name":"ada"}', {"fields": ["order.id", "name"], "case": False}, 1.0),
        ('{"order":{"id":7},"name":"X"}', {"fields": ["order.id", "name"], "weights": {"name": 3.0}}, 0.25),
        ('{"order":{"items":[{"sku":"A"},{"sku":"B"}]}}', {"ignore": ["name", "order.id", "order.total"]}, 1.0),
        ('{"order":{"items":[{},{"sku":"B"}]}}', {"fields": ["order.items.0.sku", "order.items.1.sku"]}, 0.5),
        ("no JSON", {}, 0.0),
    ],
)
async def test_json_fields(text: str, options: dict[str, Any], value: float) -> None:
    found = await scored("json_fields", case(text, ORDER), **options)
    assert found.value == pytest.approx(value)
    assert found.passed == (value == 1.0)


async def test_json_fields_that_are_not_expected_cannot_be_compared() -> None:
    found = await scored("json_fields", case("{}", {"a": 1}), fields=["b"])
    assert (found.value, found.error) == (None, "no_reference")
    assert (await scored("json_fields", case("{}", "plain text"))).error == "wrong_type"
    assert (await scored("json_fields", case("{}", 7))).error == "wrong_type"


@settings(deadline=None)
@given(JSON)
def test_json_that_is_the_expected_has_one(value: Any) -> None:
    import msgspec

    expected = {"value": value}
    found = asyncio.run(scored("json_fields", case(msgspec.json.encode(expected).decode(), expected)))
    assert found.value == 1.0
    assert leaves(expected)


@pytest.mark.parametrize(
    ("text", "options", "right"),
    [
        ("Refund.", {}, True),
        ('"refund"', {"labels": ["refund", "billing"]}, True),
        ("refunds", {"labels": ["refund", "billing"]}, False),
        ("I think it is REFUND, not billing", {"labels": ["billing", "refund"], "find": "first"}, True),
        ("billing or refund", {"labels": ["billing", "refund"], "find": "first"}, False),
        ("prerefunded", {"labels": ["billing", "refund"], "find": "first"}, False),
        ('{"label": "refund"}', {"find": "json"}, True),
        ('{"a": {"b": "refund"}}', {"find": "json", "path": "a.b"}, True),
        ("refund", {"find": "json"}, False),
        ("Refund", {"case": True}, False),
    ],
)
async def test_labels(text: str, options: dict[str, Any], right: bool) -> None:
    found = await scored("classification", case(text, "refund"), **options)
    assert found.value == float(right)
    assert found.details["expected"] == "refund"


async def test_a_label_that_is_none_of_the_labels_is_a_wrong_reference() -> None:
    found = await scored("classification", case("a", "c"), labels=["a", "b"])
    assert (found.value, found.error) == (None, "wrong_type")


async def test_retrieval() -> None:
    chunks = [chunk(1, source="a.md"), chunk(2, source="b.md"), chunk(3, source="b.md"), chunk(4, source="./c.md")]
    found = await scored("retrieval", case(answer={"chunks": chunks}, sources=["b.md", "c.md"]), k=[1, 3, 4])
    assert found.details == {
        "mrr": 0.5,
        "recall@1": 0.0,
        "precision@1": 0.0,
        "ndcg@1": 0.0,
        "recall@3": 0.5,
        "precision@3": pytest.approx(2 / 3),
        "ndcg@3": pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3))),
        "recall@4": 1.0,
        "precision@4": 0.75,
        "ndcg@4": pytest.approx((1 / math.log2(3) + 1 / 2) / (1 + 1 / math.log2(3))),
    }
    by_id = await scored("retrieval", case(answer={"chunks": chunks}, sources=["c2"]))
    assert by_id.details["mrr"] == 0.5
    nothing = await scored("retrieval", case(sources=["b.md"]))
    assert (nothing.value, nothing.details["precision@5"]) == (0.0, 0.0)
    undeclared = await scored("retrieval", case(answer={"chunks": chunks}))
    assert (undeclared.value, undeclared.error) == (None, None)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 9), max_size=12, unique=True), st.sets(st.integers(0, 9), min_size=1), st.integers(1, 12)
)
def test_ndcg_is_scikit_learns(ranked: list[int], relevant: set[int], k: int) -> None:
    documents = [*ranked, *sorted(set(range(10)) - set(ranked))]
    # What was not retrieved gains nothing wherever it stands, but the best possible ranking knows of it.
    truth = np.array([[float(each in relevant) for each in documents]])
    scores = np.array([[float(len(documents) - place) for place in range(len(documents))]])
    retrieved = np.array([[float(each in relevant and each in ranked[:k]) for each in documents]])
    discounts = 1 / np.log2(np.arange(2, len(documents) + 2))
    ideal = float(np.sum(np.sort(truth[0])[::-1][:k] * discounts[:k]))
    expected = float(np.sum((retrieved[0] * discounts)[:k])) / ideal
    found = ndcg([str(each) for each in ranked], {str(each) for each in relevant}, k)
    assert found == pytest.approx(expected)
    if len(ranked) >= k:
        assert found == pytest.approx(float(ndcg_score(truth, scores, k=k)))


PASSAGES = [
    chunk(1, "Items can be returned within 14 days of delivery, unused and in their original packaging."),
    chunk(2, "Express shipping costs £4.90 and takes one working day."),
]


@pytest.mark.parametrize(
    ("text", "precision", "recall", "passed"),
    [
        ("You can return items within 14 days of delivery [1].", 1.0, 1.0, True),
        ("You can return items within 14 days of delivery. [1]", 1.0, 1.0, True),
        ("You can return items within 30 days of delivery [1].", 0.0, 0.0, False),
        ("Express shipping costs £4.90 [1].", 0.0, 0.0, False),
        ("Express shipping costs £4.90 [1, 2].", 0.5, 1.0, False),
        ("Items can be returned unused [1]. Express shipping takes one working day [2].", 1.0, 1.0, True),
        ("Items can be returned unused [1]. Our stores are open on Sundays.", 1.0, 0.5, True),
        ("Items can be returned unused [7].", 0.0, 0.0, False),
        ("Items can be returned unused.", None, 0.0, False),
        ("Unused items can be returned within 14 days, express shipping costs £4.90 [1, 2].", 1.0, 1.0, True),
    ],
)
async def test_citations(text: str, precision: float | None, recall: float, passed: bool) -> None:
    found = await scored("citations", case(text, answer={"chunks": PASSAGES}))
    assert (found.details["precision"], found.details["recall"], found.passed) == (precision, recall, passed)
    assert found.reason or passed


async def test_citations_that_do_not_apply() -> None:
    for given_case in (
        case("An answer [1]."),
        case("I pass you on to a colleague of mine.", answer={"chunks": PASSAGES, "handed_over": True}),
        case("", answer={"chunks": PASSAGES}),
    ):
        found = await scored("citations", given_case)
        assert (found.value, found.error) == (None, None)


async def test_a_model_may_say_what_supports() -> None:
    model = Model('{"reason": "it says so", "verdict": true}')
    found = await scored(
        "citations", case("Return things fast [1].", answer={"chunks": PASSAGES}), model="m", ask=model
    )
    assert (found.value, found.cost_usd) == (1.0, 0.25)
    assert "Return things fast" in model.prompts()[0]
    broken = Model("hm", "hm")
    found = await scored(
        "citations", case("Return things fast [1].", answer={"chunks": PASSAGES}), model="m", ask=broken
    )
    assert (found.value, found.error, found.cost_usd) == (None, "unreadable_verdict", 0.5)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_a_passage_supports_itself(text: str) -> None:
    assert supported_by_words(text, text) == 1.0
    assert all(claim.text is not None for claim in claims_in(text))


ASKED: dict[str, Any] = {"name": "refund", "arguments": {"order": 7, "items": ["a"]}}


@pytest.mark.parametrize(
    ("expected", "made", "options", "value"),
    [
        ([ASKED], [ASKED], {}, 1.0),
        ([ASKED], [{"name": "refund", "arguments": {"items": ["a"], "order": 7.0}}], {}, 1.0),
        ([ASKED], [{"name": "refund", "arguments": {"order": 8, "items": ["a"]}}], {}, 0.0),
        ([ASKED], [{"name": "refund", "arguments": {"order": 8}}], {"arguments": "ignore"}, 1.0),
        ([ASKED], [{"name": "refund", "arguments": {**ASKED["arguments"], "why": "x"}}], {}, 0.0),
        ([ASKED], [{"name": "refund", "arguments": {**ASKED["arguments"], "why": "x"}}], {"arguments": "subset"}, 1.0),
        ([ASKED], [ASKED, {"name": "log"}], {}, 0.5),
        ([ASKED], [ASKED, {"name": "log"}], {"calls": "subset"}, 1.0),
        ([ASKED, ASKED], [ASKED], {}, 0.5),
        ([ASKED], [], {}, 0.0),
        ([], [], {}, 1.0),
        ([], [ASKED], {}, 0.0),
        ([{"name": "a"}, {"name": "b"}], [{"name": "b"}, {"name": "a"}], {}, 1.0),
        ([{"name": "a"}, {"name": "b"}], [{"name": "b"}, {"name": "a"}], {"order": True}, 0.5),
        (
            [{"name": "a"}, {"name": "b"}],
            [{"name": "a"}, {"name": "x"}, {"name": "b"}],
            {"order": True, "calls": "subset"},
            1.0,
        ),
        (
            [{"name": "a", "arguments": {"x": {"y": 1}}}],
            [{"name": "a", "arguments": {"x": {"y": 1, "z": 2}}}],
            {"arguments": "subset"},
            1.0,
        ),
    ],
)
async def test_tool_calls(expected: list[Any], made: list[Any], options: dict[str, Any], value: float) -> None:
    found = await scored("tool_calls", case(answer={"tool_calls": made}, tool_calls=expected), **options)
    assert found.value == pytest.approx(value)
    assert found.passed == (value == 1.0)


async def test_tool_calls_that_are_not_declared_do_not_apply() -> None:
    assert await scored("tool_calls", case(answer={"tool_calls": [ASKED]})) == await scored("tool_calls", case())
    assert (await scored("tool_calls", case(tool_calls=[{"arguments": {}}]))).error == "wrong_type"


@settings(deadline=None)
@given(st.lists(st.sets(st.integers(0, 3)), max_size=4), st.integers(0, 4))
def test_calls_are_paired_as_well_as_can_be(expected: list[set[int]], made: int) -> None:
    def fits(wanted: Any, call: Any) -> bool:
        return call in wanted

    calls = list(range(made))
    best = max(
        sum(at is not None and calls[at] in wanted for at, wanted in zip(places, expected, strict=True))
        for places in itertools.product([None, *range(made)], repeat=len(expected))
        if len({at for at in places if at is not None}) == sum(at is not None for at in places)
    )
    assert most_pairs(expected, calls, fits) == best
    assert longest_in_order(expected, calls, fits) <= best


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, I cannot do this",
        "Sorry. I am not able to share customer data.",
        "As an AI language model, I cannot have opinions.",
        "That would go against our policy: it violates our guidelines.",
        "Das kann ich leider nicht tun.",
        "Es tut mir leid, ich kann Ihnen dabei nicht helfen.",
        "Leider muss ich sagen: ich darf keine Kundendaten nennen.",
    ],
)
def test_refusals_are_seen(text: str) -> None:
    assert refuses(Answer(text=text)) is not None


@pytest.mark.parametrize(
    "text",
    [
        "You can return items within 14 days.",
        "Sorry for the delay! Your order ships today.",
        "If it can't be repaired, we replace it.",
        "Die Rückgabe ist innerhalb von 14 Tagen möglich.",
        "",
        "Return it. " * 40 + "I can't help with that.",
    ],
)
def test_answers_are_no_refusals(text: str) -> None:
    assert refuses(Answer(text=text)) is None


async def test_refusal_is_right_where_it_should_be() -> None:
    refused = {"message": {"refusal": "No."}}
    assert (await scored("refusal", case(answer=refused, metadata={"refuse": True}))).value == 1.0
    assert (await scored("refusal", case(answer=refused), should=False)).value == 0.0
    assert (await scored("refusal", case("Sure.", metadata={"refuse": True}))).passed is False
    assert (
        await scored("refusal", case("Sure.", answer={"finish_reason": "content_filter"}), should=True)
    ).passed is True
    assert (await scored("refusal", case("Sure."))).value is None
    assert (await scored("refusal", case("Sure.", metadata={"refuse": "yes"}))).error == "wrong_type"


@pytest.mark.parametrize(
    ("should", "done", "value"), [(True, True, 1.0), (True, False, 0.0), (False, True, 0.0), (False, False, 1.0)]
)
async def test_hand_over(should: bool, done: bool, value: float) -> None:
    assert (await scored("hand_over", case(answer={"handed_over": done}, hand_over=should))).value == value


async def test_hand_over_that_is_not_known() -> None:
    assert (await scored("hand_over", case(hand_over=True))).error == "not_known"
    undeclared = await scored("hand_over", case(answer={"handed_over": True}))
    assert (undeclared.value, undeclared.error) == (None, None)


async def test_measures() -> None:
    answer = {"latency_ms": 120.0, "first_token_ms": 30.0, "input_tokens": 10, "output_tokens": 5, "cost_usd": 0.002}
    taken = case(answer=answer)
    assert [(await scored(kind, taken)).value for kind in ("latency", "first_token", "tokens", "cost")] == [
        120,
        30,
        15,
        0.002,
    ]
    assert (await scored("latency", taken, at_most=100.0)).passed is False
    assert (await scored("latency", taken, at_most=200.0)).passed is True
    for kind in ("latency", "first_token", "tokens", "cost", "perplexity"):
        unknown = await scored(kind, case())
        assert (unknown.value, unknown.error, unknown.passed) == (None, None, None)


@pytest.mark.parametrize("logprobs", [[math.nan], [-math.inf], [0.5]])
async def test_impossible_logprobs_are_an_error(logprobs: list[float]) -> None:
    assert (await scored("perplexity", case(answer={"logprobs": logprobs}))).error == "wrong_type"


@settings(deadline=None)
@given(st.lists(st.floats(-50, 0), min_size=1, max_size=20))
def test_perplexity_is_at_least_one(logprobs: list[float]) -> None:
    found = asyncio.run(scored("perplexity", case(answer={"logprobs": logprobs}))).value
    assert found is not None
    assert found >= 1.0


async def test_listed_words() -> None:
    found = await scored("words", case("You IDIOT!"), words=["idiot"])
    assert (found.value, found.passed, found.reason) == (0.0, False, "Found 'IDIOT'.")
    assert (await scored("words", case("An idiotic idea"), words=["idiot"])).value == 1.0
    assert (await scored("words", case("call 555-1234"), patterns=[r"\d{3}-\d{4}"])).value == 0.0


@pytest.mark.parametrize(
    ("hidden", "text", "kept"),
    [
        ("the launch code is four two", "It is: LAUNCH-code IS four, two!", True),
        ("the launch code is four two", "Well, the LAUNCH-code IS four, two!", False),
        ("one two three four five six seven eight nine ten", "say two three four five six seven eight nine", False),
        ("one two three four five six seven eight nine ten", "say two three four five six seven eight", True),
        ("sesame", "Open Sesame.", False),
        ("sesame", "", True),
    ],
)
async def test_what_must_stay_hidden_is_not_quoted(hidden: str, text: str, kept: bool) -> None:
    assert (await scored("quotes", case(text), value=hidden)).passed is kept
    earlier = {"turns": [{"role": "assistant", "content": text}, {"role": "user", "content": "?"}]}
    assert (await scored("quotes", case("No.", answer=earlier), value=hidden)).passed is kept
