"""The form of a signed webhook, as Standard Webhooks 1.0 has it (standardwebhooks.com): id, time, HMAC. Pure.

The id stays the same over all tries of a notice, so a receiver can tell twins; the time is that of the try.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

_PREFIX = "whsec_"


def body(payload: dict[str, Any]) -> bytes:
    """UTF-8 JSON."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def headers(id_: str, at_us: int, content: bytes, secret: str | None) -> dict[str, str]:
    """What goes with it; without a secret there is no signature, with several (`whsec_a whsec_b`, while one takes the
    other's place) one of each. Raises ValueError for a secret that cannot be read."""
    moment = str(at_us // 1_000_000)
    given = {"webhook-id": id_, "webhook-timestamp": moment}
    if secret is None:
        return given
    signed = b".".join((id_.encode(), moment.encode(), content))
    secrets = secret.split() if secret.startswith(_PREFIX) else [secret]
    digests = [hmac.new(key_of(each), signed, hashlib.sha256).digest() for each in secrets]
    return {**given, "webhook-signature": " ".join(f"v1,{base64.b64encode(each).decode()}" for each in digests)}


def key_of(secret: str) -> bytes:
    """`whsec_` and Base64, as the standard has it; any other text is its own bytes."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("what follows `whsec_` in the secret is not Base64") from None
    if not key:
        raise ValueError("nothing follows `whsec_` in the secret")
    return key
