"""Reads a file into examples, whatever its format: told, or known by its first bytes and its shape.

Gives an Example or a Problem for each row, so that whoever reads decides what a bad row means. `left_out` counts, by
name, what a format holds that an example has no place for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from rondo.datasets.fields import NO_COLUMNS, Columns, Unfit, example_of
from rondo.datasets.formats import hugging_face, label_studio, openai, promptfoo
from rondo.datasets.formats.names import FORMATS, Format
from rondo.datasets.formats.rows import Problem, Row, Rows, delimited, header_of, json_lines, json_list, read_document
from rondo.datasets.model import Example, Provenance, Split
from rondo.errors import InvalidRequest

_HEAD = 1 << 16
_YAML = (".yaml", ".yml")
_TABLES = (".csv", ".tsv")


class Source(Struct, frozen=True):
    """A file that came in: where it is, and what it was called."""

    path: Path
    name: str


class Reading:
    """One file, being read. `format` is what it turned out to be."""

    def __init__(
        self,
        source: Source,
        folder: Path,
        *,
        format: Format | None = None,
        columns: Columns = NO_COLUMNS,
        config: str | None = None,
    ) -> None:
        """`folder` is for what is unpacked. Raises InvalidRequest, TooLarge."""
        self.left_out: Counter[str] = Counter()
        self.rows = 0
        self._source = source
        self._columns = columns
        self._document: Any = None
        if source.path.stat().st_size == 0:
            raise InvalidRequest("The file is empty.", remedy="Send a file with examples.", param="file")
        self.format: Format = format or self._detected()
        self._parts = hugging_face.unpack(source.path, folder, config=config) if self.format == "huggingface" else []

    def __iter__(self) -> Iterator[Example | Problem]:
        if self._parts:
            for part in self._parts:
                yield from self._examples(self._part_rows(part), self._by_fields, part.name, part.split)
            return
        convert = self._promptfoo if self.format == "promptfoo" else self._by_fields
        yield from self._examples(self._rows(), convert, self._source.name, None)

    def _detected(self) -> Format:  # noqa: PLR0911 - one sign after the other
        path, suffix = self._source.path, PurePosixPath(self._source.name).suffix.lower()
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if head.startswith(b"PK\x03\x04"):
            return "huggingface"
        if head.startswith(b"PAR1"):
            return "parquet"
        if suffix in _YAML:
            return "promptfoo"
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        if start == b"[" or (start == b"{" and self._is_document()):
            self._document = read_document(path)
            if promptfoo.is_config(self._document):
                return "promptfoo"
            return "label-studio" if label_studio.is_tasks(self._document) else "jsonl"
        if start == b"{":
            return "jsonl"
        if suffix in (".jsonl", ".ndjson", ".json"):
            return "jsonl"
        if suffix in _TABLES or b"\n" in head:
            return "promptfoo" if promptfoo.is_table(header_of(path)) else "csv"
        raise InvalidRequest(
            "What kind of file this is cannot be told.", remedy=f"Say --format: {', '.join(FORMATS)}.", param="format"
        )

    def _is_document(self) -> bool:
        """Whether a file that begins with `{` is one JSON object over several lines, rather than one a line."""
        first = next(json_lines(self._source.path), None)
        return isinstance(first, Problem) or (isinstance(first, Row) and promptfoo.is_config(first.fields))

    def _rows(self) -> Rows:
        path = self._source.path
        if self.format == "csv":
            return delimited(path)
        if self.format == "parquet":
            return _parquet(path)
        if self.format == "promptfoo":
            return self._promptfoo_rows()
        if self.format == "label-studio":
            return _mapped(json_list(self._list()), label_studio.columns_of)
        if self._document is not None or self._starts_with(b"["):
            return json_list(self._list())
        return json_lines(path)

    def _promptfoo_rows(self) -> Rows:
        suffix = PurePosixPath(self._source.name).suffix.lower()
        if self._document is None and not self._starts_with(b"[", b"{") and suffix not in _YAML:
            return promptfoo.table_tests(delimited(self._source.path))
        document = self._document if self._document is not None else promptfoo.read_yaml(self._source.path)
        return promptfoo.tests_of(document, self.left_out)

    def _list(self) -> list[Any]:
        document = self._document if self._document is not None else read_document(self._source.path)
        if isinstance(document, dict):
            inner = [value for value in document.values() if isinstance(value, list)]
            document = inner[0] if len(inner) == 1 else document  # {"data": [...]}
        if not isinstance(document, list):
            raise InvalidRequest("The document is no list of examples.", remedy="Send a JSON list.", param="file")
        return document

    def _starts_with(self, *signs: bytes) -> bool:
        with self._source.path.open("rb") as file:
            return file.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in signs

    def _part_rows(self, part: hugging_face.Part) -> Rows:
        suffix = part.path.suffix
        if suffix == ".parquet":
            return _parquet(part.path)
        if suffix == ".arrow":
            return hugging_face.arrow_rows(part.path)
        if suffix in _TABLES:
            return delimited(part.path)
        with part.path.open("rb") as file:
            is_list = file.read(_HEAD).lstrip()[:1] == b"["
        return json_list(read_document(part.path)) if is_list else json_lines(part.path)

    def _examples(
        self,
        rows: Rows,
        convert: Callable[[Mapping[str, Any], Provenance], list[Example]],
        name: str,
        split: Split | None,
    ) -> Iterator[Example | Problem]:
        for row in rows:
            self.rows += 1
            if isinstance(row, Problem):
                yield row
                continue
            try:
                for example in convert(row.fields, Provenance(kind="file", source=name, line=row.line)):
                    yield replace(example, split=split) if split is not None else example
            except Unfit as unfit:
                yield Problem(unfit.message, line=row.line, param=unfit.param)

    def _by_fields(self, fields: Mapping[str, Any], provenance: Provenance) -> list[Example]:
        if self.format == "openai-chat":
            openai.require_chat(fields)
        elif self.format == "openai-evals":
            openai.require_evals(fields)
        return [example_of(openai.unwrapped(fields), self._columns, provenance)]

    def _promptfoo(self, fields: Mapping[str, Any], provenance: Provenance) -> list[Example]:
        return promptfoo.examples_of(fields, self._columns, provenance, self.left_out)


def _mapped(rows: Rows, change: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Rows:
    for row in rows:
        if isinstance(row, Problem):
            yield row
            continue
        try:
            yield Row(row.line, change(row.fields))
        except Unfit as unfit:
            yield Problem(unfit.message, line=row.line, param=unfit.param)


def _parquet(path: Path) -> Rows:
    from rondo.store.tables import Unstorable, read_parquet

    for number, row in enumerate(read_parquet(path), 1):
        if isinstance(row, Unstorable):
            yield Problem(str(row), line=number, param=row.column)
        else:
            yield Row(number, row)
