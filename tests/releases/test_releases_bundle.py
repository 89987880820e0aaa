"""Bundles: what is taken from a folder, and what is refused from a zip."""

from __future__ import annotations

import io
import os
import stat
import warnings
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from release_projects import TOML, project_files, write_project
from rondo.errors import InvalidRequest, SettingsError
from rondo.releases import bundle as bundles
from rondo.releases.bundle import documents, from_zip, prompt_of, read_folder, settings_of, to_zip
from rondo.releases.model import Bundle


def zipped(entries: Iterable[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, data in entries:
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_folder_gives_its_settings_prompt_and_documents(tmp_path: Path) -> None:
    write_project(tmp_path)
    for passed_over in (".env", "docs/.secret.md", "docs/.git/x.md", "docs/pic.png", "notes.txt", "docs/deep/a.CSS"):
        (tmp_path / passed_over).parent.mkdir(exist_ok=True)
        (tmp_path / passed_over).write_bytes(b"no")
    bundle = read_folder(tmp_path)
    assert bundle.files == project_files()
    found = settings_of(bundle)
    assert sorted(documents(bundle, found)) == ["docs/deep/repairs.html", "docs/returns.md"]
    assert prompt_of(bundle, found)[0] == "prompts/answer.md"


def test_a_zip_carries_a_bundle_and_is_always_the_same(tmp_path: Path) -> None:
    bundle = read_folder(write_project(tmp_path))
    assert from_zip(to_zip(bundle)) == bundle
    assert to_zip(bundle) == to_zip(Bundle(dict(reversed(list(bundle.files.items())))))


@pytest.mark.parametrize(
    ("toml", "param", "says"),
    [
        (TOML.replace("prompts/answer.md", "prompts/ghost.md"), "app.prompt", "ghost.md"),
        (TOML.replace("prompts/answer.md", "../answer.md"), "app.prompt", "within the project"),
        (TOML.replace("prompts/answer.md", "."), "app.prompt", "no file"),
        (TOML.replace("prompts/answer.md", ""), "app.prompt", "within the project"),
        (TOML.replace('"docs"', '"/etc"'), "knowledge.handbook.sources[0]", "within the project"),
        (TOML.replace('"docs"', '"docs/../.."'), "knowledge.handbook.sources[0]", "within the project"),
        (TOML.replace('"docs"', '"ghost"'), "knowledge.handbook.sources[0]", "ghost"),
        (TOML.replace('"docs"', '"docs", "empty"'), "knowledge.handbook.sources[1]", "no documents"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, toml: str, param: str, says: str) -> None:
    write_project(tmp_path, project_files(toml=toml))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match=r"rondo\.toml") as caught:
        read_folder(tmp_path)
    assert caught.value.param == param
    assert says in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("source", ["./docs/", "docs/returns.md", "."])
def test_sources_may_be_files_and_the_whole_project(tmp_path: Path, source: str) -> None:
    write_project(tmp_path, project_files(toml=TOML.replace('"docs"', f'"{source}"')))
    bundle = read_folder(tmp_path)
    assert "docs/returns.md" in documents(bundle, settings_of(bundle))
    assert not {"rondo.toml", "prompts/answer.md"} & set(documents(bundle, settings_of(bundle)))


def test_an_app_without_knowledge_takes_no_documents(tmp_path: Path) -> None:
    write_project(tmp_path, project_files(toml=TOML.replace('knowledge = "handbook"', "")))
    assert sorted(read_folder(tmp_path).files) == ["prompts/answer.md", "rondo.toml"]


def test_a_document_that_cannot_be_read_is_not_left_out_silently(tmp_path: Path) -> None:
    write_project(tmp_path)
    (tmp_path / "docs/terms.pdf").write_bytes(b"%PDF")
    with pytest.raises(SettingsError, match=r"docs/terms\.pdf"):
        read_folder(tmp_path)


@pytest.mark.parametrize("what", ["file", "folder", "prompt", "source", "nowhere", "circle", "self"])
def test_links_out_of_the_project_are_refused(tmp_path: Path, what: str) -> None:
    project, outside = write_project(tmp_path / "project"), tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.md").write_bytes(b"secret")
    if what == "file":
        (project / "docs/a.md").symlink_to(outside / "secret.md")
    elif what == "folder":
        (project / "docs/a").symlink_to(outside)
    elif what == "prompt":
        (project / "prompts/answer.md").unlink()
        (project / "prompts/answer.md").symlink_to(outside / "secret.md")
    elif what == "source":
        (project / "docs").rename(project / "old")
        (project / "docs").symlink_to(outside)
    elif what == "nowhere":
        (project / "docs/a.md").symlink_to(project / "docs/ghost.md")
    elif what == "circle":
        (project / "docs/deep/a").symlink_to(project / "docs")
    else:
        (project / "docs/a.md").symlink_to(project / "docs/a.md")
    with pytest.raises(SettingsError) as caught:
        read_folder(project)
    assert caught.value.remedy


def test_links_within_the_project_are_followed(tmp_path: Path) -> None:
    write_project(tmp_path)
    (tmp_path / "docs/again.md").symlink_to("returns.md")
    (tmp_path / "docs/more").symlink_to("deep")
    files = read_folder(tmp_path).files
    assert files["docs/again.md"] == files["docs/returns.md"]
    assert "docs/more/repairs.html" in files


def test_a_pipe_is_no_document(tmp_path: Path) -> None:
    write_project(tmp_path)
    os.mkfifo(tmp_path / "docs/pipe.md")
    with pytest.raises(SettingsError, match=r"docs/pipe\.md"):
        read_folder(tmp_path)


def test_a_folder_has_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_project(tmp_path)
    monkeypatch.setattr(bundles, "MAX_FILES", 3)
    with pytest.raises(InvalidRequest, match="more than 3 files"):
        read_folder(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(bundles, "MAX_BYTES", sum(map(len, project_files().values())) - 1)
    with pytest.raises(InvalidRequest, match="larger"):
        read_folder(tmp_path)
    monkeypatch.setattr(bundles, "MAX_BYTES", sum(map(len, project_files().values())))
    read_folder(tmp_path)


@pytest.mark.parametrize(
    "name", ["/etc/x.md", "../x.md", "a/../x.md", "a//x.md", "./x.md", "a\\x.md", "C:x.md", "a\nx.md", "x" * 501]
)
def test_paths_out_of_the_bundle_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="path") as caught:
        from_zip(zipped([(name, b"x")]))
    assert caught.value.param == "bundle"


def test_duplicates_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="twice"):
        from_zip(zipped([("a.md", b"1"), ("a.md", b"2")]))


def test_links_in_a_zip_are_refused() -> None:
    info = zipfile.ZipInfo("a.md")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(InvalidRequest, match="regular"):
        from_zip(zipped([(info, b"/etc/passwd")]))


def test_other_packings_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="unusual"):
        from_zip(zipped([("a.md", b"x" * 100)], zipfile.ZIP_LZMA))


def test_bombs_are_refused_by_the_bytes_that_come_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MAX_BYTES", 100_000)
    assert len(from_zip(zipped([("a.md", bytes(100_000))])).files) == 1
    for entries in ([("a.md", bytes(100_001))], [(f"{number}.md", bytes(60_000)) for number in range(2)]):
        with pytest.raises(InvalidRequest, match="larger"):
            from_zip(zipped(entries))


def test_a_zip_that_lies_about_sizes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = zipped([("a.md", bytes(100_000))])
    size = (100_000).to_bytes(4, "little")
    assert honest.count(size) == 2
    with pytest.raises(InvalidRequest):
        from_zip(honest.replace(size, (10).to_bytes(4, "little")))
    monkeypatch.setattr(bundles, "MAX_BYTES", 99_999)
    with pytest.raises(InvalidRequest):
        from_zip(honest.replace(size, (2**31).to_bytes(4, "little")))


def test_too_many_files_are_refused_before_they_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MAX_FILES", 10)
    assert len(from_zip(zipped([(f"{number}.md", b"") for number in range(10)])).files) == 10
    for count in (11, 100):
        with pytest.raises(InvalidRequest, match="more than 10 files"):
            from_zip(zipped([(f"{number}.md", b"") for number in range(count)]))


def test_a_bundle_without_settings_or_prompt_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"rondo\.toml"):
        settings_of(Bundle({}))
    found = settings_of(Bundle(project_files()))
    with pytest.raises(SettingsError, match=r"app\.prompt"):
        prompt_of(Bundle({}), found)
    with pytest.raises(SettingsError, match="line 2"):
        prompt_of(Bundle({"prompts/answer.md": b"# user\n\xff"}), found)
    with pytest.raises(SettingsError, match="no documents"):
        documents(Bundle({"docs/.hidden.md": b"x", "docsx/a.md": b"x"}), found)


WHOLE = to_zip(Bundle(project_files()))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_broken_zips_are_refused_and_never_crash(data: st.DataObject) -> None:
    broken = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(broken)))
    with suppress(InvalidRequest):
        from_zip(bytes(broken[cut:] if data.draw(st.booleans()) else broken[: len(broken) - cut]))


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        from_zip(data)
