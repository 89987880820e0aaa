"""Tokens are the same for the same value, turn back only where they were issued, and cannot be forged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guarding import SECRET
from rondo.guards.pseudonyms import Pseudonyms, Restorer, tokens_in, unfinished

ONE = Pseudonyms(SECRET, "p")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


def token(kind: str = "email", value: str = "anna@shop.example") -> str:
    made = ONE.token(kind, value)
    assert made is not None
    return made


@given(st.sampled_from(["email", "it_fiscal_code"]), TEXT)
def test_a_token_turns_back(kind: str, value: str) -> None:
    made = token(kind, value)
    assert made == token(kind, value)
    assert ONE.restore(f"to {made}, now", {made}) == f"to {value}, now"
    assert list(tokens_in(made)) == [(0, len(made))]


def test_other_values_kinds_projects_and_keys_have_other_tokens() -> None:
    others = [
        token(value="bob@shop.example"),
        token(kind="phone"),
        Pseudonyms(SECRET, "q").token("email", "anna@shop.example"),
        Pseudonyms(SECRET[::-1], "p").token("email", "anna@shop.example"),
    ]
    assert len({token(), *others}) == 5


def test_a_token_that_was_not_issued_stays() -> None:
    """A user who learns another one's token cannot have it read to them."""
    assert ONE.restore(token(), set()) == token()
    assert ONE.restore(token(), {token("phone", "1")}) == token()


@pytest.mark.parametrize("change", [str.lower, lambda t: t.replace(":", " : "), lambda t: t.replace("<", "< ")])
def test_a_model_may_change_capitals_and_spaces(change: object) -> None:
    assert ONE.restore(change(token()), {token()}) == "anna@shop.example"  # type: ignore[operator]


def test_a_forged_token_stays_even_where_it_was_issued() -> None:
    forged = token()[:-3] + ("AA>" if token()[-3:-1] != "AA" else "BB>")
    assert ONE.restore(forged, {forged.upper()}) == forged
    assert ONE.restore("<EMAIL:" + "A" * 40 + ">", {"<EMAIL:" + "A" * 40 + ">"}) == "<EMAIL:" + "A" * 40 + ">"


def test_a_value_that_is_too_long_has_no_token() -> None:
    assert ONE.token("private_key", "x" * 501) is None


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        Pseudonyms(b"short", "p")


PARTS = [token(), token("phone", "+49 170 1234567"), " and ", "<", "<b>", "< EMAIL", ": x", token()[:20], "ü", "a < b"]


@given(st.lists(st.sampled_from(PARTS), max_size=12), st.lists(st.integers(1, 40), max_size=60))
def test_any_pieces_turn_back_like_the_whole(parts: list[str], sizes: list[int]) -> None:
    text = "".join(parts)
    issued = {token(), token("phone", "+49 170 1234567")}
    restorer = Restorer(ONE, issued)
    out, rest = "", text
    for size in sizes:
        out, rest = out + restorer.feed(rest[:size]), rest[size:]
    out += restorer.feed(rest) + restorer.end()
    assert out == ONE.restore(text, issued)


def test_only_what_may_become_a_token_is_held_back() -> None:
    restorer = Restorer(ONE, {token()})
    assert restorer.feed("a <b> c") == "a <b> c"
    assert restorer.feed("see <") == "see "
    assert restorer.feed("p>") == "<p>"
    assert restorer.feed(token()[:30]) == ""
    assert restorer.feed(token()[30:]) == "anna@shop.example"


@pytest.mark.parametrize("rest", ["<", "< ", "<EM", "<EMAIL:", "<EMAIL:AB2", "<EMAIL : AB2 "])
def test_where_a_token_may_have_begun(rest: str) -> None:
    assert unfinished("abc " + rest) == 4
    assert unfinished("abc " + rest + ">") == len(rest) + 5
    assert unfinished("abc < 3 or 4, ") == 14
