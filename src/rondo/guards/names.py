"""The check `names`: persons, places and organisations, by Presidio with spaCy models that the operator has installed.

Nothing is ever downloaded: a model that is not there is not used. All installed models look at each text, since nobody
says in which language it is; a name that any of them finds is found. That takes milliseconds per kilobyte, so it runs
in a thread.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from rondo.guards.model import Ask, Finding, Looked, Text, count

KINDS: dict[str, str] = {"PERSON": "person", "LOCATION": "place", "ORGANIZATION": "organisation"}
"""What Presidio calls them, and what we do."""

DEFAULT_KINDS = ("person", "place")

_SENTENCE_END = re.compile(r"[.!?…。！？][\"')\]]?\s|\n")
_REACH = 400


class NamesMissing(Exception):
    """Presidio, or a model for it, is not installed; the message says what to do."""


class Names:
    """Looks with every analyzer there is."""

    def __init__(self, kinds: Sequence[str] | None, at_least: float, *, analyzers: Any = None) -> None:
        """`analyzers` is a Presidio engine to use in place of the installed models. Raises NamesMissing."""
        self._engine = analyzers or installed()
        wanted = DEFAULT_KINDS if kinds is None else kinds
        self._entities = [entity for entity, kind in KINDS.items() if kind in wanted]
        self._at_least = at_least

    async def ask(self, texts: Sequence[Text], ask: Ask) -> Looked:
        places = await asyncio.to_thread(lambda: [self._find(text.value) for text in texts])
        return Looked(count(places), places)

    def settled(self, text: str) -> int:
        """Names are found in whole sentences."""
        ends = [match.end() for match in _SENTENCE_END.finditer(text)]
        return max(ends[-1] if ends else 0, len(text) - _REACH)

    def _find(self, text: str) -> list[Finding]:
        if not text.strip():
            return []
        results = [
            result
            for language in self._engine.supported_languages
            for result in self._engine.analyze(
                text, language=language, entities=self._entities, score_threshold=self._at_least
            )
        ]
        merged: list[Finding] = []
        for result in sorted(results, key=lambda result: (result.start, -result.end)):
            if merged and result.start < merged[-1].end:
                last = merged[-1]
                merged[-1] = Finding(last.kind, last.start, max(last.end, result.end))
            else:
                merged.append(Finding(KINDS[result.entity_type], result.start, result.end))
        return merged


@cache
def installed() -> Any:
    """A Presidio engine with the installed spaCy models, the largest of each language. Raises NamesMissing."""
    try:
        import spacy
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import SpacyNlpEngine
        from presidio_analyzer.predefined_recognizers import SpacyRecognizer
    except ImportError:
        raise NamesMissing(
            "needs Presidio, which is not installed. Install `rondo[presidio]` on the server, and a spaCy model."
        ) from None
    models = {name.partition("_")[0]: name for name in sorted(spacy.util.get_installed_models(), key=_size)}
    if not models:
        raise NamesMissing(
            "needs a spaCy model, and none is installed. Install one on the server, for example en_core_web_lg."
        )
    engine = SpacyNlpEngine(models=[{"lang_code": code, "model_name": name} for code, name in models.items()])
    engine.nlp = {code: spacy.load(name) for code, name in models.items()}
    recognizers = [SpacyRecognizer(supported_language=code) for code in models]
    registry = RecognizerRegistry(recognizers=recognizers, supported_languages=list(models))
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=list(models))


def _size(model: str) -> int:
    """Larger ones last."""
    return next((at for at, size in enumerate(("sm", "md", "lg", "trf")) if model.endswith(f"_{size}")), -1)
