"""Finds the chunks that fit a question in one index version.

Opened once and used by every request: the chunks stay in the file (memory-mapped) and only those that are found are
read. Nothing here writes, and nothing here knows of the catalog.
"""

from __future__ import annotations

import mmap
import sys
from array import array
from pathlib import Path

import msgspec

from rondo.errors import CorruptData
from rondo.knowledge import bm25
from rondo.knowledge.index import read_manifest
from rondo.knowledge.model import Manifest, Passage
from rondo.records import Chunk


class Index:
    """An index version, open. Safe to share between threads; `close` when no request uses it any more."""

    def __init__(self, folder: Path) -> None:
        """`folder` is `<root>/<version>`. Raises NotFound where it is not there, CorruptData where it is damaged."""
        self.manifest: Manifest = read_manifest(folder)
        self.version = self.manifest.version
        try:
            self._starts = array("Q", (folder / "chunks.at").read_bytes())
            with (folder / "chunks.jsonl").open("rb") as file:
                self._chunks = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._searcher = bm25.Searcher(folder / "bm25")
        except (OSError, ValueError) as error:
            raise self._corrupt(folder, str(error)) from None
        if sys.byteorder == "big":
            self._starts.byteswap()
        counts = {self.manifest.chunks, len(self._starts) - 1, len(self._searcher)}
        if len(counts) != 1 or self._starts[-1] != len(self._chunks):
            raise self._corrupt(folder, "its files do not fit together")
        self._decoder = msgspec.json.Decoder(Passage)

    def search(self, query: str, k: int) -> list[Chunk]:
        """The `k` best chunks for a question, best first, numbered from 1; none where no word of it is known.

        `score` is BM25 and comparable only within one answer. `query` is never syntax. Raises CorruptData.
        """
        return [
            self._chunk(position, number, score)
            for position, (number, score) in enumerate(self._searcher.search(query, k), 1)
        ]

    def close(self) -> None:
        self._chunks.close()

    def _chunk(self, position: int, number: int, score: float) -> Chunk:
        try:
            passage = self._decoder.decode(self._chunks[self._starts[number] : self._starts[number + 1]])
        except msgspec.DecodeError as error:
            raise CorruptData(
                f"The index version {self.version[:12]} is damaged: chunk {number} cannot be read ({error}).",
                remedy="Delete its folder and build it again: `rondo release`.",
            ) from None
        return Chunk(
            number=position,
            id=passage.id,
            source=passage.source,
            title=passage.title,
            heading=passage.heading,
            text=passage.text,
            score=score,
        )

    @staticmethod
    def _corrupt(folder: Path, what: str) -> CorruptData:
        return CorruptData(
            f"The index version {folder.name[:12]} is damaged: {what}.",
            remedy=f"Delete the folder {folder} and build it again: `rondo release`.",
        )


def open_index(root: Path, version: str) -> Index:
    """The index version `version` in `root`. Raises NotFound, CorruptData."""
    return Index(root / version)
