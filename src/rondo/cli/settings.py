"""`rondo settings`: every environment variable and every key of rondo.toml, each with its sentence.

The tables come from `rondo.settings` itself; the documentation is made from the same two functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rondo.cli import output
from rondo.cli.output import Column
from rondo.settings.environment import ENVIRONMENT, environment
from rondo.settings.project import FILE
from rondo.settings.tables import ProjectSettings


class Key(NamedTuple):
    """A key of `rondo.toml`. `default` is None where the key is required."""

    table: str
    key: str
    kind: str
    default: str | None
    sentence: str


@click.command("settings")
@click.option("--json", "wants_json", is_flag=True, help="Print both tables as JSON.")
def command(wants_json: bool) -> None:
    """Explain every environment variable, and whether it is set here, and every key of rondo.toml.

    Values are not shown: most of them are secrets.
    """
    variables = [
        {"name": name, "set": environment(name) is not None, "sentence": sentence}
        for name, sentence in ENVIRONMENT.items()
    ]
    keys = [key._asdict() for key in file_keys()]
    if wants_json:
        output.as_json({"environment": variables, "file": keys})
        return
    columns = [
        Column("VARIABLE", "name"),
        Column("SET", lambda row: "yes" if row["set"] else "no"),
        Column("WHAT IT IS", "sentence"),
    ]
    output.table(variables, columns, none="There are none.")
    for table, _ in file_tables():
        members = [key for key in file_keys() if key.table == table]
        output.heading(f"{FILE} {table}")
        output.facts(((key.key, f"{key.sentence} ({key.kind}, {_optional(key)})") for key in members), indent=2)


def _optional(key: Key) -> str:
    if key.default is None:
        return "required"
    return "optional" if key.default == "not set" else f"default {key.default}"


def file_tables(parent: str = "", model: type[BaseModel] = ProjectSettings) -> Iterator[tuple[str, type[BaseModel]]]:
    """Every table of `rondo.toml` as it is written there (`[app]`, `[[goals]]`, `[models.NAME]`), and its model."""
    for name, field in model.model_fields.items():
        inner = _table_in(field.annotation)
        if inner is None:
            continue
        path = f"{parent}{name}"
        if get_origin(field.annotation) is dict:
            path += ".NAME"
        yield f"[[{path}]]" if get_origin(field.annotation) is list else f"[{path}]", inner
        yield from file_tables(f"{path}.", inner)


def file_keys() -> Iterator[Key]:
    """The keys of `rondo.toml`, table by table, in the order of the models."""
    for table, model in file_tables():
        for name, field in model.model_fields.items():
            yield Key(table, name, kind_of(field.annotation), default_of(field), field.description or "")


def _table_in(annotation: Any) -> type[BaseModel] | None:
    if _is_table(annotation):
        found: type[BaseModel] = annotation
        return found
    return next((table for each in get_args(annotation) if (table := _table_in(each)) is not None), None)


def _is_table(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def default_of(field: FieldInfo) -> str | None:
    """A default in the words of TOML; None where the key is required."""
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def kind_of(annotation: Any) -> str:
    """A type in the words of TOML: `text`, `number`, `list of text`, `"process" or "power"`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind_of(arguments[0])
    if origin in (Union, UnionType):
        return " or ".join(kind_of(each) for each in arguments if each is not type(None))
    if origin is Literal:
        return " or ".join(f'"{each}"' for each in arguments)
    if origin is list:
        return f"list of {kind_of(arguments[0])}"
    if origin is dict or _is_table(annotation):
        return "table"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(annotation, "any value")
