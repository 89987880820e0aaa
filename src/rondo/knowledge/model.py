"""Documents, the chunks made of them, and index versions: immutable directories, named by their hash."""

from __future__ import annotations

from msgspec import Struct


class Section(Struct, frozen=True):
    """A stretch of a document below one heading, as Markdown. `heading` is the path to it: `Billing > Refunds`."""

    heading: str
    text: str


class Document(Struct, frozen=True, kw_only=True):
    """A parsed document. `source` is its path within the project."""

    source: str
    title: str
    sections: tuple[Section, ...]


class Passage(Struct, frozen=True, kw_only=True):
    """A chunk as an index stores it. `id` is made of its source and what it says."""

    id: str
    source: str
    title: str
    heading: str
    text: str


class DocumentEntry(Struct, frozen=True, kw_only=True):
    """A document in a manifest: the SHA-256 of its bytes, their number, and how many chunks it became."""

    sha256: str
    bytes: int
    chunks: int


class Manifest(Struct, frozen=True, kw_only=True):
    """What `manifest.json` in an index directory says. Documents are in the order of their chunks."""

    format: int
    version: str
    chunk_chars: int
    overlap_chars: int
    chunks: int
    documents: dict[str, DocumentEntry]


class IndexVersion(Struct, frozen=True, kw_only=True):
    """An index that is on disk. `bytes` counts the documents; `reused` how many of them were not parsed again.

    `skipped` names the files that are no documents by their kind (pictures, styles, scripts); `made` says that it was
    not there before.
    """

    name: str
    version: str
    documents: int
    chunks: int
    bytes: int
    reused: int = 0
    skipped: tuple[str, ...] = ()
    made: bool = False


class StoredVersion(Struct, frozen=True, kw_only=True):
    """An index version as the catalog lists it. `created_at` is in microseconds since the epoch."""

    name: str
    version: str
    documents: int
    chunks: int
    bytes: int
    created_at: int
