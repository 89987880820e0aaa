"""The verb `export`: a version's examples, written as a file in a format that others read, whole or not at all.

Our own formats (jsonl, csv, parquet) hold everything and come back as the same version. The others hold what they have
a place for; formats that need an answer refuse examples without one, unless those may be left out.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from rondo.catalog.engine import Catalog
from rondo.datasets import store
from rondo.datasets.formats import label_studio, openai, promptfoo
from rondo.datasets.formats.names import ExportFormat
from rondo.datasets.model import Example, Split
from rondo.errors import InvalidRequest

SUFFIXES: dict[ExportFormat, str] = {
    "jsonl": "jsonl",
    "csv": "csv",
    "parquet": "parquet",
    "openai-chat": "jsonl",
    "openai-evals": "jsonl",
    "promptfoo": "json",
    "label-studio": "json",
}

_TEXTS = ("id", "split", "group")
_FLAGS = ("must_pass", "hand_over")
_COLUMNS = tuple(name for name in Example.__struct_fields__ if name != "expected")
_encode = msgspec.json.Encoder().encode


def export_version(
    catalog: Catalog,
    project: str,
    dataset: str,
    version: int | str | None,
    target: Path,
    *,
    format: ExportFormat = "jsonl",
    split: Split | None = None,
    answered_only: bool = False,
) -> int:
    """Write a version's examples, of one split or of all; how many were written.

    Raises NotFound, and InvalidRequest where the format needs an answer that an example has not.
    """
    write = _WRITERS[format]
    with catalog.read() as connection:
        found = store.get_version(connection, project, dataset, version)
        members = store.members_of(connection, project, dataset, found.hash)
        if split is not None:
            members = [member for member in members if member[1] == split]
        if not members:
            raise InvalidRequest(
                f"{found.label} has no examples in {split!r}.",
                remedy="`rondo datasets split` makes splits.",
                param="split",
            )
        written = write(store.read_examples(connection, project, members), target)
    left = len(members) - written
    if left and not answered_only:
        target.unlink(missing_ok=True)
        raise InvalidRequest(
            f"{left:,} of {len(members):,} examples do not say what is right, which {format} needs.",
            remedy="Leave them out with --answered-only, or choose another format.",
            param="format",
        )
    return written


def _lines(rows_of: Callable[[Example], Any]) -> Callable[[Iterable[Example], Path], int]:
    def write(examples: Iterable[Example], target: Path) -> int:
        written = 0
        with target.open("wb") as file:
            for example in examples:
                row = rows_of(example)
                if row is not None:
                    file.write(_encode(row) + b"\n")
                    written += 1
        return written

    return write


def _list(rows_of: Callable[[Iterable[Example]], Iterator[Any]], before: bytes, after: bytes) -> Any:
    def write(examples: Iterable[Example], target: Path) -> int:
        written = 0
        with target.open("wb") as file:
            file.write(before)
            for row in rows_of(examples):
                file.write((b",\n" if written else b"\n") + _encode(row))
                written += 1
            file.write(b"\n" + after)
        return written

    return write


def _csv(examples: Iterable[Example], target: Path) -> int:
    names = [*_COLUMNS[:1], "expected", "expected_json", *_COLUMNS[1:]]
    written = 0
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for example in examples:
            writer.writerow(_row(example))
            written += 1
    return written


def _parquet(examples: Iterable[Example], target: Path) -> int:
    from rondo.store.tables import write_parquet

    rows = target.with_name(f"{target.name}.rows")
    try:
        _lines(_row)(examples, rows)
        kinds = {name: "BOOLEAN" if name in _FLAGS else "VARCHAR" for name in ("expected", "expected_json", *_COLUMNS)}
        return write_parquet(rows, target, kinds)
    finally:
        rows.unlink(missing_ok=True)


def _row(example: Example) -> dict[str, Any]:
    """An example as a row of a table: what is no text is JSON. An expected value that is no text has its own column."""
    built = msgspec.to_builtins(example)
    expected = built.pop("expected", None)
    row: dict[str, Any] = {
        name: value if name in (*_TEXTS, *_FLAGS) else json.dumps(value, ensure_ascii=False)
        for name, value in built.items()
    }
    if expected is not None:
        row["expected" if isinstance(expected, str) else "expected_json"] = (
            expected if isinstance(expected, str) else json.dumps(expected, ensure_ascii=False)
        )
    return row


def _tests(examples: Iterable[Example]) -> Iterator[dict[str, Any]]:
    for example in examples:
        yield promptfoo.to_test(example)


_WRITERS: dict[ExportFormat, Callable[[Iterable[Example], Path], int]] = {
    "jsonl": _lines(lambda example: example),
    "csv": _csv,
    "parquet": _parquet,
    "openai-chat": _lines(openai.to_chat),
    "openai-evals": _lines(openai.to_evals),
    "promptfoo": _list(_tests, b'{"prompts": ["{{question}}"],\n"tests": [', b"]}\n"),
    "label-studio": _list(label_studio.to_tasks, b"[", b"]\n"),
}
