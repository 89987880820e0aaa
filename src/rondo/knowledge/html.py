"""Reads the words of a web page into sections, and leaves its furniture out.

Dropped: scripts, styles, forms, navigation, page headers and footers, and what the page hides. Kept: headings,
paragraphs, lists, definition lists, tables (as Markdown rows, with spanned cells repeated) and preformatted text.
Walks with a stack of its own, so deep nesting is no recursion. Pure.
"""

from __future__ import annotations

import codecs
import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from rondo.errors import SettingsError
from rondo.knowledge.model import Document
from rondo.knowledge.parse import Outline, clean, decode

_DROPPED = frozenset(
    "script style noscript template iframe object embed svg math canvas audio video form button select input textarea "
    "nav footer aside dialog head title link meta".split()
)
_DROPPED_ROLES = frozenset({"navigation", "banner", "contentinfo", "search", "complementary", "dialog"})
_DROPPED_CLASSES = frozenset(
    "navheader navfooter navbar breadcrumb breadcrumbs sidebar toc skip-link cookie-banner headerlink".split()
)
_ADMONITIONS = frozenset("note tip warning caution important danger admonition callout".split())
_BLOCKS = frozenset(
    "address article blockquote body center dd details div dl dt fieldset figcaption figure header hr html li main ol "
    "p section summary table tbody td tfoot th thead tr ul caption".split()
)
_LEVELS = {f"h{level}": level for level in range(1, 7)}
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{2,30})", re.IGNORECASE)
_SAFE_CHARSET = re.compile(
    r"utf-?8|us-ascii|ascii|latin-?1|iso-8859-\d{1,2}|windows-125\d|koi8-[ru]|shift_jis|euc-(?:jp|kr)|gb2312|gbk|gb18030|big5",
    re.IGNORECASE,
)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]*)")
# Tags that are never closed, or need not be: they say nothing about depth.
_NOT_NESTING = frozenset(
    "area base br col embed hr img input link meta param source track wbr li dt dd p tr td th thead tbody tfoot option "
    "colgroup rt rp html head body".split()
)
_MAX_DEPTH = 2000
_MAX_COLUMNS = 100
_MAX_SPAN = 1000
_FREE_REPEATS = 100_000


def parse_html(source: str, data: bytes) -> Document:
    """The document in an HTML page. Raises SettingsError where its bytes are no text, or for absurd nesting."""
    text = _decode(source, data)
    if _depth(text) > _MAX_DEPTH:
        raise SettingsError(f"its elements are nested more than {_MAX_DEPTH:,} deep.", file=source)
    tree = LexborHTMLParser(text)
    title_node = tree.css_first("head > title")
    title = _words(title_node.text()) if title_node is not None else ""
    mains = tree.css("main, [role=main]")
    root = mains[0] if len(mains) == 1 else tree.body
    outline = Outline()
    if root is not None:
        _Walk(outline, _tables_around_tables(root)).through(root)
    return outline.document(source, title)


def _decode(source: str, data: bytes) -> str:
    """By the page's own declaration, else as UTF-8."""
    found = _CHARSET.search(data[:2048])
    name = found[1].decode("ascii") if found else "utf-8"
    if _SAFE_CHARSET.fullmatch(name) and codecs.lookup(name).name != "utf-8":
        return clean(data.decode(name, errors="replace"))
    return decode(source, data)


def _depth(text: str) -> int:
    """About how deep the elements are nested; the time of the parser grows with the square of it."""
    depth = deepest = 0
    for closing, tag in _TAG.findall(text):
        if tag.lower() not in _NOT_NESTING:
            depth = max(depth - 1, 0) if closing else depth + 1
            deepest = max(deepest, depth)
    return deepest


