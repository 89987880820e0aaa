"""Appending: what `write` has returned for is there, what it refused is not, and one writer owns a folder."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rondo import clock
from rondo.errors import Conflict, CorruptData, Unavailable
from rondo.journal import append, segment
from rondo.journal.append import Journal
from rondo.journal.files import segment_files
from rondo.journal.replay import Reader

Write = Callable[[int, bytes], int]


def payloads(folder: Path) -> list[bytes]:
    reader, position, found = Reader(folder), None, []
    while (batch := reader.read(position)).entries:
        found += [each.payload for each in batch.entries]
        position = batch.end
    return found


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(start, start + count)]


async def write_all(journal: Journal, records: list[bytes]) -> None:
    for record in records:
        await journal.write(1, record)


def fail_writes(monkeypatch: pytest.MonkeyPatch, journal: Journal, fail: Callable[[Write, int, bytes], int]) -> None:
    """Let `fail` stand in for writes to the journal's segment."""
    real, descriptor = os.write, journal._descriptor
    monkeypatch.setattr(os, "write", lambda fd, data: fail(real, fd, data) if fd == descriptor else real(fd, data))


async def test_records_are_read_back_with_their_times(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w")
    with clock.at(1_000_000):
        await journal.write(2, b'{"a":1}')
    (only,) = Reader(tmp_path / "w").read().entries
    assert (only.kind, only.accepted_at, only.payload) == (2, 1_000_000, b'{"a":1}')
    assert journal.accepted == 1
    journal.close()


async def test_a_second_writer_is_told_off(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w")
    with pytest.raises(Conflict, match="Another process"):
        Journal(tmp_path / "w")
    journal.close()
    Journal(tmp_path / "w").close()


async def test_segments_rotate_by_size(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w", segment_bytes=200)
    await write_all(journal, numbered(50))
    await journal.write(1, b"[" + b"1," * 500 + b"1]")  # more than a segment is meant to hold
    await journal.write(1, b"{}")
    journal.close()
    files = segment_files(tmp_path / "w")
    assert len(files) > 5
    assert len(payloads(tmp_path / "w")) == 52
    counts = [len(Reader(tmp_path / "w").read(None).entries)]
    assert files[1].first_sequence == counts[0]


async def test_counting_goes_on_over_restarts_and_empty_segments_go(tmp_path: Path) -> None:
    for start in range(3):
        journal = Journal(tmp_path / "w")
        assert journal.accepted == start * 2
        await write_all(journal, numbered(2, start * 2))
        journal.close()
    for _ in range(3):
        Journal(tmp_path / "w").close()
    assert len(segment_files(tmp_path / "w")) == 4
    assert payloads(tmp_path / "w") == numbered(6)
    assert Reader(tmp_path / "w").end().sequence == 6


async def test_a_torn_tail_is_cut_and_counted(tmp_path: Path) -> None:
    for cut in range(1, 17 + 7):
        folder = tmp_path / str(cut)
        journal = Journal(folder)
        await write_all(journal, numbered(3))
        journal.close()
        (file,) = segment_files(folder)
        os.truncate(file.path, file.path.stat().st_size - cut)
        again = Journal(folder)
        assert file.path.stat().st_size == 22 + 2 * 24
        assert again.accepted == 2
        assert again.torn_bytes == 17 + 7 - cut
        await again.write(1, b'{"n":2}')
        again.close()
        assert payloads(folder) == numbered(3)
        assert Reader(folder).torn_bytes() == again.torn_bytes


@given(st.integers(0, 22 + 3 * 24 - 1), st.binary(min_size=1, max_size=40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_never_stops_a_start_or_invents_a_record(
    tmp_path_factory: pytest.TempPathFactory, at: int, garbage: bytes
) -> None:
    folder = tmp_path_factory.mktemp("w")

    async def scenario() -> None:
        journal = Journal(folder)
        await write_all(journal, numbered(3))
        journal.close()
        (file,) = segment_files(folder)
        data = file.path.read_bytes()
        file.path.write_bytes(data[:at] + garbage + data[at + len(garbage) :])
        again = Journal(folder)
        await again.write(1, b'{"n":3}')
        again.close()

    try:
        asyncio.run(scenario())
    except CorruptData:
        pytest.fail("garbage is not a newer format")
    found = payloads(folder)
    assert found[-1] == b'{"n":3}'
    assert found == [each for each in numbered(4) if each in found]


def full(real: Write, fd: int, data: bytes) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def short(real: Write, fd: int, data: bytes) -> int:
    return real(fd, data[: len(data) // 2])


@pytest.mark.parametrize("fail", [full, short])
async def test_a_full_disk_refuses_and_keeps_nothing_torn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail: Callable[[Write, int, bytes], int]
) -> None:
    journal = Journal(tmp_path / "w", min_free_bytes=0)
    await journal.write(1, b'{"n":0}')
    with monkeypatch.context() as patched:
        fail_writes(patched, journal, fail)
        with pytest.raises(Unavailable, match="Free disk space") as refused:
            await journal.write(1, b'{"n":"lost"}')
        assert refused.value.code == "unavailable"
        with pytest.raises(Unavailable):
            journal.check()
    assert journal.accepted == 1
    now = time.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now + append.PROBE_EVERY_S + 0.1)
    journal.check()  # the disk is well again
    await journal.write(1, b'{"n":1}')
    assert payloads(tmp_path / "w") == numbered(2)
    journal.close()


async def test_a_torn_record_that_cannot_be_cut_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "w", min_free_bytes=0)
    await journal.write(1, b'{"n":0}')

    def broken(fd: int, length: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "ftruncate", broken)
        with patched.context() as inner:
            fail_writes(inner, journal, short)
            with pytest.raises(Unavailable):
                await journal.write(1, b'{"n":"lost"}')
        with pytest.raises(Unavailable, match="torn record"):
            await journal.write(1, b'{"n":"lost too"}')
        now = time.monotonic()
        patched.setattr(clock, "monotonic", lambda: now + append.PROBE_EVERY_S + 0.1)
        with pytest.raises(Unavailable, match="torn record"):
            journal.check()
    await journal.write(1, b'{"n":1}')
    assert payloads(tmp_path / "w") == numbered(2)
    journal.close()


async def test_too_little_free_space_closes_the_door_before_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "w", min_free_bytes=1 << 62)
    with pytest.raises(Unavailable, match="MiB are the least"):
        journal.check()
    await journal.write(1, b"{}")  # who was let in before still gets a record
    looks = []
    real = os.statvfs

    def look(path: Path) -> os.statvfs_result:
        looks.append(path)
        return real(path)

    monkeypatch.setattr(os, "statvfs", look)
    for _ in range(10):
        with pytest.raises(Unavailable):
            journal.check()
    assert looks == []  # at most twice a second
    journal.close()


async def test_a_rotation_that_fails_stays_with_the_old_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "w", segment_bytes=60, min_free_bytes=0)
    await journal.write(1, b'{"n":0}')
    with monkeypatch.context() as patched:
        patched.setattr(append, "header", lambda sequence: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        with pytest.raises(Unavailable, match="full"):
            await journal.write(1, b'{"n":1}')
    assert len(segment_files(tmp_path / "w")) == 1
    await journal.write(1, b'{"n":1}')
    assert payloads(tmp_path / "w") == numbered(2)
    journal.close()


async def test_power_durability_syncs_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = []
    real = os.fdatasync

    def slow(fd: int) -> None:
        syncs.append(fd)
        time.sleep(0.005)
        real(fd)

    monkeypatch.setattr(os, "fdatasync", slow)
    journal = Journal(tmp_path / "w", durability="power", segment_bytes=2000)
    await asyncio.gather(*(journal.write(1, record) for record in numbered(300)))
    assert 0 < len(syncs) < 50
    journal.close()
    assert payloads(tmp_path / "w") == numbered(300)


async def test_a_sync_that_fails_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "w", durability="power")
    with monkeypatch.context() as patched:

        def broken(fd: int) -> None:
            raise OSError(errno.EIO, "input/output error")

        patched.setattr(os, "fdatasync", broken)
        with pytest.raises(Unavailable, match="failed to sync"):
            await journal.write(1, b"{}")
        with pytest.raises(Unavailable):
            journal.check()
    await journal.write(1, b"{}")
    journal.close()


async def test_a_cancelled_request_does_not_disturb_the_group(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w", durability="power")
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    tasks = [asyncio.ensure_future(journal.write(1, record)) for record in numbered(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(tasks[0], tasks[2])
    journal.close()
    assert complaints == []
    assert payloads(tmp_path / "w") == numbered(3)


async def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w")
    journal.close()
    journal.close()
    with pytest.raises(Unavailable, match="closed"):
        await journal.write(1, b"{}")


async def test_a_newer_format_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "VERSION", 2)
    Journal(tmp_path / "w").close()
    monkeypatch.setattr(segment, "VERSION", 1)
    with pytest.raises(CorruptData, match="newer"):
        Journal(tmp_path / "w")
    monkeypatch.setattr(segment, "VERSION", 2)
    Journal(tmp_path / "w").close()  # the lock was let go


async def test_a_start_on_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(sequence: int) -> bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(append, "header", broken)
    with pytest.raises(Unavailable, match="cannot start"):
        Journal(tmp_path / "w")


@pytest.mark.parametrize("durability", ["process", "power"])
async def test_many_records_at_once_are_read_back(tmp_path: Path, durability: Literal["process", "power"]) -> None:
    journal = Journal(tmp_path / "w", durability=durability, segment_bytes=1 << 16)
    records = [b'{"n":%d,"x":"%s"}' % (number, b"x" * 200) for number in range(3_000)]
    await journal.write_all([(1, record) for record in records[:1]])
    await asyncio.gather(
        journal.write_all([(1, each) for each in records[1:]]), journal.write(2, b"{}"), journal.write_all([])
    )
    assert journal.accepted == len(records) + 1
    journal.close()
    found = payloads(tmp_path / "w")
    assert [each for each in found if each != b"{}"] == records
    assert found.count(b"{}") == 1


async def test_many_records_that_the_disk_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "w")
    await journal.write(1, b'{"n":0}')

    def half(real: Write, descriptor: int, data: bytes) -> int:
        return real(descriptor, data[: len(data) // 2])

    with monkeypatch.context() as patched:
        fail_writes(patched, journal, half)
        with pytest.raises(Unavailable):
            await journal.write_all([(1, each) for each in numbered(9, start=1)])
    await journal.write_all([(1, each) for each in numbered(2, start=1)])
    assert payloads(tmp_path / "w") == numbered(3)
    assert journal.accepted == 3
    journal.close()
    with pytest.raises(Unavailable):
        await journal.write_all([(1, b"{}")])
