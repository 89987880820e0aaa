"""The most that a request can cost: never below what it can cost, whatever it holds."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.errors import (
    BudgetExceeded,
    ConnectTimeout,
    InvalidRequest,
    PriceUnknown,
    RondoError,
    Unavailable,
    UpstreamCut,
    UpstreamError,
    UpstreamSilent,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from rondo.gateway.plan import ServedModel, ServedRelease
from rondo.gateway.request import ChatRequest
from rondo.gateway.spending import (
    DEFAULT_MAX_TOKENS,
    FILE_TOKENS,
    IMAGE_TOKENS,
    bound_to_send,
    may_have_cost,
    worst_case,
)
from rondo.gateway.wire import parse_chat, parse_embeddings
from rondo.limits.model import MOST_COUNT, MOST_USD, NANO, Claim, Limit, LimitTable, Matched, to_nano
from rondo.prompts.render import Template
from rondo.prompts.source import parse_prompt
from rondo.providers.base import ModelSpec
from rondo.providers.prices import FREE, Price
from rondo.records import Usage
from rondo.traces.cost import cost_usd


def meeting(**limit: Any) -> Matched:
    matched = LimitTable([("p", Limit(scope="project", **limit))]).match("p", "k")
    assert matched is not None
    return matched


BUDGET, TOKENS, REQUESTS = meeting(nano_per_day=1), meeting(tokens_per_minute=1), meeting(requests_per_minute=1)


def model(price: Price | None = Price(input=1.0, output=2.0), **spec: Any) -> ServedModel:  # noqa: B008
    made = ModelSpec(**{"name": "m", "provider": "openai", **spec})
    return ServedModel(made, None, price, "1")  # type: ignore[arg-type]


def chat(**fields: Any) -> ChatRequest:
    return parse_chat(msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}))


def most(request: ChatRequest, *models: ServedModel, matched: Matched = BUDGET, **more: Any) -> Claim:
    return worst_case(matched, request, models or (model(),), at=7, **more)


def test_where_only_requests_count_nothing_is_computed() -> None:
    assert most(chat(max_tokens="many"), model(None), matched=REQUESTS) == Claim(7, 0, 0)
    assert bound_to_send(REQUESTS, chat(), model()) is None


@given(
    st.text(max_size=200),
    st.integers(0, 5_000),
    st.integers(1, 3),
    st.builds(
        Price,
        input=st.floats(0, 100),
        output=st.floats(0, 100),
        cache_read=st.none() | st.floats(0, 100),
        cache_write=st.none() | st.floats(0, 100),
    ),
    st.data(),
)
def test_no_answer_within_its_bound_costs_more(
    text: str, asked: int, choices: int, price: Price, data: st.DataObject
) -> None:
    """A token has at least a byte; the prompt is cached or not; every choice is as long as it may be."""
    request = chat(messages=[{"role": "user", "content": text}], max_tokens=asked, n=choices)
    claim = most(request, model(price))
    tokens = data.draw(st.integers(0, len(text.encode("utf-8", "replace")) + 10))
    read = data.draw(st.integers(0, tokens))
    written = data.draw(st.integers(0, tokens - read))
    answered = data.draw(st.integers(0, asked * choices))
    usage = Usage(input=tokens - read - written, cache_read=read, cache_write=written, output=answered)
    assert to_nano(cost_usd(usage, price)) <= claim.nano
    assert tokens + answered <= claim.tokens


def test_the_dearest_model_counts_at_its_dearest_address() -> None:
    cheap, dear = model(Price(input=0.1, output=0.1)), model(Price(input=5.0, output=1.0))
    assert most(chat(), cheap, dear).nano == most(chat(), dear).nano > most(chat(), cheap).nano
    spread = ServedModel(cheap.spec, cheap.provider, cheap.price, "1", (cheap, dear))
    assert most(chat(), spread).nano == most(chat(), dear).nano


def test_a_hedge_may_cost_twice() -> None:
    once, twice = most(chat(), model()), most(chat(), model(hedge_after_s=1.0))
    assert (twice.nano, twice.tokens) == (once.nano * 2, once.tokens * 2)


def test_a_model_of_unknown_price_has_no_place_under_a_budget() -> None:
    with pytest.raises(PriceUnknown, match=r"price of the model 'm' is not known.*`models\.m\.price`"):
        most(chat(), model(), model(None))
    assert most(chat(), model(None), matched=TOKENS).tokens > DEFAULT_MAX_TOKENS
    assert most(chat(), model(FREE)).nano == 0


def test_a_request_without_a_bound_is_sent_with_one() -> None:
    assert bound_to_send(BUDGET, chat(), model()) == ("max_completion_tokens", DEFAULT_MAX_TOKENS)
    assert bound_to_send(TOKENS, chat(), model(provider="vllm", max_output_tokens=99)) == ("max_tokens", 99)
    assert bound_to_send(BUDGET, chat(max_tokens=None), model(provider="vllm")) == ("max_tokens", DEFAULT_MAX_TOKENS)
    for bound in ({"max_tokens": 5}, {"max_completion_tokens": 5}):
        assert bound_to_send(BUDGET, chat(**bound), model()) is None
    assert bound_to_send(BUDGET, chat(), model(params={"max_tokens": 5})) is None
    longer, shorter = most(chat()), most(chat(), model(max_output_tokens=100))
    assert longer.tokens - shorter.tokens == DEFAULT_MAX_TOKENS - 100


def test_the_larger_of_two_bounds_counts_and_so_do_all_choices() -> None:
    prompt = most(chat(max_tokens=0)).tokens
    both = most(chat(max_tokens=10, max_completion_tokens=2_000)).tokens
    assert 2_000 <= both - prompt < 2_100
    assert 0 <= most(chat(max_tokens=100, n=3)).tokens - most(chat(max_tokens=100, n=1)).tokens - 200 < 5
    assert 0 <= most(chat(max_tokens=100, best_of=3)).tokens - most(chat(max_tokens=100)).tokens - 200 < 20
    assert most(chat(), model(params={"max_tokens": 10, "n": 4})).tokens == most(chat(), model()).tokens - 4_096 + 40


@pytest.mark.parametrize("wrong", ["5", -1, 1.5, True, [1], {"a": 1}])
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "n", "best_of"])
def test_a_bound_that_is_none_is_refused_by_name(name: str, wrong: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        most(chat(**{name: wrong}))
    assert refused.value.param == name


def test_bounds_beyond_all_sense_stay_numbers() -> None:
    claim = most(chat(max_tokens=10**18, n=10**9))
    assert claim == Claim(7, MOST_COUNT + 1, MOST_USD * NANO + 1)


def image(url: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": url}, {"type": "text", "text": "what?"}]}]


def test_a_picture_has_an_allowance_whatever_its_size() -> None:
    text = most(chat()).tokens
    data = "data:image/png;base64," + base64.b64encode(b"x" * 300_000).decode()
    for url in ({"url": data}, data, {"url": "https://example.com/a.png"}):
        assert 0 < most(chat(messages=image(url))).tokens - text - IMAGE_TOKENS < 300


def test_a_picture_under_another_spelling_is_a_picture() -> None:
    body = json.dumps({"model": "m", "messages": image({"url": "https://example.com/a.png"})})
    spelled = body.replace("image_url", "image\\u005furl").encode()
    assert worst_case(BUDGET, parse_chat(spelled), (model(),), at=0).tokens > IMAGE_TOKENS


def test_a_document_counts_its_bytes_or_an_allowance() -> None:
    text = most(chat()).tokens
    for size in (10, 100, 900_000):
        part = {"type": "file", "file": {"file_data": "d" * size}}
        found = most(chat(messages=[{"role": "user", "content": [part]}])).tokens
        assert 0 < found - text - max(size, FILE_TOKENS) < 300
    part = {"type": "file", "file": {"file_id": "file-1"}}
    assert most(chat(messages=[{"role": "user", "content": [part]}])).tokens > FILE_TOKENS


def test_odd_messages_are_counted_by_their_bytes() -> None:
    for messages in (
        [{"role": "user", "content": [{"type": "image_url"}, 5, None]}],
        [{"role": "x", "content": "\u00e9"}],
    ):
        assert most(chat(messages=messages)).tokens > DEFAULT_MAX_TOKENS


def test_tools_and_all_other_fields_are_part_of_the_prompt() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "d" * 5_000}}]
    assert most(chat(tools=tools)).tokens - most(chat()).tokens > 5_000


def test_embeddings_have_no_answer() -> None:
    request = parse_embeddings(b'{"model":"m","input":"hello"}')
    assert worst_case(BUDGET, request, (model(),), at=0).tokens < 1_200
    assert bound_to_send(BUDGET, request, model()) is None


def test_of_an_app_the_rendered_messages_and_the_releases_bounds_count() -> None:
    prompt = parse_prompt("# user\n{{ question }}\n", file="a.md")
    release = ServedRelease(
        app="bot", number=1, hash="", prompt="a", prompt_version="", template=Template(prompt), route=(),
        params={"max_tokens": b"300", "stop": b'"x"'}, knowledge=None, knowledge_version=None, index=None, top_k=0,
        hand_over="",
    )  # fmt: skip
    rendered = b'[{"role":"user","content":"' + b"r" * 7_000 + b'"}]'
    request = chat(max_tokens=9_999, inputs={"a": "i" * 3_000})
    claim = worst_case(BUDGET, request, (model(),), at=0, release=release, rendered=rendered)
    assert 7_300 < claim.tokens < 8_600
    assert bound_to_send(BUDGET, chat(), model(), release) is None
    own = worst_case(BUDGET, request, (model(params={"max_tokens": 50}),), at=0, release=release, rendered=rendered)
    assert claim.tokens - own.tokens == 250


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UpstreamTimeout("late"), True),
        (ConnectTimeout("no connection"), False),
        (UpstreamCut("cut"), True),
        (RondoError("ours"), True),
        (UpstreamError("nonsense", status=200), True),
        (UpstreamUnreachable("no"), False),
        (UpstreamSilent("not a word"), True),
        (UpstreamError("busy", status=429), False),
        (UpstreamError("broken", status=500), False),
        (InvalidRequest("no words for it"), False),
        (BudgetExceeded("no room", retry_after=1), False),
        (Unavailable("Redis is away"), False),
    ],
)
def test_what_a_failed_try_may_have_cost(error: RondoError, expected: bool) -> None:
    assert may_have_cost(error) is expected


PICTURE = '[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]'


def of_message(message: str) -> int:
    """Tokens of a request whose one message has these fields."""
    return most(parse_chat(f'{{"model":"m","messages":[{{"role":"user",{message}}}]}}'.encode())).tokens


@pytest.mark.parametrize(
    "message",
    [
        f'"content":{PICTURE},"content":"hi"',
        f'"content":{PICTURE},"content":[]',
        f'"content":{PICTURE},"\\u0063ontent":"hi"',
        '"content":[{"type":"image_url","image_url":{"url":"https://e.com/a.png"},"type":"text","text":"hi"}]',
    ],
    ids=["text", "no parts", "spelled", "type"],
)
def test_a_field_given_twice_hides_no_picture(message: str) -> None:
    """Some providers read the first of two; ours reads the last, and sends both."""
    with pytest.raises(InvalidRequest, match="a field twice"):
        of_message(message)


@pytest.mark.parametrize("text", ['say "image_url', "caf\u00e9 \x1b", "image_url", '[{"image_url": "x"}]'])
def test_text_that_only_looks_like_a_picture_is_text(text: str) -> None:
    assert of_message(f'"content":{json.dumps(text)}') < IMAGE_TOKENS


@pytest.mark.parametrize(
    "part",
    [
        {"image_url": "https://e.com/a.png"},
        {"type": "input_image", "image_url": "https://e.com/a.png"},
        {"type": "video_url", "video_url": {"url": "https://e.com/a.mp4"}},
        {"type": "audio_url", "audio_url": {"url": "https://e.com/a.mp3"}},
    ],
    ids=["no type", "input_image", "video_url", "audio_url"],
)
def test_a_part_that_only_some_servers_know_has_an_allowance(part: dict[str, object]) -> None:
    assert of_message(f'"content":{json.dumps([part])}') > IMAGE_TOKENS
