"""Takes Markdown apart into things that can be quoted: sentences, list items, table rows as sentences. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from rondo.providers.everyday import families, join_phrases

MAX_CHARS = 600  # of one quotable unit; longer ones are code, or no sentence

_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_RULE_CELL = re.compile(r":?-+:?")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,3}[.)])\s+(.*)")
_HEADING = re.compile(r"\s{0,3}#{1,6}\s")
_CELL = re.compile(r"(?<!\\)\|")
_END = re.compile(r"(?<=[.!?])[\"'”’)\]]{0,2}\s+(?=[\"'“‘(\[]?[A-Z0-9£$€])")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|approx|no|nr|mr|mrs|ms|dr|st|fig|sec)|\b[A-Z])\.$", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\]\[]*)\]\([^()]*(?:\([^()]*\)[^()]*)*\)")
_MARKS = re.compile(r"(?<!\w)[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}(?!\w)")
_WORD = re.compile(r"[^\W_]+")
_DIGIT = re.compile(r"\d")


def sentences(text: str) -> Iterator[str]:
    """The quotable units of a chunk's Markdown, in reading order."""
    paragraph: list[str] = []
    header: list[str] | None = None
    lines = text.split("\n")
    fenced = False
    for position, line in enumerate(lines):
        if _FENCE.match(line):
            fenced = not fenced
        item = _ITEM.match(line)
        is_row = "|" in line and not fenced
        starts_table = is_row and position + 1 < len(lines) and is_table_rule(lines[position + 1])
        if fenced or _FENCE.match(line) or not line.strip() or item or starts_table or (header and is_row):
            yield from _of_paragraph(paragraph)
            paragraph = []
        if fenced or _FENCE.match(line) or not line.strip() or _HEADING.match(line):
            header = None
        elif starts_table:
            header = _cells(line)
        elif header is not None and is_row:
            if not is_table_rule(line):
                yield from _of_row(header, _cells(line))
        else:
            header = None
            paragraph.append(item[1] if item else line.strip())
    yield from _of_paragraph(paragraph)


def is_table_rule(line: str) -> bool:
    """Whether a line is the one below a table's header: `| --- | :-: |`."""
    return "|" in line and not line.strip("|:- \t") and all(_RULE_CELL.fullmatch(cell) for cell in _rule_cells(line))


def _rule_cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def _of_paragraph(lines: list[str]) -> Iterator[str]:
    text = plain(" ".join(lines))
    start = 0
    for match in _END.finditer(text):
        if not _ABBREVIATION.search(text, start, match.start()):
            yield from _bounded(text[start : match.end()])
            start = match.end()
    yield from _bounded(text[start:])


def _of_row(header: list[str], cells: list[str]) -> Iterator[str]:
    """`Plan: Care Plus; Price per month: £11.`"""
    pairs = [
        f"{label}: {cell}" if label else cell
        for label, cell in zip([*header, *[""] * len(cells)], cells, strict=False)
        if cell
    ]
    if pairs:
        yield from _bounded("; ".join(pairs) + ".")


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return [plain(cell.replace("\\|", "|")) for cell in _CELL.split(inner)]


def _bounded(text: str) -> Iterator[str]:
    text = text.strip()
    if text and len(text) <= MAX_CHARS and _WORD.search(text):
        yield text


def plain(text: str) -> str:
    """Without links and emphasis, on one line."""
    return " ".join(_MARKS.sub("", _LINK.sub(r"\1", text)).split())


def words(text: str) -> list[str]:
    """What the words that carry meaning stand for, in order: the stem, or the first of its family of synonyms."""
    joined = join_phrases(text.lower().replace("'", "").replace("’", ""))
    return [_meaning(word) for word in _WORD.findall(joined) if word not in STOPS]


@lru_cache(maxsize=16_384)
def _meaning(word: str) -> str:
    stemmed = stem(word)
    return _families().get(stemmed, stemmed)


@lru_cache(maxsize=1)
def _families() -> dict[str, str]:
    """Stem -> the stem that speaks for its family; families that share a word are one."""
    speaker: dict[str, str] = {}
    for family in families():
        stems = [stem(word) for word in family]
        known = {speaker[each] for each in stems if each in speaker}
        first = min(known, default=stems[0])
        for each, spoken in list(speaker.items()):
            if spoken in known:
                speaker[each] = first
        speaker |= dict.fromkeys(stems, first)
    return speaker


def count_words(text: str) -> int:
    """Words and marks of punctuation."""
    return len(_TOKENS.findall(text))


_TOKENS = re.compile(r"[^\W_]+|[^\s\w]|_+")


def has_number(text: str) -> bool:
    return _DIGIT.search(text) is not None


def stem(word: str) -> str:
    """A light English stem: plural, -ing, -ed, -ly; what it leaves need not be a word."""
    if len(word) <= 3 or not word.isascii() or word[0].isdigit():
        return word
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh")):
        if word.endswith(ending):
            return word[: -len(ending)] + instead
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and re.search("[aeiouy]", word[: -len(ending)]):
            word = word[: -len(ending)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


_LITTLE_WORDS = """
    a about after again all also am an and any are as at be been being but by can cannot cant could d did do does
    doesnt doing done dont down each else ever every few for from further get gets getting give given go going got
    had has have having he her here hers him his how i id if ill im in into is isnt it its itself ive just know
    let like ll lot m many may me might mine more most much must my need no nor not now of off ok on once one only
    or other our ours out over own per please put quite re really s same shall she should so some still such t
    take tell than thank thanks that thats the their theirs them then there these they thing things this those to
    too under until up us use very want was we were what whats when where which while who whom whose why will with
    wont would you your yours
"""
STOPS = frozenset(_LITTLE_WORDS.split())
