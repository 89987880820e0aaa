"""Who may do what: roles, kinds of keys, and the grant that a key stands for. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from msgspec import Struct

KeyKind = Literal["secret", "feedback"]
KINDS: tuple[KeyKind, ...] = ("secret", "feedback")

DEFAULT_PROJECT = "default"


class Role(StrEnum):
    """What a key may do on the control plane; each role may do all that the ones before it may."""

    VIEWER = "viewer"
    DEVELOPER = "developer"
    APPROVER = "approver"
    ADMIN = "admin"

    def includes(self, needed: Role) -> bool:
        """Whether this role is `needed` or a higher one. (Comparing with < would compare names.)"""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class Grant(Struct, frozen=True):
    """What the bearer of a live key may do. `role` None: only call the gateway. `apps` empty: all apps."""

    project: str
    key_id: str
    name: str
    kind: KeyKind
    role: Role | None = None
    apps: tuple[str, ...] = ()


class Key(Struct, frozen=True, kw_only=True):
    """A key as lists show it. Its secret is not known any more; `hint` is the secret's last four characters."""

    id: str
    project: str
    name: str
    kind: KeyKind
    role: Role | None
    apps: tuple[str, ...]
    hint: str
    created_at: int
    created_by: str
    revoked_at: int | None = None


class CreatedKey(Struct, frozen=True):
    """A new key with its secret, which is shown this once."""

    key: Key
    secret: str


class AuditEntry(Struct, frozen=True, kw_only=True):
    """Who did what to what, when (microseconds). `hash` covers this entry and, by `previous_hash`, all before it."""

    project: str
    sequence: int
    at: int
    actor: str
    action: str
    subject: str
    details: dict[str, Any]
    previous_hash: str
    hash: str
