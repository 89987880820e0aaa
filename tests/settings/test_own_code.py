"""What a scorer imports of the project is found from its source, and decides its hash."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.settings.own_code import hash_of, modules

FILE = "scorers/tone.py"


def found(source: str, *names: str, **more: bytes) -> set[str]:
    files = dict.fromkeys(names, b"") | more
    return set(modules(FILE, source.encode(), files.get))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import words", {"scorers/words.py"}),
        ("import os, words as w", {"scorers/words.py"}),
        ("from words import BAD", {"scorers/words.py"}),
        ("def score(answer):\n    import words\n", {"scorers/words.py"}),
        ("import lists.bad.en", {"scorers/lists/__init__.py", "scorers/lists/bad.py"}),
        ("from lists import bad", {"scorers/lists/__init__.py", "scorers/lists/bad.py"}),
        ("from .words import BAD", {"scorers/words.py"}),
        ("from .. import shared", {"shared.py"}),
        ("from ..... import shared", set()),
        ("import json, elsewhere", set()),
        ("import tone", set()),
        ("import (", set()),
        ("x = '''\nimport words\n'''", set()),
    ],
)
def test_imports_are_read_and_never_run(source: str, expected: set[str]) -> None:
    there = ("scorers/words.py", "scorers/lists/__init__.py", "scorers/lists/bad.py", "shared.py", FILE)
    assert found(source, *there) == expected


def test_imports_of_imports_and_circles() -> None:
    files = {
        "scorers/a.py": b"import b",
        "scorers/b.py": b"import a, c.d",
        "scorers/c/__init__.py": b"from . import e",
        "scorers/c/d.py": b"from .e import f",
        "scorers/c/e.py": b"import tone",
    }
    assert set(modules("./scorers//tone.py", b"import a", files.get)) == set(files)


def test_a_file_that_imports_nothing_of_the_project_has_its_own_hash() -> None:
    assert hash_of(FILE, b"import os", lambda path: None) == sha256(b"import os").hexdigest()


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_another_module_is_another_scorer(one: bytes, other: bytes) -> None:
    first, second = (hash_of(FILE, b"import words", {"scorers/words.py": each}.get) for each in (one, other))
    assert (first == second) == (one == other)


@given(st.binary(max_size=200))
def test_no_source_is_too_strange(source: bytes) -> None:
    assert modules(FILE, source, lambda path: None) == {}


def test_sources_that_nest_deeply_are_not_looked_into() -> None:
    assert modules(FILE, b"(" * 50_000, lambda path: b"") == {}
    assert modules(FILE, b"-" * 200_000 + b"1", lambda path: b"") == {}
