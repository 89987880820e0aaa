"""Scorers of answers that should be JSON: of the right shape, with the right fields. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from rondo.evals.model import Case, Scored
from rondo.evals.scorers.matching import same
from rondo.evals.scorers.model import Kind, NoReference, Options, Referring, Say, Tools, Unscorable, one, passes
from rondo.evals.scorers.number import within
from rondo.evals.scorers.reference import json_in, wanted

MISSING: Any = object()
_MOST_TOLD = 5


class JsonSchemaOptions(Options):
    json_schema: dict[str, Any] = Field(description="The JSON Schema (2020-12) that answers must fit.")
    fenced: bool = Field(True, description="Whether a fence of backticks around the JSON is overlooked.")

    @field_validator("json_schema")
    @classmethod
    def is_schema(cls, value: dict[str, Any]) -> dict[str, Any]:
        from rondo.guards.schema import Schema

        Schema(value)
        return value


def json_schema(options: JsonSchemaOptions, tools: Tools) -> Say:
    import msgspec

    from rondo.guards.model import Text
    from rondo.guards.schema import Schema

    schema = Schema(options.json_schema)

    def say(case: Case) -> Scored:
        text = case.answer.text
        if options.fenced:
            try:
                text = msgspec.json.encode(json_in(text)).decode()
            except (ValueError, UnicodeError):
                return passes(False, "The answer is not JSON.")
        looked = schema.look([Text("assistant", text)])
        return passes(not looked.found, looked.complaint or "")

    return say


class JsonFieldsOptions(Referring):
    fields: list[str] | None = Field(
        None, description="The fields that are compared, as paths (`order.items.0.sku`); by default, all expected ones."
    )
    ignore: list[str] = Field(default_factory=list, description="Fields, with all below them, that are not compared.")
    weights: dict[str, float] = Field(default_factory=dict, description="How much a field counts; 1 by default.")
    abs: float = Field(0.0, ge=0, description="How far numbers may be from the expected ones.")
    rel: float = Field(1e-9, ge=0, description="How far they may be, as a share of the expected ones.")
    case: bool = Field(True, description="Whether capitals matter in texts.")

    @field_validator("weights")
    @classmethod
    def weights_are_positive(cls, value: dict[str, float]) -> dict[str, float]:
        if any(weight <= 0 for weight in value.values()):
            raise ValueError("weights must be greater than 0")
        return value


def json_fields(options: JsonFieldsOptions, tools: Tools) -> Say:
    def say(case: Case) -> Scored:
        right = _expected(wanted(case, options))
        paths = options.fields if options.fields is not None else leaves(right)
        paths = [path for path in paths if not any(_is_below(path, each) for each in options.ignore)]
        if not paths:
            raise NoReference("No field is left to compare.")
        for path in paths:
            if at(right, path) is MISSING:
                raise NoReference(f"`expected` has no field {path!r}.")
        try:
            given = json_in(case.answer.text)
        except ValueError:
            return Scored(value=0.0, passed=False, reason="The answer is not JSON.")
        wrong = [path for path in paths if not _equal(at(right, path), at(given, path), options)]
        weights = {path: options.weights.get(path, 1.0) for path in paths}
        value = 1 - sum(weights[path] for path in wrong) / sum(weights.values()) if wrong else 1.0
        reason = f"Different: {', '.join(wrong[:_MOST_TOLD])}." if wrong else ""
        return Scored(value=value, passed=not wrong, reason=reason, details={"wrong": wrong})

    return say


def leaves(value: Any, path: str = "") -> list[str]:
    """The paths of all values in JSON that hold no others; empty objects and lists are such values."""
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else None
    found = (
        [leaf for key, each in inner for leaf in leaves(each, f"{path}.{key}" if path else str(key))] if inner else []
    )
    return found or ([path] if path else [])


def at(value: Any, path: str) -> Any:
    """What is at a path; MISSING where there is nothing."""
    for part in path.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and part.isascii() and int(part) < len(value):
            value = value[int(part)]
        else:
            return MISSING
    return value


def _expected(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = json_in(value)
        except ValueError:
            raise Unscorable("wrong_type", "`expected` is a text that is no JSON.") from None
    if not isinstance(value, dict | list):
        raise Unscorable("wrong_type", "`expected` is no JSON object or list.")
    return value


def _is_below(path: str, above: str) -> bool:
    return path == above or path.startswith(f"{above}.")


def _equal(right: Any, given: Any, options: JsonFieldsOptions) -> bool:
    if given is MISSING:
        return False
    if _is_number(right) and _is_number(given):
        try:
            return within(float(given), float(right), absolute=options.abs, relative=options.rel)
        except OverflowError:
            return bool(right == given)
    if not options.case and isinstance(right, str) and isinstance(given, str):
        return right.casefold() == given.casefold()
    return same(right, given)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


KINDS = (
    Kind(
        name="json_schema",
        summary="Whether the answer is JSON that fits a schema.",
        definition="1 where the answer is JSON and fits the schema. Else 0.",
        source="JSON Schema 2020-12; checked by jsonschema. References reach no further than the schema.",
        options=JsonSchemaOptions,
        make=json_schema,
        metrics=one(),
    ),
    Kind(
        name="json_fields",
        summary="How many fields of a JSON answer are right.",
        definition="Weights of the fields that are equal / weights of all compared fields; it passes where all are."
        " An answer that is no JSON has 0.",
        source="By definition; numbers are compared as by `number`.",
        options=JsonFieldsOptions,
        make=json_fields,
        metrics=one(),
    ),
)
