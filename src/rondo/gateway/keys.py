"""Who is asking: the key in a request's headers, wherever the client's SDK puts it."""

from __future__ import annotations

from collections.abc import Mapping

from rondo.errors import Unauthorized
from rondo.gateway.plan import Plan
from rondo.gateway.reply import Headers
from rondo.governance.admit import digest
from rondo.governance.model import Grant

_KEY_HEADERS = frozenset((b"authorization", b"x-api-key", b"api-key"))
"""OpenAI's, Anthropic's, Azure's."""

_MOST_RECENT = 10_000
_LONGEST = 200


def authenticate(plan: Plan, headers: Headers) -> Grant:
    """The grant of the request's key. Raises Unauthorized."""
    secret: str | None = None
    for name, value in headers:
        if name not in _KEY_HEADERS:
            continue
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


class RecentKeys:
    """Good keys as they came, in memory only, so that not each request has to be digested."""

    def __init__(self) -> None:
        self._grants: Mapping[str, Grant] = {}
        self._recent: dict[tuple[bytes, bytes], Grant] = {}
        """Of these grants; others, of another plan, begin with none."""

    def authenticate(self, plan: Plan, headers: Headers) -> Grant:
        """As the function of this name."""
        if plan.grants is not self._grants:
            self._grants, self._recent = plan.grants, {}
        given = [header for header in headers if header[0] in _KEY_HEADERS]
        if len(given) != 1:
            return authenticate(plan, given)
        grant = self._recent.get(given[0])
        if grant is None:
            grant = authenticate(plan, given)
            # Spaces do not count in a header, so one key can be spelled in any number of ways, of any length.
            if len(given[0][1]) <= _LONGEST and len(self._recent) < _MOST_RECENT:
                self._recent[given[0]] = grant
        return grant
