"""`rondo scorers`: every kind of scorer, with its definition, its source and its options.

The documentation's table is tested against the same functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from pydantic.fields import FieldInfo

from rondo.cli import output
from rondo.cli.output import Column
from rondo.cli.settings import default_of, kind_of
from rondo.errors import NotFound
from rondo.evals.scorers.model import Kind, Options
from rondo.evals.scorers.registry import KINDS
from rondo.settings.table import nearest


@click.command("scorers")
@click.argument("kind", required=False)
@click.option("--json", "wants_json", is_flag=True, help="Print them as JSON.")
def command(kind: str | None, wants_json: bool) -> None:
    """List what `[[scorers]]` of a suite may be; with KIND, tell all of that one: definition, source, options.

    No server is needed.
    """
    if kind is None:
        told = [described(each) for each in KINDS.values()]
        if wants_json:
            output.as_json({"scorers": told})
            return
        columns = [Column("SCORER", "kind"), Column("WHAT IT SAYS", "summary", free=True)]
        output.table(told, columns, none="There are none.")
        return
    if kind not in KINDS:
        raise NotFound(f"There is no scorer {kind!r}.{nearest(kind, list(KINDS))}", param="kind")
    found = described(KINDS[kind])
    if wants_json:
        output.as_json(found)
        return
    output.facts((name, found[name]) for name in ("kind", "summary", "definition", "source", "runs"))
    output.heading("Options")
    output.facts(((each["name"], _in_words(each)) for each in found["options"]), indent=2)


def described(kind: Kind) -> dict[str, Any]:
    """A kind as JSON has it."""
    return {
        "kind": kind.name,
        "summary": kind.summary,
        "definition": kind.definition,
        "source": kind.source,
        "runs": "in the command line" if kind.own else "in the server",
        "asks_a_model": kind.asks,
        "options": [
            {
                "name": name,
                "type": kind_of(field.annotation),
                "default": default_of(field),
                "sentence": field.description,
            }
            for name, field in _own_first(kind.options.model_fields)
        ],
    }


def _own_first(fields: Mapping[str, FieldInfo]) -> list[tuple[str, FieldInfo]]:
    """A scorer's options, those that all scorers have last. `kind` and `name` are no options."""
    named = [(name, field) for name, field in fields.items() if name not in ("kind", "name")]
    return sorted(named, key=lambda each: each[0] in Options.model_fields)


def _in_words(option: dict[str, Any]) -> str:
    default = option["default"]
    optional = "required" if default is None else "optional" if default == "not set" else f"default {default}"
    return f"{option['sentence']} ({option['type']}, {optional})"
