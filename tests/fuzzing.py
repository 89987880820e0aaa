"""Hostile bodies for tests: valid JSON with something wrong in it, bytes that are no JSON, and answers of vendors so.

RONDO_TEST_FUZZ_EXAMPLES sets how many examples each test tries.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from providers.vendors import frame
from scripted_upstream import Play

EXAMPLES = int(os.environ.get("RONDO_TEST_FUZZ_EXAMPLES", "60"))
FUZZED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="RONDO_TEST_FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
Draw = Any  # Hypothesis types what it hands in as a protocol of its own


def _deep(depth: int) -> Any:
    made: Any = []
    for _ in range(depth):
        made = [made]
    return made


class _Raw(str):
    """Goes into the body as it is."""


HOSTILE: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**63, -(2**70), 1.5, 1e308, -0.0, "", "x", " ", "\0", "\ud83d", "é" * 100),
    *("a" * 5_000, [], {}, [[]], [None], [{}], {"type": "text"}, {"": None}, {"\0": "\udc00"}, ["x", 1, {"a": []}]),
    *("data:image/png;base64,@", "http://[", "file:///etc/passwd", "gs://", "{{ 7*7 }}", "%s%n", "../../x"),
    *(_Raw("1" * 400), _Raw("1e999"), _Raw("NaN"), _Raw("-"), _Raw('"\\ud800"'), _Raw('{"a":1,"a":2}')),
    _deep(40),
    _Raw("[" * 3_000 + "]" * 3_000),
    _Raw('{"a":' * 3_000 + "1" + "}" * 3_000),
]
TEXTS = st.text(max_size=8)
VALUES = st.sampled_from(HOSTILE) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inside = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for key, one in inside:
        yield from _places(one, (*path, key))


def _changed(value: Any, path: tuple[Any, ...], change: Any) -> Any:
    if not path:
        return change(value)
    made = list(value) if isinstance(value, list) else dict(value)
    made[path[0]] = _changed(made[path[0]], path[1:], change)
    return made


_GONE = object()


def _without_gone(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_gone(one) for one in value if one is not _GONE]
    if isinstance(value, dict):
        return {key: _without_gone(one) for key, one in value.items() if one is not _GONE}
    return value


@st.composite
def mutated(draw: Draw, value: Any) -> Any:
    """JSON with one to three places changed, taken out, doubled, or wrapped."""
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(_places(value))))
        kind = draw(st.sampled_from(["put", "put", "put", "drop", "wrap", "double", "add"]))
        if kind == "put":
            new = draw(VALUES)
            value = _changed(value, path, lambda _, new=new: new)
        elif kind == "drop" and path:
            value = _without_gone(_changed(value, path, lambda _: _GONE))
        elif kind == "wrap":
            value = _changed(value, path, lambda old: [old])
        elif kind == "double":
            value = _changed(value, path, lambda old: [*old, *old] if isinstance(old, list) else old)
        elif kind == "add":
            name, new = draw(TEXTS), draw(VALUES)
            value = _changed(
                value, path, lambda old, name=name, new=new: {**old, name: new} if isinstance(old, dict) else old
            )
    return value


def written(value: Any, *, ascii_only: bool = True) -> bytes:
    """As JSON, half surrogates, raw pieces and all."""
    pieces: list[str] = []

    def mark(one: Any) -> Any:
        if isinstance(one, _Raw):
            pieces.append(str(one))
            return f"\x01{len(pieces) - 1}\x01"
        if isinstance(one, list):
            return [mark(inside) for inside in one]
        return {key: mark(inside) for key, inside in one.items()} if isinstance(one, dict) else one

    text = json.dumps(mark(value), ensure_ascii=ascii_only)
    for number, piece in enumerate(pieces):
        text = text.replace(f'"\\u0001{number}\\u0001"', piece)
    return text.encode("utf-8", "surrogatepass")


@st.composite
def torn(draw: Draw, data: bytes) -> bytes:
    """Bytes cut off, doubled, or with others in them."""
    at = draw(st.integers(0, len(data)))
    kind = draw(st.sampled_from(["cut", "insert", "double", "flip"]))
    if kind == "cut":
        return data[:at]
    if kind == "insert":
        new: bytes = draw(st.binary(max_size=8) | st.sampled_from([b"\xff\xfe", b"\0", b"\n\n", b"data: "]))
        return data[:at] + new + data[at:]
    if kind == "double":
        return data + data[at:]
    return data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]


@st.composite
def bodies(draw: Draw, valid: list[Any]) -> bytes:
    """Mostly JSON that is nearly right."""
    kind = draw(st.sampled_from(["json"] * 6 + ["torn", "bytes", "other"]))
    if kind == "bytes":
        junk: bytes = draw(st.binary(max_size=64))
        return junk
    if kind == "other":
        return written(draw(VALUES), ascii_only=draw(st.booleans()))
    body = written(draw(mutated(draw(st.sampled_from(valid)))), ascii_only=draw(st.booleans()))
    if kind == "torn":
        body = draw(torn(body))
    return body


HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                b"content-type",
                b"x-api-key",
                b"anthropic-version",
                b"cache-control",
                b"content-length",
                b"x",
                b"traceparent",
            ]
        ),
        st.binary(max_size=20)
        | st.sampled_from([b"no-cache", b"-1", b"9" * 30, b"text/plain", b"gzip", b"multipart/form-data"]),
    ),
    max_size=3,
)


class Overheard:
    """Stands for the socket of a play, and keeps what is said."""

    def __init__(self, play: Play) -> None:
        self.data = b""
        self.kind = ""
        self.writer = self
        talk: Any = self
        asyncio.run(_play(play, talk))

    async def head(self, status: int, content_type: str, *, length: int | None) -> None:
        self.kind = content_type

    async def chunk(self, data: bytes) -> None:
        self.data += data

    def write(self, data: bytes) -> None:
        self.data += b"" if data == b"0\r\n\r\n" else data

    async def drain(self) -> None:
        """Nothing waits."""


async def _play(play: Play, talk: Any) -> None:
    await play(talk)


@st.composite
def answers(draw: Draw, said: Overheard) -> bytes:
    """A vendor's answer with something wrong in one or two of its events, or in its bytes."""
    if said.kind == "application/json":
        body = written(draw(mutated(json.loads(said.data))))
    else:
        events = _events(said)
        for _ in range(draw(st.integers(0, 2))):
            at = draw(st.integers(0, len(events) - 1))
            kind = draw(st.sampled_from(["change", "change", "change", "drop", "double", "move"]))
            name, payload = events[at]
            if kind == "change":
                events[at] = (name, draw(mutated(payload)))
            elif kind == "drop" and len(events) > 1:
                del events[at]
            elif kind == "double":
                events.insert(at, events[at])
            else:
                events.append(events.pop(at))
        body = _joined(said, events)
    if draw(st.integers(0, 4)) == 0:
        body = draw(torn(body))
    return body


def _events(said: Overheard) -> list[tuple[str, Any]]:
    if said.kind != "text/event-stream":
        return list(_frames(said.data))
    events = []
    for event in said.data.decode().split("\n\n")[:-1]:
        name, _, data = event.rpartition("data: ")
        events.append((name, "[DONE]" if data == "[DONE]" else json.loads(data)))
    return events


def _frames(data: bytes) -> Iterator[tuple[str, Any]]:
    while data:
        total, head = struct.unpack(">II", data[:8])
        name = data[12 + 1 + len(":event-type") + 3 :].split(b"\r", 1)[0][:40]
        yield name.split(b"\x0d:")[0].decode("latin-1"), json.loads(data[12 + head : total - 4])
        data = data[total:]


def _joined(said: Overheard, events: list[tuple[str, Any]]) -> bytes:
    if said.kind != "text/event-stream":
        return b"".join(frame(name, payload) for name, payload in events if isinstance(payload, dict))
    return b"".join(
        name.encode() + b"data: " + (b"[DONE]" if payload == "[DONE]" else written(payload)) + b"\n\n"
        for name, payload in events
    )
