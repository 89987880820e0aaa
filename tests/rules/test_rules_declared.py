"""What a project declares: rules and classifiers become parts of a manifest, and every mistake names its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rondo.errors import CorruptData, SettingsError, Unavailable
from rondo.rules import spoken
from rondo.rules.chain import Rules, compiled
from rondo.rules.declared import MOST_RULES, Declared, check_rules, declared, in_words, read_examples
from rondo.rules.facts import Conversation, Facts
from rondo.settings.project import parse

TOML = """
[app]
name = "bot"
prompt = "answer.md"
route = ["main"]
[models.main]
provider = "openai"
[models.cheap]
provider = "openai"
[models.private]
provider = "openai"
"""
CSV = Path(__file__).parent / "support_questions.csv"


def declare(more: str, files: dict[str, bytes] | None = None) -> Declared:
    def read(path: str, key: str) -> bytes:
        return (files or {})[path]

    return declared(parse(TOML + more), read)


def decide(rules: Rules, text: str, **given: Any) -> tuple[str, ...] | None:
    fields: dict[str, Any] = {
        "conversation": lambda: Conversation(messages=1, characters=len(text), images=0, texts=(text,)),
        "inputs": {},
        "tags": {},
        "user": None,
        "session": None,
        "tools": lambda: 0,
        "now_us": 0,
        "sources": rules.sources(lambda: None),
        **given,
    }
    decision = rules.decide(Facts(text=text, **fields))
    return None if decision is None else decision.use


def test_the_router_of_the_reference_architecture() -> None:
    """Personal data stays at home, simple questions take the cheap model, the rest goes along the route."""
    found = declare(
        """
[[rules]]
when = "input.pii"
use = "private"
[[rules]]
when = "input.words <= 8 and conversation.messages == 1"
use = ["cheap", "main"]
"""
    )
    assert found.classifiers == {}
    rules = compiled(found.rules, found.classifiers)
    assert decide(rules, "mail me at jo@example.com") == ("private",)
    assert decide(rules, "When do you open?") == ("cheap", "main")
    assert decide(rules, "When do you open, and " * 5) is None
    assert rules.uses == {"private", "cheap", "main"}


def test_a_classifier_from_examples() -> None:
    found = declare(
        """
