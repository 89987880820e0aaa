"""Result files: wherever a process died, what stands in them whole is known, and nothing else."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rondo.batches.results import Kind, Results


def opened(folder: Path) -> Results:
    growing: dict[Kind, Path] = {"output": folder / "b-output.partial", "error": folder / "b-error.partial"}
    final: dict[Kind, Path] = {"output": folder / "out", "error": folder / "err"}
    return Results("batch_7", growing, final)


def answer(results: Results, number: int, status: int = 200) -> None:
    results.answered(number, f"r{number}", status=status, trace_id="t", body=b'{"a":\n "\\u00e4"}')


def test_good_and_bad_results_have_their_files(tmp_path: Path) -> None:
    results = opened(tmp_path)
    answer(results, 1)
    answer(results, 2, 404)
    results.not_asked(3, "r3", "batch_expired")
    assert results.finish() == {"output": (tmp_path / "out").stat().st_size, "error": (tmp_path / "err").stat().st_size}
    results.close()
    assert json.loads((tmp_path / "out").read_bytes()) == {
        "id": "batch_req_7_1",
        "custom_id": "r1",
        "response": {"status_code": 200, "request_id": "t", "body": {"a": "ä"}},
        "error": None,
    }
    bad = [json.loads(each) for each in (tmp_path / "err").read_text().splitlines()]
    assert bad[0]["response"]["status_code"] == 404
    assert bad[1]["response"] is None
    assert bad[1]["error"]["code"] == "batch_expired"
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600


def test_a_file_without_results_is_not_there(tmp_path: Path) -> None:
    results = opened(tmp_path)
    answer(results, 1)
    assert list(results.finish()) == ["output"]
    results.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 400))
def test_a_torn_end_is_cut_off(tmp_path: Path, cut: int) -> None:
    for left in tmp_path.iterdir():
        left.unlink()
    first = opened(tmp_path)
    for number in (1, 2, 3):
        answer(first, number)
    first.close()
    path = tmp_path / "b-output.partial"
    whole = path.read_bytes()
    path.write_bytes(whole[: max(0, len(whole) - cut)])
    kept = path.read_bytes().count(b"\n")
    again = opened(tmp_path)
    assert [again.has(number) for number in (1, 2, 3)] == [number <= kept for number in (1, 2, 3)]
    for number in (1, 2, 3):
        if not again.has(number):
            answer(again, number)
    again.finish()
    again.close()
    assert (tmp_path / "out").read_bytes() == whole


def test_finishing_may_be_cut_off_between_the_files(tmp_path: Path) -> None:
    first = opened(tmp_path)
    answer(first, 1)
    first.not_asked(2, "r2", "batch_cancelled")
    first.close()
    (tmp_path / "b-output.partial").rename(tmp_path / "out")
    again = opened(tmp_path)
    assert again.has(1)
    assert again.has(2)
    assert again.unasked == "batch_cancelled"
    assert sorted(again.finish()) == ["error", "output"]
    assert sorted(again.finish()) == ["error", "output"]
    again.close()


def test_a_full_disk_leaves_no_torn_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = opened(tmp_path)
    answer(results, 1)
    file: Any = results._files["output"]

    class Full:
        """Takes half of a line, then nothing."""

        def __init__(self) -> None:
            self.took = False

        def write(self, data: bytes) -> int:
            if self.took:
                raise OSError(errno.ENOSPC, "full")
            self.took = True
            written: int = file.write(data[:10])
            return written

        def __getattr__(self, name: str) -> Any:
            return getattr(file, name)

    results._files["output"] = Full()  # type: ignore[assignment]
    with pytest.raises(OSError, match="full"):
        answer(results, 2)
    results._files["output"] = file
    assert not results.has(2)
    answer(results, 2)
    results.close()
    assert len([json.loads(each) for each in (tmp_path / "b-output.partial").read_text().splitlines()]) == 2
