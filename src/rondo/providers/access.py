"""How a model is reached: the key that goes along, and the targets that are prepared for it.

A key goes only where it may go (`key_hosts.py`); with an address of its own, a model has a key only if it names one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from rondo.errors import KeyMissing, SettingsError
from rondo.providers import key_hosts
from rondo.providers.base import ModelSpec
from rondo.providers.http.address import BadHeader
from rondo.providers.upstream import Target, Upstream

Secret = Callable[[str], str | None]
"""Reads an environment variable."""


class Access(Struct, frozen=True):
    """The headers of every request, and the variable of a key that is not there."""

    headers: dict[str, str]
    missing_key: str | None = None

    def require_key(self, model: str) -> None:
        """Raises KeyMissing where the model's key is missing: another of the route may have one."""
        if self.missing_key is not None:
            raise KeyMissing(
                f"The model {model!r} has no key.",
                remedy=f"Set {self.missing_key} in the server's environment and restart it.",
            )


def access(
    spec: ModelSpec,
    base_url: str,
    variable: str | None,
    *,
    own: Mapping[str, Sequence[str]],
    secret: Secret,
    header: str = "authorization",
) -> Access:
    """`variable` names the key, `header` is where it goes unless the model says otherwise; `own` are its hosts.

    Raises SettingsError where the key may not be sent to `base_url`.
    """
    headers = dict(spec.headers)
    if variable is None:
        return Access(headers)
    allowed = secret(key_hosts.VARIABLE) or ""
    key_hosts.require(variable, base_url, own=own, allowed=allowed, model=spec.name)
    key = secret(variable)
    if key is None:
        return Access(headers, variable)
    chosen = header if spec.api_key_header.lower() == "authorization" else spec.api_key_header
    headers[chosen] = f"Bearer {key}" if chosen.lower() == "authorization" else key
    return Access(headers)


def targets(upstream: Upstream, spec: ModelSpec, headers: Mapping[str, str], *urls: str) -> list[Target]:
    """Raises SettingsError for an address that is none, and for a header that cannot be sent."""
    try:
        return [upstream.target(url, headers, timeout_s=spec.timeout_s) for url in urls]
    except BadHeader as error:
        raise wrong(spec, "headers", f"{error}") from None
    except ValueError as error:  # the address itself is not repeated: it may hold a password
        raise wrong(spec, "base_url", f"this is no address: {error}") from None


def wrong(spec: ModelSpec, key: str, what: str, *, remedy: str | None = None) -> SettingsError:
    """A key of the model's table that cannot be used."""
    return SettingsError(f"{what}.", file="rondo.toml", param=f"models.{spec.name}.{key}", remedy=remedy)
