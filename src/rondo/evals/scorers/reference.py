"""What an answer is compared with, and the two of them made comparable. Pure.

An example's `expected` may be a text, a list of texts that are all right (the best one counts), or JSON.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from rondo.catalog.text import canonical_json
from rondo.evals.model import Case
from rondo.evals.scorers.model import NoReference, Referring, Unscorable

Normalisation = Literal["space", "case", "punctuation", "articles", "accents", "unicode"]

_FENCED = re.compile(r"\A\s*```[\w+-]*[ \t]*\n(.*?)\n?[ \t]*```\s*\Z", re.DOTALL)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b", re.IGNORECASE)


def wanted(case: Case, options: Referring) -> Any:
    """What is right for this case: the scorer's `value`, else the example's `expected`. Raises NoReference."""
    value = case.example.expected if options.value is None else options.value
    if value is None:
        raise NoReference("The example has no `expected`, and the scorer no `value`.")
    return value


def wanted_texts(case: Case, options: Referring) -> list[str]:
    """The texts that are right, at least one. A number or JSON is taken as its text. Raises NoReference."""
    value = wanted(case, options)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        if not value:
            raise NoReference("`expected` is an empty list.")
        return value
    return [value if isinstance(value, str) else as_text(value)]


def as_text(value: Any) -> str:
    """A JSON value as text. Raises Unscorable for what JSON has not."""
    try:
        return canonical_json(value)
    except (TypeError, ValueError):
        raise Unscorable("wrong_type", f"`expected` is no JSON value: {value!r:.80}.") from None


def json_in(text: str) -> Any:
    """The JSON that a text is, with or without a fence around it. Raises ValueError."""
    fenced = _FENCED.match(text)
    try:
        return msgspec.json.decode(fenced[1] if fenced else text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None


def normaliser(steps: Sequence[Normalisation]) -> Callable[[str], str]:
    """Makes texts comparable: the steps that are named, in the one order that makes sense."""
    chosen = [step for name, step in _STEPS.items() if name in steps]

    def normalise(text: str) -> str:
        for step in chosen:
            text = step(text)
        return text

    return normalise


def _without_accents(text: str) -> str:
    parts = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(each for each in parts if not unicodedata.combining(each)))


def _without_punctuation(text: str) -> str:
    return "".join(each for each in text if not unicodedata.category(each).startswith("P"))


_STEPS: dict[str, Callable[[str], str]] = {
    "unicode": lambda text: unicodedata.normalize("NFKC", text),
    "case": str.casefold,
    "accents": _without_accents,
    "punctuation": _without_punctuation,
    "articles": lambda text: _ARTICLES.sub(" ", text),
    "space": lambda text: " ".join(text.split()),
}
