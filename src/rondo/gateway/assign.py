"""Which arm of a split a caller belongs to. Pure.

A caller's place between 0 and 9,999 is a hash of the rollout's salt and of the caller; arms take consecutive ranges
from 0 up. So the same caller always gets the same arm, growing a share keeps everyone who is already in, and a new
salt draws anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

WHOLE = 10_000
"""All traffic, in basis points."""


def place(salt: str, unit: str) -> int:
    """The caller's place, 0 to 9,999, uniform over callers."""
    digest = blake2b(f"{salt}\0{unit}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % WHOLE


def assign(salt: str, unit: str, shares: Iterable[int]) -> int | None:
    """Position of the arm that `unit` falls into, or None for the rest. `shares` are basis points."""
    at = place(salt, unit)
    upto = 0
    for position, share in enumerate(shares):
        upto += share
        if at < upto:
            return position
    return None
