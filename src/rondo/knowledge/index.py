"""Makes an index version: an immutable directory, named by the hash of what it holds.

    <root>/<version>/manifest.json   settings, documents and their hashes
                     chunks.jsonl    one Passage per line
                     chunks.at       where each line begins, as little-endian 64-bit numbers, and the end
                     bm25/           the search index (tantivy)

It is written beside its place and renamed, so it is whole or not there. The same documents and settings give the
same version, and no work; of changed documents only the changed ones are parsed. Nothing is ever deleted here, so a
failed build leaves every earlier version as it was.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from rondo.errors import CorruptData, NotFound, SettingsError
from rondo.knowledge import bm25
from rondo.knowledge.chunk import chunks_of
from rondo.knowledge.model import DocumentEntry, IndexVersion, Manifest, Passage
from rondo.knowledge.parse import is_asset, parse

if TYPE_CHECKING:  # the gateway opens indexes, and needs no settings for it
    from rondo.settings.tables import KnowledgeSettings

FORMAT = 1  # of the directory, and of everything that decides what chunks a document becomes

_BUILDING = ".building-"


def build(
    documents: Mapping[str, bytes],
    settings: KnowledgeSettings,
    root: Path,
    *,
    name: str,
    previous: str | None = None,
) -> IndexVersion:
    """The index of `documents` (path within the project -> bytes) in `root`, made unless it is there already.

    `previous` is an earlier version whose chunks of unchanged documents are taken over. Raises SettingsError naming
    the file that cannot be read, or the knowledge `name` where there is nothing to index.
    """
    skipped = tuple(sorted(source for source in documents if is_asset(source)))
    wanted = {source: documents[source] for source in sorted(documents) if not is_asset(source)}
    passages, entries, reused = _passages(wanted, settings, _previous(root, previous, settings))
    if not passages:
        raise SettingsError(
            "the documents hold no text." if wanted else "the sources hold no documents.",
            file="rondo.toml",
            param=f"knowledge.{name}.sources",
            remedy="Name files or folders with .md, .html or .txt files.",
        )
    lines = [msgspec.json.encode(passage) for passage in passages]
    manifest = Manifest(
        format=FORMAT,
        version=_version(lines, settings),
        chunk_chars=settings.chunk_chars,
        overlap_chars=settings.overlap_chars,
        chunks=len(passages),
        documents=entries,
    )
    made = not (root / manifest.version).is_dir()
    if made:
        _write(root, manifest, passages, lines)
    return IndexVersion(
        name=name,
        version=manifest.version,
        documents=len(entries),
        chunks=len(passages),
        bytes=sum(entry.bytes for entry in entries.values()),
        reused=reused,
        skipped=skipped,
        made=made,
    )


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the index version in `folder`. Raises NotFound, CorruptData."""
    try:
        manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(
            f"The index version {folder.name[:12]} is not on this machine.", remedy="Build it again: `rondo release`."
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise _corrupt(folder, f"its manifest cannot be read ({error})") from None
    if manifest.format != FORMAT:
        raise _corrupt(folder, f"it has format {manifest.format}, and this Rondo reads format {FORMAT}")
    if manifest.version != folder.name:
        raise _corrupt(folder, "its manifest belongs to another version")
    return manifest


def read_passages(folder: Path) -> list[Passage]:
    """All chunks of an index version, in order. Raises NotFound, CorruptData."""
    manifest = read_manifest(folder)
    try:
        data = (folder / "chunks.jsonl").read_bytes()
        passages = [msgspec.json.decode(line, type=Passage) for line in data.splitlines()]
    except (OSError, msgspec.DecodeError) as error:
        raise _corrupt(folder, f"its chunks cannot be read ({error})") from None
    if len(passages) != manifest.chunks:
        raise _corrupt(folder, f"it holds {len(passages)} chunks instead of {manifest.chunks}")
    return passages


def verify(folder: Path) -> Manifest:
    """Compute the hash of an index version again. Raises NotFound, CorruptData where it differs from its name."""
    manifest = read_manifest(folder)
    settings = _Sizes(chunk_chars=manifest.chunk_chars, overlap_chars=manifest.overlap_chars)
    try:
        lines = (folder / "chunks.jsonl").read_bytes().splitlines()
    except OSError as error:
        raise _corrupt(folder, f"its chunks cannot be read ({error})") from None
    if _version(lines, settings) != manifest.version:
        raise _corrupt(folder, "its chunks are not those it was made with")
    return manifest


class _Sizes(msgspec.Struct, frozen=True, kw_only=True):
    chunk_chars: int
    overlap_chars: int


class _Old:
    """The chunks of an earlier version by document, for those that have not changed."""

    def __init__(self, manifest: Manifest | None, passages: list[Passage]) -> None:
        self._entries = manifest.documents if manifest else {}
        self._starts: dict[str, int] = {}
        self._passages = passages
        start = 0
        for source, entry in self._entries.items():
            self._starts[source] = start
            start += entry.chunks

    def get(self, source: str, digest: str) -> list[Passage] | None:
        entry = self._entries.get(source)
        if entry is None or entry.sha256 != digest:
            return None
        start = self._starts[source]
        return self._passages[start : start + entry.chunks]


def _passages(
    documents: Mapping[str, bytes], settings: KnowledgeSettings, old: _Old
) -> tuple[list[Passage], dict[str, DocumentEntry], int]:
    """All chunks, an entry per document, and how many documents were taken over from `old`."""
    passages: list[Passage] = []
    entries: dict[str, DocumentEntry] = {}
    reused = 0
    for source, data in documents.items():
        digest = hashlib.sha256(data).hexdigest()
        kept = old.get(source, digest)
        if kept is None:
            document = parse(source, data)
            kept = chunks_of(document, chunk_chars=settings.chunk_chars, overlap_chars=settings.overlap_chars)
        else:
            reused += 1
        entries[source] = DocumentEntry(sha256=digest, bytes=len(data), chunks=len(kept))
        passages += kept
    return passages, entries, reused


def _previous(root: Path, version: str | None, settings: KnowledgeSettings) -> _Old:
    """An earlier version as far as it can be used; one that is gone, damaged or cut differently is not."""
    if version is None:
        return _Old(None, [])
    try:
        manifest = verify(root / version)
        if (manifest.chunk_chars, manifest.overlap_chars) != (settings.chunk_chars, settings.overlap_chars):
            return _Old(None, [])
        return _Old(manifest, read_passages(root / version))
    except (NotFound, CorruptData):
        return _Old(None, [])


def _version(lines: list[bytes], settings: KnowledgeSettings | _Sizes) -> str:
    digest = hashlib.sha256(
        b'{"chunk_chars":%d,"format":%d,"overlap_chars":%d}\n' % (settings.chunk_chars, FORMAT, settings.overlap_chars)
    )
    for line in lines:
        digest.update(line)
        digest.update(b"\n")
    return digest.hexdigest()


def _write(root: Path, manifest: Manifest, passages: list[Passage], lines: list[bytes]) -> None:
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=root))
    try:
        bm25.write(folder / "bm25", passages)
        starts = array("Q", [0])
        for line in lines:
            starts.append(starts[-1] + len(line) + 1)
        if sys.byteorder == "big":
            starts.byteswap()
        _put(folder / "chunks.jsonl", b"".join(line + b"\n" for line in lines))
        _put(folder / "chunks.at", starts.tobytes())
        _put(folder / "manifest.json", msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        folder.chmod(0o755)
        _sync_folder(folder)
        try:
            folder.rename(root / manifest.version)
        except OSError:
            if not (root / manifest.version).is_dir():  # else another process was faster, with the same content
                raise
        _sync_folder(root)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _corrupt(folder: Path, what: str) -> CorruptData:
    return CorruptData(
        f"The index version {folder.name[:12]} is damaged: {what}.",
        remedy=f"Delete the folder {folder} and build it again: `rondo release`.",
    )
