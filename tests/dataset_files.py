"""Datasets for tests: a project in a catalog, files to import, and examples with plain defaults."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from rondo.catalog.engine import Catalog, open_catalog, sqlite_url
from rondo.datasets.formats.read import Reading, Source
from rondo.datasets.formats.rows import Problem
from rondo.datasets.importing import Imported, ImportOptions, import_file
from rondo.datasets.model import Example
from rondo.governance import projects


@pytest.fixture
def shelf(tmp_path: Path) -> Iterable[Catalog]:
    """A catalog with the project `p`."""
    catalog = open_catalog(sqlite_url(tmp_path / "catalog.db"))
    projects.create(catalog, "p", actor="test")
    yield catalog
    catalog.close()


def example(question: str, **fields: Any) -> Example:
    """An example that asks this."""
    return Example(messages=[{"role": "user", "content": question}], **fields).identified()


def file(folder: Path, name: str, content: str | bytes | Iterable[Any]) -> Source:
    """A file to import: text, bytes, or rows as JSON lines."""
    if not isinstance(content, str | bytes):
        content = "".join(json.dumps(row) + "\n" for row in content)
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Source(path, name)


def parquet(path: Path, query: str) -> None:
    """Write what a query gives as Parquet."""
    with duckdb.connect() as database:
        database.execute(f"COPY ({query}) TO '{path}' (FORMAT PARQUET)")


def read(folder: Path, name: str, content: str | bytes | Iterable[Any], **options: Any) -> list[Example]:
    """The examples of a file, which must all be readable."""
    found = list(Reading(file(folder, name, content), folder, **options))
    assert not [each for each in found if isinstance(each, Problem)], found
    return [each for each in found if isinstance(each, Example)]


def imported(catalog: Catalog, folder: Path, name: str, content: Any, dataset: str = "d", **options: Any) -> Imported:
    """A file, imported into the project `p`."""
    return import_file(catalog, "p", dataset, file(folder, name, content), ImportOptions(**options), actor="test")
