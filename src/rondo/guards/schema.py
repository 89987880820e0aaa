"""The check `schema`: whether an answer is JSON of the wanted shape, and what to tell the model that mends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

from rondo.guards.model import NOTHING, Looked, Text

_MOST = 5
_LONGEST = 300


class Schema:
    """Compiled once. References reach no further than the schema itself."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Raises ValueError for what is no JSON Schema, or refers to another one."""
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import SchemaError
        from referencing import Registry

        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            raise ValueError(f"not a JSON Schema: {error.message}") from None
        for reference in _references(schema):
            if not reference.startswith("#"):
                raise ValueError(f"refers to {reference!r}; only references inside of it (`#/...`) are followed")
        self._validator = Draft202012Validator(schema, registry=Registry())

    def look(self, texts: Sequence[Text]) -> Looked:
        for text in texts:
            if text.role == "assistant" and (complaints := list(self._complaints(text.value))):
                where = ", ".join(dict.fromkeys(place for place, _ in complaints))
                said = "\n".join(f"- {place}: {message}" for place, message in complaints)
                return Looked({"schema": len(complaints)}, note=where, complaint=said)
        return NOTHING

    def _complaints(self, text: str) -> Iterator[tuple[str, str]]:
        """Places, which may be recorded, and messages, which quote the answer and may not."""
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            yield "the whole answer", f"not JSON: {error}"
            return
        try:
            for miss in islice(self._validator.iter_errors(value), _MOST):
                yield _place(miss), miss.message[:_LONGEST]
        except RecursionError:
            yield "the whole answer", "nested too deep"


def _place(error: ValidationError) -> str:
    """Where in the schema: names that the operator chose, none that the model made up."""
    return "#/" + "/".join(str(part) for part in error.absolute_schema_path)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        for key in ("$ref", "$dynamicRef"):
            if isinstance(reference := schema.get(key), str):
                yield reference
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)
