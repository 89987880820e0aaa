"""The data folder's files: one id for good, whole or not at all, and an earlier life's leftovers go."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rondo.batches.folder import FileFolder
from rondo.errors import CorruptData


def test_a_folder_has_one_id_for_good(tmp_path: Path) -> None:
    folder = FileFolder(tmp_path / "files")
    assert not folder.is_there
    with ThreadPoolExecutor(8) as threads:
        (made,) = set(threads.map(lambda _: folder.id(), range(50)))
    assert FileFolder(tmp_path / "files").id() == made
    (tmp_path / "files" / "folder.id").write_text("cut")
    with pytest.raises(CorruptData, match=r"folder\.id"):
        FileFolder(tmp_path / "files").id()


def test_what_an_earlier_life_left_goes_and_nothing_else(tmp_path: Path) -> None:
    earlier = FileFolder(tmp_path)
    left = earlier.new_file(earlier.path("p", "new"))
    left.write(b"half")
    now = FileFolder(tmp_path)
    coming = now.new_file(now.path("p", "new"))
    coming.write(b"whole")
    kept = now.path("p", "file-1")
    kept.write_bytes(b"kept")
    now.sweep()
    coming.keep_as(now.path("p", "file-2"))
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["file-1", "file-2"]
    coming.discard()
    assert now.path("p", "file-2").read_bytes() == b"whole"
    left.discard()
