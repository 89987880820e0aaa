"""What `@trace.step(keep=True)` keeps: plain, bounded, without secrets, and never in the program's way."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import enum
import json
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rondo import kept, trace


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Order:
    number: int
    api_key: str = "sk-1"


@dataclasses.dataclass(slots=True)
class Line:
    item: str


class Login(NamedTuple):
    user: str
    password: str


class Odd:
    def __repr__(self) -> str:
        raise ValueError("no")


class Broken(dict[str, Any]):
    def items(self) -> Any:
        raise ValueError("no")


def told(ended: InMemorySpanExporter) -> tuple[Any, Any]:
    (span,) = ended.get_finished_spans()
    ended.clear()
    assert span.attributes is not None
    return span.attributes.get("input.value"), span.attributes.get("output.value")


def test_arguments_and_result_are_kept_where_asked_for(ended: InMemorySpanExporter) -> None:
    def find(user: str, *more: int, limit: int = 3, **rest: str) -> list[str]:
        return [user]

    assert trace.step("find", keep=True)(find)("u1", 1, 2, limit=5, b="x") == ["u1"]
    assert told(ended) == ('{"user": "u1", "more": [1, 2], "limit": 5, "rest": {"b": "x"}}', '["u1"]')
    assert trace.step("find")(find)("u1") == ["u1"]
    assert told(ended) == (None, None)


def test_methods_texts_and_nothing(ended: InMemorySpanExporter) -> None:
    class Desk:
        @trace.step("answer", keep=True)
        def answer(self, question: str) -> str:
            return question.upper()

        @trace.step("close", keep=True)
        def close(self) -> None:
            pass

    Desk().answer("hi")
    assert told(ended) == ('{"question": "hi"}', "HI")
    Desk().close()
    assert told(ended) == (None, None)


def test_what_a_failing_step_was_given_is_kept(ended: InMemorySpanExporter) -> None:
    @trace.step("divide", keep=True)
    def divide(by: int) -> float:
        return 1 / by

    with pytest.raises(ZeroDivisionError):
        divide(0)
    assert told(ended) == ('{"by": 0}', None)
    with pytest.raises(TypeError):
        divide(of=1)  # type: ignore[call-arg]
    assert told(ended) == (None, None)


def test_coroutines_and_generators(ended: InMemorySpanExporter) -> None:
    @trace.step("ask", keep=True)
    async def ask(question: str) -> dict[str, int]:
        return {"answer": 42}

    @trace.step("stream", keep=True)
    def stream(*words: str) -> Generator[str, None, str]:
        yield from words
        return "end"

    @trace.step("count", keep=True)
    async def count(to: int) -> AsyncGenerator[int, None]:
        for number in range(to):
            yield number

    async def all_of(to: int) -> list[int]:
        return [number async for number in count(to)]

    assert asyncio.run(ask("x")) == {"answer": 42}
    assert told(ended) == ('{"question": "x"}', '{"answer": 42}')
    assert list(stream("a", "b")) == ["a", "b"]
    assert told(ended) == ('{"words": ["a", "b"]}', "ab")
    assert asyncio.run(all_of(2)) == [0, 1]
    assert told(ended) == ('{"to": 2}', "[0, 1]")
    assert list(stream()) == []
    assert told(ended)[1] is None
    part = stream("a", "b")
    next(part)
    part.close()
    assert told(ended)[1] == "a"


def test_no_more_of_a_generator_is_held_than_is_kept(ended: InMemorySpanExporter) -> None:
    class Large:
        pass

    alive: weakref.WeakSet[Large] = weakref.WeakSet()

    @trace.step("many", keep=True)
    def many(number: int, made: Callable[[], Any]) -> Generator[Any, None, None]:
        for _ in range(number):
            yield made()

    def large() -> Large:
        alive.add(one := Large())
        return one

    most = 0
    for _ in many(1_000, large):
        most = max(most, len(alive))
    assert most <= kept.MAX_ITEMS + 2
    values = json.loads(told(ended)[1])
    assert (len(values), values[-1]) == (kept.MAX_ITEMS + 1, "… of 1,000")
    assert len(list(many(20_000, lambda: "word "))) == 20_000
    assert told(ended)[1] == "word " * (kept.MAX_ALL // 5) + "…"
    held = kept.Yielded()
    for value in ("x" * 1_000_000, *[""] * 1_000_000):
        held.add(value)
    assert sum(len(text) for text in held.held) == kept.MAX_ALL + 1
    mixed = kept.Yielded()
    for each in (*["a"] * 150, 1, "b"):
        mixed.add(each)
    assert json.loads(kept.as_text(mixed)) == [*["a"] * 100, "… of 152"]


def test_nothing_is_read_until_spans_are_sent() -> None:
    class Watched(Broken):
        asked = False

        def items(self) -> Any:
            Watched.asked = True
            return super().items()

    assert trace.step("x", keep=True)(lambda given: 1)(Watched(a=1)) == 1
    assert not Watched.asked


def test_secrets_are_left_out_at_any_depth() -> None:
    names: tuple[str | bytes, ...] = (
        "password",
        "api_key",
        "apiKey",
        "openai_api_key",
        "client_secret",
        "Authorization",
        "access_token",
        "token",
        "authToken",
        "x-api-key",
        *("authtoken", "accesstoken", "APIToken", "HFToken", "token1", "pwd2", "dbpass", "DBPass", "passcode"),
        *("api key", "user.token", "auth.key", "PASSword", "oauth", "access_tokens", "token:2", "MYTOKEN"),
        b"authorization",
    )
    for name in names:
        assert "hush" not in kept.as_text({"deep": [{name: "hush"}]}), name
        if len(name.split()) == 1:
            assert "hush" not in kept.as_text({"headers": [(name, "hush"), [name, "hush"]]}), name
    assert kept.as_text([("Authorization", "Bearer x")]) == '[["Authorization", "[left out]"]]'
    assert kept.as_text(Login("u1", "hush")) == '{"user": "u1", "password": "[left out]"}'
    said = [["How do I get a new password?", "By mail."], ["a", "b"], ["password", "user", "id"]]
    assert json.loads(kept.as_text(said)) == said, "no pairs of a name and a value"
    assert kept.as_text(Order(7)) == '{"number": 7, "api_key": "[left out]"}'
    assert json.loads(kept.as_text({"tokens": 3, "max_tokens": 4, "author": "a", "passage": "p", "bypass": 1})) == {
        "tokens": 3, "max_tokens": 4, "author": "a", "passage": "p", "bypass": 1,
    }  # fmt: skip


def test_values_are_plain() -> None:
    values = [
        Colour.RED,
        Decimal("1.5"),
        datetime.date(2026, 1, 2),
        Path("a/b"),
        b"xyz",
        float("nan"),
        1 << 70,
        Line("x"),
    ]
    assert json.loads(kept.as_text(values)) == [
        "red", "1.5", "2026-01-02", "a/b", "<3 bytes>", "nan", "<int of 71 bits>", {"item": "x"},
    ]  # fmt: skip
    assert kept.as_text([Odd(), len]) == '["<Odd>", "<builtin_function_or_method>"]'
    assert kept.as_text(Broken(a=1)) == "<Broken>"
    assert kept.as_text("half \ud800") == "half ?"


def test_what_is_large_is_cut() -> None:
    assert json.loads(kept.as_text(list(range(1_000))))[-1] == "… of 1,000"
    assert len(json.loads(kept.as_text({str(n): n for n in range(1_000)}))) == kept.MAX_ITEMS + 1
    assert len(kept.as_text("x" * 1_000_000)) == kept.MAX_ALL + 1
    wide: Any = "x" * 1_000
    for _ in range(6):
        wide = [wide] * 50
    assert len(kept.as_text(wide)) < 2 * kept.MAX_ALL
    deep: list[Any] = []
    deep.append(deep)
    assert "…" in kept.as_text(deep)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
    max_leaves=20,
))  # fmt: skip
def test_anything_becomes_a_text_that_can_be_sent(value: Any) -> None:
    text = kept.as_text(value)
    text.encode()
    if not isinstance(value, str | bytes | float) and not (isinstance(value, int) and value.bit_length() > 64):
        json.loads(text)
