"""What a process holds of memory that is free, with glibc: two arenas, and nothing large."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="only glibc is told how to hold memory"
)

_PROGRAM = """
import ctypes, re, sys, threading
from pathlib import Path
from rondo.allocator import hold_little

said = hold_little()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
ended = threading.Barrier(9)

def work():
    ctypes.c_void_p(libc.malloc(1000))
    ended.wait()

for _ in range(8):
    threading.Thread(target=work).start()
ended.wait()

def mapped():
    out = libc.fopen(sys.argv[1].encode(), b"w")
    libc.malloc_info(0, ctypes.c_void_p(out))
    libc.fclose(ctypes.c_void_p(out))
    text = Path(sys.argv[1]).read_text()
    return text.count("<heap "), int(re.search('type="mmap" count="[0-9]+" size="([0-9]+)"', text)[1])

libc.free(ctypes.c_void_p(libc.malloc(8 << 20)))  # glibc takes this for a size that will be wanted again
before = mapped()[1]
libc.malloc(4 << 20)
arenas, after = mapped()
print(said, arenas, after - before >= 4 << 20)
"""


@pytest.mark.parametrize("said", [{}, {"MALLOC_ARENA_MAX": "4"}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=4"}])
def test_a_process_holds_little_unless_the_environment_says_otherwise(said: dict[str, str], tmp_path: object) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", _PROGRAM, f"{tmp_path}/info.xml"]
    found = subprocess.run(command, env={**environment, **said}, capture_output=True, text=True, check=True).stdout
    assert found.split() == (["False", "4", "False"] if said else ["True", "2", "True"])
