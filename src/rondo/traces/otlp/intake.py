"""Taking in what others tell by OpenTelemetry: from a request's bytes to the journal, then an answer.

The answer says 200 only once the journal has all that is acknowledged. Spans go there as they came, once it is sure
that they can be read; what the store keeps is made of them by the drain (`expand.py`), where nobody waits. What cannot
be a record (an invalid id, a log that is neither an evaluation nor a message) is counted and named in the answer, as
OTLP has it, and the rest is kept. The project is the key's, whatever attributes say.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterator
from typing import Literal

from msgspec import Struct

from rondo import clock
from rondo.errors import InvalidRequest, RateLimited, TooLarge
from rondo.governance.model import Grant
from rondo.journal.append import Journal
from rondo.records import Kind
from rondo.traces.otlp import in_json, protobuf
from rondo.traces.otlp.about import BAD_IDS
from rondo.traces.otlp.expand import READ_SPANS, Encoding, Expander, Records, SentRequest, pack
from rondo.traces.otlp.logs import log_records
from rondo.traces.otlp.model import SentLog

Signal = Literal["traces", "logs"]

_AT_ONCE = 2
_MOST_WAITING = 64
_MOST_MEMBERS = 16
_COUNT: dict[Encoding, Callable[[bytes], tuple[int, int]]] = {
    "protobuf": protobuf.count_spans,
    "json": in_json.count_spans,
}
_READ_LOGS: dict[Encoding, Callable[[bytes], Iterator[SentLog]]] = {
    "protobuf": protobuf.read_logs,
    "json": in_json.read_logs,
}
_WINDOWS = {"gzip": (31,), "deflate": (15, -15)}


class Taken(Struct, frozen=True):
    """How a request went: `kept` records are in the journal; `rejected` are not, and `message` says why."""

    kept: int
    rejected: int = 0
    message: str = ""


class Intake:
    """For all doors by which OTLP comes in. On one event loop."""

    def __init__(self, journal: Journal, *, max_bytes: int) -> None:
        self._journal = journal
        self._expander = Expander()
        self.max_bytes = max_bytes
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    def check(self) -> None:
        """May a request be taken? Raises Unavailable while the journal takes nothing, RateLimited in a flood."""
        self._journal.check()
        if self._waiting >= _MOST_WAITING:
            raise RateLimited("Too many requests wait to be taken in.", retry_after=1, remedy="Send fewer at a time.")

    async def take(self, grant: Grant, signal: Signal, body: bytes, encoding: Encoding, packing: str = "") -> Taken:
        """Keep what a request holds. `packing` is its content-encoding.

        Raises InvalidRequest for what is no OTLP, TooLarge, RateLimited, and Unavailable where the journal refuses.
        """
        self.check()
        self._waiting += 1
        try:
            async with self._places:
                entries, taken = await asyncio.to_thread(self._read, grant, signal, body, encoding, packing)
            await self._journal.write_all(entries)
        finally:
            self._waiting -= 1
        return taken

    def _read(
        self, grant: Grant, signal: Signal, body: bytes, encoding: Encoding, packing: str
    ) -> tuple[list[tuple[int, bytes]], Taken]:
        data = unpack(body, packing, self.max_bytes)
        if signal == "logs":
            return _taken(log_records(_READ_LOGS[encoding](data), grant, clock.now_us()))
        sent = SentRequest(grant.project, grant.key_id, grant.apps, encoding, data)
        if grant.apps:  # whether the key may speak for the apps that spans name has to be told now
            return _taken(self._expander.records(READ_SPANS[encoding](data), sent, clock.now_us()))
        sound, odd = _COUNT[encoding](data)
        message = f"{odd} not kept: {BAD_IDS}" if odd else ""
        return [(Kind.OTLP, pack(sent))] if sound else [], Taken(sound, odd, message)


def _taken(records: Records) -> tuple[list[tuple[int, bytes]], Taken]:
    message = f"{records.rejected} not kept: {records.reason}" if records.rejected else ""
    return records.entries, Taken(len(records.entries), records.rejected, message)


def unpack(body: bytes, packing: str, most: int) -> bytes:
    """The body as it was before it was packed. Raises InvalidRequest, and TooLarge as soon as it gets too large."""
    packing = packing.strip().lower()
    if packing in ("", "identity"):
        if len(body) > most:
            raise too_large(most)
        return body
    if packing not in _WINDOWS:
        raise InvalidRequest(f"The content-encoding {packing!r:.40} is not known.", remedy="Use gzip or deflate.")
    for window in _WINDOWS[packing]:
        try:
            return _unpacked(body, window, most)
        except (zlib.error, EOFError) as error:
            fault = error
    raise InvalidRequest(f"The body is no {packing}: {fault}.", remedy="Send it again, whole.")


def _unpacked(body: bytes, window: int, most: int) -> bytes:
    parts: list[bytes] = []
    size, rest = 0, body
    for _ in range(_MOST_MEMBERS):  # gzip may have several
        stream = zlib.decompressobj(window)
        part = stream.decompress(rest, most - size + 1)
        size += len(part)
        if size > most:
            raise too_large(most)
        if not stream.eof:
            raise EOFError("it ends too early")
        parts.append(part)
        rest = stream.unused_data
        if not rest:
            return b"".join(parts)
    raise EOFError("it has too many members")


def too_large(most: int) -> TooLarge:
    return TooLarge(f"The request is larger than {most >> 20} MB.", remedy="Send less, or raise `traces.max_body_mb`.")
