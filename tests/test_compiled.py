"""What is compiled on request must do the same as plain Python: no construct in it that would be taken another way."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_MODULES: list[str] = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["rondo"]["compiled"]
_WAITS = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Yield, ast.YieldFrom)


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _classes(tree: ast.Module) -> dict[str, list[str]]:
    """The classes of a module, and what each inherits from."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return {each.name: [ast.unparse(base).partition("[")[0] for base in each.bases] for each in found}


def _in_handlers(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Try):
            for part in (*node.handlers, *node.finalbody):
                yield from ast.walk(part)


def _file(module: str) -> Path:
    return _ROOT / "src" / f"{module.replace('.', '/')}.py"


@pytest.mark.parametrize("module", _MODULES)
def test_nothing_is_taken_another_way(module: str) -> None:
    tree = _tree(_file(module))
    bases = [base for each in _classes(tree).values() for base in each]
    assert "Struct" not in bases, "the options of a Struct would be lost"
    waits = [ast.unparse(node) for node in _in_handlers(tree) if isinstance(node, _WAITS)]
    assert not waits, "the error at hand would be seen by everyone who runs meanwhile"
    generators = [
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.AsyncFunctionDef)
        and any(isinstance(node, ast.Yield) for node in ast.walk(function))
    ]
    assert not generators, "asynchronous generators cannot be compiled"


def test_no_class_inherits_from_a_compiled_one() -> None:
    compiled = {_file(module) for module in _MODULES}
    own = {name for path in compiled for name in _classes(_tree(path)) if not name.startswith("_")}
    others = {path for folder in ("src", "tests", "benchmarks") for path in (_ROOT / folder).rglob("*.py")} - compiled
    heirs = {
        f"{path.name}: {name}({base})"
        for path in others
        for name, bases in _classes(_tree(path)).items()
        for base in bases
        if base.rpartition(".")[2] in own
    }
    assert not heirs
