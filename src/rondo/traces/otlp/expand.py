"""A journalled request of OpenTelemetry's, made into the records that the store keeps. Pure but for price lists.

Who sends spans waits only until the journal has them as they came; they are read closely here, where nobody waits.
The same entry always makes the same records, so a drain that tries again doubles nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec
from msgspec import Struct

from rondo.errors import InvalidRequest
from rondo.providers.prices import PriceBook
from rondo.records import CallMessage, Entry, Kind, Record, Score, TraceSpan, WrittenCall, to_json
from rondo.traces.otlp import in_json, protobuf
from rondo.traces.otlp.about import ids_of, kind_of, whole_attributes
from rondo.traces.otlp.calls import CallMaker
from rondo.traces.otlp.model import SentSpan
from rondo.traces.otlp.scores import scores_of_span
from rondo.traces.otlp.steps import step
from rondo.traces.otlp.timing import timing_of

Encoding = Literal["protobuf", "json"]

_log = logging.getLogger("rondo.traces")
_KINDS = {WrittenCall: Kind.CALL, TraceSpan: Kind.SPAN, Score: Kind.SCORE, CallMessage: Kind.MESSAGE}
READ_SPANS: dict[Encoding, Callable[[bytes], Iterator[SentSpan]]] = {
    "protobuf": protobuf.read_spans,
    "json": in_json.read_spans,
}
REFUSALS = (InvalidRequest, TypeError, ValueError, RecursionError, OverflowError)
"""What one span can be refused for; the others of its request are kept all the same."""


class SentRequest(Struct, frozen=True, array_like=True):
    """A request's spans as they came, unpacked, and whose key they came by. MessagePack in the journal."""

    project: str
    key_id: str
    apps: tuple[str, ...]
    encoding: Encoding
    body: bytes


class Records(Struct):
    """Records as the journal and the store take them."""

    entries: list[tuple[int, bytes]] = []
    rejected: int = 0
    reason: str = ""

    def add(self, record: Record) -> None:
        self.entries.append((_KINDS[type(record)], to_json(record)))

    def refuse(self, reason: str) -> None:
        self.rejected += 1
        self.reason = self.reason or reason


class Expander:
    """Makes records of requests, with one list of prices. From one thread at a time."""

    def __init__(self, prices: PriceBook | None = None) -> None:
        self._calls = CallMaker(prices or PriceBook())

    def __call__(self, entry: Entry) -> Iterator[Entry]:
        """What the store keeps of a journal entry: the entry itself, unless it is a request.

        One that cannot be read, or not to its end, is given back, for the store to put aside: nothing that was sent
        may keep the drain from what comes after it.
        """
        if entry.kind != Kind.OTLP:
            yield entry
            return
        records = Records()
        try:
            sent = _decoder.decode(entry.payload)
            for span in READ_SPANS[sent.encoding](sent.body):
                self.add(records, span, sent, entry.accepted_at)
                for kind, payload in records.entries:
                    yield Entry(kind, entry.accepted_at, payload)
                records.entries.clear()
        except (MemoryError, ImportError):
            raise  # the machine's fault: later, it can be read
        except Exception as error:
            known = isinstance(error, REFUSALS)
            _log.error("a request in the journal cannot be read: %s", error, exc_info=None if known else error)
            yield entry
        if records.rejected:
            _log.warning("%d spans were not kept: %s", records.rejected, records.reason)

    def records(self, spans: Iterable[SentSpan], sent: SentRequest, now: int) -> Records:
        """Each span as a Call or a TraceSpan, and the scores that it bears."""
        records = Records()
        for span in spans:
            self.add(records, span, sent, now)
        return records

    def add(self, records: Records, span: SentSpan, sent: SentRequest, now: int) -> None:
        """A span's records, or why there are none."""
        apps, owner = frozenset(sent.apps), {"project": sent.project, "key_id": sent.key_id}
        try:
            ids = ids_of(span.trace_id, span.span_id)
            attributes, timing = whole_attributes(span), timing_of(span.start, span.end, now)
            kind = kind_of(attributes)
            made: WrittenCall | TraceSpan
            if kind in ("call", "embed"):
                embeds = kind == "embed"
                made = self._calls.call(span, attributes, timing, ids=ids, apps=apps, embeds=embeds, **owner)
            else:
                made = step(span, attributes, timing, kind=kind, ids=ids, apps=apps, **owner)
            records.add(made)
        except REFUSALS as error:
            records.refuse(str(error))
            return
        for score in scores_of_span(span, ids=ids, at=timing.started_at, **owner):
            records.add(score)


_decoder = msgspec.msgpack.Decoder(SentRequest)
pack = msgspec.msgpack.Encoder().encode
