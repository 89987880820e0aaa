"""Turns a file into a document: a title, and sections with the path of headings above them.

Markdown, HTML and plain text. Whatever the format, sections hold Markdown, so that tables, lists and code look the
same to everything after this. A file that should be a document and cannot be read is an error, never skipped:
an index that is silently incomplete gives wrong answers. Pure.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from rondo.errors import SettingsError
from rondo.knowledge.model import Document, Section
from rondo.providers.sentences import plain

MAX_BYTES = 64_000_000

MARKDOWN = frozenset({".md", ".markdown", ".mdx"})
HTML = frozenset({".html", ".htm", ".xhtml"})
TEXT = frozenset({".txt", ".text", ".rst", ".adoc"})

# What lies beside documents and is none: it is passed over, and the index says so.
_ASSETS = frozenset(
    ".avif .bmp .css .eot .gif .ico .jpeg .jpg .js .map .mp3 .mp4 .otf .png .svg .ttf .wav .webm .webp "
    ".woff .woff2".split()
)

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
# No pattern may take long for long lines: nothing optional stands between "anything" and the end.
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
_CLOSING = re.compile(r"(?:^|[ \t])#+$")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_NO_PARAGRAPH = re.compile(r"\s*(?:$|[-*+>|#]|\d+[.)]\s|`{3}|~{3})|.*\|")
_FENCED = re.compile(r"(^ {0,3}(?:`{3,}|~{3,}).*?(?:^ {0,3}(?:`{3,}|~{3,})[ \t]*$|\Z))", flags=re.DOTALL | re.MULTILINE)
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_FRONT_TITLE = re.compile(r"^title:(.*)$", re.MULTILINE)


def is_asset(source: str) -> bool:
    """Whether a file is, by its name, something that lies beside documents: a picture, a style, a hidden file."""
    path = PurePosixPath(source)
    return path.suffix.lower() in _ASSETS or any(part.startswith(".") for part in path.parts)


def parse(source: str, data: bytes) -> Document:
    """The document in `data`; `source` is its path within the project. Raises SettingsError, which names it."""
    suffix = PurePosixPath(source).suffix.lower()
    if len(data) > MAX_BYTES:
        raise SettingsError(
            f"a document has at most {MAX_BYTES // 1_000_000} MB.", file=source, remedy="Split it into several files."
        )
    if suffix in HTML:
        from rondo.knowledge.html import parse_html

        return parse_html(source, data)
    if suffix not in MARKDOWN and suffix not in TEXT:
        kinds = ", ".join(sorted(MARKDOWN | HTML | TEXT))
        raise SettingsError(
            f"this kind of file cannot be read as a document. Allowed: {kinds}.",
            file=source,
            remedy="Convert it, or move it out of the knowledge's sources.",
        )
    text = decode(source, data)
    return parse_markdown(source, text) if suffix in MARKDOWN else parse_text(source, text)


def decode(source: str, data: bytes) -> str:
    """UTF-8 with Unix line ends and no NUL. Raises SettingsError with the place of the first wrong byte."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"line {line} is not UTF-8.", file=source, remedy="Save the file as UTF-8.") from None
    return clean(text)


def clean(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def parse_text(source: str, text: str) -> Document:
    body = text.strip()
    sections = (Section("", body),) if body else ()
    return Document(source=source, title=title_from_name(source), sections=sections)


def parse_markdown(source: str, text: str) -> Document:
    """Sections at every heading (`#` or underlined) outside of code fences; comments and front matter are dropped."""
    title = ""
    matter = _FRONT_MATTER.match(text)
    if matter:
        found = _FRONT_TITLE.search(matter[1])
        title = _unquoted(found[1].strip()) if found else ""
        text = text[matter.end() :]
    outline = Outline()
    fence: str | None = None
    for line in _without_comments(text).split("\n"):
        mark = _FENCE.match(line)
        if mark and (fence is None or (mark[1].startswith(fence) and line.strip() == mark[1])):
            fence = mark[1] if fence is None else None
            outline.add(line)
            continue
        heading = _HEADING.match(line) if fence is None else None
        if heading:
            outline.heading(len(heading[1]), plain(_CLOSING.sub("", (heading[2] or "").rstrip()).rstrip()))
        elif fence is None and _UNDERLINE.match(line) and outline.lines and not _NO_PARAGRAPH.match(outline.lines[-1]):
            words = outline.lines.pop()
            outline.heading(1 if "=" in line else 2, plain(words))
        else:
            outline.add(line)
    return outline.document(source, title)


class Outline:
    """Collects lines under headings; both Markdown and HTML are read into one."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._path: list[tuple[int, str]] = []
        self._sections: list[tuple[tuple[str, ...], str]] = []
        self._first_title = ""

    def add(self, line: str) -> None:
        self.lines.append(line)

    def heading(self, level: int, words: str) -> None:
        self._close()
        while self._path and self._path[-1][0] >= level:
            self._path.pop()
        if words:
            self._path.append((level, words))
            if level == 1 and not self._first_title:
                self._first_title = words

    def document(self, source: str, title: str = "") -> Document:
        """`title` is used where there is no heading of the first level."""
        self._close()
        title = self._first_title or title or title_from_name(source)
        sections = tuple(
            Section(" > ".join(words for words in path if words != title), text) for path, text in self._sections
        )
        return Document(source=source, title=title, sections=sections)

    def _close(self) -> None:
        text = "\n".join(self.lines).strip("\n").rstrip()
        if text.strip():
            self._sections.append((tuple(words for _, words in self._path), text))
        self.lines = []


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] and text[0] in "'\"" else text


def title_from_name(source: str) -> str:
    words = re.sub(r"[-_]+", " ", PurePosixPath(source).stem).strip()
    return words[:1].upper() + words[1:]


def _without_comments(text: str) -> str:
    """Comments are for authors, and a place to hide text from them; those within code stay."""
    if "<!--" not in text:
        return text
    pieces = _FENCED.split(text)
    return "".join(piece if position % 2 else _cut_comments(piece) for position, piece in enumerate(pieces))


def _cut_comments(text: str) -> str:
    kept = []
    position = 0
    while (start := text.find("<!--", position)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        kept.append(text[position:start])
        position = end + 3
    return "".join([*kept, text[position:]])
