"""What the gateway's process and the records' process say to each other: frames of MessagePack over a socket.

A frame is its length in four bytes, and that many bytes. A request is one of the structs below; its reply is a result,
or a failure, which comes out as the error that went in.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

import msgspec
from msgspec import Struct

from rondo.errors import Conflict, CorruptData, InvalidRequest, NotFound, RondoError, Unavailable
from rondo.records import Entry, Position

CONNECT, DRAIN, WAKE, STOP = b"c", b"d", b"w", b"s"
"""What the control channel carries: a new connection (its descriptor), begin to drain, drain now, end in good order.

Its end, without a STOP before, says that the gateway's process is dead.
"""

Value = None | bool | int | float | str | tuple[Any, ...]
"""A parameter or a filter."""

_LENGTH = struct.Struct("!I")
_ERRORS = {kind.code: kind for kind in (InvalidRequest, NotFound, Conflict, Unavailable, CorruptData)}


class Query(Struct, frozen=True, tag=True):
    name: str
    params: dict[str, Value]
    filters: dict[str, Value]


class Export(Struct, frozen=True, tag=True):
    """`target` is an absolute path as the system has it, which need not be UTF-8."""

    name: str
    params: dict[str, Value]
    filters: dict[str, Value]
    format: str
    target: bytes


class Insert(Struct, frozen=True, tag=True):
    writer: str
    batch: list[Entry]
    position: Position


class Held(Struct, frozen=True, tag=True):
    """Asks for the store's holdings."""


class Drained(Struct, frozen=True, tag=True):
    """Asks for the drain's status, and the holdings that it was counted from."""


Request = Query | Export | Insert | Held | Drained


class Failure(Struct, frozen=True):
    """A RondoError on its way."""

    code: str
    message: str
    remedy: str | None
    param: str | None

    def error(self) -> RondoError:
        kind = _ERRORS.get(self.code, RondoError)
        return kind(self.message, remedy=self.remedy, param=self.param)


class Reply(Struct, frozen=True, array_like=True):
    """`result` where there is no failure."""

    failure: Failure | None
    result: Any = None


_encoder = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_replies = msgspec.msgpack.Decoder(Reply)


def pack(message: Request | Reply) -> bytes:
    """One frame. Raises TypeError, ValueError or OverflowError for what no frame can hold."""
    data = _encoder.encode(message)
    if len(data) >= 1 << 32:
        raise OverflowError(f"{len(data):,} bytes are too many for a frame")
    return _LENGTH.pack(len(data)) + data


def request_in(connection: socket.socket) -> Request | None:
    """The next request; None where the other side has hung up. Raises OSError, msgspec.DecodeError."""
    frame = _frame(connection)
    return None if frame is None else _requests.decode(frame)


def reply_in(connection: socket.socket) -> Reply | None:
    """The next reply; None where the other side has hung up. Raises OSError, msgspec.DecodeError."""
    frame = _frame(connection)
    return None if frame is None else _replies.decode(frame)


def failed(error: RondoError) -> Reply:
    return Reply(Failure(error.code, error.message, error.remedy, error.param))


def _frame(connection: socket.socket) -> bytearray | None:
    head = _exactly(connection, _LENGTH.size)
    return None if head is None else _exactly(connection, _LENGTH.unpack(head)[0])


def _exactly(connection: socket.socket, size: int) -> bytearray | None:
    data = bytearray(size)
    view, got = memoryview(data), 0
    while got < size:
        count = connection.recv_into(view[got:])
        if not count:
            return None
        got += count
    return data
