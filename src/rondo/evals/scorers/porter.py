"""Porter's stemmer for English, with NLTK's corrections, as the package `rouge-score` uses it. Pure.

Porter 1980, "An algorithm for suffix stripping"; steps are numbered as in the paper. Words are in lower case.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

_IRREGULAR = {
    **dict.fromkeys(("sky", "skies"), "sky"),
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "news": "news",
    **dict.fromkeys(("innings", "inning"), "inning"),
    **dict.fromkeys(("outings", "outing"), "outing"),
    **dict.fromkeys(("cannings", "canning"), "canning"),
    "howe": "howe",
    "proceed": "proceed",
    "exceed": "exceed",
    "succeed": "succeed",
}
_VOWELS = frozenset("aeiou")

_Rules = tuple[tuple[str, str], ...]
_STEP_2: _Rules = (
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
)
_STEP_3: _Rules = (
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
)
_STEP_4: _Rules = tuple(
    (ending, "") for ending in "al ance ence er ic able ible ant ement ment ent ion ou ism ate iti ous ive ize".split()
)


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """What is left of a word without its endings; it need not be a word."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 2:
        return word
    for step in (_plural, _past, _final_y, _double_ending, _single_ending, _residue, _final_e):
        word = step(word)
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word


def _plural(word: str) -> str:
    """Step 1a."""
    if word.endswith("ies"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past(word: str) -> str:
    """Step 1b."""
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for ending in ("ed", "ing"):
        if word.endswith(ending) and not all(_consonants(word[: -len(ending)])):
            return _restored(word[: -len(ending)])
    return word


def _restored(word: str) -> str:
    """What step 1b cut too short, made whole again."""
    if word.endswith(("at", "bl", "iz")):
        return word + "e"
    consonants = _consonants(word)
    if len(word) >= 2 and word[-1] == word[-2] and consonants[-1]:
        return word if word[-1] in "lsz" else word[:-1]
    return word + "e" if _measure(word) == 1 and _ends_short(word) else word


def _final_y(word: str) -> str:
    """Step 1c."""
    if word.endswith("y") and len(word) > 2 and _consonants(word[:-1])[-1]:
        return word[:-1] + "i"
    return word


def _double_ending(word: str) -> str:
    """Step 2."""
    if word.endswith("alli") and _measure(word[:-4]) > 0:
        return _double_ending(word[:-2])
    for ending, instead in _STEP_2:
        if word.endswith(ending):
            return _replaced(word, ending, instead, lambda rest: _measure(rest) > 0)
    if word.endswith("logi"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    return word


def _single_ending(word: str) -> str:
    """Step 3."""
    for ending, instead in _STEP_3:
        if word.endswith(ending):
            return _replaced(word, ending, instead, lambda rest: _measure(rest) > 0)
    return word


def _residue(word: str) -> str:
    """Step 4."""
    for ending, instead in _STEP_4:
        if word.endswith(ending):
            fits = ending != "ion" or word[:-3].endswith(("s", "t"))
            return _replaced(word, ending, instead, lambda rest: _measure(rest) > 1) if fits else word
    return word


def _final_e(word: str) -> str:
    """Step 5a."""
    if not word.endswith("e"):
        return word
    measure = _measure(word[:-1])
    return word[:-1] if measure > 1 or (measure == 1 and not _ends_short(word[:-1])) else word


def _replaced(word: str, ending: str, instead: str, holds: Callable[[str], bool]) -> str:
    rest = word[: -len(ending)]
    return rest + instead if holds(rest) else word


def _consonants(word: str) -> list[bool]:
    """Of each letter; `y` is one at the start and behind a vowel."""
    flags: list[bool] = []
    for letter in word:
        flags.append(letter not in _VOWELS and (letter != "y" or not flags or not flags[-1]))
    return flags


def _measure(word: str) -> int:
    """How often consonants follow vowels."""
    flags = _consonants(word)
    return sum(not before and after for before, after in pairwise(flags))


def _ends_short(word: str) -> bool:
    """Consonant, vowel, consonant other than w, x and y; or a word of a vowel and a consonant."""
    flags = _consonants(word)
    if len(word) == 2:
        return flags == [False, True]
    return flags[-3:] == [True, False, True] and word[-1] not in "wxy"
