"""A trace as a tree on the terminal: a line for each span, indented, with its time; the first lines of a long one."""

from __future__ import annotations

from typing import Any

import click

from rondo.cli import output
from rondo.cli.output import count, milliseconds, money

_ROWS = 40
_DEEPEST = 12


def show_tree(tree: dict[str, Any], *, whole: bool) -> None:
    """Print it; what is left out is said."""
    rows = tree["rows"] if whole else tree["rows"][:_ROWS]
    calls = f"{count(tree['calls'])} {'call' if tree['calls'] == 1 else 'calls'} of models"
    spans = f"{count(tree['spans'])} {'span' if tree['spans'] == 1 else 'spans'}"
    told = f"{spans}, {calls}, {count(tree['tokens'])} tokens, {money(tree['cost_usd'])}"
    click.echo(f"  {tree['trace_id']}  {milliseconds(tree['duration_ms'])}  {told}")
    columns = [
        output.Column("SPAN", _name),
        output.Column("AFTER", lambda row: milliseconds(row["offset_ms"]), right=True),
        output.Column("TOOK", lambda row: milliseconds(row["duration_ms"]), right=True),
        output.Column("TOKENS", lambda row: "" if row["tokens"] is None else count(row["tokens"]), right=True),
        output.Column("OUTCOME", lambda row: row["error"] or ("error" if row["failed"] else "ok"), free=True),
    ]
    output.table(rows, columns, none="none recorded", indent=2)
    left = tree["spans"] - len(rows)
    if left:
        click.echo(output.paint(f"  … {left} more {'span' if left == 1 else 'spans'}", "bright_black"))


def _name(row: output.Row) -> str:
    kind = "call" if row["source"] == "call" else row["kind"]
    return f"{'> ' * min(row['depth'], _DEEPEST)}{kind} {row['name']}"
