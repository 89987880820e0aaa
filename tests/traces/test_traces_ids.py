"""Ids: of the form they promise, never twice, not even in a process that was forked."""

from __future__ import annotations

import subprocess
import sys

from rondo import ids

_FORKED = """
import os
from rondo import ids
ids.new_span_id(); ids.new_trace_id()
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, ids.new_ids(0)[0].encode())
    os._exit(0)
os.wait()
print(os.read(reader, 100).decode(), ids.new_ids(0)[0])
"""


def test_a_trace_id_is_a_uuid_of_its_time() -> None:
    for _ in range(1_000):
        trace_id, span_id = ids.new_ids(1_763_700_000_123_456)
        assert ids.is_trace_id(trace_id)
        assert int(trace_id[:12], 16) == 1_763_700_000_123
        assert trace_id[12] == "7"
        assert trace_id[16] in "89ab"
        assert len(span_id) == 16
        assert int(span_id, 16) >= 0


def test_no_two_are_the_same_and_every_random_bit_varies() -> None:
    made = [ids.new_ids(0) for _ in range(5_000)]
    traces, spans = zip(*made, strict=True)
    assert len(set(traces)) == len(set(spans)) == 5_000
    assert not set(traces) & set(spans)
    either = [{int(trace, 16) >> bit & 1 for trace in traces} for bit in range(80)]
    fixed = [bit for bit, seen in enumerate(either) if seen != {0, 1}]
    assert fixed == [62, 63, 76, 77, 78, 79]  # RFC 9562: variant and version


def test_a_forked_process_draws_anew() -> None:
    done = subprocess.run([sys.executable, "-c", _FORKED], capture_output=True, text=True, check=True)
    child, parent = done.stdout.split()
    assert child != parent
