"""Chunks are bounded, lose nothing, and can be understood alone."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.knowledge.chunk import chunks_of, cut
from rondo.knowledge.parse import parse


def test_a_short_section_is_one_chunk() -> None:
    document = parse("a.md", b"# T\nintro\n## A\none\n## B\ntwo")
    found = chunks_of(document, chunk_chars=100, overlap_chars=10)
    assert [(each.title, each.heading, each.text) for each in found] == [
        ("T", "", "intro"),
        ("T", "A", "one"),
        ("T", "B", "two"),
    ]
    assert len({each.id for each in found}) == 3


def test_long_text_is_cut_between_sentences_and_overlaps() -> None:
    text = " ".join(f"This is sentence number {number} of a long text." for number in range(100))
    pieces = cut(text, 200, 60)
    assert all(len(piece) <= 200 for piece in pieces)
    assert all(piece.endswith(".") for piece in pieces)
    assert any(first.split(". ")[-1][:20] in second for first, second in pairwise(pieces))


def test_tables_keep_their_header() -> None:
    rows = [f"| Plan {number} | £{number} |" for number in range(60)]
    text = "\n".join(["Our prices:", "", "| Plan | Price |", "| --- | --- |", *rows, "", "All with VAT."])
    pieces = cut(text, 200, 20)
    tables = [piece for piece in pieces if "| Plan " in piece]
    assert len(tables) > 5
    assert all("| Plan | Price |\n| --- | --- |\n" in piece for piece in tables)
    assert pieces[0].startswith("Our prices:\n\n| Plan | Price |")
    assert pieces[-1].endswith("All with VAT.")
    assert [row for piece in pieces for row in piece.split("\n") if row in rows] == rows


def test_code_is_fenced_in_every_piece() -> None:
    lines = [f"line_{number} = {number}" for number in range(100)]
    pieces = cut("\n".join(["Like so:", "```python", *lines, "```", "Done."]), 200, 20)
    coded = [piece for piece in pieces if "line_" in piece]
    assert all(piece.count("```") == 2 and "```python" in piece for piece in coded)
    assert [line for piece in pieces for line in piece.split("\n") if line in lines] == lines


def test_rows_and_lines_longer_than_a_chunk() -> None:
    table = "| A | B |\n|---|---|\n| " + "word " * 200 + " | x |\n| y | z |"
    code = "```\n" + "x" * 1000 + "\n```"
    for text in (table, code, "x" * 5000, "| " + "long header " * 50 + "| b |\n|---|---|\n| 1 | 2 |"):
        pieces = cut(text, 150, 30)
        assert pieces
        assert all(len(piece) <= 150 for piece in pieces)


def test_repeated_text_is_one_chunk() -> None:
    document = parse("a.md", b"# T\n## A\nsame\n## B\nx\n## A\nsame")
    assert [each.text for each in chunks_of(document, chunk_chars=100, overlap_chars=0)] == ["same", "x"]


def test_ids_depend_on_where_and_what() -> None:
    def of(source: str, text: str) -> str:
        return chunks_of(parse(source, text.encode()), chunk_chars=100, overlap_chars=0)[0].id

    assert of("a.md", "# T\nx") == of("a.md", "# T\nx")
    assert len({of("a.md", "# T\nx"), of("b.md", "# T\nx"), of("a.md", "# U\nx"), of("a.md", "# T\ny")}) == 4


words = st.text(alphabet="abc äé.!", min_size=1, max_size=30)
lines = st.one_of(
    words,
    st.just(""),
    st.just("```"),
    st.just("| --- | --- |"),
    words.map(lambda text: f"| {text} | x |"),
    words.map(lambda text: f"- {text}"),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(lines, max_size=60).map("\n".join), st.integers(100, 400), st.integers(0, 99))
def test_every_chunk_is_bounded_and_no_word_is_lost(text: str, chunk_chars: int, overlap: int) -> None:
    pieces = cut(text, chunk_chars, overlap)
    assert all(0 < len(piece) <= chunk_chars for piece in pieces)
    kept = set(re.findall(r"[abcäé]+", " ".join(pieces)))
    assert set(re.findall(r"[abcäé]+", text)) <= kept


@pytest.mark.parametrize("text", ["word " * 300_000, "x" * 1_200_000, "para\n\n" * 200_000])
def test_huge_texts_are_cut_in_reasonable_time(text: str) -> None:
    pieces = cut(text, 1000, 100)
    assert max(map(len, pieces)) <= 1000
