"""Guards run in the order of the file; a later one sees what an earlier one left, and the record only that."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guarding import HAND_OVER, guards, over
from rondo.errors import Unavailable
from rondo.guards.chain import WITHHELD, without_tokens
from rondo.guards.model import Finding, Text
from rondo.guards.pseudonyms import tokens_in
from rondo.guards.texts import MOST_DEPTH, Slots, TooDeep

REDACT: dict[str, Any] = {"check": "pii", "action": "redact"}


async def test_a_later_guard_sees_what_an_earlier_one_left() -> None:
    block = {"check": "words", "words": ["anna"], "action": "block"}
    assert (await over(guards(REDACT, block), "anna@shop.example")).blocked is None
    assert (await over(guards(block, REDACT), "anna@shop.example")).blocked == HAND_OVER


async def test_verdicts_count_and_never_quote() -> None:
    outcome = await over(guards(REDACT, {"check": "secrets"}), "anna@shop.example and bob@shop.example")
    first, second = outcome.verdicts
    assert (first.guard, first.stage, first.action, first.found) == ("pii", "input", "redact", {"email": 2})
    assert (second.guard, second.found) == ("secrets", {})
    assert b"anna" not in msgspec.json.encode(outcome.verdicts)
    assert outcome.texts == ["[EMAIL] and [EMAIL]"]


async def test_what_is_blocked_is_still_redacted() -> None:
    made = guards({"check": "words", "words": ["fool"], "action": "block", "answer": "Please be kind."}, REDACT)
    outcome = await over(made, "you fool, anna@shop.example")
    assert outcome.blocked == "Please be kind."
    assert outcome.texts == ["you fool, [EMAIL]"]


async def test_the_first_route_counts() -> None:
    specs = [{"check": "pii", "action": "route", "use": [name]} for name in ("private", "other")]
    assert (await over(guards(*specs), "anna@shop.example")).route == ("private",)
    assert (await over(guards(*specs), "hello")).route == ()


async def test_tokens_are_no_findings() -> None:
    made = guards({**REDACT, "pseudonyms": True}, {"check": "secrets", "action": "block"}, {"check": "pii"})
    outcome = await over(made, "password: anna@shop.example9")
    token = outcome.texts[0].partition(" ")[2]
    assert token.startswith("<EMAIL:")
    assert [verdict.found for verdict in outcome.verdicts] == [{"email": 1}, {}, {}]


async def test_a_guard_that_breaks_withholds_what_it_should_have_redacted() -> None:
    made = guards(REDACT)

    class Broken:
        def look(self, texts: object) -> Any:
            raise RuntimeError("a defect")

    broken = msgspec.structs.replace(made.input[0], check=Broken())
    outcome = await over(msgspec.structs.replace(made, input=(broken,)), "anna@shop.example")
    assert isinstance(outcome.failure, Unavailable)
    assert outcome.texts == [WITHHELD]


async def test_length_is_of_all_messages_together() -> None:
    made = guards({"check": "length", "max_chars": 5, "action": "block"})
    assert (await over(made, "123", "45")).blocked is None
    outcome = await over(made, "123", "456")
    assert outcome.blocked == HAND_OVER
    assert outcome.verdicts[0].note == "6 characters, at most 5"


async def test_a_schema_says_where_and_not_what() -> None:
    schema = {"type": "object", "properties": {"price": {"type": "number"}}, "required": ["price"]}
    made = guards({"check": "schema", "on": ["output"], "json_schema": schema, "action": "block"})
    outcome = await over(made, '{"price": "anna@shop.example"}', stage="output")
    assert outcome.blocked == HAND_OVER
    assert outcome.verdicts[0].note == "#/properties/price/type"
    assert (await over(made, '{"price": 3}', stage="output")).blocked is None
    assert (await over(made, "no JSON", stage="output")).verdicts[0].note == "the whole answer"
    assert (await over(made, "[" * 50_000, stage="output")).blocked == HAND_OVER
    assert (await over(made, Text("reasoning", "no JSON"), stage="output")).blocked is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(JSON)
def test_texts_put_back_unchanged_change_nothing(value: Any) -> None:
    holder = [msgspec.json.decode(msgspec.json.encode(value))]
    slots = Slots()
    slots.add(holder, 0, "user")
    assert slots.put([text.value for text in slots.texts], keep_thoughts=False) is False
    assert holder == [value]


@given(JSON)
def test_every_text_can_be_changed(value: Any) -> None:
    holder = [value]
    slots = Slots()
    slots.add(holder, 0, "user")
    slots.put(["X" for _ in slots.texts], keep_thoughts=False)
    again = Slots()
    again.add(holder, 0, "user")
    assert {text.value for text in again.texts} <= {"X"}
    assert len(again.texts) == len(slots.texts)


def test_arguments_stay_json() -> None:
    message: dict[str, Any] = {
        "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": '{"to": "\\n\\"a@b.com\\"", "n": 1}'}}]
    }
    slots = Slots()
    slots.add_message(message, "assistant", others="assistant")
    assert [text.value for text in slots.texts] == ['\n"a@b.com"']
    slots.put(['\n"[EMAIL]"'], keep_thoughts=False)
    assert msgspec.json.decode(message["tool_calls"][0]["function"]["arguments"]) == {"to": '\n"[EMAIL]"', "n": 1}


@pytest.mark.parametrize("keep", [True, False])
def test_a_signed_thought_is_changed_only_where_its_signature_holds(keep: bool) -> None:
    blocks = [
        {"type": "thinking", "thinking": "ask a@b.com", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
    ]
    message: dict[str, Any] = {"role": "assistant", "thinking_blocks": blocks}
    slots = Slots()
    slots.add_message(message, "assistant", others="assistant")
    slots.put(["ask X"], keep_thoughts=keep)
    assert [block.get("thinking") for block in message["thinking_blocks"]] == (["ask X", None] if keep else [None])


def test_data_is_passed_over() -> None:
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        {"type": "file", "file": {"file_data": "data:...", "filename": "anna.pdf"}},
    ]
    slots = Slots()
    slots.add_message({"role": "user", "content": parts}, "user", others="user")
    assert [text.value for text in slots.texts] == ["look", "anna.pdf"]


def test_what_is_nested_too_deep_is_refused() -> None:
    value: Any = "x"
    for _ in range(MOST_DEPTH + 5):
        value = [value]
    with pytest.raises(TooDeep):
        Slots().add([value], 0, "user")


TOKEN = "<EMAIL:N4LYH4COLLVMXDDCWSDESOEVQDLQ5WTOJHIQ>"


@given(st.lists(st.sampled_from([TOKEN, TOKEN[:20], "anna@shop.example", " ", "x"]), max_size=8), st.data())
def test_findings_in_tokens_are_none(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    edges = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=12)))
    findings = [Finding("email", start, end) for start, end in zip(edges[::2], edges[1::2], strict=False)]
    tokens = list(tokens_in(text))
    outside = [each for each in findings if not any(each.start < end and start < each.end for start, end in tokens)]
    assert without_tokens(text, findings) == outside
