"""Names, free text and canonical JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.catalog.text import canonical_json, check_name, check_text
from rondo.errors import InvalidRequest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_canonical_json_is_json_and_a_fixed_point(value: Any) -> None:
    once = canonical_json(value)
    assert json.loads(once) == value
    assert canonical_json(json.loads(once)) == once


def test_canonical_json_does_not_know_the_order_of_keys() -> None:
    assert canonical_json({"b": 1, "a": "ü"}) == canonical_json({"a": "ü", "b": 1}) == '{"a":"ü","b":1}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_canonical_json_refuses_what_json_has_not(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        canonical_json(value)


@pytest.mark.parametrize("name", ["", "A", "a b", "-a", "a" * 65, "a/b", "a\n", "ä", "..", 7, None])
def test_bad_names_are_refused_with_their_field(name: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_name(name, param="app")
    assert caught.value.param == "app"
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["a", "0", "support-bot", "a.b_c", "a" * 64])
def test_good_names(name: str) -> None:
    assert check_name(name, param="app") == name


@pytest.mark.parametrize("value", ["\x00", "\ud800", "abcdef", 5, None])
def test_text_that_cannot_be_kept_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_text(value, param="message", longest=5)
    assert caught.value.param == "message"


def test_required_text() -> None:
    assert check_text("", param="message", longest=5) == ""
    with pytest.raises(InvalidRequest, match="empty"):
        check_text(" ", param="message", longest=5, required=True)
