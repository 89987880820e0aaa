"""No answer leaves without its record: when the journal cannot take one, the client is told so, and serving resumes by
itself when it can again."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway_house import HELLO, House
from rondo.journal import append
from scripted_upstream import ScriptedUpstream, events

SAID = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


class Disk:
    """Stands between the journal and the disk; `full` makes every append fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        write = os.write

        def limited(descriptor: int, data: bytes) -> int:
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(descriptor, data)

        monkeypatch.setattr("rondo.journal.append.os.write", limited)
        monkeypatch.setattr(append, "PROBE_EVERY_S", 0.0)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


async def test_an_answer_that_cannot_be_recorded_is_not_given(house: House, disk: Disk) -> None:
    disk.full = True
    response = await house.chat("echo")
    assert response.status_code == 503
    assert b"Hello" not in response.content
    assert response.json()["error"]["code"] == "unavailable"
    assert int(response.headers["retry-after"]) >= 1
    disk.full = False
    assert (await house.chat("echo")).status_code == 200
    assert len(house.calls) == 1


async def test_a_stream_that_cannot_be_recorded_ends_with_an_error(house: House, disk: Disk) -> None:
    house.upstream.plays["echo"] = events([SAID, STOP, DONE])
    disk.full = True
    response = await house.chat("echo", stream=True)
    assert response.status_code == 200
    assert b"[DONE]" not in response.content
    assert b'data: {"error":' in response.content
    assert b'"unavailable"' in response.content
    disk.full = False
    assert (await house.chat("echo", stream=True)).content.endswith(DONE)
    assert len(house.calls) == 1


async def test_a_broken_stream_that_cannot_be_recorded_ends_with_an_error(house: House, disk: Disk) -> None:
    house.upstream.plays["echo"] = events([SAID], then="cut")
    disk.full = True
    response = await house.chat("echo", stream=True)
    assert b"[DONE]" not in response.content
    assert response.content.split(b"\n\n")[-2].startswith(b'data: {"error":')


async def test_errors_embeddings_and_feedback_say_so_too(house: House, disk: Disk) -> None:
    disk.full = True
    for path, body in (
        ("/v1/chat/completions", {"model": "nobody", "messages": HELLO}),
        ("/v1/embeddings", {"model": "echo", "input": "x"}),
        ("/v1/apps/bot/answer", {"question": "x"}),
        ("/v1/feedback", {"trace_id": "0" * 31 + "1", "name": "n", "value": 1}),
    ):
        response = await house.post(path, body)
        assert response.status_code == 503, path
        assert "retry-after" in response.headers


async def test_a_full_disk_refuses_before_the_provider_is_asked(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(append, "PROBE_EVERY_S", 0.0)
    monkeypatch.setattr(house.journal, "_min_free_bytes", 1 << 62)
    response = await house.chat("echo")
    assert response.status_code == 503
    assert "disk" in response.json()["error"]["message"]
    assert not house.upstream.heard
    monkeypatch.setattr(house.journal, "_min_free_bytes", 1)
    assert (await house.chat("echo")).status_code == 200


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
async def cramped(small_disk: Path, upstream: ScriptedUpstream) -> AsyncIterator[House]:
    """A gateway whose journal is on the small disk."""
    built = House(small_disk / "journal", upstream)
    built.model("echo")
    yield built
    await built.close()


async def test_on_a_disk_that_is_really_full(cramped: House, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(append, "PROBE_EVERY_S", 0.0)
    monkeypatch.setattr(cramped.journal, "_min_free_bytes", 0)
    answered, refused = [], 0
    long = [{"role": "user", "content": "x" * 20_000}]
    while refused < 3:
        response = await cramped.chat("echo", messages=long)
        if response.status_code == 200:
            answered.append(response.headers["x-rondo-trace-id"])
        else:
            assert response.status_code == 503
            refused += 1
        assert len(answered) < 1_000
    assert answered
    assert [call.trace_id for call in cramped.calls] == answered
    # Room again: whoever frees space frees the gateway.
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    response = await cramped.chat("echo", messages=long)
    assert response.status_code == 200
    assert [call.trace_id for call in cramped.calls] == [*answered, response.headers["x-rondo-trace-id"]]