class _Walk:
    """Goes through the tree once; text gathers in `words` until a block begins or ends."""

    def __init__(self, outline: Outline, layouts: set[int]) -> None:
        self.outline = outline
        self.layouts = layouts
        self.words: list[str] = []
        self.prefix = ""  # a list item's bullet, waiting for the item's first words
        self.lists: list[int] = []  # per open list: 0 for bullets, else the next number
        self.term = ""  # what a definition list defines, waiting for the definition
        self.aside = 0  # depth within notes, whose titles head no section

    def through(self, root: LexborNode) -> None:
        stack: list[tuple[LexborNode, bool]] = [(root, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                self.leave(node)
            elif self.enter(node):
                stack.append((node, True))
                child = node.last_child
                while child is not None:
                    stack.append((child, False))
                    child = child.prev
        self.settle()

    def enter(self, node: LexborNode) -> bool:
        """Whether to go into the node."""
        tag = node.tag
        if tag == "-text":
            self.words.append(node.text_content or "")
            return False
        if tag is None or tag.startswith(("-", "!")) or _is_dropped(node):
            return False
        if tag in _LEVELS and not self.aside:
            self.settle()
            self.outline.heading(_LEVELS[tag], _visible_words(node))
            return False
        if tag == "pre":
            self.settle()
            self.code(node)
            return False
        if tag == "table":
            self.settle()
            return not self.table(node)
        if tag == "br":
            self.words.append(" ")
        elif tag in _BLOCKS or tag in _LEVELS:
            self.flush()
            self.open(node, tag)
        return True

    def open(self, node: LexborNode, tag: str) -> None:
        if tag in ("ul", "ol"):
            self.lists.append(0 if tag == "ul" else 1)
        elif tag == "li" and self.lists:
            number = self.lists[-1]
            self.prefix = f"{number}. " if number else "- "
            self.lists[-1] += 1 if number else 0
        elif _classes(node) & _ADMONITIONS:
            self.aside += 1

    def leave(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag not in _BLOCKS and tag not in _LEVELS:
            return
        if tag == "dt":
            words = _words("".join(self.words))
            self.words = []
            self.term = f"{self.term}, {words}" if self.term and words else self.term or words
            return
        if tag in _LEVELS and self.words:
            self.words.append(":")
        self.flush() if tag != "dl" else self.settle()
        self.prefix = ""
        if tag in ("ul", "ol"):
            self.lists.pop()
        elif tag != "li" and _classes(node) & _ADMONITIONS:
            self.aside -= 1

    def settle(self) -> None:
        """Write what is gathered, and a term whose definition does not begin with text."""
        self.flush()
        if self.term:
            self.words, self.term = [self.term], ""
            self.prefix = "- "
            self.flush()

    def flush(self) -> None:
        words = _words("".join(self.words))
        self.words = []
        if not words:
            return
        if self.term:
            words, self.term, self.prefix = f"{self.term}: {words}", "", "- "
        lines = self.outline.lines
        indent = "  " * min(max(len(self.lists) - 1, 0), 8)
        if self.prefix:
            if lines and lines[-1] and not re.match(r"\s*(?:- |\d+\. )", lines[-1]):
                self.outline.add("")
            self.outline.add(f"{indent}{self.prefix}{words}")
            self.prefix = ""
        elif self.lists and lines and lines[-1]:
            self.outline.add(f"{indent}  {words}")
        else:
            if lines and lines[-1]:
                self.outline.add("")
            self.outline.add(words)
            self.outline.add("")

    def code(self, node: LexborNode) -> None:
        text = (node.text(deep=True) or "").strip("\n").rstrip()
        if not text.strip():
            return
        longest = max((len(ticks) for ticks in re.findall(r"`{3,}", text)), default=2)
        fence = "`" * (longest + 1)
        if self.outline.lines and self.outline.lines[-1]:
            self.outline.add("")
        for line in (fence, *text.split("\n"), fence, ""):
            self.outline.add(line)

    def table(self, node: LexborNode) -> bool:
        """Writes a table of data; False for one that only lays things out (nested, or of a single column)."""
        if node.mem_id in self.layouts:
            return False
        rows = _grid(node)
        width = max((len(cells) for _, cells in rows), default=0)
        if width < 2:
            return False
        caption = node.css_first("caption")
        if caption is not None and (words := _visible_words(caption)):
            self.outline.add(words)
        header = rows.pop(0)[1] if rows[0][0] else []
        if self.outline.lines and self.outline.lines[-1]:
            self.outline.add("")
        self.outline.add(_row(header, width))
        self.outline.add("|" + " --- |" * width)
        for _, cells in rows:
            self.outline.add(_row(cells, width))
        self.outline.add("")
        return True


def _tables_around_tables(root: LexborNode) -> set[int]:
    """The tables that hold another one: they lay things out."""
    found: set[int] = set()
    for table in root.css("table"):
        above = table.parent
        while above is not None and above.tag != "table":
            above = above.parent
        if above is not None:
            found.add(above.mem_id)
    return found


def _is_dropped(node: LexborNode) -> bool:
    tag = node.tag
    if tag in _DROPPED:
        return True
    attributes = node.attributes
    if not attributes:
        return tag == "header" and not _heads_article(node)
    if "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return True
    if attributes.get("role") in _DROPPED_ROLES or _HIDDEN_STYLE.search(attributes.get("style") or ""):
        return True
    return bool(_classes(node) & _DROPPED_CLASSES) or (tag == "header" and not _heads_article(node))


def _heads_article(node: LexborNode) -> bool:
    """A `header` within the content (it holds the title), not the page's banner."""
    parent = node.parent
    return parent is not None and parent.tag in ("article", "main", "section")


def _classes(node: LexborNode) -> set[str]:
    return set((node.attributes.get("class") or "").lower().split())


def _words(text: str) -> str:
    return " ".join(text.split())


def _visible_words(node: LexborNode) -> str:
    """The words in a node, without what is dropped, on one line."""
    found: list[str] = []
    stack = [node]
    while stack:
        each = stack.pop()
        if each.tag == "-text":
            found.append(each.text_content or "")
            continue
        if each is not node and (each.tag is None or each.tag.startswith(("-", "!")) or _is_dropped(each)):
            continue
        if each.tag in _BLOCKS or each.tag == "br":
            found.append(" ")
        child = each.last_child
        while child is not None:
            stack.append(child)
            child = child.prev
    return _words("".join(found))


def _grid(table: LexborNode) -> list[tuple[bool, list[str]]]:
    """Rows as (is a header, cells), spanned cells repeated where they reach.

    The repeats of all cells come to about ten times the table's own words at most; beyond that, cells stay empty.
    """
    rows: list[tuple[bool, list[str]]] = []
    room = _FREE_REPEATS
    below: dict[int, tuple[int, str]] = {}  # column -> rows it still spans, its words
    for row in table.css("tr"):
        nodes = [child for child in row.iter(include_text=False) if child.tag in ("td", "th")]
        header = bool(nodes) and (
            all(child.tag == "th" for child in nodes) or (row.parent is not None and row.parent.tag == "thead")
        )
        cells: list[str] = []
        for node in nodes:
            _fill(cells, below)
            words = _visible_words(node)
            down, across = _span(node, "rowspan"), _span(node, "colspan")
            wanted = len(words) * (down * across - 1)
            room += 10 * len(words)
            again = words if wanted <= room else ""
            room -= wanted if again else 0
            for position in range(min(across, _MAX_COLUMNS - len(cells))):
                if down > 1:
                    below[len(cells)] = (down - 1, again)
                cells.append(again if position else words)
        _fill(cells, below)
        if any(cells):
            rows.append((header, cells))
    return rows


def _fill(cells: list[str], below: dict[int, tuple[int, str]]) -> None:
    while (spanned := below.get(len(cells))) is not None:
        left, words = spanned
        if left > 1:
            below[len(cells)] = (left - 1, words)
        else:
            del below[len(cells)]
        cells.append(words)


def _span(node: LexborNode, name: str) -> int:
    text = node.attributes.get(name) or "1"
    return min(max(int(text), 1), _MAX_SPAN) if text.isascii() and text.isdigit() and len(text) < 9 else 1


def _row(cells: list[str], width: int) -> str:
    padded = [*cells, *([""] * (width - len(cells)))]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in padded) + " |"
