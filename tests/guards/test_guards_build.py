"""What can be wrong with `[[guards]]` is said when a release is made, by place and key."""

from __future__ import annotations

from typing import Any

import pytest

from guarding import SECRET, guards
from rondo.errors import SettingsError
from rondo.guards import names
from rondo.guards.build import build, freeze
from rondo.settings.tables import GuardSettings


def made(**values: Any) -> list[dict[str, Any]]:
    return freeze([GuardSettings.model_validate(values)], lambda path, key: "# mine\nacme\n\n umbrella corp \n")


@pytest.mark.parametrize(
    ("values", "key", "says"),
    [
        ({"check": "pii", "kinds": ["emails"]}, "guards[0].kinds", "Did you mean 'email'?"),
        ({"check": "pii", "kinds": []}, "guards[0].kinds", "is empty"),
        ({"check": "pii", "max_chars": 3}, "guards[0].max_chars", "for `length`"),
        ({"check": "pii", "pseudonyms": True}, "guards[0].pseudonyms", "for the action `redact`"),
        ({"check": "pii", "use": "private"}, "guards[0].use", "for the action `route`"),
        ({"check": "pii", "answer": "No."}, "guards[0].answer", "for the action `block`"),
        ({"check": "injection", "action": "redact"}, "guards[0].action", "cannot redact"),
        ({"check": "pii", "action": "route"}, "guards[0].use", "is missing"),
        ({"check": "pii", "action": "route", "use": "m", "on": ["output"]}, "guards[0].on", "`input` only"),
        ({"check": "schema", "json_schema": {}}, "guards[0].on", "checks answers"),
        ({"check": "schema", "on": ["output"]}, "guards[0].json_schema", "is missing"),
        ({"check": "schema", "on": ["output"], "json_schema": {"type": 3}}, "guards[0].json_schema", "JSON Schema"),
        (
            {"check": "schema", "on": ["output"], "json_schema": {"$ref": "http://x/y"}},
            "guards[0].json_schema",
            "only references inside",
        ),
        ({"check": "words"}, "guards[0].words", "nothing to look for"),
        ({"check": "words", "patterns": ["a", "(?<=x)y"]}, "guards[0].patterns[1]", "RE2 does not take it"),
        ({"check": "length"}, "guards[0].max_chars", "is missing"),
        ({"check": "moderation"}, "guards[0].model", "is missing"),
        ({"check": "judge", "model": "m"}, "guards[0].question", "is missing"),
        ({"check": "classifier"}, "guards[0].classifier", "is missing"),
        ({"check": "classifier", "classifier": "t"}, "guards[0].labels", "is missing"),
        (
            {"check": "classifier", "classifier": "t", "labels": ["x"]},
            "guards[0].classifier",
            "no classifier is called",
        ),
    ],
)
def test_a_mistake_is_named(values: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        build(made(**values), hand_over="h", project="p")
    assert caught.value.param == key
    assert says in str(caught.value)


def test_words_of_a_file_are_frozen_with_the_others() -> None:
    assert made(check="words", words=["x"], words_file="w.txt") == [
        {"check": "words", "words": ["x", "acme", "umbrella corp"]}
    ]


def test_what_is_frozen_is_what_was_set() -> None:
    frozen = made(check="pii", action="route", use="private")
    assert frozen == [{"check": "pii", "action": "route", "use": ["private"]}]
    ready = build(frozen, hand_over="h", project="p")
    assert ready is not None
    assert (ready.models, len(ready.input), len(ready.output)) == (("private",), 1, 0)


def test_no_guards_cost_nothing() -> None:
    assert build([], hand_over="h", project="p") is None


def test_guards_have_names_of_their_own() -> None:
    ready = guards({"check": "words", "words": ["a"]}, {"check": "pii"}, {"check": "words", "words": ["b"]})
    assert [guard.name for guard in ready.input] == ["words", "pii", "words#2"]


def test_a_key_is_asked_for_only_where_tokens_are_made() -> None:
    asked: list[int] = []

    def secret() -> bytes:
        asked.append(1)
        return SECRET

    build(made(check="pii"), hand_over="h", project="p", secret=secret)
    assert asked == []
    ready = build(made(check="pii", action="redact", pseudonyms=True), hand_over="h", project="p", secret=secret)
    assert ready is not None
    assert ready.pseudonyms is not None
    assert asked == [1]


def test_names_without_presidio_name_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise names.NamesMissing("needs Presidio, which is not installed. Install `rondo[presidio]` on the server.")

    monkeypatch.setattr(names, "installed", missing)
    with pytest.raises(SettingsError, match=r"guards\[0\]\.check: `names` needs Presidio"):
        build(made(check="names"), hand_over="h", project="p")


def test_a_manifest_of_a_newer_rondo_is_no_surprise() -> None:
    with pytest.raises(SettingsError, match=r"guards\[0\]"):
        build([{"check": "pii", "unheard_of": 1}], hand_over="h", project="p")
    with pytest.raises(SettingsError, match="there is no check"):
        build([{"check": "telepathy"}], hand_over="h", project="p")
