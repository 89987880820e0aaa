"""The format of segments: what is whole is read, what is not is never taken for whole."""

from __future__ import annotations

import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.errors import CorruptData, InvalidRequest
from rondo.journal import segment
from rondo.journal.segment import HEADER_BYTES, check_header, decode, encode, file_name, header, parse_name
from rondo.records import Entry

texts = st.text(max_size=40)
entries = st.builds(
    Entry,
    st.sampled_from([1, 2]),
    st.integers(0, 2**63),
    st.dictionaries(texts, texts, max_size=3).map(lambda value: json.dumps(value).encode()),
)


def frames(written: list[Entry]) -> list[bytes]:
    return [encode(each.kind, each.accepted_at, each.payload) for each in written]


@given(st.lists(entries, max_size=8))
def test_what_is_written_is_read(written: list[Entry]) -> None:
    data = b"".join(frames(written))
    decoded = decode(data)
    assert decoded.entries == written
    assert (decoded.consumed, decoded.damaged) == (len(data), 0)


@given(st.binary(max_size=5_000))
def test_the_sum_is_zlibs_with_the_extra_and_without(payload: bytes) -> None:
    frame = encode(1, 7, payload)
    assert int.from_bytes(frame[4:8], "little") == zlib.crc32(frame[8:])


def test_a_tail_cut_at_any_byte_leaves_the_whole_ones() -> None:
    written = [Entry(1, 7, b'{"a":"one"}'), Entry(2, 8, b'{"b":"two"}'), Entry(1, 9, b'{"c":"three"}')]
    parts = frames(written)
    data = b"".join(parts)
    ends = [sum(map(len, parts[:count])) for count in range(len(parts) + 1)]
    for length in range(len(data) + 1):
        whole = max(count for count, end in enumerate(ends) if end <= length)
        for at_end in (True, False):
            decoded = decode(data[:length], at_end=at_end)
            assert decoded.entries == written[:whole]
            assert (decoded.consumed, decoded.damaged) == (ends[whole], 0)


@given(st.lists(entries, min_size=1, max_size=6), st.data())
@settings(max_examples=200)
def test_damage_costs_the_frames_it_hits_and_no_other(written: list[Entry], data: st.DataObject) -> None:
    parts = frames(written)
    whole = b"".join(parts)
    start = data.draw(st.integers(0, len(whole) - 1))
    garbage = data.draw(st.binary(min_size=1, max_size=30))
    damaged = (whole[:start] + garbage + whole[start + len(garbage) :])[: len(whole)]
    kept, offset = [], 0
    for each, part in zip(written, parts, strict=True):
        if damaged[offset : offset + len(part)] == part:
            kept.append(each)
        offset += len(part)
    decoded = decode(damaged)
    assert decoded.entries == kept
    assert decoded.consumed + len(damaged[decoded.consumed :]) == len(damaged)


def test_a_length_that_is_damaged_hides_no_later_frame() -> None:
    first, second = frames([Entry(1, 7, b"{}"), Entry(1, 8, b'{"a":1}')])
    data = b"\xff\xff\xff\x7f" + first[4:] + second
    assert decode(data, at_end=False).wants == 17 + 0x7FFFFFFF
    decoded = decode(data)
    assert [each.accepted_at for each in decoded.entries] == [8]
    assert decoded.damaged == len(first)


def test_zeros_behind_the_end_are_no_entries() -> None:
    """What a file system may leave behind after a power cut."""
    part = encode(1, 7, b"{}")
    decoded = decode(part + bytes(4096))
    assert len(decoded.entries) == 1
    assert decoded.consumed == len(part)


def test_no_text_of_a_user_passes_for_a_frame() -> None:
    inner = encode(1, 7, b'{"forged":true}')
    payload = json.dumps({"text": inner.decode("latin-1")}).encode()
    outer = encode(1, 8, payload)
    assert decode(b"\x00" + outer[1:]).entries == []


def test_at_most_so_many_entries() -> None:
    parts = frames([Entry(1, number, b"{}") for number in range(5)])
    decoded = decode(b"".join(parts), max_entries=2)
    assert len(decoded.entries) == 2
    assert decoded.consumed == len(parts[0]) * 2


def test_header() -> None:
    assert len(header(12)) == HEADER_BYTES
    assert check_header(header(12) + b"more")
    assert not check_header(header(12)[:-1])
    assert not check_header(b"x" * 100)


def test_a_newer_format_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "VERSION", 2)
    newer = header(0)
    monkeypatch.setattr(segment, "VERSION", 1)
    with pytest.raises(CorruptData, match="newer Rondo"):
        check_header(newer)


def test_file_names() -> None:
    assert parse_name(file_name(1_763_700_000, 42)) == (1_763_700_000, 42)
    assert parse_name("lock") is None
    assert parse_name(file_name(1, 2) + ".torn") is None


def test_a_payload_above_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "MAX_PAYLOAD", 3)
    with pytest.raises(InvalidRequest, match="max_body_mb"):
        encode(1, 0, b"1234")
