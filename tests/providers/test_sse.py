"""Server-sent events come out whole, however the bytes were cut; a torn end is no end."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.errors import UpstreamCut
from rondo.providers.sse import events

NAMES = st.sampled_from([b"", b"message_start", b"error"])
LINES = st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line and b"\r" not in line), max_size=3)
EVENTS = st.lists(st.tuples(NAMES, LINES), max_size=6)


async def _parts(data: bytes, cuts: list[int]) -> AsyncIterator[bytes]:
    edges = [0, *sorted(cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        yield data[start:end]


def _written(parts: list[tuple[bytes, list[bytes]]], end: bytes) -> bytes:
    out = b": a comment" + end + end
    for name, lines in parts:
        out += (b"event: " + name + end) if name else b""
        out += b"".join(b"data: " + line + end for line in lines) + end
    return out


@given(parts=EVENTS, end=st.sampled_from([b"\n", b"\r\n"]), data=st.data())
async def test_every_cut_gives_the_same_events(
    parts: list[tuple[bytes, list[bytes]]], end: bytes, data: st.DataObject
) -> None:
    stream = _written(parts, end)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    read = [event async for event in events(_parts(stream, cuts))]
    assert read == [(name.decode(), b"\n".join(lines)) for name, lines in parts if lines]


async def test_one_byte_at_a_time() -> None:
    stream = b'event: a\r\ndata: {"x":1}\r\n\r\ndata:2\n\n'
    read = [event async for event in events(_parts(stream, list(range(len(stream)))))]
    assert read == [("a", b'{"x":1}'), ("", b"2")]


@pytest.mark.parametrize("stream", [b"data: 1", b"data: 1\n", b"data: 1\n\ndata: 2\n", b"event: a\r\ndata: 1\r\n"])
async def test_an_end_in_the_middle_of_an_event(stream: bytes) -> None:
    with pytest.raises(UpstreamCut, match="middle of an event"):
        _ = [event async for event in events(_parts(stream, []))]


@pytest.mark.parametrize("stream", [b"", b"\n", b"data: 1\n\n\r\n", b": ping\n\n"])
async def test_an_end_between_events(stream: bytes) -> None:
    assert [event async for event in events(_parts(stream, []))] == ([("", b"1")] if b"data" in stream else [])


async def test_an_endless_event() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"data: " + b"x" * 100

    with pytest.raises(UpstreamCut, match="endless"):
        _ = [event async for event in events(endless(), limit=1_000)]
