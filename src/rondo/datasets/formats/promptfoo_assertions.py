"""promptfoo's assertions as checks of our own, and back. Pure.

A check is what `Example.expect` holds: a scorer's kind with its options. An assertion has a twin here only where the
twin says the same of every answer; of the others the caller is told by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import yaml

Check = dict[str, Any]

_NOT = "not-"
_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")
_PREFIXED = re.compile(r"(not-)?([a-z][a-z0-9:-]*)(?:\((\d+(?:\.\d+)?)\))?(?::([\s\S]*))?")
_OLD_NAMES = {"fn": "javascript", "eval": "javascript", "grade": "llm-rubric"}
_LISTS = ("contains-all", "contains-any", "icontains-all", "icontains-any")
_KNOWN = frozenset(
    "equals contains icontains contains-all contains-any icontains-all icontains-any starts-with regex is-json"
    " contains-json is-html contains-html is-sql contains-sql is-xml contains-xml is-refusal javascript python ruby"
    " webhook latency cost perplexity perplexity-score levenshtein rouge-n bleu gleu meteor f-score similar classifier"
    " moderation guardrails llm-rubric g-eval factuality model-graded-closedqa model-graded-factuality answer-relevance"
    " context-recall context-relevance context-faithfulness conversation-relevance select-best max-score finish-reason"
    " word-count pi search-rubric is-valid-openai-tools-call is-valid-openai-function-call is-valid-function-call"
    " tool-call-f1".split()
)


def from_text(text: str) -> dict[str, Any]:
    """The assertion in a CSV's `__expected` cell: `contains: x`, `similar(0.8): y`; anything else must be equal."""
    word, colon, rest = text.partition(":")
    if colon and word in _OLD_NAMES:
        return {"type": _OLD_NAMES[word], "value": rest.strip()}
    found = _PREFIXED.fullmatch(text)
    if found is None or found[2] not in _KNOWN:
        return {"type": "equals", "value": text}
    negated, name, threshold, value = found.groups()
    assertion: dict[str, Any] = {"type": f"{negated or ''}{name}"}
    if value is not None:
        value = value.strip()
        assertion["value"] = [part.strip() for part in value.split(",")] if name in _LISTS else value
    if threshold is not None:
        assertion["threshold"] = float(threshold)
    return assertion


def check_of(assertion: Mapping[str, Any], variables: Mapping[str, Any]) -> Check | None:
    """The check that says the same; None where there is none."""
    kind = assertion.get("type")
    if not isinstance(kind, str):
        return None
    negated, name = kind.startswith(_NOT), kind.removeprefix(_NOT)
    make = _CHECKS.get(name)
    value = _filled(assertion.get("value"), variables)
    if make is None or value is _UNFILLED or any(assertion.get(each) for each in ("transform", "contextTransform")):
        return None
    check = make(value, assertion.get("threshold"))
    if check is None or (negated and name in _MEASURES):
        return None
    return {**check, "negate": True} if negated else check


def assertion_of(check: Mapping[str, Any], expected: Any) -> dict[str, Any] | None:
    """The assertion that says the same as a check; None where there is none."""
    options = {name: value for name, value in check.items() if name not in ("kind", "negate", "name")}
    value = options.pop("value", expected)
    found = _back(str(check.get("kind")), value, options)
    if found is None:
        return None
    return {**found, "type": _NOT + found["type"]} if check.get("negate") else found


_UNFILLED: Any = object()


def _filled(value: Any, variables: Mapping[str, Any]) -> Any:
    """The value with its variables filled in; _UNFILLED where it needs more of a template language, or a file."""
    if isinstance(value, list):
        parts = [_filled(each, variables) for each in value]
        return _UNFILLED if _UNFILLED in parts else parts
    if not isinstance(value, str):
        return value
    if value.startswith("file://"):
        return _UNFILLED
    text = _VARIABLE.sub(lambda found: str(variables.get(found[1], found[0])), value)
    return _UNFILLED if "{{" in text or "{%" in text else text


