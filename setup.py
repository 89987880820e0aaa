"""The build. With `RONDO_COMPILE=1` the gateway's hot path is compiled to C; without, all of Rondo is plain Python.

A compiled module does what its source says, in less time, but for three things that `tests/test_compiled.py` looks for:
it defines no Structs, whose options would be lost; it does not wait inside `except` and `finally`, or others would meet
its error meanwhile; and no class elsewhere inherits from its own.
"""

import os
import tomllib
from pathlib import Path

from setuptools import Extension, setup


def compiled() -> list[Extension]:
    """The modules as one extension, in which they call each other as C functions."""
    from mypyc.build import mypycify

    project = tomllib.loads(Path("pyproject.toml").read_text())
    files = [f"src/{name.replace('.', '/')}.py" for name in project["tool"]["rondo"]["compiled"]]
    found: list[Extension] = mypycify(
        ["--config-file=pyproject.toml", *files], opt_level="3", debug_level="0", group_name="rondo"
    )
    return found


setup(ext_modules=compiled() if os.environ.get("RONDO_COMPILE") == "1" else [])
