"""Index versions: named by their content, immutable, incremental, and found damaged when they are."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.errors import CorruptData, NotFound, SettingsError
from rondo.knowledge import index
from rondo.knowledge.model import Document, IndexVersion
from rondo.knowledge.parse import parse
from rondo.knowledge.search import open_index
from rondo.settings.tables import KnowledgeSettings

SETTINGS = KnowledgeSettings(sources=["docs"])
DOCUMENTS = {
    "docs/billing.md": b"# Billing\n## Refunds\nRefunds take five working days.\n## Invoices\nInvoices come by e-mail.",
    "docs/delivery.html": b"<title>Delivery</title><h2>Times</h2><p>A parcel arrives within three days.</p>",
    "docs/notes.txt": b"Our opening hours are nine to five. The caf\xc3\xa9 closes at four.",
    "docs/logo.png": b"\x89PNG",
}


def build(root: Path, documents: dict[str, bytes] = DOCUMENTS, **more: object) -> IndexVersion:
    return index.build(documents, more.pop("settings", SETTINGS), root, name="handbook", **more)  # type: ignore[arg-type]


def test_build_and_search(tmp_path: Path) -> None:
    made = build(tmp_path)
    assert (made.name, made.documents, made.chunks, made.reused, made.skipped) == (
        "handbook", 3, 4, 0, ("docs/logo.png",)
    )  # fmt: skip
    assert made.bytes == sum(len(data) for name, data in DOCUMENTS.items() if not name.endswith(".png"))
    found = open_index(tmp_path, made.version).search("How long do refunds take?", 3)
    assert found[0].number == 1
    assert (found[0].source, found[0].title, found[0].heading) == ("docs/billing.md", "Billing", "Refunds")
    assert found[0].text == "Refunds take five working days."
    assert found[0].score > 0


def test_the_same_content_is_the_same_version_and_no_work(tmp_path: Path) -> None:
    first = build(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    second = build(tmp_path, dict(reversed(DOCUMENTS.items())), previous=first.version)
    assert second.version == first.version
    assert second.reused == 3
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert build(tmp_path / "elsewhere").version == first.version


def test_how_many_are_asked_for_is_no_part_of_the_index(tmp_path: Path) -> None:
    other = KnowledgeSettings(sources=["elsewhere"], top_k=9)
    assert build(tmp_path).version == build(tmp_path, settings=other).version


@pytest.mark.parametrize("changed", [{"chunk_chars": 200}, {"overlap_chars": 5}])
def test_sizes_are_part_of_the_version(tmp_path: Path, changed: dict[str, int]) -> None:
    other = KnowledgeSettings(sources=["docs"], **changed)
    first = build(tmp_path)
    second = build(tmp_path, settings=other, previous=first.version)
    assert second.version != first.version
    assert second.reused == 0


def test_only_changed_documents_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build(tmp_path)
    read: list[str] = []

    def noted(source: str, data: bytes) -> Document:
        read.append(source)
        return parse(source, data)

    monkeypatch.setattr(index, "parse", noted)
    changed = {**DOCUMENTS, "docs/notes.txt": b"Our opening hours are ten to six.", "docs/new.md": b"# New\nfresh"}
    del changed["docs/delivery.html"]
    second = build(tmp_path, changed, previous=first.version)
    assert sorted(read) == ["docs/new.md", "docs/notes.txt"]
    assert second.reused == 1
    assert build(tmp_path / "whole", changed).version == second.version


def test_a_deleted_document_answers_no_more_and_the_old_version_still_does(tmp_path: Path) -> None:
    first = build(tmp_path)
    rest = {name: data for name, data in DOCUMENTS.items() if name != "docs/billing.md"}
    second = build(tmp_path, rest, previous=first.version)
    assert open_index(tmp_path, second.version).search("refunds", 5) == []
    assert open_index(tmp_path, first.version).search("refunds", 5) != []


def test_a_failed_build_leaves_everything_as_it_was(tmp_path: Path) -> None:
    first = build(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SettingsError, match=r"docs/bad\.md"):
        build(tmp_path, {**DOCUMENTS, "docs/bad.md": b"\xff"}, previous=first.version)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(index, "_put", full)
    with pytest.raises(OSError, match="No space"):
        build(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_builders_at_once(tmp_path: Path) -> None:
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(build(tmp_path).version)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1
    assert [path.name for path in tmp_path.iterdir()] == made[:1]
    assert len(made) == 4


@pytest.mark.parametrize(
    ("documents", "says"),
    [
        ({}, r"knowledge\.handbook\.sources: the sources hold no documents"),
        ({"a.png": b"x"}, "hold no documents"),
        ({"a.md": b"  \n"}, "hold no text"),
        ({"a.docx": b"x"}, r"a\.docx: this kind of file"),
    ],
)
def test_nothing_to_index_is_an_error(tmp_path: Path, documents: dict[str, bytes], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        build(tmp_path, documents)


def test_an_earlier_version_that_is_gone_or_damaged_is_not_used(tmp_path: Path) -> None:
    assert build(tmp_path, previous="f" * 64).reused == 0
    first = build(tmp_path)
    (tmp_path / first.version / "chunks.jsonl").write_bytes(b"{}\n")
    assert build(tmp_path / "b", previous=first.version).reused == 0
    changed = {**DOCUMENTS, "docs/notes.txt": b"other"}
    assert build(tmp_path, changed, previous=first.version).reused == 0


def test_damage_is_found(tmp_path: Path) -> None:
    version = build(tmp_path).version
    folder = tmp_path / version
    with pytest.raises(NotFound):
        open_index(tmp_path, "0" * 64)
    index.verify(folder)
    chunks = folder / "chunks.jsonl"
    whole = chunks.read_bytes()
    chunks.write_bytes(whole.replace(b"five", b"nine"))
    with pytest.raises(CorruptData, match="not those"):
        index.verify(folder)
    chunks.write_bytes(whole[:-10])
    with pytest.raises(CorruptData, match="do not fit together"):
        open_index(tmp_path, version)
    chunks.write_bytes(b"")
    with pytest.raises(CorruptData):
        open_index(tmp_path, version)
    chunks.write_bytes(b"#" * len(whole))
    with pytest.raises(CorruptData, match="cannot be read"):
        open_index(tmp_path, version).search("refunds", 1)
    chunks.write_bytes(whole)
    (folder / "bm25" / "meta.json").write_text("{}")
    with pytest.raises(CorruptData):
        open_index(tmp_path, version)


@pytest.mark.parametrize(
    ("change", "says"),
    [({"format": 2}, "format 2"), ({"version": "0" * 64}, "another version"), (None, "cannot be read")],
)
def test_a_wrong_manifest(tmp_path: Path, change: dict[str, object] | None, says: str) -> None:
    version = build(tmp_path).version
    path = tmp_path / version / "manifest.json"
    path.write_text("{" if change is None else json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CorruptData, match=says):
        open_index(tmp_path, version)


# -- searching ---------------------------------------------------------------------------------------------------------


def found(tmp_path: Path, query: str, documents: dict[str, bytes] = DOCUMENTS) -> list[str]:
    made = build(tmp_path, documents)
    return [chunk.text for chunk in open_index(tmp_path, made.version).search(query, 5)]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("refund", "Refunds take"),
        ("REFUNDING!!!", "Refunds take"),
        ("when do you deliver my packages", "A parcel arrives"),
        ("cafe", "Our opening hours"),
        ("I'd like my money back", "Refunds take"),
    ],
)
def test_words_are_found_in_other_forms(tmp_path: Path, query: str, first: str) -> None:
    assert found(tmp_path, query)[0].startswith(first)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "   ",
        "?!",
        "xyzzy",
        "\0",
        "title:* AND (",
        '"open',
        "[a TO z]",
        "refunds^100 -refunds +invoices",
        "*",
        "\ud800",
    ],
)
def test_queries_are_never_syntax(tmp_path: Path, query: str) -> None:
    assert isinstance(found(tmp_path, query), list)


def test_a_question_of_little_words_only(tmp_path: Path) -> None:
    assert found(tmp_path, "how are our") != []


def test_a_very_long_question(tmp_path: Path) -> None:
    noise = " ".join(f"noise{number}" for number in range(5000))
    assert found(tmp_path, "refunds " + noise)[0].startswith("Refunds take")


def test_equal_scores_keep_the_order_of_the_documents(tmp_path: Path) -> None:
    documents = {f"{number:03}.txt": f"apple {number:03}x".encode() for number in range(100)}
    made = build(tmp_path, documents)
    opened = open_index(tmp_path, made.version)
    assert [chunk.source for chunk in opened.search("apples", 5)] == [f"{number:03}.txt" for number in range(5)]


def test_an_index_serves_many_threads(tmp_path: Path) -> None:
    opened = open_index(tmp_path, build(tmp_path).version)
    wrong: list[object] = []

    def ask() -> None:
        headings = {opened.search("refunds", 3)[0].heading for _ in range(50)}
        wrong.extend(headings - {"Refunds"})

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    opened.close()


@settings(max_examples=60, deadline=None)
@given(query=st.text(max_size=80))
def test_any_question_gets_an_answer(tmp_path_factory: pytest.TempPathFactory, query: str) -> None:
    root = tmp_path_factory.getbasetemp() / "any-question"
    chunks = open_index(root, build(root).version).search(query, 3)
    assert [chunk.number for chunk in chunks] == list(range(1, len(chunks) + 1))
    assert [chunk.score for chunk in chunks] == sorted((chunk.score for chunk in chunks), reverse=True)
