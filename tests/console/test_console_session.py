"""The session cookie, the check of where forms come from, and where sign-in may lead."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from rondo.console import session
from rondo.console.shield import is_from_our_pages, is_safe_path

KEY = b"k" * 32
DIGEST = "ab" * 32
NOW = 1_790_000_000_000_000


def test_a_sealed_cookie_opens_until_it_runs_out() -> None:
    value = session.seal(KEY, DIGEST, NOW)
    end = NOW + session.LIFETIME_S * 1_000_000
    assert session.unseal(KEY, value, NOW) == DIGEST
    assert session.unseal(KEY, value, end - 1) == DIGEST
    assert session.unseal(KEY, value, end) is None


def test_another_key_does_not_open_it() -> None:
    assert session.unseal(b"x" * 32, session.seal(KEY, DIGEST, NOW), NOW) is None


@settings(max_examples=60)
@given(at=st.integers(0, 300), char=st.characters())
def test_no_changed_character_goes_unseen(at: int, char: str) -> None:
    value = session.seal(KEY, DIGEST, NOW)
    at %= len(value)
    changed = value[:at] + char + value[at + 1 :]
    assert (session.unseal(KEY, changed, NOW) is None) == (changed != value)


@settings(max_examples=60)
@given(st.text())
def test_other_text_opens_nothing(text: str) -> None:
    assert session.unseal(KEY, text, NOW) is None


def test_a_longer_life_is_no_longer_signed() -> None:
    digest, expires, signature = session.seal(KEY, DIGEST, NOW).split(".")
    assert session.unseal(KEY, f"{digest}.{int(expires) + 1}.{signature}", NOW) is None


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "http://a:1", "host": "a:1"}, True),
        ({"sec-fetch-site": "cross-site", "origin": "http://a:1", "host": "a:1"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "http://a:1", "host": "a:1"}, True),
        ({"origin": "http://a:2", "host": "a:1"}, False),
        ({"origin": "null", "host": "a:1"}, False),
        ({"origin": "null", "sec-fetch-site": "same-origin", "host": "a:1"}, False),
        ({"host": "a:1"}, False),
        ({}, False),
    ],
)
def test_where_a_form_comes_from(headers: dict[str, str], ours: bool) -> None:
    assert is_from_our_pages(Headers(headers)) is ours


@pytest.mark.parametrize("path", ["//evil.test", "https://evil.test", "/\\evil.test", "", "javascript:x", "/a\nb", "x"])
def test_sign_in_leads_nowhere_else(path: str) -> None:
    assert not is_safe_path(path)


@pytest.mark.parametrize("path", ["/", "/calls?app=bot", "/releases/bot#history"])
def test_sign_in_leads_to_our_pages(path: str) -> None:
    assert is_safe_path(path)
