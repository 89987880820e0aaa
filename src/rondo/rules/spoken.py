"""Which language a text is in, by py3langid: an optional package, loaded when a release asks for `input.language`.

Its tables take about 75 MB in each process and a second to load, so a release loads them before it serves. Short texts
without a telling word are in no language that could be known: the answer is None, and rules see null.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

LONGEST = 400
"""Characters of a text that are looked at."""

_SURE = 0.3


def is_installed() -> bool:
    return find_spec("py3langid") is not None


def language_of(text: str) -> str | None:
    """An ISO 639 code (`en`, `de`, ...), or None."""
    code = _identify()(text[:LONGEST])
    return None if code in ("und", "zxx") else code


def load() -> None:
    """Load the tables now, so that no request waits for them."""
    _identify()


@cache
def _identify() -> Callable[[str], str]:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.min_confidence = _SURE

    def identify(text: str) -> str:
        code: str = identifier.classify(text)[0]
        return code

    return identify
