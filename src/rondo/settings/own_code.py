"""What a scorer of the project's own is made of: its Python file, and the modules of the project that this one imports.

Imports are read from the source and never run, so that the command line and the server come to the same hash. They are
looked for beside the scorer's file, as Python looks for them when it runs. An import whose name is only made up at run
time (`importlib.import_module(...)`) is not seen. Pure.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from hashlib import sha256

Find = Callable[[str], bytes | None]
"""A file of the project by its path; None where there is none."""

_Folder = tuple[str, ...]

_LONGEST = 2_000_000
"""Bytes of a module that is still looked into."""


def modules(file: str, source: bytes, find: Find) -> dict[str, bytes]:
    """Modules of the project that the file imports, and those that these import, by path; not the file itself."""
    own = "/".join(part for part in file.split("/") if part not in ("", "."))
    top = tuple(own.split("/")[:-1])
    found: dict[str, bytes] = {}
    waiting = [(top, source)]
    while waiting:
        folder, text = waiting.pop()
        for path in _named(top, folder, text):
            if path in found or path == own or (data := find(path)) is None:
                continue
            found[path] = data
            waiting.append((tuple(path.split("/")[:-1]), data))
    return found


def hash_of(file: str, source: bytes, find: Find) -> str:
    """SHA-256 of the file; where it imports modules of the project, of these too."""
    own = sha256(source).hexdigest()
    more = modules(file, source, find)
    if not more:
        return own
    lines = [own, *(f"{path} {sha256(data).hexdigest()}" for path, data in sorted(more.items()))]
    return sha256("\n".join(lines).encode()).hexdigest()


def _named(top: _Folder, folder: _Folder, source: bytes) -> Iterator[str]:
    """Every file that an import of this module could mean; most are not there. `top` is the scorer's folder, `folder`
    the module's."""
    try:
        tree = ast.parse(source) if len(source) <= _LONGEST else ast.Module([], [])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # loading it tells its line
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(top, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            up = len(folder) + 1 - node.level
            if up < 0:
                continue  # above the project
            start = folder[:up] if node.level else top
            parts = node.module.split(".") if node.module else []
            for alias in node.names:
                yield from _files(start, [*parts, alias.name])


def _files(folder: _Folder, parts: list[str]) -> Iterator[str]:
    """The module's own file, and those of the packages that it lies in."""
    for part in parts:
        folder = (*folder, part)
        path = "/".join(folder)
        yield f"{path}.py"
        yield f"{path}/__init__.py"
