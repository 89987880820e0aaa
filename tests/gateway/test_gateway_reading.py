"""Half characters cost neither the answer nor its record."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_house import House
from rondo.gateway.reading import UNREADABLE, read
from scripted_upstream import whole

HALF = r"\ud83d"
anything = msgspec.json.Decoder(str)


@given(st.text(st.characters(codec=None, categories=("L", "Cs", "So", "P"))))
def test_whatever_json_can_spell_is_read(text: str) -> None:
    found = read(anything, json.dumps(text).encode())
    assert len(found) <= len(text)
    found.encode()  # there is no half character left
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert found == text


@pytest.mark.parametrize(
    ("spelled", "meant"),
    [
        (r'"\ud83d\ude00"', "😀"),
        (r'"a\ud83db"', "a\ufffdb"),
        (r'"\ude00\ud83d"', "\ufffd\ufffd"),
        (r'"\uD83D\uDE00"', "😀"),
    ],
)
def test_pairs_stay_and_halves_become_replacements(spelled: str, meant: str) -> None:
    assert read(anything, spelled.encode()) == meant


@pytest.mark.parametrize("data", [b"", b"{", b'"\xff"', rb'"\ud83"', b"[" * 100_000])
def test_what_is_no_json_stays_unreadable(data: bytes) -> None:
    with pytest.raises(UNREADABLE):
        read(anything, data)


async def test_half_a_character_in_a_question_and_in_an_answer(house: House) -> None:
    answer = b'{"choices":[{"message":{"role":"assistant","content":"hi \\ud83d"},"finish_reason":"stop"}]}'
    house.upstream.plays["emoji"] = whole(answer)
    house.model("emoji")
    asked = ('{"model":"emoji","messages":[{"role":"user","content":"' + HALF + '"}]}').encode()
    response = await house.post("/v1/chat/completions", asked)
    assert (response.status_code, response.content) == (200, answer)
    assert rb"\ufffd" in house.upstream.last.body
    assert (house.call.question, house.call.answer) == ("\ufffd", "hi \ufffd")