def _equals(value: Any, threshold: Any) -> Check | None:
    return None if value is None else {"kind": "exact", "value": value, "normalise": []}


def _contains(how: str | None, case: bool) -> Callable[[Any, Any], Check | None]:
    def make(value: Any, threshold: Any) -> Check | None:
        texts = value if isinstance(value, list) else [value]
        if (
            not texts
            or not all(isinstance(each, str | int | float) for each in texts)
            or (how is None and len(texts) > 1)
        ):
            return None
        named = [str(each) for each in texts]
        check: Check = {"kind": "contains", "value": named[0] if how is None else named, "case": case}
        return check if how is None else {**check, "how": how}

    return make


def _starts_with(value: Any, threshold: Any) -> Check | None:
    return {"kind": "regex", "value": r"\A" + re.escape(value)} if isinstance(value, str) else None


def _regex(value: Any, threshold: Any) -> Check | None:
    """JavaScript's expression, where RE2 reads it too."""
    from rondo.guards.words import compile_pattern

    if not isinstance(value, str):
        return None
    try:
        compile_pattern(value)
    except ValueError:
        return None
    return {"kind": "regex", "value": value}


def _is_json(value: Any, threshold: Any) -> Check | None:
    if isinstance(value, str) and value.strip():
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError:
            return None
    if value in (None, ""):
        value = {}
    return {"kind": "json_schema", "json_schema": value, "fenced": False} if isinstance(value, dict) else None


def _at_most(kind: str) -> Callable[[Any, Any], Check | None]:
    def make(value: Any, threshold: Any) -> Check | None:
        usable = isinstance(threshold, int | float) and not isinstance(threshold, bool) and threshold >= 0
        return {"kind": kind, "at_most": float(threshold)} if usable else None

    return make


def _refusal(value: Any, threshold: Any) -> Check | None:
    return {"kind": "refusal", "should": True}


_CHECKS: dict[str, Callable[[Any, Any], Check | None]] = {
    "equals": _equals,
    "contains": _contains(None, case=True),
    "icontains": _contains(None, case=False),
    "contains-all": _contains("all", case=True),
    "contains-any": _contains("any", case=True),
    "icontains-all": _contains("all", case=False),
    "icontains-any": _contains("any", case=False),
    "starts-with": _starts_with,
    "regex": _regex,
    "is-json": _is_json,
    "latency": _at_most("latency"),
    "cost": _at_most("cost"),
    "perplexity": _at_most("perplexity"),
    "is-refusal": _refusal,
}
_MEASURES = ("latency", "cost", "perplexity")  # a measure has no opposite


def _back(kind: str, value: Any, options: dict[str, Any]) -> dict[str, Any] | None:  # noqa: PLR0911 - one a kind
    if kind == "exact" and value is not None:
        return {"type": "equals", "value": value}
    if kind == "contains" and value is not None:
        prefix = "" if options.get("case") else "i"
        how = options.get("how", "all")
        if how == "none":
            return {"type": f"{_NOT}{prefix}contains-any", "value": value if isinstance(value, list) else [value]}
        return {"type": f"{prefix}contains" + (f"-{how}" if isinstance(value, list) else ""), "value": value}
    if kind == "regex" and isinstance(value, str) and options.get("case", True) and not options.get("full"):
        return {"type": "regex", "value": value}
    if kind == "refusal" and options.get("should") is True:
        return {"type": "is-refusal"}
    if kind == "json_schema":
        return {"type": "is-json", "value": options.get("json_schema", {})}
    if kind in _MEASURES and "at_most" in options:
        return {"type": kind, "threshold": options["at_most"]}
    return None


def as_yaml_safe(value: Any) -> Any:
    """A value as YAML gave it, with only what JSON has: dates become text. Raises ValueError."""
    try:
        built = msgspec.to_builtins(value)
        json.dumps(built, allow_nan=False)
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise ValueError(str(error)) from None
    return built
