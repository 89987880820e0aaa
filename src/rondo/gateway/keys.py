"""Who is asking: the key in a request's headers, wherever the client's SDK puts it. Pure."""

from __future__ import annotations

from rondo.errors import Unauthorized
from rondo.gateway.plan import Plan
from rondo.gateway.reply import Headers
from rondo.governance.admit import digest
from rondo.governance.model import Grant

_KEY_HEADERS = frozenset((b"authorization", b"x-api-key", b"api-key"))
"""OpenAI's, Anthropic's, Azure's."""


def authenticate(plan: Plan, headers: Headers) -> Grant:
    """The grant of the request's key. Raises Unauthorized."""
    secret: str | None = None
    for name, value in headers:
        if name in _KEY_HEADERS:
            found = value.decode("latin-1").strip()
            if name == b"authorization":
                scheme, _, found = found.partition(" ")
                found = found.strip() if scheme.lower() == "bearer" else ""
            if secret is not None and found != secret:
                raise Unauthorized("The request has two different keys.", remedy="Send one of them.")
            secret = found
    if secret is None:
        raise Unauthorized(
            "There is no key in the request.",
            remedy="Send `Authorization: Bearer <key>`; `rondo keys create` makes one.",
        )
    grant = plan.grants.get(digest(secret))
    if grant is None:
        raise Unauthorized("This key is not valid.", remedy="`rondo keys list` shows the keys there are.")
    return grant
