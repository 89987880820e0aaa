"""What is compiled on request must do the same as plain Python: no construct in it that would be taken another way.

The error that is being handled is where plain and compiled code differ most. A plain coroutine has a place of its own
for it, which is put away whenever the coroutine waits. Code by mypyc puts it into the thread's `sys.exc_info()` when an
`except`, a `finally` or the exit of a `with` begins, and what was there before back at the end of that block; nothing
is put away in between (mypyc 2.4: `CPy_CatchError` and `CPy_RestoreExcInfo` in `lib-rt/exc_ops.c`,
`transform_try_except` in `irbuild/statement.py`). So what a compiled coroutine handles while it waits, everyone else
is seen to handle meanwhile: it becomes the `__context__` of their errors, and a bare `raise` of theirs raises it; after
a `finally` that waits it even stays. Therefore:

- Nothing compiled waits in `except` or `finally`.
- Nothing compiled has an `async with`: its exit is awaited while the error of its body is being handled.
- To wait in the body of a `try` or a plain `with`, in a loop by `async for`, and for what is cancelled meanwhile, is
  safe: their own handlers end before they wait again.
- What plain code awaits or calls from a handler of its own may be compiled: it puts back what it found.

Nor does any text depend on it: nothing in the server looks at what stands around an error; only its log prints that.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_MODULES: list[str] = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["rondo"]["compiled"]
_WAITS = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Yield, ast.YieldFrom)
_AROUND = {"__context__", "__cause__", "__traceback__", "exc_info"}
"""What tells of other errors than the one at hand."""
_OWN_PROCESS = _ROOT / "src/rondo/cli/own_scorers.py"


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


def _waits(node: ast.AST) -> bool:
    return isinstance(node, _WAITS) or (isinstance(node, ast.comprehension) and bool(node.is_async))


def _file(module: str) -> Path:
    return _ROOT / "src" / f"{module.replace('.', '/')}.py"


@pytest.mark.parametrize("module", _MODULES)
def test_nothing_is_taken_another_way(module: str) -> None:
    tree = _tree(_file(module))
    bases = [base for each in _classes(tree).values() for base in each]
    assert "Struct" not in bases, "the options of a Struct would be lost"
    waits = [ast.unparse(node) for node in _in_handlers(tree) if _waits(node)]
    waits += [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.AsyncWith)]
    assert not waits, "the error at hand would be seen by everyone who runs meanwhile"
    generators = [
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.AsyncFunctionDef)
        and any(isinstance(node, ast.Yield) for node in ast.walk(function))
    ]
    assert not generators, "asynchronous generators cannot be compiled"


def test_nothing_is_made_of_what_stands_around_an_error() -> None:
    lookers = {
        f"{path.name}: {ast.unparse(node)}"
        for path in set((_ROOT / "src").rglob("*.py")) - {_OWN_PROCESS}
        for node in ast.walk(_tree(path))
        if (isinstance(node, ast.Attribute) and node.attr in _AROUND)
        or (isinstance(node, ast.Import | ast.ImportFrom) and "traceback" in ast.unparse(node))
    }
    assert not lookers, "it may be another request's"


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
