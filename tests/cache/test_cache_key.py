"""When two requests are the same: spelling makes no difference, everything that changes an answer does."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import Raw

from rondo.cache.key import asked
from rondo.cache.model import Asked, CachePolicy, SemanticPolicy

SHARED = CachePolicy(ttl_s=60)
OWN = CachePolicy(ttl_s=60, across_users=False)
ALIKE = CachePolicy(ttl_s=60, semantic=SemanticPolicy(model="embed", at_least=0.9))
ALIKE_SHARED = CachePolicy(ttl_s=60, semantic=SemanticPolicy(model="embed", at_least=0.9, across_users=True))
MESSAGES = [{"role": "user", "content": "hello"}]


def ask(policy: CachePolicy = SHARED, **changes: Any) -> Asked | None:
    """A request; `fields` are JSON values, or JSON text as bytes."""
    fields = {"messages": MESSAGES, **changes.pop("fields", {})}
    raw = {
        name: Raw(value if isinstance(value, bytes) else json.dumps(value).encode()) for name, value in fields.items()
    }
    usual: dict[str, Any] = {
        "place": ("p", "bot", "c0ffee", "main"),
        "messages": json.dumps(changes.pop("rendered", MESSAGES)).encode(),
        "question": "hello",
        "who": "user u1",
    }
    return asked(policy, fields=raw, **{**usual, **changes})


def key(policy: CachePolicy = SHARED, **changes: Any) -> bytes:
    found = ask(policy, **changes)
    assert found is not None
    return found.key


def group(policy: CachePolicy = ALIKE, **changes: Any) -> bytes | None:
    found = ask(policy, **changes)
    assert found is not None
    return found.group


@pytest.mark.parametrize(
    "fields",
    [
        {"stream": True, "stream_options": {"include_usage": True}},
        {"user": "u2", "session": "s", "metadata": {"a": "b"}, "store": True},
        {"inputs": {"unused": 1}, "model": "bot", "service_tier": "flex"},
    ],
)
def test_what_changes_no_answer(fields: Any) -> None:
    assert key(fields=fields) == key()


@pytest.mark.parametrize(
    "changes",
    [
        {"place": ("q", "bot", "c0ffee", "main")},
        {"place": ("p", "bat", "c0ffee", "main")},
        {"place": ("p", "bot", "decaf", "main")},
        {"place": ("p", "bot", "c0ffee", "private")},
        {"place": ("p", "bot", "c0ffee", "main", "cheap")},
        {"rendered": [{"role": "user", "content": "Hello"}]},
        {"rendered": [{"role": "system", "content": "hello"}]},
        {"passages": ["one"]},
        {"question": "other"},
        *({"fields": {"temperature": value}} for value in (0, 0.5, None)),
        {"fields": {"n": 2}},
        {"fields": {"tools": [{"type": "function"}]}},
        {"fields": {"unknown_to_us": "x"}},
    ],
)
def test_what_does(changes: Any) -> None:
    assert key(**changes) != key()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"1", b"1.0"),
        (b"1", b"1e0"),
        (b"0.5", b"5e-1"),
        (b"0", b"-0.0"),
        (b'{"a": 1, "b": [2.0]}', b'{"b":[2],"a":1}'),
        (b'"\\u00e4"', '"ä"'.encode()),
        (b'["x"]', b'[ "x" ]'),
    ],
)
def test_spelling_makes_no_difference(one: bytes, other: bytes) -> None:
    assert key(fields={"x": one}) == key(fields={"x": other})


@pytest.mark.parametrize(
    ("one", "other"),
    [(b"1", b'"1"'), (b"1", b"true"), (b"0", b"false"), (b"null", b'"null"'), (b"[1,2]", b"[2,1]"), (b"{}", b"[]")],
)
def test_values_make_one(one: bytes, other: bytes) -> None:
    assert key(fields={"x": one}) != key(fields={"x": other})


def test_fields_that_the_release_overrules_make_none() -> None:
    assert key(fields={"temperature": 1}, frozen={"temperature"}) == key(frozen={"temperature"})


@pytest.mark.parametrize(
    "value",
    [
        b'{"a":1,"a":2}',
        b'[{"x":{"a":1,"a":1}}]',
        b'{"n":NaN}',
        b'{"n":1e999}',
        b'["\\ud83d"]',
        b"[" * 5_000 + b"]" * 5_000,
        b'{"n":' + b"9" * 5_000 + b"}",
    ],
)
def test_what_could_be_read_in_two_ways_is_not_cached(value: bytes) -> None:
    assert ask(fields={"tools": value}) is None


def test_one_user_never_gets_anothers_unless_said() -> None:
    assert key(SHARED, who="user a") == key(SHARED, who="user b") == key(SHARED, who=None)
    assert key(OWN, who="user a") == key(OWN, who="user a")
    assert key(OWN, who="user a") != key(OWN, who="user b")
    assert key(OWN, who="user a") != key(OWN, who="session a")
    assert ask(OWN, who=None) is None


def test_by_meaning_one_user_never_gets_anothers_unless_said() -> None:
    assert group(ALIKE, who="user a") != group(ALIKE, who="user b")
    assert group(ALIKE, who=None) is None
    assert group(ALIKE_SHARED, who="user a") == group(ALIKE_SHARED, who="user b") == group(ALIKE_SHARED, who=None)
    own = CachePolicy(ttl_s=60, across_users=False, semantic=ALIKE_SHARED.semantic)
    assert group(own, who="user a") != group(own, who="user b")


def test_only_the_wording_of_the_last_question_may_differ() -> None:
    def worded(text: str, *before: Any, **changes: Any) -> bytes | None:
        messages = [*before, {"role": "user", "content": text}]
        return group(question=text, rendered=messages, passages=[text], **{**changes, "fields": {"messages": messages}})

    system = {"role": "system", "content": "Be kind."}
    assert worded("hello") == worded("good day") is not None
    assert worded("hello", system) == worded("good day", system) != worded("hello")
    assert worded("hello", inputs={"tier": "gold"}) != worded("hello")
    assert worded("hello", given=["a passage"]) != worded("hello")
    assert worded("hello", place=("p", "bot", "decaf", "main")) != worded("hello")


def test_pictures_beside_the_question_must_be_the_same() -> None:
    def with_picture(text: str, url: str) -> bytes | None:
        content = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]
        return group(question=text, fields={"messages": [{"role": "user", "content": content}]})

    assert with_picture("what is it", "a") == with_picture("what's that", "a") != with_picture("what is it", "b")


@pytest.mark.parametrize(
    "changes",
    [
        {"policy": SHARED},
        {"question": ""},
        {"question": "  "},
        {"question": "x" * 8_001},
        {"fields": {"messages": [*MESSAGES, {"role": "tool", "content": "x"}]}},
        {"fields": {"messages": []}},
        {"fields": {"messages": b"{}"}},
    ],
)
def test_what_has_no_meaning_to_look_for(changes: Any) -> None:
    assert group(**changes) is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def turned(value: Any) -> Any:
    """The same value with its keys in the other order."""
    if isinstance(value, dict):
        return {name: turned(value[name]) for name in reversed(value)}
    return [turned(each) for each in value] if isinstance(value, list) else value


@given(JSON)
def test_the_order_of_keys_never_matters(value: Any) -> None:
    assert key(fields={"x": value}) == key(fields={"x": turned(value)})


@given(JSON, JSON)
def test_different_values_have_different_keys(one: Any, other: Any) -> None:
    def spelt(value: Any) -> bytes:
        """By a type of its own for each kind, so that 1 and true differ, and 1 and 1.0 do not."""
        if isinstance(value, bool):
            return b"t" if value else b"f"
        if isinstance(value, int | float):
            return b"n" + repr(int(value) if value == int(value) and abs(value) < 2**53 else value).encode()
        if isinstance(value, dict):
            return b"{" + b",".join(sorted(spelt(name) + b":" + spelt(each) for name, each in value.items())) + b"}"
        if isinstance(value, list):
            return b"[" + b",".join(map(spelt, value)) + b"]"
        return msgspec.json.encode(value)

    assume(spelt(one) != spelt(other))
    assert key(fields={"x": one}) != key(fields={"x": other})


@given(st.binary(max_size=40))
def test_any_bytes(value: bytes) -> None:
    try:
        msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        assert ask(fields={"x": value}) is None or value.strip() != value
