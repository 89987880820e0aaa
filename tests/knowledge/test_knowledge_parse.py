"""Markdown, HTML and text become documents with sections; what cannot be read is said, not skipped."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.errors import SettingsError
from rondo.knowledge.model import Document
from rondo.knowledge.parse import is_asset, parse

PAGES = Path(__file__).parent / "pages"


def md(text: str) -> Document:
    return parse("docs/some-page.md", text.encode())


def html(text: str) -> Document:
    return parse("docs/some-page.html", text.encode())


def body(text: str) -> str:
    return "\n====\n".join(section.text for section in html(text).sections)


# -- Markdown ----------------------------------------------------------------------------------------------------------


def test_markdown_sections_carry_their_path() -> None:
    document = md("# Guide\nintro\n## Billing\n### Refunds\nmoney\n### Fees\nfee\n## Help\nask")
    assert document.title == "Guide"
    assert [(section.heading, section.text) for section in document.sections] == [
        ("", "intro"),
        ("Billing > Refunds", "money"),
        ("Billing > Fees", "fee"),
        ("Help", "ask"),
    ]


def test_headings_in_code_are_none() -> None:
    document = md("# T\n```sh\n# not a heading\n```\n~~~~\n# nor this\n~~~\n# still not\n~~~~\n## Real\nx")
    assert [section.heading for section in document.sections] == ["", "Real"]
    assert "# still not" in document.sections[0].text


def test_underlined_headings() -> None:
    document = md(
        "Guide\n=====\n\nBilling\n-------\nmoney\n\n---\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- item\n---\nend"
    )
    assert document.title == "Guide"
    assert [section.heading for section in document.sections] == ["Billing"]
    assert "| 1 | 2 |" in document.sections[0].text


def test_headings_lose_their_markup_and_keep_their_names() -> None:
    assert md("# The `max_connections` **limit** [here](x.md) ##\nx").title == "The max_connections limit here"


def test_front_matter_gives_the_title_where_no_heading_does() -> None:
    assert md("---\ntitle: 'My page'\ntags: [a]\n---\ntext").title == "My page"
    assert md("---\ntitle: My page\n---\n# Heading\ntext").title == "Heading"
    assert md("text").title == "Some page"


def test_comments_are_dropped_outside_of_code() -> None:
    document = md("# T\na <!-- tell them\n# nothing --> b\n```html\n<!-- kept -->\n```\n<!-- open")
    text = document.sections[0].text
    assert "tell them" not in text
    assert "<!-- kept -->" in text
    assert text.endswith("<!-- open")


def test_windows_line_ends_and_byte_order_marks() -> None:
    assert parse("a.md", b"\xef\xbb\xbf# T\r\nx\r\ny").sections[0].text == "x\ny"


def test_text_is_one_section() -> None:
    document = parse("notes/house_rules.txt", b"# no heading\n\nrules")
    assert (document.title, len(document.sections), document.sections[0].heading) == ("House rules", 1, "")


def test_an_empty_document_has_no_sections() -> None:
    for source in ("a.md", "a.html", "a.txt"):
        assert parse(source, b"").sections == ()


# -- what cannot be read -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "data", "says"),
    [
        ("a.pdf", b"%PDF", "cannot be read as a document"),
        ("a", b"x", "cannot be read as a document"),
        ("a.md", b"fine\nbad \xff\n", "line 2 is not UTF-8"),
        ("a.html", b"<p>\xff", "line 1 is not UTF-8"),
        ("a.html", b"<x>" * 5000, "nested more than"),
    ],
)
def test_what_cannot_be_read_is_named(source: str, data: bytes, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        parse(source, data)
    assert caught.value.file == source


def test_a_huge_document_is_refused() -> None:
    with pytest.raises(SettingsError, match="64 MB"):
        parse("a.txt", b"x" * 64_000_001)


def test_assets_are_known_by_name() -> None:
    assert all(is_asset(name) for name in ("a/logo.PNG", ".DS_Store", "docs/.git/config", "x.css"))
    assert not any(is_asset(name) for name in ("a.md", "report.pdf", "a.b/c.html"))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300), st.sampled_from(["a.md", "a.html", "a.txt"]))
def test_any_text_is_a_document(text: str, source: str) -> None:
    data = text.encode("utf-8", "replace")
    assert parse(source, data).title == parse(source, data).title


@pytest.mark.parametrize(
    "data",
    ["# " + " " * 50_000 + "x", "<!--" * 20_000, "a|b\n|-" + " " * 50_000 + "x", "```\n~~~\n" * 10_000, "[" * 50_000],
    ids=range(5),
)
def test_hostile_markdown_takes_no_time(data: str) -> None:
    began = time.monotonic()
    md(data)
    assert time.monotonic() - began < 5


# -- HTML --------------------------------------------------------------------------------------------------------------


def test_furniture_is_dropped() -> None:
    text = body(
        "<head><title>x</title><style>p{}</style></head><body><header>Banner</header><nav>Menu</nav>"
        "<div class='Sidebar x'>side</div><div role=navigation>more</div><script>alert(1)</script><p>Words"
        "<form>search</form><footer>Imprint</footer><p hidden>h1</p><p style='DISPLAY: none'>h2</p>"
        "<p aria-hidden=true>h3</p><!-- c --><noscript>n</noscript><template>t</template><svg><text>s</text></svg>"
    )
    assert text == "Words"


def test_the_main_part_is_taken_and_its_header_stays() -> None:
    document = html("<div>around</div><main><header><h1>Title</h1></header><p>in</p></main><div>below</div>")
    assert document.title == "Title"
    assert [section.text for section in document.sections] == ["in"]


def test_html_headings_make_sections() -> None:
    document = html("<title>Page</title><h2>A <em>b</em></h2><p>1<h3>C</h3>2<h2>D</h2>3")
    assert document.title == "Page"
    assert [(each.heading, each.text) for each in document.sections] == [("A b", "1"), ("A b > C", "2"), ("D", "3")]


def test_a_heading_that_repeats_the_title_is_not_in_the_path() -> None:
    assert html("<title>DROP</title><h2>DROP</h2><p>x").sections[0].heading == ""


def test_titles_of_notes_head_no_section() -> None:
    document = html("<h2>A</h2><p>1<div class=note><h3>Note</h3><p>careful</div><p>2")
    assert [each.heading for each in document.sections] == ["A"]
    assert document.sections[0].text == "1\n\nNote:\n\ncareful\n\n2"


def test_lists() -> None:
    text = body("<ul><li>one <b>two</b><li><p>para</p><p>more</p><ol><li>in<li>side</ol></ul><p>end")
    assert text == "- one two\n- para\n  more\n\n  1. in\n  2. side\n\nend"


def test_definition_lists() -> None:
    text = body("<dl><dt>-f<dt>--force<dd><p>Forces.</p><p>Really.</p><dt>-x<dd><pre>code</pre><dt>last</dl>")
    assert text == "- -f, --force: Forces.\n\nReally.\n\n- -x\n\n```\ncode\n```\n\n- last"


def test_tables_become_rows() -> None:
    text = body("<table><caption>Prices</caption><tr><th>Plan<th>Price<tr><td>Basic<td>£6 | month</table>")
    assert text == "Prices\n\n| Plan | Price |\n| --- | --- |\n| Basic | £6 \\| month |"


def test_spanned_cells_are_repeated() -> None:
    text = body("<table><tr><th>A<th>B<th>C<tr><td rowspan=2>x<td colspan=2>y<tr><td>1<td>2</table>")
    assert text.split("\n")[2:] == ["| x | y | y |", "| x | 1 | 2 |"]


def test_a_table_without_headers_has_empty_ones() -> None:
    assert body("<table><tr><td>1<td>2</table>") == "|  |  |\n| --- | --- |\n| 1 | 2 |"


def test_tables_for_layout_are_read_through() -> None:
    assert body("<table><tr><td><p>a<p>b</table>") == "a\n\nb"
    assert "| 1 | 2 |" in body("<table><tr><td>left<td><table><tr><td>1<td>2</table></table>")


def test_code_is_fenced_by_more_than_it_holds() -> None:
    assert body("<pre><b>x</b>\n  ```y\n</pre>") == "````\nx\n  ```y\n````"


def test_charsets() -> None:
    latin = '<meta http-equiv="Content-Type" content="text/html; charset=ISO-8859-1"><p>caf\xe9'.encode("latin-1")
    assert parse("a.html", latin).sections[0].text == "café"
    assert parse("a.html", "<meta charset=utf-8><p>café".encode()).sections[0].text == "café"
    assert parse("a.html", b"<meta charset=unicode_escape><p>\\u0041").sections[0].text == "\\u0041"


@pytest.mark.parametrize(
    "page",
    ["<table><tr><td>" * 1900, "<ul><li>" * 1900 + "x", "<table>" + "<tr><td rowspan=1000 colspan=1000>x" * 500],
    ids=range(3),
)
def test_hostile_pages_take_no_time(page: str) -> None:
    began = time.monotonic()
    html(page)
    assert time.monotonic() - began < 5


def test_a_real_page_with_options() -> None:
    document = parse("app-dropdb.html", (PAGES / "app-dropdb.html").read_bytes())
    texts = {section.heading: section.text for section in document.sections}
    assert document.title == "dropdb"
    assert list(texts) == [
        "",
        "Synopsis",
        "Description",
        "Options",
        "Environment",
        "Diagnostics",
        "Examples",
        "See Also",
    ]
    assert "- -f --force: Attempt to terminate all existing connections" in texts["Options"]
    assert "```\n$ dropdb demo\n```" in texts["Examples"]
    assert "Prev" not in "".join(texts.values()).split()


def test_a_real_page_with_a_table() -> None:
    document = parse("datatype-boolean.html", (PAGES / "datatype-boolean.html").read_bytes())
    text = "\n".join(section.text for section in document.sections)
    assert document.title == "8.6. Boolean Type"
    assert (
        "| Name | Storage Size | Description |\n| --- | --- | --- |\n| boolean | 1 byte | state of true or false |"
        in text
    )
    assert "SELECT * FROM test1;" in text


def test_a_real_page_with_spanned_cells() -> None:
    document = parse("runtime-config-short.html", (PAGES / "runtime-config-short.html").read_bytes())
    assert "| -B x | shared_buffers = x |" in document.sections[0].text
