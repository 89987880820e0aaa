"""The decisions about keys: is this secret that key, may it do this. Pure; the gateway asks on every request."""

from __future__ import annotations

from hashlib import sha256

from rondo.errors import Forbidden
from rondo.governance.model import Grant, Role


def digest(secret: str) -> str:
    """SHA-256 of a secret, in hex. Secrets have 256 random bits, so no slow hash is needed."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def require(grant: Grant, needed: Role | None) -> None:
    """Raises Forbidden unless the key has the role `needed` or a higher one; None stands for any secret key."""
    if needed is None:
        require_secret(grant)
    elif grant.role is None or not grant.role.includes(needed):
        has = f"has the role {grant.role.value!r}" if grant.role else "has no role"
        raise Forbidden(
            f"This needs the role {needed.value!r}; the key {grant.name!r} {has}.",
            remedy="Use another key, or ask an admin for one: `rondo keys create NAME --role ROLE`.",
        )


def require_secret(grant: Grant) -> None:
    """Raises Forbidden for a key that is meant to be seen in browsers."""
    if grant.kind != "secret":
        raise Forbidden("This key may only send feedback.", remedy="Use a secret key, on a server of yours.")


def may_call(grant: Grant, app: str | None) -> None:
    """Raises Forbidden unless the key may call `app`; None stands for a model called without an app."""
    require_secret(grant)
    if grant.apps and app not in grant.apps:
        what = "models directly" if app is None else f"the app {app!r}"
        raise Forbidden(
            f"The key {grant.name!r} may not call {what}.",
            remedy=f"It may call {', '.join(grant.apps)}. An admin can create a key for more.",
            param="model",
        )
