"""Cuts a document into chunks of bounded size that can be understood alone.

Sections are cut on their own, so a chunk never mixes two headings, and each carries the path of headings. Running
text is cut where it hurts least (paragraph, sentence, word) and neighbours overlap a little. A table is cut between
rows and every piece keeps the header row; code is cut between lines and every piece is fenced again. Pure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from msgspec import Struct
from semantic_text_splitter import MarkdownSplitter, TextSplitter

from rondo.knowledge.model import Document, Passage
from rondo.providers.sentences import is_table_rule

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_SOFT_LIMIT = 100_000  # characters handed to the splitter at once: its time grows faster than its text


class Block(Struct, frozen=True):
    """A stretch of one kind within a section."""

    kind: Literal["text", "table", "code"]
    lines: list[str]


class Piece(Struct, frozen=True):
    """A part of a block that fits into a chunk. Pieces of one block are kept apart: they may overlap."""

    block: int
    text: str


def chunks_of(document: Document, *, chunk_chars: int, overlap_chars: int) -> list[Passage]:
    """A document's chunks in reading order, none longer than `chunk_chars`, none twice."""
    found: dict[str, Passage] = {}
    for section in document.sections:
        for text in cut(section.text, chunk_chars, overlap_chars):
            identity = "\0".join((document.source, document.title, section.heading, text))
            key = hashlib.sha256(identity.encode()).hexdigest()[:16]
            found[key] = Passage(
                id=key, source=document.source, title=document.title, heading=section.heading, text=text
            )
    return list(found.values())


def cut(text: str, chunk_chars: int, overlap_chars: int) -> list[str]:
    """The Markdown of one section, in pieces of at most `chunk_chars`."""
    if len(text) <= chunk_chars:
        return [text] if text.strip() else []
    pieces: list[Piece] = []
    for position, block in enumerate(blocks(text)):
        before = len(pieces[-1].text) + 2 if pieces else 0
        used = before if before <= chunk_chars // 3 else 0  # a short introduction shares a chunk with what follows
        pieces += [
            Piece(position, piece) for piece in _pieces(block, chunk_chars, overlap_chars, used) if piece.strip()
        ]
    return list(_packed(pieces, chunk_chars))


def blocks(text: str) -> Iterator[Block]:
    """Text, tables and fenced code, in order."""
    lines = text.split("\n")
    gathered: list[str] = []
    position = 0
    while position < len(lines):
        end = _end_of_code(lines, position) or _end_of_table(lines, position)
        if not end:
            gathered.append(lines[position])
            position += 1
            continue
        if gathered:
            yield Block("text", gathered)
            gathered = []
        yield Block("code" if _FENCE.match(lines[position]) else "table", lines[position:end])
        position = end
    if gathered:
        yield Block("text", gathered)


def _end_of_code(lines: list[str], start: int) -> int:
    """The line after the fence that closes the one at `start`; 0 where none opens there."""
    opening = _FENCE.match(lines[start])
    if opening is None:
        return 0
    for position in range(start + 1, len(lines)):
        closing = _FENCE.match(lines[position])
        if closing and closing[1].startswith(opening[1]) and lines[position].strip() == closing[1]:
            return position + 1
    return len(lines)


def _end_of_table(lines: list[str], start: int) -> int:
    """The line after the table that begins at `start` (a header row, a rule, rows); 0 where none does."""
    if "|" not in lines[start] or start + 1 >= len(lines):
        return 0
    if not is_table_rule(lines[start + 1]):
        return 0
    position = start + 2
    while position < len(lines) and "|" in lines[position]:
        position += 1
    return position


def _pieces(block: Block, chunk_chars: int, overlap_chars: int, used: int) -> Iterator[str]:
    if block.kind == "table":
        yield from _grouped(block.lines[2:], block.lines[:2], [], chunk_chars, used)
    elif block.kind == "code":
        closed = len(block.lines) > 1 and _FENCE.match(block.lines[-1]) is not None
        body = block.lines[1:-1] if closed else block.lines[1:]
        opening = _FENCE.match(block.lines[0])
        assert opening is not None
        yield from _grouped(body, block.lines[:1], [opening[1]], chunk_chars, used)
    else:
        yield from _split(MarkdownSplitter, "\n".join(block.lines), chunk_chars, overlap_chars)


def _grouped(lines: list[str], head: list[str], tail: list[str], chunk_chars: int, used: int) -> Iterator[str]:
    """Groups of lines, each with `head` before and `tail` after it, unless these take up more than half the room.

    The first one leaves `used` characters of its chunk free.
    """
    frame = sum(len(line) + 1 for line in (*head, *tail))
    if frame > chunk_chars // 2:
        yield from _split(TextSplitter, "\n".join((*head, *lines, *tail)), chunk_chars, 0)
        return
    group: list[str] = []
    size = frame + used
    for line in lines:
        if group and size + len(line) + 1 > chunk_chars:
            yield "\n".join((*head, *group, *tail))
            group, size = [], frame
        if frame + len(line) + 1 > chunk_chars:  # one line alone is too long
            for part in _split(TextSplitter, line, chunk_chars - frame - 1, 0):
                yield "\n".join((*head, part, *tail))
            continue
        group.append(line)
        size += len(line) + 1
    if group or not lines:
        yield "\n".join((*head, *group, *tail))


def _split(kind: type[MarkdownSplitter] | type[TextSplitter], text: str, chars: int, overlap: int) -> Iterator[str]:
    splitter = _splitter(kind is MarkdownSplitter, chars, overlap)
    for start, end in pairwise(_portions(text)):
        yield from splitter.chunks(text[start:end])


@lru_cache(maxsize=16)
def _splitter(markdown: bool, chars: int, overlap: int) -> MarkdownSplitter | TextSplitter:
    return MarkdownSplitter(chars, overlap=overlap) if markdown else TextSplitter(chars, overlap=overlap)


def _portions(text: str) -> list[int]:
    """Where to cut a huge text before it is split: after a blank line or, failing that, a line."""
    cuts = [0]
    while len(text) - cuts[-1] > _SOFT_LIMIT:
        start, end = cuts[-1], cuts[-1] + _SOFT_LIMIT
        found = max(text.rfind("\n\n", start + 1, end), text.rfind("\n", end - 10_000, end))
        cuts.append(found + 1 if found > start else end)
    return [*cuts, len(text)]


def _packed(pieces: list[Piece], chunk_chars: int) -> Iterator[str]:
    """Neighbouring pieces of different blocks together, as far as they fit: a table stays with its introduction."""
    current: list[Piece] = []
    size = 0
    for piece in pieces:
        fits = current and current[-1].block != piece.block and size + 2 + len(piece.text) <= chunk_chars
        if current and not fits:
            yield "\n\n".join(each.text for each in current)
            current, size = [], 0
        size += len(piece.text) + (2 if current else 0)
        current.append(piece)
    if current:
        yield "\n\n".join(each.text for each in current)
