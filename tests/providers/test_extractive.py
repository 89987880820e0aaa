"""The provider without a model: what it quotes, when it hands over, and what the wire carries."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from rondo import clock
from rondo.errors import UpstreamError
from rondo.providers.base import ProviderRequest
from rondo.providers.extractive import Extractive, answer
from rondo.records import Chunk

HAND_OVER = "I'm passing you to a colleague."


def chunk(number: int, text: str, *, title: str = "", heading: str = "", score: float = 5.0) -> Chunk:
    return Chunk(number=number, id=str(number), source="x.md", title=title, heading=heading, text=text, score=score)


CHUNKS = (
    chunk(
        1,
        "We ship on weekdays. Standard parcels arrive in 2 to 4 working days. Parcels are insured.",
        title="Delivery",
        heading="Times",
        score=9.0,
    ),
    chunk(2, "| Parcel | Price |\n|---|---|\n| Standard | £3.95 |\n| Express | £7.95 |", title="Delivery", score=8.0),
    chunk(3, "Gift cards are valid for 24 months. Parcels are insured.", title="Gift cards", score=2.0),
)


def ask(question: str, chunks: tuple[Chunk, ...] = CHUNKS, **more: Any) -> ProviderRequest:
    body = {"model": "extractive", "messages": [{"role": "user", "content": question}], **more}
    return ProviderRequest(
        path="/chat/completions",
        body=json.dumps(body).encode(),
        stream=bool(more.get("stream")),
        question=question,
        chunks=chunks,
        hand_over=HAND_OVER,
    )


def said(question: str, chunks: tuple[Chunk, ...] = CHUNKS) -> str:
    return "".join(answer(ask(question, chunks)))


def test_it_quotes_the_best_sentence_with_its_number() -> None:
    assert "Standard parcels arrive in 2 to 4 working days. [1]" in said("How long do standard parcels take to arrive?")


def test_rows_of_tables_read_as_sentences() -> None:
    assert "Parcel: Express; Price: £7.95. [2]" in said("What is the price of an express parcel?")


def test_quotes_come_in_reading_order_and_once() -> None:
    text = said("Are parcels insured, and when do standard parcels arrive?")
    assert text.count("Parcels are insured.") == 1
    numbers = [int(part[0]) for part in text.split("[")[1:]]
    assert numbers == sorted(numbers)
    assert 1 <= len(numbers) <= 3


@pytest.mark.parametrize(
    "question",
    [
        "Who is your chief executive?",
        "",
        "?!",
        "how do you do",
        "what about the weather in Lisbon tomorrow",
        "\ud800",
        "日本語",
    ],
)
def test_it_hands_over_what_it_cannot_answer(question: str) -> None:
    request = ProviderRequest(
        path="/chat/completions", body=b"{}", question=question, chunks=CHUNKS, hand_over=HAND_OVER
    )
    assert answer(request) == [HAND_OVER]


def test_without_passages_it_hands_over() -> None:
    assert said("How long do parcels take?", ()) == HAND_OVER
    assert said("How long do parcels take?", (chunk(1, ""),)) == HAND_OVER


def test_scores_may_all_be_zero() -> None:
    assert "[1]" in said("When do standard parcels arrive?", (chunk(1, "Standard parcels arrive today.", score=0.0),))


async def test_a_whole_reply() -> None:
    with clock.at(1_700_000_000_000_000):
        reply = await Extractive().send(ask("What is the price of an express parcel?"))
    whole = ChatCompletion.model_validate_json(await reply.read())
    assert reply.status == 200
    assert whole.model == "extractive"
    assert whole.created == 1_700_000_000
    assert whole.choices[0].finish_reason == "stop"
    assert "£7.95" in str(whole.choices[0].message.content)
    assert whole.usage is not None
    assert whole.usage.prompt_tokens == 9
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens


async def test_a_hand_over_is_exactly_the_sentence() -> None:
    reply = await Extractive().send(ask("Who is your chief executive?"))
    assert json.loads(await reply.read())["choices"][0]["message"]["content"] == HAND_OVER


@pytest.mark.parametrize("wants_usage", [False, True])
async def test_a_streamed_reply_says_the_same(wants_usage: bool) -> None:
    question = "Are parcels insured, and when do standard parcels arrive?"
    more: dict[str, Any] = {"stream_options": {"include_usage": True}} if wants_usage else {}
    reply = await Extractive().send(ask(question, stream=True, **more))
    assert reply.headers["content-type"] == "text/event-stream"
    events = [part async for part in reply.chunks()]
    assert all(event.startswith(b"data: ") and event.endswith(b"\n\n") for event in events)
    assert events[-1] == b"data: [DONE]\n\n"
    parsed = [ChatCompletionChunk.model_validate_json(event[6:]) for event in events[:-1]]
    assert len({each.id for each in parsed}) == 1
    assert parsed[0].choices[0].delta.role == "assistant"
    text = "".join(each.choices[0].delta.content or "" for each in parsed if each.choices)
    assert text == said(question)
    finishes = [each.choices[0].finish_reason for each in parsed if each.choices]
    assert finishes == [None] * (len(finishes) - 1) + ["stop"]
    assert (parsed[-1].usage is not None) is wants_usage
    assert len(finishes) == 2 + len(answer(ask(question)))


async def test_content_may_come_in_parts() -> None:
    body = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "one two"}, {"type": "image_url"}, 3]}, 4]
    }
    reply = await Extractive().send(ProviderRequest(path="/chat/completions", body=json.dumps(body).encode()))
    assert json.loads(await reply.read())["usage"]["prompt_tokens"] == 2


@pytest.mark.parametrize(
    ("path", "body"), [("/embeddings", b"{}"), ("/chat/completions", b"{"), ("/chat/completions", b'{"messages": 3}')]
)
async def test_what_it_cannot_do(path: Any, body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        await Extractive().send(ProviderRequest(path=path, body=body))
    assert caught.value.status == 400


texts = st.text(alphabet="standard parcel arrive 24 days.|-\n£?", max_size=120)


@settings(max_examples=100, deadline=None)
@given(question=texts, passages=st.lists(texts, max_size=4))
def test_every_quote_is_a_sentence_of_its_passage_or_it_hands_over(question: str, passages: list[str]) -> None:
    chunks = tuple(chunk(number, text) for number, text in enumerate(passages, 1))
    parts = answer(ask(question, chunks))
    assert 1 <= len(parts) <= 3
    for part in parts:
        assert part == HAND_OVER or part.rstrip().endswith(tuple(f"[{each.number}]" for each in chunks))
