"""The format of a segment file: a header, then one frame per entry. Pure: bytes in, bytes out.

    header   magic "RONDOJNL" | u16 format version | u64 sequence of the first entry | u32 CRC of all that
    frame    u32 length of the payload | u32 CRC of everything after it | u8 kind | u64 accepted_at | payload

All numbers are little-endian. A frame is whole or it is nothing: a length that runs past the end, or a CRC that
does not fit, is damage. Payloads are JSON, in which the control characters 1 and 2 never occur as bytes; so
the kind byte of a frame is found again behind damage, and no text of a user can pass for a frame.
"""

from __future__ import annotations

import re
import struct

from msgspec import Struct

from rondo.errors import CorruptData, InvalidRequest
from rondo.records import Entry, Kind

try:
    from isal.isal_zlib import crc32  # the same sum, in a quarter of the time: the extra `fast`
except ImportError:
    from zlib import crc32

__all__ = ["FRAME_BYTES", "HEADER_BYTES", "Decoded", "Kind", "decode", "encode", "file_name", "header", "parse_name"]

MAGIC = b"RONDOJNL"
VERSION = 1
MAX_PAYLOAD = 1 << 30  # one write to a file moves at most 2 GiB

_HEADER = struct.Struct("<8sHQ")
_CRC = struct.Struct("<I")
_LEAD = struct.Struct("<II")
_BODY = struct.Struct("<BQ")
_FRAME = struct.Struct("<IIBQ")
HEADER_BYTES = _HEADER.size + _CRC.size
FRAME_BYTES = _FRAME.size

_NAME = re.compile(r"(\d{10,})-(\d{12,})\.journal")


def file_name(segment: int, first_sequence: int) -> str:
    """The name says what the header says, so that listing a folder is enough to find one's way."""
    return f"{segment:010d}-{first_sequence:012d}.journal"


def parse_name(name: str) -> tuple[int, int] | None:
    """(segment, first sequence) of a segment file's name; None for any other file."""
    match = _NAME.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


def header(first_sequence: int) -> bytes:
    """The first HEADER_BYTES of a segment file."""
    lead = _HEADER.pack(MAGIC, VERSION, first_sequence)
    return lead + _CRC.pack(crc32(lead))


def check_header(data: bytes) -> bool:
    """Whether the header is whole. Raises CorruptData if it is, but of a format we do not know."""
    lead = data[: _HEADER.size]
    if len(data) < HEADER_BYTES or _CRC.pack(crc32(lead)) != data[_HEADER.size : HEADER_BYTES]:
        return False
    magic, version, _ = _HEADER.unpack(lead)
    if magic != MAGIC or version > VERSION:
        raise CorruptData(
            f"The journal has format {version}, this program reads up to {VERSION}.",
            remedy="A newer Rondo wrote it: start that version, or let it drain its journal first.",
        )
    return True


def encode(kind: int, accepted_at: int, payload: bytes) -> bytes:
    """One frame. Raises InvalidRequest for a payload above 1 GiB."""
    if len(payload) > MAX_PAYLOAD:
        raise InvalidRequest(
            f"A record of {len(payload):,} bytes does not fit into the journal (at most {MAX_PAYLOAD:,}).",
            remedy="Lower `gateway.max_body_mb` in rondo.toml.",
        )
    body = _BODY.pack(kind, accepted_at)
    return _LEAD.pack(len(payload), crc32(payload, crc32(body))) + body + payload


class Decoded(Struct, frozen=True):
    """`consumed` bytes hold `entries` and `damaged` bytes between them; what is left begins with no whole frame.

    `wants` is how many bytes from `consumed` on the next frame claims, 0 where that cannot be told.
    """

    entries: list[Entry]
    consumed: int
    damaged: int
    wants: int


def decode(data: bytes, *, at_end: bool = True, max_entries: int = 1 << 62) -> Decoded:
    """Whole frames from the start of `data`, passing over damage where a whole frame follows it.

    `at_end` tells that the file has no more bytes than these: only then is a frame that runs past the end looked
    behind for whole ones (its length may be what is damaged).
    """
    entries: list[Entry] = []
    offset = consumed = damaged = wants = 0
    size, view = len(data), memoryview(data)
    while len(entries) < max_entries:
        wants = 0
        if offset + FRAME_BYTES <= size:
            length, crc, kind, accepted_at = _FRAME.unpack_from(data, offset)
            start = offset + FRAME_BYTES
            end = start + length
            if end <= size:
                if crc32(view[offset + 8 : end]) == crc:
                    entries.append(Entry(kind, accepted_at, data[start:end]))
                    offset = consumed = end
                    continue
            elif not at_end:
                wants = FRAME_BYTES + length
                break
        found = _next_whole(data, offset + 1)
        if found is None:
            break
        damaged += found - offset
        offset = found
    return Decoded(entries, consumed, damaged, wants)


def _next_whole(data: bytes, start: int) -> int | None:
    """Where, from `start` on, the next whole frame of a known kind begins."""
    size = len(data)
    marks = tuple(bytes([kind]) for kind in Kind)
    at = start + 8
    while True:
        places = [place for mark in marks if (place := data.find(mark, at)) >= 0]
        if not places:
            return None
        at = min(places) + 1
        offset = at - 9
        if offset + FRAME_BYTES > size:
            return None
        length, crc, _, _ = _FRAME.unpack_from(data, offset)
        end = offset + FRAME_BYTES + length
        if end <= size and crc32(data[offset + 8 : end]) == crc:
            return offset
