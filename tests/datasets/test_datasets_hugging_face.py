"""Hugging Face folders, zipped: splits by path and by card, Arrow folders, and zips that mean harm."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from dataset_files import example, file, read
from dataset_files import parquet as write
from rondo.datasets.formats import hugging_face
from rondo.datasets.formats.read import Reading
from rondo.errors import InvalidRequest, TooLarge


def zipped(files: dict[str, str | bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return held.getvalue()


def parquet(folder: Path, *questions: str) -> bytes:
    path = folder / "made.parquet"
    values = ", ".join(f"('{question}')" for question in questions)
    write(path, f"SELECT * FROM (VALUES {values}) v(question)")
    return path.read_bytes()


def splits(examples: list[Any]) -> dict[str, str | None]:
    return {each.question: each.split for each in examples}


def test_splits_by_path(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "hub.zip",
        zipped(
            {
                "hub/README.md": "# A dataset",
                "hub/data/train-00000-of-00002.parquet": parquet(tmp_path, "a"),
                "hub/data/train-00001-of-00002.parquet": parquet(tmp_path, "b"),
                "hub/valid.csv": "question\nc\n",
                "hub/test/x.jsonl": '{"question": "d"}\n',
                "hub/other.json": '[{"question": "e"}]',
                "hub/.git/x.json": "{}",
                "hub/picture.png": b"\x89PNG",
            }
        ),
    )
    assert splits(found) == {"a": "train", "b": "train", "c": "validation", "d": "test", "e": None}
    assert found[0].provenance.source == "data/train-00000-of-00002.parquet"


def test_splits_by_the_card(tmp_path: Path) -> None:
    card = """---
configs:
- config_name: main
  default: true
  data_files: [{split: train, path: "a/*.jsonl"}, {split: test, path: ["b/x.jsonl"]}]
- config_name: small
  data_files: [{split: test, path: "c.jsonl"}]
---
"""
    files: dict[str, str | bytes] = {
        "README.md": card,
        "a/1.jsonl": '{"question": "a"}',
        "b/x.jsonl": '{"question": "b"}',
        "c.jsonl": '{"question": "c"}',
    }
    assert splits(read(tmp_path, "x.zip", zipped(files))) == {"a": "train", "b": "test"}
    assert splits(read(tmp_path, "x.zip", zipped(files), config="small")) == {"c": "test"}
    with pytest.raises(InvalidRequest, match="main, small"):
        Reading(file(tmp_path, "x.zip", zipped(files)), tmp_path, config="big")


def test_what_save_to_disk_wrote(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")

    def arrow(*questions: str) -> bytes:
        table = pa.table({"question": list(questions), "label": list(range(len(questions)))})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        whole: bytes = sink.getvalue().to_pybytes()
        return whole

    state = json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]})
    files: dict[str, str | bytes] = {"d/dataset_dict.json": '{"splits": ["train", "test"]}'}
    for split, content in (("train", arrow("a", "b")), ("test", arrow("c"))):
        files |= {f"d/{split}/state.json": state, f"d/{split}/data-00000-of-00001.arrow": content}
        files[f"d/{split}/cache-123.arrow"] = b"not ours to read"
    found = read(tmp_path, "d.zip", zipped(files))
    assert splits(found) == {"a": "train", "b": "train", "c": "test"}
    assert [each.expected for each in found] == [0, 0, 1]
    broken: dict[str, str | bytes] = {"state.json": state, "data-00000-of-00001.arrow": b"nonsense"}
    (problem,) = Reading(file(tmp_path, "e.zip", zipped(broken)), tmp_path)
    assert "Arrow file cannot be read" in str(problem)
    with pytest.raises(InvalidRequest, match="which is not there"):
        Reading(file(tmp_path, "f.zip", zipped({"state.json": state})), tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04 and then nothing", "zip cannot be read"),
        (zipped({"x.png": b"1"}), "no files of data"),
        (zipped({"train.jsonl.gz": b"1"}), "Unpack"),
        (zipped({"state.json": b"["}), "not JSON"),
    ],
)
def test_a_zip_that_cannot_be_used_says_why(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        Reading(file(tmp_path, "x.zip", content), tmp_path)


def test_names_in_a_zip_lead_nowhere(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    evil: dict[str, str | bytes] = {"../../evil.jsonl": '{"question": "a"}', "/etc/evil.jsonl": '{"question": "b"}'}
    assert len(list(Reading(file(tmp_path, "x.zip", zipped(evil)), inside))) == 2
    assert {path.name for path in inside.iterdir()} == {"0.jsonl", "1.jsonl"}
    assert not (tmp_path / "evil.jsonl").exists()


def test_a_bomb_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hugging_face, "_MOST_BYTES", 1 << 20)
    bomb = zipped({"x.csv": b"question\n" + b"0" * (3 << 20)})
    assert len(bomb) < 10_000
    with pytest.raises(TooLarge):
        Reading(file(tmp_path, "x.zip", bomb), tmp_path)


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hugging_face, "_MOST_FILES", 3)
    with pytest.raises(TooLarge, match="4 files"):
        Reading(file(tmp_path, "x.zip", zipped({f"{n}.csv": "question\na\n" for n in range(4)})), tmp_path)


def test_an_example_of_ours_survives_a_folder(tmp_path: Path) -> None:
    own = example("q", expected={"x": 1}, must_pass=True)
    row = json.dumps({"messages": own.messages, "expected": {"x": 1}, "must_pass": True})
    (found,) = read(tmp_path, "x.zip", zipped({"test.jsonl": row}))
    assert found.identified().id == own.id
    assert found.split == "test"


def test_a_card_whose_words_are_lists_of_themselves_costs_nothing(tmp_path: Path) -> None:
    laughs = "\n".join(f"x{n}: &x{n} [*x{n - 1}, *x{n - 1}]" for n in range(1, 40))  # 2**40 words, written out
    files = "- config_name: *x39\n  data_files: [{split: *x39, path: '*'}]"
    card = f"---\nx0: &x0 [lol]\n{laughs}\nconfigs:\n{files}\n---\n"
    found = read(tmp_path, "x.zip", zipped({"README.md": card, "train.jsonl": '{"question": "a"}\n'}), config="")
    assert splits(found) == {"a": None}
