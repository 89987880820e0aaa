"""Short turns for who is waited for, long ones for the records' process; threads started later take over."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's scheduler")

_LOOK = """
import ctypes, os, platform, struct, sys, threading
from rondo.server import scheduling

def turns() -> None:
    number = {"x86_64": 315, "aarch64": 275}[platform.machine()]
    found = ctypes.create_string_buffer(48)
    assert ctypes.CDLL(None).syscall(number, 0, found, 48, 0) == 0
    _, policy, _, nice, _, runtime, *_ = struct.unpack("=IIQiIQQQ", found.raw)
    print(policy, nice - before, runtime)

before = os.getpriority(os.PRIO_PROCESS, 0)
getattr(scheduling, sys.argv[1])()
thread = threading.Thread(target=turns)
thread.start()
thread.join()
"""


def _turns_after(verb: str) -> tuple[int, int, int]:
    """The policy, by how much nicer, and the turn in ns (0 where the kernel is too old to tell)."""
    said = subprocess.run([sys.executable, "-c", _LOOK, verb], check=True, capture_output=True, text=True).stdout
    policy, nicer, runtime = map(int, said.split())
    return policy, nicer, runtime


def test_who_is_waited_for_takes_short_turns_and_stays_as_nice_as_it_was() -> None:
    policy, nicer, runtime = _turns_after("take_short_turns")
    assert (policy, nicer) == (0, 0)
    assert runtime in (0, 100_000)


def test_the_records_process_stands_back() -> None:
    policy, nicer, runtime = _turns_after("stand_back")
    assert (policy, nicer) == (0, 5)
    assert runtime in (0, 10_000_000)
