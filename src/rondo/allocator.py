"""How the C library's allocator holds memory that is free: little of it, in every long-lived process.

glibc has up to eight arenas for each core, and learns by itself to keep ever larger pieces for the next time; so a
process stays as large as its largest run made it, once for each of its threads. Two arenas are enough, since most of
Rondo's threads share the interpreter's lock; and what is a megabyte or more goes back to the system when it is freed.
The C libraries of Alpine and macOS hold little anyway.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping

_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = -8, -3, -1  # of glibc's malloc.h
_ARENAS = 2
_LARGE = 1 << 20  # bytes; less, and NumPy's passing arrays cost twice the time
_SAID = ("MALLOC_", "GLIBC_TUNABLES")


def hold_little(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process does so from now on: with glibc, where the environment says nothing of its allocator.

    Call it before threads are started: an arena that is there stays.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version") or any(name.startswith(_SAID) for name in environment):
        return False
    options = ((_ARENA_MAX, _ARENAS), (_MMAP_THRESHOLD, _LARGE), (_TRIM_THRESHOLD, _LARGE))
    return all(libc.mallopt(option, value) == 1 for option, value in options)
