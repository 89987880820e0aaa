"""Reading: in order, from any position, behind a writer that goes on, and nothing passed over in silence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rondo.errors import CorruptData
from rondo.journal import segment
from rondo.journal.append import Journal
from rondo.journal.files import segment_files
from rondo.journal.replay import Journals, Reader
from rondo.records import Position


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(start, start + count)]


async def write_all(journal: Journal, records: list[bytes]) -> None:
    for record in records:
        await journal.write(1, record)


async def test_follows_a_writer(tmp_path: Path) -> None:
    journal, reader = Journal(tmp_path / "w"), Reader(tmp_path / "w")
    position = None
    for start in range(0, 9, 3):
        await write_all(journal, numbered(3, start))
        batch = reader.read(position)
        assert [each.payload for each in batch.entries] == numbered(3, start)
        assert reader.end() == batch.end
        position = batch.end
        assert reader.read(position).entries == []
    assert position is not None
    assert position.sequence == 9
    journal.close()


async def test_batches_keep_their_bounds(tmp_path: Path) -> None:
    journal, reader = Journal(tmp_path / "w", segment_bytes=1000), Reader(tmp_path / "w")
    await write_all(journal, numbered(100))
    position: Position | None = None
    sizes = []
    while (batch := reader.read(position, max_entries=7, max_bytes=100)).entries:
        sizes.append(len(batch.entries))
        assert batch.end.sequence - batch.start.sequence == len(batch.entries)
        position = batch.end
    assert sum(sizes) == 100
    assert max(sizes) <= 7
    journal.close()


async def test_a_record_larger_than_the_bound_is_read(tmp_path: Path) -> None:
    journal, reader = Journal(tmp_path / "w"), Reader(tmp_path / "w")
    large = b'{"t":"' + b"x" * 100_000 + b'"}'
    await write_all(journal, [b"{}", large, b"{}"])
    position, found = None, []
    while (batch := reader.read(position, max_bytes=64)).entries:
        found += [each.payload for each in batch.entries]
        position = batch.end
    assert found == [b"{}", large, b"{}"]
    assert reader.oldest_at(None) is not None
    journal.close()


async def test_drained_segments_are_deleted_but_the_newest(tmp_path: Path) -> None:
    journal, reader = Journal(tmp_path / "w", segment_bytes=100), Reader(tmp_path / "w")
    await write_all(journal, numbered(30))
    files = segment_files(tmp_path / "w")
    first = reader.read(None)
    half = Position(first.end.segment, first.end.offset - 1, first.end.sequence)
    assert reader.delete_drained(half) == 0
    assert reader.delete_drained(first.end) == 1
    assert reader.delete_drained(reader.end()) == len(files) - 2
    assert [file.number for file in segment_files(tmp_path / "w")] == [files[-1].number]
    assert reader.read(first.end).start.sequence == files[-1].first_sequence
    journal.close()
    again = Journal(tmp_path / "w")
    assert again.accepted == 30
    again.close()


async def test_segments_that_are_gone_show_in_the_sequence(tmp_path: Path) -> None:
    journal, reader = Journal(tmp_path / "w", segment_bytes=100), Reader(tmp_path / "w")
    await write_all(journal, numbered(30))
    files = segment_files(tmp_path / "w")
    position = reader.read(None).end
    files[1].path.unlink()
    batch = reader.read(position)
    assert batch.start.sequence == files[2].first_sequence > position.sequence
    assert reader.locate(position) == batch.start
    journal.close()


async def test_a_folder_that_was_emptied_begins_anew_behind_old_positions(tmp_path: Path) -> None:
    journal, reader = Journal(tmp_path / "w"), Reader(tmp_path / "w")
    await write_all(journal, numbered(5))
    position = reader.end()
    journal.close()
    old = Position(position.segment - 10, position.offset, position.sequence)  # ten seconds ago
    for file in segment_files(tmp_path / "w"):
        file.path.unlink()
    journal = Journal(tmp_path / "w")
    await write_all(journal, numbered(2))
    assert [each.payload for each in reader.read(old).entries] == numbered(2)
    journal.close()


async def test_damage_between_entries_is_counted(tmp_path: Path) -> None:
    journal, reader = Journal(tmp_path / "w"), Reader(tmp_path / "w")
    await write_all(journal, numbered(3))
    (file,) = segment_files(tmp_path / "w")
    data = bytearray(file.path.read_bytes())
    data[22 + 24 + 20] ^= 1
    file.path.write_bytes(data)
    batch = reader.read(None)
    assert [each.payload for each in batch.entries] == [b'{"n":0}', b'{"n":2}']
    assert batch.damaged == 24
    journal.close()


async def test_a_frame_under_way_is_waited_for(tmp_path: Path) -> None:
    journal, reader = Journal(tmp_path / "w"), Reader(tmp_path / "w")
    await write_all(journal, numbered(2))
    (file,) = segment_files(tmp_path / "w")
    data = file.path.read_bytes()
    for length in range(22, len(data) + 1):
        file.path.write_bytes(data[:length])
        found = reader.read(None)
        assert len(found.entries) == (length - 22) // 24
        assert found.damaged == 0
    journal.close()


async def test_a_torn_end_of_a_closed_segment_is_passed_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w", segment_bytes=60)
    await write_all(journal, numbered(4))
    journal.close()
    files = segment_files(tmp_path / "w")
    os.truncate(files[0].path, files[0].path.stat().st_size - 1)
    reader = Reader(tmp_path / "w")
    batch = reader.read(None)
    assert [each.payload for each in batch.entries] == [b'{"n":1}']
    assert batch.start.sequence == 1
    assert batch.damaged == 23


async def test_writers_are_listed(tmp_path: Path) -> None:
    journals = Journals(tmp_path / "journal")
    assert journals.readers() == {}
    opened = [Journal(tmp_path / "journal" / name) for name in ("b", "a")]
    (tmp_path / "journal" / "file").write_text("")
    readers = journals.readers()
    assert list(readers) == ["a", "b"]
    assert journals.readers()["a"] is readers["a"]
    assert readers["a"].end().sequence == 0
    assert readers["a"].oldest_at(None) is None
    for journal in opened:
        journal.close()


def test_no_folder_is_no_entries(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "nowhere")
    assert reader.read(None).entries == []
    assert reader.end() == Position(0, 0, 0)
    assert reader.torn_bytes() == 0
    assert reader.delete_drained(Position(5, 5, 5)) == 0


async def test_a_newer_format_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "VERSION", 2)
    journal = Journal(tmp_path / "w")
    monkeypatch.setattr(segment, "VERSION", 1)
    with pytest.raises(CorruptData, match="newer"):
        Reader(tmp_path / "w").read(None)
    journal.close()