[classifiers.topic]
examples = "topics.csv"
[[rules]]
when = 'class.topic == "billing" and class.topic.confidence > 0.5'
use = "cheap"
""",
        {"topics.csv": CSV.read_bytes()},
    )
    assert found.reports["topic"].examples == 150
    told = in_words(found.reports["topic"])
    assert told.startswith(
        "150 examples, 5 labels; right for 73% of examples held back (65% to 79%; guessing gets 20%): "
    )
    assert told.index("technical 63%") < told.index("returns 80%")
    rules = compiled(found.rules, found.classifiers)
    assert decide(rules, "I was charged twice on my card") == ("cheap",)
    assert decide(rules, "The brakes are squealing") is None


def test_the_explanation_stops_at_the_rule_that_fires() -> None:
    rules = compiled(
        [
            {"when": "input.length > 1000", "use": ["a"]},
            {"when": 'tags.channel == "web"', "use": ["b"]},
            {"when": "input.pii", "use": ["c"]},
        ],
        {},
    )
    facts = Facts(
        text="hello",
        conversation=lambda: Conversation(messages=1, characters=5, images=0, texts=("hello",)),
        inputs={},
        tags={"channel": "web"},
        user=None,
        session=None,
        tools=lambda: 0,
        now_us=0,
        sources=rules.sources(lambda: None),
    )
    outcomes = rules.explain(facts)
    assert [outcome.holds for outcome in outcomes] == [False, True, None]
    assert [outcome.facts for outcome in outcomes] == [{"input.length": 5}, {"tags.channel": "web"}, {}]
    decision = rules.decide(facts)
    assert decision is not None
    assert (decision.rule, decision.when, decision.use) == (1, 'tags.channel == "web"', ("b",))
    assert decision.why == {"input.length": 5, "tags.channel": "web"}


@pytest.mark.parametrize(
    ("more", "param", "words"),
    [
        (
            '[[rules]]\nwhen = "true"\nuse = "main"\n[[rules]]\nwhen = "input.pi"\nuse = "main"',
            "rules[1].when",
            "column 1: there is no fact",
        ),
        ('[[rules]]\nwhen = "input.pii and"\nuse = "main"', "rules[0].when", "column 14: the end"),
        ('[[rules]]\nwhen = "class.topic"\nuse = "main"', "rules[0].when", "comes with a table `[classifiers.topic]`"),
        ('[[rules]]\nwhen = "true"\nuse = []', "rules[0].use", "names no model"),
        (
            '[classifiers.t]\nexamples = "none.csv"',
            "classifiers.t.examples",
            "the columns are a, b; `text` and `label`",
        ),
        ('[classifiers.t]\nexamples = "short.csv"', "classifiers.t.examples", "there are 1 labels; 2 to 50"),
        ('[classifiers.t]\nexamples = "few.jsonl"', "classifiers.t.examples", "the label 'b' has 1 examples"),
        ('[classifiers.t]\nexamples = "broken.jsonl"', "classifiers.t.examples", "line 2 is no"),
        (
            '[classifiers.t]\nexamples = "twice.csv"',
            "classifiers.t.examples",
            "line 3 says 'b' of the text that is 'a' in line 2",
        ),
        ('[classifiers.t]\nexamples = "empty.csv"', "classifiers.t.examples", "line 2 has no label"),
        ('[classifiers.t]\nexamples = "latin.csv"', "classifiers.t.examples", "is not UTF-8"),
        ('[classifiers.t]\nexamples = "long.csv"', "classifiers.t.examples", "longer than 64"),
        ('[classifiers.t]\nexamples = "nul.csv"', "classifiers.t.examples", "the columns are none"),
    ],
)
def test_mistakes_name_their_key(more: str, param: str, words: str) -> None:
    files = {
        "none.csv": b"a,b\n1,2\n",
        "short.csv": b"text,label\nx,a\ny,a\nz,a\n",
        "few.jsonl": b'{"text":"x","label":"a"}\n{"text":"y","label":"a"}\n'
        b'{"text":"z","label":"a"}\n{"text":"w","label":"b"}',
        "broken.jsonl": b'{"text":"x","label":"a"}\n{"text":"y"}',
        "twice.csv": b"text,label\nx,a\nx,b\n",
        "empty.csv": b"text,label\nx,\n",
        "latin.csv": "text,label\nüber,a\n".encode("latin-1"),
        "long.csv": b"text,label\nx," + b"l" * 65 + b"\n",
        "nul.csv": b"",
    }
    with pytest.raises(SettingsError) as raised:
        declare(more, files)
    assert raised.value.param == param
    assert words in str(raised.value)


def test_too_many_rules() -> None:
    with pytest.raises(SettingsError, match="at most 200"):
        declare('[[rules]]\nwhen = "true"\nuse = "main"\n' * (MOST_RULES + 1))


def test_a_language_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = parse(TOML + '[[rules]]\nwhen = \'input.language == "de"\'\nuse = "main"')
    assert check_rules(settings)[0].asks == (("input", "language"),)
    monkeypatch.setattr(spoken, "is_installed", lambda: False)
    with pytest.raises(SettingsError, match=r"rondo\[language\]"):
        check_rules(settings)
    rules = compiled([{"when": "input.pii or input.language == 'de'", "use": ["a"]}], {})
    with pytest.raises(Unavailable, match=r"rondo\[language\]"):
        rules.prepare()


def test_examples_as_spreadsheets_write_them() -> None:
    rows = "﻿label,text,note\r\n" + 'a,"one, ""two""\r\nthree",x\r\n' + "a,b,\r\na,c,\r\n" + "b,d,\r\nb,e,\r\nb,f,\r\n"
    examples = read_examples(rows.encode(), "rows.csv")
    assert examples[0] == ('one, "two"\r\nthree', "a")
    assert len(examples) == 6


def test_doubles_count_once() -> None:
    rows = "text,label\n" + "x,a\n" * 5 + "y,a\nz,a\n" + "1,b\n2,b\n3,b\n"
    assert len(read_examples(rows.encode(), "rows.csv")) == 6


@pytest.mark.parametrize(
    ("rules", "classifiers"),
    [
        ([{"when": "no.such.fact", "use": ["a"]}], {}),
        ([{"when": "true"}], {}),
        ([{"use": ["a"]}], {}),
        ([], {"t": {"labels": 3}}),
        ([3], {}),
    ],
)
def test_a_manifest_that_is_damaged(rules: Any, classifiers: Any) -> None:
    with pytest.raises(CorruptData):
        compiled(rules, classifiers)


def test_languages() -> None:
    pytest.importorskip("py3langid")
    spoken.load()
    for text, code in [
        ("Where is my order? I have been waiting for two weeks.", "en"),
        ("Wo ist meine Bestellung?", "de"),
        ("Où est ma commande, s'il vous plaît ?", "fr"),
        ("注文はどこですか", "ja"),
        ("", None),
        ("12345", None),
        ("ok", None),
        ("\ud83d", None),
    ]:
        assert spoken.language_of(text) == code, text


def test_what_must_be_loaded_is_known_before() -> None:
    rules = compiled([{"when": "input.pii.email > 1 or input.words > 3", "use": ["a"]}], {})
    assert rules.asks(("input", "pii"))
    assert not rules.asks(("input", "language"))
    rules.prepare()
