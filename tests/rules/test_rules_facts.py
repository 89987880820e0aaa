"""Facts: each is worked out when it is asked for, once, and only then."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.rules.facts import Conversation, Facts, Sources, known, recorded, shown

NOON = 1_763_726_400_000_000  # Friday, 2025-11-21, 12:00 UTC


class Asked:
    """Facts of a request, and a count of what was worked out."""

    def __init__(self, **given: Any) -> None:
        self.worked_out: Counter[str] = Counter()
        fields: dict[str, Any] = {
            "text": "Where is my order?",
            "conversation": lambda: self._note(
                "conversation", Conversation(messages=3, characters=40, images=1, texts=("a", "b"))
            ),
            "inputs": {},
            "tags": {},
            "user": None,
            "session": None,
            "tools": lambda: self._note("tools", 2),
            "now_us": NOON,
            "sources": Sources(
                find_personal=lambda text: self._note("personal", {"email": text.count("@"), "card": 0}),
                language=lambda text: self._note("language", "en"),
                classify=lambda name, text: self._note(f"class {name}", ("billing", 0.9)),
                budget_left=lambda: self._note("budget", 0.25),
            ),
            **given,
        }
        self.facts = Facts(**fields)

    def _note(self, what: str, value: Any) -> Any:
        self.worked_out[what] += 1
        return value

    def __getitem__(self, name: str) -> Any:
        return self.facts.ask(tuple(name.split(".")))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("input.text", "Where is my order?"),
        ("input.length", 18),
        ("input.words", 4),
        ("input.language", "en"),
        ("input.images", 1),
        ("input.tools", 2),
        ("conversation.length", 40),
        ("conversation.messages", 3),
        ("user", None),
        ("session", None),
        ("time.hour", 12),
        ("time.weekday", "fri"),
        ("time.date", "2025-11-21"),
        ("time.now", NOON),
        ("budget.left_share", 0.25),
        ("class.topic", "billing"),
        ("class.topic.confidence", 0.9),
        ("input.pii", False),
        ("input.pii.email", 0),
    ],
)
def test_each_fact(name: str, value: Any) -> None:
    assert Asked()[name] == value


def test_nothing_is_worked_out_before_it_is_asked_for_and_all_of_it_once() -> None:
    asked = Asked()
    assert not asked.worked_out
    names = known(["topic"], ["email", "card"]).facts
    for name in [*names, *names]:
        asked[name]
    wanted = ("conversation", "tools", "personal", "language", "class topic", "budget")
    assert asked.worked_out == dict.fromkeys(wanted, 1)


def test_every_fact_that_may_be_named_has_a_value_of_its_type() -> None:
    asked = Asked(user="u", session="s")
    types = {"truth": bool, "number": int | float, "text": str}
    for name, kind in known(["topic"], ["email"]).facts.items():
        assert isinstance(asked[name], types[kind]), name


def test_personal_data_is_looked_for_in_all_that_would_leave() -> None:
    texts = ("a@example.com", "x")
    conversation = Conversation(messages=2, characters=9, images=0, texts=texts)
    asked = Asked(conversation=lambda: conversation, inputs={"about": {"mail": ["b@example.com", 7]}})
    assert asked["input.pii"] is True
    assert asked["input.pii.email"] == 2
    assert asked["input.pii.card"] == 0


def test_texts_are_kept_apart() -> None:
    """What ends one text and begins the next is nobody's telephone number."""
    conversation = Conversation(messages=2, characters=9, images=0, texts=("call 0170", "1234567"))
    seen: list[str] = []

    def find_personal(text: str) -> dict[str, int]:
        seen.append(text)
        return {}

    sources = Sources(
        find_personal=find_personal,
        language=lambda text: None,
        classify=lambda name, text: (None, 0.0),
        budget_left=lambda: None,
    )
    assert Asked(conversation=lambda: conversation, sources=sources)["input.pii"] is False
    assert seen == ["call 0170\x001234567"]


@pytest.mark.parametrize(
    ("inputs", "name", "value"),
    [
        ({"tier": "gold"}, "inputs.tier", "gold"),
        ({"customer": {"tier": "gold"}}, "inputs.customer.tier", "gold"),
        ({"customer": {"tier": "gold"}}, "inputs.customer", True),
        ({"customer": {}}, "inputs.customer", True),
        ({"customer": "x"}, "inputs.customer.tier", None),
        ({}, "inputs.customer.tier", None),
        ({"n": [1, {"a": 2}, "b", None, [3]]}, "inputs.n", [1, "b", None]),
        ({"n": None}, "inputs.n", None),
    ],
)
def test_app_variables(inputs: Any, name: str, value: Any) -> None:
    assert Asked(inputs=inputs)[name] == value


def test_tags() -> None:
    asked = Asked(tags={"channel": "web"})
    assert (asked["tags.channel"], asked["tags.other"]) == ("web", None)


def test_records_hold_no_text_that_a_client_wrote() -> None:
    asked = Asked(inputs={"note": "secret", "n": 3}, tags={"channel": "web"}, user="me@example.com")
    for name in (
        "input.text",
        "input.language",
        "inputs.note",
        "inputs.n",
        "inputs.no",
        "user",
        "tags.channel",
        "time.now",
    ):
        asked[name]
    assert recorded(asked.facts.asked) == {
        "input.text": "set",
        "input.language": "en",
        "inputs.note": "set",
        "inputs.n": 3,
        "inputs.no": None,
        "user": "set",
        "tags.channel": "web",
        "time.now": "2025-11-21T12:00:00+00:00",
    }


def test_long_text_is_cut_for_people() -> None:
    assert shown(("input", "text"), "x" * 300) == "x" * 200 + "…"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3), st.lists(st.text(max_size=3), min_size=1, max_size=4))
def test_app_variables_of_any_shape(inputs: dict[str, Any], path: list[str]) -> None:
    asked = Asked(inputs=inputs)
    value = asked.facts.ask(("inputs", *path))
    assert value is None or isinstance(value, bool | int | float | str | list)
    assert isinstance(asked["input.pii"], bool)
