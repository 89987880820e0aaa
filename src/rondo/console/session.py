"""The session cookie: which key someone signed in with, until when, and a signature over both. Pure.

It carries the SHA-256 of the key's secret, never the secret. Whether that key is still live is looked up in the
gateway's plan at every request, so revoking a key ends its sessions.
"""

from __future__ import annotations

import hmac
import re
from hashlib import sha256

LIFETIME_S = 7 * 24 * 3_600
"""How long a session lasts without signing in again."""

_VALUE = re.compile(r"([0-9a-f]{64})\.([0-9]{1,16})\.([0-9a-f]{64})")


def seal(session_key: bytes, digest: str, now_us: int) -> str:
    """The cookie's value for the key with this digest (64 hex digits)."""
    expires = now_us + LIFETIME_S * 1_000_000
    return f"{digest}.{expires}.{_sign(session_key, digest, expires)}"


def unseal(session_key: bytes, value: str, now_us: int) -> str | None:
    """The digest in a cookie that we signed and that has not run out; None for any other text."""
    parts = _VALUE.fullmatch(value)
    if parts is None:
        return None
    digest, expires = parts[1], int(parts[2])
    if not hmac.compare_digest(_sign(session_key, digest, expires), parts[3]) or expires <= now_us:
        return None
    return digest


def _sign(session_key: bytes, digest: str, expires: int) -> str:
    return hmac.new(session_key, f"rondo console session 1|{digest}|{expires}".encode(), sha256).hexdigest()
