"""Keys, tokens and passwords: by the form their makers gave them, or by the words before them.

A secret without a form of its own, and with nothing beside it that says what it is, is not found.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache

from rondo.guards.patterns import Pattern, PatternCheck, Patterns
from rondo.guards.personal import URL_LOGIN

_KEY_BLOCK = r"(?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"


def _random(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Not a word of a language: letters and digits together, or as mixed as chance would have it."""
    value = data[start:end].rstrip(b".!?)")
    letters = any(char > 64 for char in value)
    digits = any(48 <= char <= 57 for char in value)
    if len(value) < 6 or not letters or not (digits or (len(value) >= 20 and _entropy(value) >= 3.5)):
        return None
    return start, start + len(value)


def _entropy(value: bytes) -> float:
    """Bits per character."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())


def _known(kind: str, expression: str) -> Pattern:
    return Pattern(kind=kind, expression=rf"\b(?:{expression})")


PATTERNS: tuple[Pattern, ...] = (
    Pattern(
        kind="private_key",
        expression=rf"-----BEGIN {_KEY_BLOCK}(?:-?[A-Za-z0-9+/=\s\\:,.])*(?:-----END {_KEY_BLOCK})?",
        hint=r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY",
    ),
    _known("anthropic", r"sk-ant-[A-Za-z0-9_-]{20,200}"),
    _known("openrouter", r"sk-or-(?:v1-)?[A-Za-z0-9]{32,100}"),
    _known("rondo", r"rondo_(?:sk|fk|pk)_[A-Za-z0-9_-]{8,200}"),
    _known("stripe", r"(?:sk|rk|whsec)_(?:live_|test_)?[A-Za-z0-9]{20,200}"),
    _known("openai", r"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,250}"),
    _known("aws_access_key", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b"),
    Pattern(
        kind="aws_secret_key",
        expression=r"(?i)aws.{0,24}?(?:secret|key)[^\n\x00]{0,16}?[=:\s\"']([A-Za-z0-9/+]{40})\b",
        hint=r"(?i)aws.{0,24}(?:secret|key)",
        refine=_random,
    ),
    _known("github", r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{40,255}"),
    _known("gitlab", r"gl(?:pat|ptt|dt|rt|soat)-[A-Za-z0-9_.-]{20,100}"),
    _known("slack", r"xox[abposre]-[A-Za-z0-9-]{10,250}|xapp-\d-[A-Za-z0-9-]{10,250}"),
    Pattern(
        kind="slack", expression=r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9+/]{20,100}", hint=r"hooks\.slack"
    ),
    _known("google", r"AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,250}|GOCSPX-[A-Za-z0-9_-]{28}"),
    Pattern(
        kind="azure",
        expression=r"(?i)(?:AccountKey|SharedAccessKey|sig)=([A-Za-z0-9+/%]{30,100}={0,2})",
        refine=_random,
    ),
    _known("npm", r"npm_[A-Za-z0-9]{36}"),
    _known("pypi", r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{20,250}"),
    _known("huggingface", r"(?:hf|api_org)_[A-Za-z0-9]{30,100}"),
    _known("groq", r"gsk_[A-Za-z0-9]{40,100}"),
    _known("sendgrid", r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}"),
    _known("digitalocean", r"do[opr]_v1_[a-f0-9]{64}"),
    _known("shopify", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    _known("databricks", r"dapi[a-f0-9]{32}"),
    _known("telegram", r"\d{8,10}:AA[A-Za-z0-9_-]{33}"),
    _known("jwt", r"eyJ[A-Za-z0-9_-]{8,500}\.[A-Za-z0-9_-]{8,900}\.[A-Za-z0-9_-]{0,700}"),
    Pattern(kind="url_password", expression=URL_LOGIN, hint="://"),
    Pattern(
        kind="assigned",
        expression=r"(?i)(?:\b|_)(?:api[_ -]?key|secret(?:[_ -]?key)?|access[_ -]?(?:key|token)|auth[_ -]?token|token|"
        r"passw(?:or)?d|passwort|kennwort|passphrase|pwd|mot de passe|contrase\xc3\xb1a|wachtwoord|credentials?|bearer)"
        r"[\"']?\s{0,3}(?:[:=]|=>|is|ist|lautet|\s)\s{0,3}[\"'`]?([^\s\"'`<>,;\x00]{6,200})",
        hint=r"(?i)key|secret|token|passw|pwd|passphrase|kennwort|de passe|contrase|wachtwoord|credential|bearer",
        refine=_random,
    ),
)

KINDS: tuple[str, ...] = tuple(dict.fromkeys(pattern.kind for pattern in PATTERNS))
"""What can be looked for."""


@cache
def compiled(kinds: tuple[str, ...] = KINDS) -> Patterns:
    """The patterns of these kinds, compiled once in a process."""
    return Patterns([pattern for pattern in PATTERNS if pattern.kind in kinds])


class Secrets(PatternCheck):
    """The check `secrets`."""

    def __init__(self, kinds: Sequence[str] | None) -> None:
        super().__init__(compiled(KINDS if kinds is None else tuple(kind for kind in KINDS if kind in kinds)))
