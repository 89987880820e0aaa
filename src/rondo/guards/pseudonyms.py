"""Tokens in the place of personal data, which only we can turn back: `<EMAIL:...>`.

AES-SIV encrypts the same value to the same token, so a model can tell persons apart and a conversation can go on, and
nothing has to be kept. Tokens are bound to the project and the kind. Only tokens that this very request brought forth
are turned back: one that a user learnt elsewhere and typed in stays what it is.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Set

KEY_BYTES = 32
"""How long the secret is that all keys are made from."""

_TOKEN = re.compile(r"<\s{0,2}([A-Za-z][A-Za-z0-9_]{0,31})\s{0,2}:\s{0,2}([A-Za-z2-7]{28,1000})\s{0,2}>")
_BEGUN = re.compile(r"<\s{0,2}(?:[A-Za-z][A-Za-z0-9_]{0,31}\s{0,2}(?::\s{0,2}[A-Za-z2-7]{0,1000}\s{0,2})?)?\Z")
_LONGEST = 1_100
_LONGEST_VALUE = 500


class Pseudonyms:
    """The tokens of one project."""

    def __init__(self, secret: bytes, project: str) -> None:
        """`secret` has at least 32 random bytes. Whoever has it can read all tokens; without it, none."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        if len(secret) < KEY_BYTES:
            raise ValueError(f"the key has {len(secret)} bytes, at least {KEY_BYTES} are needed")
        derived = HKDF(SHA256(), 64, salt=None, info=b"rondo pseudonyms\0" + project.encode()).derive(secret)
        self._cipher = AESSIV(derived)
        self._not_ours = (binascii.Error, InvalidTag, ValueError)

    def token(self, kind: str, value: str) -> str | None:
        """The token of a value, always the same one; None for a value that is too long for one."""
        data = value.encode("utf-8", "replace")
        if len(data) > _LONGEST_VALUE:
            return None
        sealed = self._cipher.encrypt(data, [kind.upper().encode()])
        return f"<{kind.upper()}:{base64.b32encode(sealed).decode().rstrip('=')}>"

    def restore(self, text: str, issued: Set[str]) -> str:
        """The text with the values of those tokens that were issued.

        A model may have changed a token's spaces or capitals.
        """
        if not issued or ":" not in text:
            return text

        def put_back(match: re.Match[str]) -> str:
            value = self._open(match) if _canonical(match) in issued else None
            return match[0] if value is None else value

        return _TOKEN.sub(put_back, text)

    def _open(self, match: re.Match[str]) -> str | None:
        sealed = match[2].upper()
        try:
            data = base64.b32decode(sealed + "=" * (-len(sealed) % 8))
            return self._cipher.decrypt(data, [match[1].upper().encode()]).decode()
        except self._not_ours:
            return None


def _canonical(match: re.Match[str]) -> str:
    return f"<{match[1]}:{match[2]}>".upper()


def tokens_in(text: str) -> Iterable[tuple[int, int]]:
    """Where something stands that has the form of a token."""
    return [match.span() for match in _TOKEN.finditer(text)] if "<" in text else ()


def unfinished(text: str) -> int:
    """Where at the end of a text a token may have begun; its length where none has."""
    match = _BEGUN.search(text, max(0, len(text) - _LONGEST))
    return len(text) if match is None else match.start()


class Restorer:
    """Puts values back into a text that comes in pieces; holds back no more than what may become a token."""

    def __init__(self, pseudonyms: Pseudonyms, issued: Set[str]) -> None:
        self._pseudonyms = pseudonyms
        self._issued = issued
        self._held = ""

    def feed(self, text: str) -> str:
        """What can go out now."""
        whole = self._held + text
        start = whole.rfind("<")
        if start >= 0 and self._may_become_token(whole[start:]):
            whole, self._held = whole[:start], whole[start:]
        else:
            self._held = ""
        return self._pseudonyms.restore(whole, self._issued)

    def end(self) -> str:
        """What is left, when nothing more comes."""
        whole, self._held = self._held, ""
        return self._pseudonyms.restore(whole, self._issued)

    def _may_become_token(self, text: str) -> bool:
        if ">" in text or len(text) > _LONGEST:
            return False
        begun = "".join(text.split()).upper()
        return any(token.startswith(begun) for token in self._issued)
