"""How the kernel shares the cores between the gateway and the records' process.

Where both want a core, a request should not wait until a batch of records has had its turn. Linux from 6.12 on lets a
process ask for short turns (`sched_setattr(2)`, `sched_runtime`, no privilege needed): it gets no more of a core than
before, but gets it sooner. Elsewhere nothing happens.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
_SCHED_ATTR = struct.Struct("=IIQiIQQQ")  # size, policy, flags, nice, priority, runtime, deadline, period
_SHORT_NS = 100_000
"""The least that Linux takes."""
_LONG_NS = 10_000_000
_NICE = 5


def take_short_turns() -> None:
    """For this thread and those that it starts from now on: serve whoever waits."""
    _ask_for_turns(_SHORT_NS)


def stand_back() -> None:
    """For this process, before it starts threads: work in long turns, and leave the cores to others first."""
    os.nice(_NICE)
    _ask_for_turns(_LONG_NS)


def _ask_for_turns(runtime_ns: int) -> None:
    """Whoever runs Rondo under another policy (`chrt`) has decided already."""
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None or not hasattr(os, "sched_getscheduler") or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    asked = _SCHED_ATTR.pack(_SCHED_ATTR.size, os.SCHED_OTHER, 0, nice, 0, runtime_ns, 0, 0)
    ctypes.CDLL(None).syscall(number, 0, asked, 0)  # where it is refused, nothing is lost
