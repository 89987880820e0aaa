"""Names by Presidio: with a stand-in for its engine, and with the real one where it is installed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from guarding import nobody
from rondo.guards.model import Text
from rondo.guards.names import Names


class Engine:
    """Finds what it is told to, in two languages."""

    supported_languages = ("de", "en")

    def analyze(self, text: str, *, language: str, entities: list[str], score_threshold: float) -> list[Any]:
        known = {"en": [("Anna Smith", "PERSON"), ("Leeds", "LOCATION")], "de": [("Smith", "PERSON")]}
        return [
            SimpleNamespace(entity_type=kind, start=text.index(name), end=text.index(name) + len(name))
            for name, kind in known[language]
            if name in text and kind in entities
        ]


async def test_every_language_looks_and_what_overlaps_is_one() -> None:
    looked = await Names(None, 0.5, analyzers=Engine()).ask([Text("user", "I am Anna Smith from Leeds")], nobody)
    assert looked.found == {"person": 1, "place": 1}
    assert [(each.start, each.end) for each in looked.places[0]] == [(5, 15), (21, 26)]


async def test_kinds_can_be_chosen() -> None:
    looked = await Names(["place"], 0.5, analyzers=Engine()).ask([Text("user", "Anna Smith, Leeds")], nobody)
    assert looked.found == {"place": 1}


def test_names_are_settled_at_the_end_of_a_sentence() -> None:
    names = Names(None, 0.5, analyzers=Engine())
    assert names.settled("It is done. And An") == len("It is done. ")
    assert names.settled("x" * 1_000) == 600


async def test_the_real_engine_finds_names() -> None:
    spacy = pytest.importorskip("spacy")
    pytest.importorskip("presidio_analyzer")
    if not any(name.startswith("en_") for name in spacy.util.get_installed_models()):
        pytest.skip("no English spaCy model is installed")
    text = "My name is Anna Schmidt and I live in Berlin."
    looked = await Names(None, 0.5).ask([Text("user", text)], nobody)
    assert [text[each.start : each.end] for each in looked.places[0]] == ["Anna Schmidt", "Berlin"]
