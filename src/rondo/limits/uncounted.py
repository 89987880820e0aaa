"""The ledger of a process that cannot count: one of several, without Redis. It lets nothing pass that has a limit.

Limits are refused where several processes run without Redis, so nothing meets it but by a way around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from rondo.errors import Unavailable
from rondo.limits.ledger import LedgerState, Used
from rondo.limits.model import Claim, Matched

_REASON = "several processes run, and they have no Redis to count in"


class Uncounted:
    """A Ledger that refuses."""

    def __init__(self) -> None:
        self._refused = 0

    async def reserve(self, matched: Matched, claim: Claim) -> NoReturn:
        self._refused += 1
        raise self._unavailable()

    def settle(self, hold: Any, *, tokens: int | None, nano: int | None) -> None:
        pass

    def spend(self, project: str, key_id: str, user: str | None, app: str | None, *, at: int, nano: int) -> None:
        pass

    async def used(self, subjects: Sequence[str]) -> list[Used]:
        raise self._unavailable()

    async def largest(self, prefix: str, count: int) -> list[str]:
        raise self._unavailable()

    def state(self) -> LedgerState:
        return LedgerState(backend="memory", reason=_REASON, refused=self._refused)

    def _unavailable(self) -> Unavailable:
        return Unavailable(
            f"Limits cannot be checked: {_REASON}.",
            remedy="Set RONDO_REDIS_URL to a Redis or Valkey server, or run one process (without --workers).",
        )
