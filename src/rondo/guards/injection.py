"""Signs that a text is out to take a model over: a score from 0 to 1, from phrases, marks, hidden and coded text.

These are heuristics. They catch what is often tried, in the languages listed here, and nothing that is put in fresh
words; docs/guards.md says how much. Each sign has a weight, and the score is how likely it is that not all of them
are chance. Only text that neither the developer nor the model wrote is looked at, and answers.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from rondo.guards.model import FOREIGN, NOTHING, Looked, Role, Text
from rondo.guards.patterns import Hints
from rondo.guards.signs import SIGNS, WEIGHTS

_ROLES: frozenset[Role] = FOREIGN | {"assistant"}
_TAGS = re.compile("\U0001f3f4[\U000e0020-\U000e007f]+|([\U000e0000-\U000e007f]+)")
_INVISIBLE = re.compile("[\u00ad\u200b\u2060-\u2064\ufeff\u180e]")
_BETWEEN_LETTERS = re.compile("(?<=[A-Za-z])[\u00ad\u200b-\u200d\u2060-\u2064\ufeff](?=[A-Za-z])")
_OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069]")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,4000}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}[ ]?){16,2000}")
_SPACED = re.compile(r"\b(?:[^\W\d_][ ._-]){4,60}[^\W\d_]\b")
_LETTERS = re.compile("[\u00c0-\u058f]")  # Latin with marks, Greek, Cyrillic, Armenian
_MARKS = re.compile("[\u0300-\u036f]")
_MOST_BLOBS = 8


class Injection:
    """The check `injection`."""

    def __init__(self, at_least: float) -> None:
        self._at_least = at_least

    def look(self, texts: Sequence[Text]) -> Looked:
        signs: set[str] = set()
        for text in texts:
            if text.role in _ROLES and text.value:
                signs |= signs_in(text.value)
        if not signs:
            return NOTHING
        certainty = score(signs)
        note = f"score {certainty:.2f}"
        if certainty < self._at_least:
            return Looked({}, note=note)
        return Looked(dict.fromkeys(sorted(signs), 1), note=note)


def score(signs: set[str]) -> float:
    """How likely it is that not all of the signs are chance."""
    chance = 1.0
    for sign in signs:
        chance *= 1 - WEIGHTS[sign]
    return 1 - chance


def signs_in(text: str) -> set[str]:
    """What speaks for an attack, by name."""
    signs: set[str] = set()
    plain = text
    if not text.isascii():
        signs |= _hidden(text)
        plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    plain_lower = plain.lower()
    found = _occurring(plain_lower)
    if not text.isascii() and (bare := _without_marks(plain_lower)) != plain_lower:
        signs |= _occurring(bare) - _CODED
    if "blob" in found and any(_occurring(said.lower()) - _CODED for said in _decoded(plain)):
        signs.add("encoded")
    if "spaced" in found and (together := _occurring(_SPACED.sub(_together, plain_lower)) - _CODED - found):
        signs |= {"hidden", *together}
    return (signs | found) - _CODED


_CODED = frozenset(("blob", "spaced"))
_CODES = (
    ("blob", r"[a-z0-9+/]{24}|(?:[0-9a-f]{2} ?){16}"),
    ("spaced", r"\b(?:\pL[ ._-]){4}\pL\b"),
)


@cache
def _hints() -> Hints:
    return Hints([expression for _, expression in (*SIGNS, *_CODES)])


def _occurring(text: str) -> set[str]:
    """Signs by their words, and codes that are worth a look; `text` is in small letters."""
    return {(*SIGNS, *_CODES)[number][0] for number in _hints().occurring(text)}


def _together(match: re.Match[str]) -> str:
    return match[0][::2]


def _hidden(text: str) -> set[str]:
    signs: set[str] = set()
    for match in _TAGS.finditer(text):
        if match[1]:  # not a flag
            signs.add("hidden")
            signs |= _occurring("".join(chr(ord(char) - 0xE0000) for char in match[1]).lower()) - _CODED
    if len(_BETWEEN_LETTERS.findall(text)) >= 3:
        signs.add("hidden")
    if _OVERRIDES.search(text):
        signs.add("bidi")
    return signs


def _without_marks(text: str) -> str:
    """Letters without accents; Cyrillic and Greek letters that pass for Latin ones as those."""
    if not _LETTERS.search(text):
        return text
    return _MARKS.sub("", unicodedata.normalize("NFD", text.translate(_LOOKALIKES)))


_LOOKALIKES = str.maketrans("аеорсухіјѕԁɡոѵαεικνοτυχ", "aeopcyxijsdgnvaeiknotux")


def _decoded(text: str) -> Iterator[str]:
    """What base64 and hexadecimal blobs say, where they say something readable."""
    for match in list(_BASE64.finditer(text))[:_MOST_BLOBS]:
        blob = match[0].rstrip("=")
        yield from _readable(base64.b64decode, blob[: len(blob) // 4 * 4])
    for match in list(_HEX.finditer(text))[:_MOST_BLOBS]:
        yield from _readable(bytes.fromhex, match[0])


def _readable(decode: Callable[[str], bytes], blob: str) -> Iterator[str]:
    try:
        said = decode(blob).decode()
    except (binascii.Error, ValueError):
        return
    if sum(char.isprintable() or char.isspace() for char in said) >= 0.95 * len(said):
        yield said
