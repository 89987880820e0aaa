"""Conditions: what they mean, what is refused and how that is told, and that nothing else can ever happen."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.rules.chain import vocabulary
from rondo.rules.functions import FUNCTIONS, Value
from rondo.rules.language import Condition, Path, parse
from rondo.rules.tokens import MOST_CHARACTERS, ParseError

KNOWN = vocabulary(["topic"])
NOON = 1_763_726_400_000_000  # Friday, 2025-11-21, 12:00 UTC


def condition(text: str) -> Condition:
    return parse(text, KNOWN)


def holds(text: str, **facts: Any) -> bool:
    """With facts by name, `__` for the dot."""
    values = {tuple(name.split("__")): value for name, value in facts.items()}
    return condition(text).holds(lambda path: values.get(path))


@pytest.mark.parametrize(
    ("text", "facts", "expected"),
    [
        ("input.pii", {"input__pii": True}, True),
        ("input.pii", {"input__pii": False}, False),
        ("not input.pii", {"input__pii": False}, True),
        ("not not input.pii", {"input__pii": True}, True),
        ("input.pii.email", {"input__pii__email": 2}, True),
        ("input.pii.email > 2", {"input__pii__email": 2}, False),
        ("input.length > 2000", {"input__length": 2001}, True),
        ("input.length >= 20.5", {"input__length": 20}, False),
        ("input.length == 20.0", {"input__length": 20}, True),
        ("-1 < input.words", {"input__words": 0}, True),
        ('input.language == "de"', {"input__language": "de"}, True),
        ('input.language != "de"', {"input__language": "en"}, True),
        ("input.language != 'de'", {}, False),
        ("input.language == null", {}, True),
        ("null != input.language", {"input__language": "de"}, True),
        ('tags.channel in ["web", "app"]', {"tags__channel": "app"}, True),
        ('tags.channel not in ["web", "app"]', {"tags__channel": "mail"}, True),
        ('tags.channel not in ["web", "app"]', {}, False),
        ('tags["channel"] == "web"', {"tags__channel": "web"}, True),
        ("user in []", {"user": "x"}, False),
        ('inputs.tier == "gold"', {"inputs__tier": "gold"}, True),
        ('inputs.tier == "gold"', {"inputs__tier": 3}, False),
        ("inputs.vip == true", {"inputs__vip": True}, True),
        ("inputs.vip == true", {"inputs__vip": 1}, False),
        ("inputs.count > 2", {"inputs__count": "3"}, False),
        ("inputs.count > 2", {"inputs__count": True}, False),
        ('"x" in inputs.list', {"inputs__list": [1, "x"]}, True),
        ("1 in inputs.list", {"inputs__list": [True]}, False),
        ('"x" in inputs.list', {"inputs__list": "x"}, False),
        ("inputs.list", {"inputs__list": []}, False),
        ("budget.left_share < 0.2", {}, False),
        ("budget.left_share < 0.2", {"budget__left_share": 0.1}, True),
        ('class.topic == "billing" and class.topic.confidence >= 0.8', {"class__topic": "billing"}, False),
        ("true or input.pii and false", {}, True),
        ("(true or input.pii) and false", {}, False),
        ("not input.pii and false", {}, False),
        ("user", {"user": "customer-17"}, True),
        ("user", {}, False),
        ('"a" < "b"', {}, True),
    ],
)
def test_what_conditions_mean(text: str, facts: dict[str, Any], expected: bool) -> None:
    assert holds(text, **facts) is expected


@pytest.mark.parametrize(
    ("text", "said", "expected"),
    [
        ('contains(input.text, "refund")', "I want a REFUND!", True),
        ('contains(input.text, "refund", "money")', "my money", True),
        ('contains(input.text, "straße")', "STRASSE", True),
        ('contains(input.text, "refund")', "", False),
        ('mentions(input.text, "fund")', "a refund", False),
        ('mentions(input.text, "fund")', "the fund.", True),
        ('mentions(input.text, "money back")', "I want my money\n back", True),
        ('mentions(input.text, "über")', "bin drüber weg", False),
        ('mentions(input.text, "über")', "mehr ÜBER euch", True),
        ('mentions(input.text, "c++")', "I write C++.", True),
        ('mentions(input.text, ".*")', "anything", False),
        (r'matches(input.text, "(?i)order\s+\d+")', "my ORDER  4711", True),
        (r'matches(input.text, "(?i)order\\s+\\d+")', "my ORDER  4711", True),
        ('matches(input.text, "^ab$")', "xab", False),
        (r'contains(input.text, "say \"hi\"")', 'they say "Hi"', True),
        (r"contains(input.text, 'back\\slash')", "a back\\slash", True),
    ],
)
def test_text_functions(text: str, said: str, expected: bool) -> None:
    assert holds(text, input__text=said) is expected


def test_text_functions_of_what_is_no_text() -> None:
    for name in ("contains", "mentions", "matches"):
        for value in (None, 3, True, ["x"]):
            assert not holds(f'{name}(inputs.x, "x")', inputs__x=value)


def test_functions_of_time() -> None:
    assert holds('hour("Europe/Berlin") == 13', time__now=NOON)
    assert holds('weekday("Asia/Tokyo") == "fri" and date("Pacific/Auckland") == "2025-11-22"', time__now=NOON)
    assert condition('hour("UTC") == 1').asks == (("time", "now"),)


def test_only_what_is_needed_is_asked() -> None:
    asked: list[Path] = []

    def ask(path: Path) -> Value:
        asked.append(path)
        return path == ("input", "pii")

    assert condition("input.pii or input.language == 'de'").holds(ask)
    assert asked == [("input", "pii")]
    assert condition("input.pii or input.language == 'de' or input.pii").asks == (
        ("input", "pii"),
        ("input", "language"),
    )


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("input.pii.emial", 1, "did you mean `input.pii.email`? Allowed: "),
        ("input.length > 20 and input.lenght > 3", 23, "did you mean `input.length`?"),
        ("input.nothing_like_it", 1, "Allowed: input.pii, input.text"),
        ("class.topik", 1, "did you mean `class.topic`?"),
        ("inputs", 1, "`inputs.NAME`"),
        ("tags.a.b == 'x'", 1, 'tags["NAME"]'),
        ("input.length = 3", 14, "write `==`"),
        ("a && b", 3, "write `and`"),
        ("True", 1, "write `true`"),
        ("input.length >", 15, "the end stands where"),
        ("input.pii input.pii", 11, "join conditions with `and`"),
        ("(input.pii", 11, "`)` is missing for the `(` at 1"),
        ('contains(input.text, "a"', 25, "`)` is missing"),
        ("1 < 2 < 3", 7, "do not chain"),
        ("input.text > 3", 12, "text is never `>` a number"),
        ("input.pii > true", 11, "have no order"),
        ("null < 3", 6, "null has no order"),
        ("input.words in 3", 16, "stands a list"),
        ("input.text in user", 15, "use contains(text, ...)"),
        ("input.text in [1]", 15, "never 1"),
        ("input.words == [1]", 16, "only stand behind `in`"),
        ("[input.pii]", 2, "a list holds text"),
        ("'no end", 1, "no closing quote"),
        (".5 < input.words", 1, "0.95"),
        ("input.words > 1e5", 15, "0.95"),
        ("time.now > 3", 1, "did you mean `time.hour`?"),
        ("input.__class__", 1, "there is no fact"),
        ("contan(input.text, 'a')", 1, "did you mean `contains`?"),
        ("contains(input.text)", 1, "a text to look for"),
        ("contains(input.text, user)", 22, "text in quotes"),
        ("contains(input.length, 'a')", 10, "looks into a text"),
        ("matches(input.text, '(')", 21, "missing )"),
        ("matches(input.text, '(?=a)')", 21, "RE2"),
        ("matches(input.text, 'a', 'b')", 21, "one pattern"),
        ("hour('Mars/Olympus') > 3", 6, "there is no time zone"),
        ("hour('../../etc/passwd') > 3", 6, "there is no time zone"),
        ("hour() > 3", 1, "one time zone"),
        ("@", 1, "means nothing here"),
        ("", 1, "the end stands where"),
    ],
)
def test_errors_tell_the_place_and_the_remedy(text: str, at: int, words: str) -> None:
    with pytest.raises(ParseError) as raised:
        condition(text)
    assert words in raised.value.message
    assert raised.value.at + 1 == at


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000,
        "(" * 3_000 + "true" + ")" * 900,
        "contains(" * 400,
        "[" * 3_000,
        "x" * (MOST_CHARACTERS + 1),
        "not " * 900 + "(" * 100,
    ],
)
def test_what_is_too_long_or_too_deep(text: str) -> None:
    with pytest.raises(ParseError):
        condition(text)


def test_what_is_long_and_good() -> None:
    assert holds(" and ".join(["true"] * 400))
    assert holds("not " * 800 + "true")
    assert holds("(" * 40 + "true" + ")" * 40)


def test_a_pattern_cannot_take_long() -> None:
    """The classic that takes a backtracking engine longer than the universe."""
    assert not holds(r'matches(input.text, "^(a+)+$")', input__text="a" * 50_000 + "b")


def test_text_that_no_utf_8_can_carry() -> None:
    assert holds('contains(input.text, "ab")', input__text="ab\ud83d")
    assert holds('matches(input.text, "b.")', input__text="ab\ud83d")


WORDS = st.sampled_from(
    [
        *("and", "or", "not", "in", "==", "!=", "<", "<=", ">", ">=", "(", ")", "[", "]", ",", "true", "false", "null"),
        *("input.pii", "input.pii.email", "input.text", "input.length", "tags.a", 'tags["b c"]', "inputs.x.y", "user"),
        *("class.topic", "class.topic.confidence", "budget.left_share", '"web"', "'it''s'", "3", "-0.5", "1e9", "x.y"),
        *(f"{name}(" for name in FUNCTIONS),
        *('input.text, "a")', '"Europe/Berlin")', "\\", "=", "'"),
    ]
)
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers() | st.text())
)


@given(st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=40) | st.text(string.printable, max_size=40))
def test_parsing_never_fails_in_another_way(text: str) -> None:
    parsed, place = None, 0
    try:
        parsed = condition(text)
    except ParseError as error:
        place = error.at
    assert 0 <= place <= len(text)
    assert parsed is None or isinstance(parsed.holds(lambda path: None), bool)


@st.composite
def conditions(draw: st.DrawFn) -> str:
    """Conditions that are well-formed, of any shape."""
    leaves = st.sampled_from(
        [
            "input.pii",
            "inputs.x > 3",
            "inputs.x == inputs.y",
            "inputs.x < inputs.y",
            '"a" in inputs.x',
            "inputs.y not in [1, true, null, 'a']",
            "inputs.x == null",
            "tags.a != 'b'",
            "contains(inputs.x, 'a')",
            "mentions(tags.a, 'b')",
            "matches(inputs.y, 'a+')",
            "hour('UTC') >= inputs.x",
            "inputs.x",
        ]
    )
    joined = st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(" and ".join),
            st.tuples(inner, inner).map(" or ".join),
            inner.map("not ({})".format),
            inner.map("({})".format),
        ),
        max_leaves=8,
    )
    return draw(joined)


@given(conditions(), VALUES, VALUES, VALUES)
def test_evaluation_is_total(text: str, x: Any, y: Any, a: Any) -> None:
    """Whatever the values are, it comes to true or false; `not` of it to the other."""
    values: dict[Path, Any] = {
        ("inputs", "x"): x,
        ("inputs", "y"): y,
        ("tags", "a"): a,
        ("input", "pii"): True,
        ("time", "now"): NOON,
    }
    found = condition(text).holds(lambda path: values.get(path))
    assert found is not condition(f"not ({text})").holds(lambda path: values.get(path))


@given(conditions(), conditions(), st.booleans(), VALUES)
def test_joining_is_what_logic_says(one: str, other: str, pii: bool, x: Any) -> None:
    values: dict[Path, Any] = {("inputs", "x"): x, ("input", "pii"): pii, ("time", "now"): NOON}
    first, second = condition(one).holds(values.get), condition(other).holds(values.get)
    assert condition(f"({one}) and ({other})").holds(values.get) is (first and second)
    assert condition(f"({one}) or ({other})").holds(values.get) is (first or second)
