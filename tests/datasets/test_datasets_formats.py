"""Formats: each is recognised, read and written; hostile files are named problems, with line and column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset_files import example, file, parquet, read
from rondo.datasets.formats import label_studio, openai
from rondo.datasets.formats.read import Reading
from rondo.datasets.formats.rows import Problem
from rondo.errors import InvalidRequest, RondoError


def problems(folder: Path, name: str, content: Any, **options: Any) -> list[str]:
    return [str(each) for each in Reading(file(folder, name, content), folder, **options) if isinstance(each, Problem)]


def test_our_own_lines(tmp_path: Path) -> None:
    own = example("a?", expected={"x": [1]}, must_pass=True, split="test", tags={"t": "v"}, hand_over=False)
    text = json.dumps({"messages": own.messages, "expected": {"x": [1]}, "must_pass": True, "split": "test"} | {
        "tags": {"t": "v"}, "hand_over": False, "id": "other", "provenance": {"kind": "review", "source": "anna"}
    })  # fmt: skip
    (found,) = read(tmp_path, "x.jsonl", text)
    assert found.identified().id == own.id
    assert (found.split, found.provenance.kind, found.provenance.source) == ("test", "review", "anna")


def test_lines_may_be_blank_and_begin_with_a_mark(tmp_path: Path) -> None:
    found = read(tmp_path, "x.jsonl", b'\xef\xbb\xbf{"question": "a"}\n\n  \n{"question": "b"}\r\n')
    assert [(each.question, each.provenance.line) for each in found] == [("a", 1), ("b", 4)]


def test_a_json_list_and_one_within_an_object(tmp_path: Path) -> None:
    rows = [{"question": "a"}, {"question": "b"}]
    assert len(read(tmp_path, "x.json", json.dumps(rows, indent=1))) == 2
    assert len(read(tmp_path, "y.json", json.dumps({"data": rows}, indent=1))) == 2


def test_csv_of_many_kinds(tmp_path: Path) -> None:
    text = 'question,expected,topic\n"Is ""it"", really?",yes,x\n"two\nlines",,\n'
    first, second = read(tmp_path, "x.csv", text)
    assert (first.question, first.expected, first.tags) == ('Is "it", really?', "yes", {"topic": "x"})
    assert (second.question, second.expected, second.provenance.line) == ("two\nlines", None, 3)
    for sign in (";", "\t", "|"):
        found = read(tmp_path, "y.csv", f"question{sign}expected\na, b{sign}c\n")
        assert (found[0].question, found[0].expected) == ("a, b", "c")
    (one,) = read(tmp_path, "z.csv", "question\nhow?\n")
    assert one.question == "how?"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("question,expected\na,b,c\n", "line 2: The row has 3 fields"),
        ("question,expected\na,b\nc\n", "line 3: The row has 1 fields"),
        ('question,expected\na,"b\nc,d\n', "line 2: This is not CSV"),
        ("question,question\na,b\n", "line 1: Two columns are called 'question'"),
        ("question,,x\na,b,c\n", "line 1: Column 2 has no name"),
        (b"question\nok\nf\xfcr\n", "line 3: The file is not UTF-8"),
        ('question\n"a"b\n', "line 2: This is not CSV"),
    ],
)
def test_csv_that_is_wrong(tmp_path: Path, text: str | bytes, words: str) -> None:
    found = problems(tmp_path, "x.csv", text)
    assert found
    assert found[0].startswith(words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"question": "a"}\n{"question": tru}\n', "line 2, column 18"),
        ('{"question": "a"}\nnot json\n', "line 2, column"),
        ('{"question": "a"}\n[1]\n', "line 2: This is no JSON object"),
        ('{"question": "a"}\n{"question": NaN}\n', "line 2, column 14: This is not JSON: NaN is no number"),
        ('{"question": "a"}\n{"x": 1}\n', "line 2: No column holds the question"),
        (b'{"question": "a"}\n{"question": "\xff"}\n', "line 2"),
        ('{"question": "a"}\n{"question": "\\ud800"}\n', "line 2"),
        ('{"question": "a"}\n' + "[" * 100_000 + "\n", "line 2"),
        ('{"question": "a"}\n{"question": 1e999}\n', "line 2"),
    ],
)
def test_lines_that_are_wrong(tmp_path: Path, text: str | bytes, words: str) -> None:
    found = problems(tmp_path, "x.jsonl", text)
    assert len(found) == 1
    assert found[0].startswith(words), found


def test_a_document_that_is_wrong_names_line_and_column(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"line 2, column 6"):
        Reading(file(tmp_path, "x.json", '[{"question": "a"},\n{"b" x}]'), tmp_path)
    with pytest.raises(InvalidRequest, match="empty"):
        Reading(file(tmp_path, "y.json", ""), tmp_path)
    with pytest.raises(InvalidRequest, match="--format"):
        Reading(file(tmp_path, "z.bin", b"\x00\x01"), tmp_path)
    with pytest.raises(InvalidRequest, match="no list"):
        list(Reading(file(tmp_path, "w.json", '{"a": 1,\n"b": 2}'), tmp_path))


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    parquet(
        path,
        "SELECT 'a?' AS question, 1.5::DECIMAL(4,1) AS expected, ['x','y'] AS tags, DATE '2026-01-02' AS day,"
        " {'k': 1} AS inputs, NULL AS nothing",
    )
    (found,) = read(tmp_path, "y.parquet", path.read_bytes())
    assert (found.question, found.expected, found.inputs) == ("a?", 1.5, {"k": 1})
    assert found.metadata == {"day": "2026-01-02"}


def test_parquet_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    parquet(path, "SELECT * FROM (VALUES ('a', 1.0), ('b', 'nan'::DOUBLE), ('c', 'inf'::DOUBLE)) v(question, x)")
    found = problems(tmp_path, "y.parquet", path.read_bytes())
    assert found == ["line 2: 'x' holds a number that is not finite.", "line 3: 'x' holds a number that is not finite."]
    parquet(path, "SELECT 'a' AS question, 'x'::BLOB AS picture")
    assert problems(tmp_path, "z.parquet", path.read_bytes()) == ["line 1: 'picture' holds bytes."]
    for broken in (b"PAR1", b"PAR1" + b"\x00" * 100 + b"PAR1", path.read_bytes()[:-20]):
        with pytest.raises(InvalidRequest, match="Parquet file cannot be read"):
            list(Reading(file(tmp_path, "w.parquet", broken), tmp_path))


def test_openais_formats(tmp_path: Path) -> None:
    chat = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    (found,) = read(tmp_path, "x.jsonl", [chat], format="openai-chat")
    assert (found.question, found.expected) == ("q", "a")
    (item,) = read(
        tmp_path,
        "y.jsonl",
        [{"item": {"ticket": "t", "correct_label": "c"}}],
        columns=_columns("ticket", "correct_label"),
    )
    assert (item.question, item.expected) == ("t", "c")
    preference = {
        "input": {"messages": [{"role": "user", "content": "q"}], "tools": [{"type": "function"}]},
        "preferred_output": [{"role": "assistant", "content": "good"}],
        "non_preferred_output": [{"role": "assistant", "content": "bad"}],
    }
    (preferred,) = read(tmp_path, "z.jsonl", [preference])
    assert (preferred.question, preferred.expected) == ("q", "good")
    assert preferred.params["tools"]
    assert "non_preferred_output" in preferred.metadata
    assert problems(tmp_path, "w.jsonl", [{"messages": [{"role": "user", "content": "q"}]}], format="openai-chat") == [
        "line 1: The last message is not the assistant's."
    ]
    assert problems(tmp_path, "v.jsonl", [{"question": "q"}], format="openai-evals") == [
        "line 1: There is neither `input` nor `item`."
    ]


def _columns(asked: str, expected: str) -> Any:
    from rondo.datasets.fields import Columns

    return Columns(input=asked, expected=expected)


def test_openais_formats_written_and_read_again(tmp_path: Path) -> None:
    own = example(
        "q", expected="a", tool_calls=[{"name": "f", "arguments": {"x": 1}}], params={"tools": [{"type": "function"}]}
    )
    (back,) = read(tmp_path, "x.jsonl", [openai.to_chat(own)])
    assert (back.messages, back.expected, back.tool_calls, back.params) == (
        own.messages, own.expected, own.tool_calls, own.params,
    )  # fmt: skip
    several = example("q", expected=["a", "b"])
    (back,) = read(tmp_path, "y.jsonl", [openai.to_evals(several)])
    assert (back.messages, back.expected) == (several.messages, ["a", "b"])
    assert openai.to_chat(example("q")) is None
    assert openai.to_evals(example("q", hand_over=True)) is None


def _task(*labels: list[str], **more: Any) -> dict[str, Any]:
    annotations = [
        {"result": [{"from_name": "label", "to_name": "q", "type": "choices", "value": {"choices": said}}], **more}
        for said in labels
    ]
    return {"id": 7, "data": {"question": "q?"}, "annotations": annotations}


def test_label_studio(tmp_path: Path) -> None:
    tasks = [
        _task(["a"], ["a"], ["b"]),
        _task(["a"], ["b"]),
        _task(["a"], was_cancelled=True),
        {"id": 8, "data": {"text": "t"}, "annotations": [], "predictions": []},
    ]
    found = read(tmp_path, "x.json", json.dumps(tasks))
    assert [each.expected for each in found] == ["a", None, None, None]
    assert [each.tags for each in found] == [{"annotators": "disagree"}, {"annotators": "disagree"}, {}, {}]
    assert found[0].metadata["id"] == 7
    truth = _task(["a"], ["b"])
    truth["annotations"][1]["ground_truth"] = True
    (settled,) = read(tmp_path, "y.json", json.dumps([truth]))
    assert settled.expected == "b"
    flat = [{"id": 1, "text": "t", "label": "pos", "annotator": 1, "annotation_id": 3}]
    (small,) = read(tmp_path, "z.json", json.dumps(flat))
    assert (small.question, small.expected) == ("t", "pos")
    assert problems(tmp_path, "w.json", json.dumps([{"data": 3, "annotations": []}]), format="label-studio")


def test_label_studio_written_and_read_again(tmp_path: Path) -> None:
    tasks = list(label_studio.to_tasks([example("q", expected="a", tags={"t": "v"})]))
    (found,) = read(tmp_path, "x.json", json.dumps(tasks))
    assert (found.question, found.expected, found.tags) == ("q", "a", {"t": "v"})


@given(st.binary(max_size=300), st.sampled_from(["x.jsonl", "x.csv", "x.json", "x.yaml", "x.parquet", "x.zip", "x"]))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused_by_name(tmp_path: Path, data: bytes, name: str) -> None:
    try:
        for each in Reading(file(tmp_path, name, data), tmp_path):
            assert each
    except RondoError as error:
        assert error.param  # noqa: PT017 - either end is right
