"""The scorer `classification`: the label that the answer gives, against the right one. Pure.

Per example it says what was expected and what was given; `corpus.py` makes precision, recall, F1 and the confusion
matrix of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from pydantic import Field, model_validator

from rondo.evals.model import Case, Scored
from rondo.evals.scorers.json_answers import MISSING, at
from rondo.evals.scorers.model import Kind, Referring, Say, Tools, Unscorable, passes, several
from rondo.evals.scorers.reference import as_text, json_in, normaliser, wanted

METRICS = (
    ("accuracy", "mean"),
    ("precision", "macro_precision"),
    ("recall", "macro_recall"),
    ("macro_f1", "macro_f1"),
    ("weighted_f1", "weighted_f1"),
)


class ClassificationOptions(Referring):
    labels: list[str] | None = Field(None, description="The labels there are; needed by `first`.")
    find: Literal["exact", "first", "json"] = Field(
        "exact",
        description="Where the label is: the whole answer (`exact`), the label that the answer names `first`, or a"
        " field"
        " of a JSON answer (`json`).",
    )
    path: str = Field("label", description="The path of the field, for `json`.")
    case: bool = Field(False, description="Whether capitals matter.")

    @model_validator(mode="after")
    def labels_are_known(self) -> ClassificationOptions:
        if self.labels is not None and not self.labels:
            raise ValueError("`labels` is empty")
        if self.find == "first" and self.labels is None:
            raise ValueError("`labels` is required for find = 'first'")
        return self


def classification(options: ClassificationOptions, tools: Tools) -> Say:
    normalise = normaliser(["space", "unicode"] if options.case else ["space", "unicode", "case"])
    labels = None if options.labels is None else {normalise(each): each for each in options.labels}
    read = _reader(options, normalise)

    def say(case: Case) -> Scored:
        expected = _label(wanted(case, options))
        if labels is not None:
            if normalise(expected) not in labels:
                raise Unscorable("wrong_type", f"`expected` is {expected!r:.60}, which is none of `labels`.")
            expected = labels[normalise(expected)]
        said = read(case.answer.text)
        given = None if said is None else labels.get(normalise(said)) if labels is not None else said
        if given is not None and normalise(given) == normalise(expected):
            given = expected
        reason = "The answer has no label." if given is None else f"{given!r:.60} is not {expected!r:.60}."
        return passes(given == expected, reason, expected=expected, given=given)

    return say


def _label(value: object) -> str:
    text = value if isinstance(value, str) else as_text(value)
    return " ".join(text.split())


def _reader(options: ClassificationOptions, normalise: Callable[[str], str]) -> Callable[[str], str | None]:
    """From an answer to what it says the label is."""
    if options.find == "exact":
        return lambda text: " ".join(text.split()).strip("\"'`*. ") or None
    if options.find == "json":
        return lambda text: _field(text, options.path)
    assert options.labels is not None
    longest_first = sorted({normalise(each) for each in options.labels}, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")

    def first(text: str) -> str | None:
        found = pattern.search(normalise(text))
        return found[0] if found else None

    return first


def _field(text: str, path: str) -> str | None:
    try:
        value = at(json_in(text), path)
    except ValueError:
        return None
    return None if value is MISSING or value is None else _label(value)


KINDS = (
    Kind(
        name="classification",
        summary="Whether the answer's label is right: accuracy, precision, recall, F1, and the confusion matrix.",
        definition="`.accuracy` is the share of right labels. Per label, P = TP / (TP + FP), R = TP / (TP + FN),"
        " F1 = 2TP / (2TP + FP + FN), each 0 where undefined; `.precision`, `.recall` and `.macro_f1` are their"
        " means over"
        " the labels that are expected, `.weighted_f1` weighs by how often a label is expected. An answer"
        " without a label is a miss of the expected one, and no label's false positive.",
        source="Sokolova and Lapalme 2009; as scikit-learn computes them.",
        options=ClassificationOptions,
        make=classification,
        metrics=several(METRICS),
    ),
)
