"""`[[rules]]` and `[classifiers]` of a project, checked and trained: what a release's manifest gets of them.

Everything that can be wrong with them is found here, for `rondo check` and for a release alike.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from rondo.errors import SettingsError
from rondo.rules import spoken
from rondo.rules.chain import LANGUAGE, vocabulary
from rondo.rules.classify import Examples, Report, train
from rondo.rules.language import Condition, parse
from rondo.rules.tokens import ParseError
from rondo.settings.project import FILE
from rondo.settings.table import one_or_more
from rondo.settings.tables import ProjectSettings

MOST_RULES = 200
MOST_EXAMPLES = 10_000
_MOST_BYTES = 10_000_000
_MOST_LABELS = 50
_FEWEST_EACH = 3
_LONGEST_LABEL = 64


class Declared(Struct, frozen=True, kw_only=True):
    """For the manifest: `rules` as `[{"when", "use"}]`, `classifiers` by name; `reports` say how good those are."""

    rules: list[dict[str, Any]]
    classifiers: dict[str, dict[str, Any]]
    reports: dict[str, Report]


class _Example(Struct):
    text: str
    label: str


_line = msgspec.json.Decoder(_Example)


def declared(settings: ProjectSettings, read: Callable[[str, str], bytes], *, file: str = FILE) -> Declared:
    """`read` gives the bytes of a file of the project, by its path and the key that names it.

    Raises SettingsError, which names the key.
    """
    check_rules(settings, file=file)
    classifiers: dict[str, dict[str, Any]] = {}
    reports: dict[str, Report] = {}
    for name, classifier in settings.classifiers.items():
        key = f"classifiers.{name}.examples"
        examples = read_examples(read(classifier.examples, key), classifier.examples, file=file, key=key)
        learnt, reports[name] = train(examples)
        classifiers[name] = msgspec.to_builtins(learnt)
    rules = [{"when": rule.when, "use": one_or_more(rule.use)} for rule in settings.rules]
    return Declared(rules=rules, classifiers=classifiers, reports=reports)


def check_rules(settings: ProjectSettings, *, file: str = FILE) -> list[Condition]:
    """The conditions of `[[rules]]`. Raises SettingsError, with the place in the condition."""
    if len(settings.rules) > MOST_RULES:
        raise SettingsError(
            f"there are {len(settings.rules)} rules; at most {MOST_RULES} go.", file=file, param="rules"
        )
    names = vocabulary(settings.classifiers)
    found = []
    for at, rule in enumerate(settings.rules):
        key = f"rules[{at}].when"
        try:
            condition = parse(rule.when, names)
        except ParseError as error:
            raise SettingsError(f"column {error.at + 1}: {error.message}.", file=file, param=key) from None
        if not one_or_more(rule.use):
            raise SettingsError("names no model.", file=file, param=f"rules[{at}].use", remedy="Name one or more.")
        if LANGUAGE in condition.asks and not spoken.is_installed():
            raise SettingsError(
                "`input.language` needs a package that is not installed here.",
                file=file,
                param=key,
                remedy="pip install 'rondo[language]'",
            )
        found.append(condition)
    return found


def in_words(report: Report) -> str:
    """How good a classifier is, in one line."""
    each = ", ".join(f"{label} {right:.0%}" for label, right in sorted(report.by_label.items(), key=_by_share))
    return (
        f"{report.examples} examples, {len(report.by_label)} labels; right for {report.accuracy:.0%} of examples held "
        f"back ({report.low:.0%} to {report.high:.0%}; guessing gets {report.guessing:.0%}): {each}"
    )


def _by_share(row: tuple[str, float]) -> tuple[float, str]:
    """The ones that it knows worst come first."""
    return row[1], row[0]


def read_examples(data: bytes, path: str, *, file: str = FILE, key: str = "examples") -> Examples:
    """(text, label) of each line of a CSV or JSONL file. Raises SettingsError, which names the line."""
    if len(data) > _MOST_BYTES:
        raise SettingsError(f"{path} is larger than {_MOST_BYTES // 1_000_000} MB.", file=file, param=key)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8: {error}.", file=file, param=key) from None
    rows = _from_jsonl if path.endswith((".jsonl", ".ndjson")) else _from_csv
    seen: dict[str, tuple[int, str]] = {}
    try:
        for number, each in rows(text):
            _add(seen, number, each)
            if len(seen) > MOST_EXAMPLES:
                raise ValueError(f"there are more than {MOST_EXAMPLES} examples")
        _enough(Counter(label for _, label in seen.values()))
    except ValueError as error:
        raise SettingsError(f"{path}: {error}.", file=file, param=key) from None
    return [(text, label) for text, (_, label) in seen.items()]


def _from_jsonl(text: str) -> Any:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, _line.decode(line)
            except (msgspec.DecodeError, RecursionError) as error:
                raise ValueError(f'line {number} is no {{"text": ..., "label": ...}}: {error!s:.200}') from None


def _from_csv(text: str) -> Any:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = reader.fieldnames or []
        if "text" not in columns or "label" not in columns:
            raise ValueError(f"the columns are {', '.join(columns) or 'none'}; `text` and `label` are needed")
        for row in reader:
            yield reader.line_num, _Example(row["text"] or "", row["label"] or "")
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num} is no CSV: {error}") from None


def _add(seen: dict[str, tuple[int, str]], number: int, each: _Example) -> None:
    text, label = each.text.strip(), each.label.strip()
    if not text or not label:
        raise ValueError(f"line {number} has no {'label' if text else 'text'}")
    if len(label) > _LONGEST_LABEL:
        raise ValueError(f"the label in line {number} is longer than {_LONGEST_LABEL} characters")
    before = seen.setdefault(text, (number, label))
    if before[1] != label:
        raise ValueError(f"line {number} says {label!r} of the text that is {before[1]!r} in line {before[0]}")


def _enough(times: Mapping[str, int]) -> None:
    if not 2 <= len(times) <= _MOST_LABELS:
        raise ValueError(f"there are {len(times)} labels; 2 to {_MOST_LABELS} can be told apart")
    rarest = min(times, key=lambda label: (times[label], label))
    if times[rarest] < _FEWEST_EACH:
        raise ValueError(
            f"the label {rarest!r} has {times[rarest]} examples; {_FEWEST_EACH} are the fewest, 20 a start"
        )
