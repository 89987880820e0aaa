"""Pages made to hurt: they cost no more time and space than their size."""

from __future__ import annotations

import pytest

from rondo.knowledge.parse import parse


@pytest.mark.parametrize("text", ["1" * 5_000, "word " * 40])
def test_spanned_cells_do_not_multiply_a_page(text: str) -> None:
    rows = "<tr><td>y" * 999
    page = f"<table><tr><td rowspan=1000 colspan=100>{text}</td><td>x</td></tr>{rows}</table>".encode()
    (section,) = parse("a.html", page).sections
    assert text.strip() in section.text
    assert len(section.text) < 50 * len(page)


def test_spanned_cells_of_a_usual_table_are_repeated() -> None:
    page = b"<table><tr><th>Kind<th>Size<tr><td rowspan=2>Road bike<td>S<tr><td>M</table>"
    (section,) = parse("a.html", page).sections
    assert section.text.count("| Road bike |") == 2


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# a" + " " * 200_000 + "b", "a" + " " * 200_000 + "b"),
        ("---\ntitle: a" + " " * 200_000 + "b\n---", "a" + " " * 200_000 + "b"),
        ("#" + " #" * 100_000 + " x", " #" * 100_000 + " x"),
    ],
    ids=["heading", "front matter", "closing marks"],
)
def test_long_lines_are_read_at_once(text: str, title: str) -> None:
    document = parse("a.md", f"{text}\n\nbody".encode())
    assert document.title.split() == title.split()
    assert document.sections[0].text == "body"


@pytest.mark.parametrize(
    ("line", "title"),
    [("# a #", "a"), ("# a#", "a#"), ("# a ### ", "a"), ("# #", "N"), ("#", "N"), ("   # a", "a")],
)
def test_closing_marks_of_a_heading_are_no_words(line: str, title: str) -> None:
    assert parse("n.md", f"{line}\n\nbody".encode()).title == title


@pytest.mark.parametrize(
    ("line", "title"),
    [('title: "A b"', "A b"), ("title:  A b ", "A b"), ("title: it's", "it's"), ("title:", "N"), ("title: 'x", "'x")],
)
def test_titles_in_front_matter(line: str, title: str) -> None:
    assert parse("n.md", f"---\n{line}\n---\nbody".encode()).title == title
