"""Ledgers for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rondo.limits.ledger import LedgerState, Used
from rondo.limits.memory import MemoryLedger
from rondo.limits.model import Claim, Matched


class LedgerInside:
    """A memory ledger, some verbs of which a test changes. It is no heir of it: that one may be compiled."""

    def __init__(self) -> None:
        self._ledger = MemoryLedger()

    async def reserve(self, matched: Matched, claim: Claim) -> Any:
        return await self._ledger.reserve(matched, claim)

    def settle(self, hold: Any, *, tokens: int | None, nano: int | None) -> None:
        self._ledger.settle(hold, tokens=tokens, nano=nano)

    def spend(self, project: str, key_id: str, user: str | None, app: str | None, *, at: int, nano: int) -> None:
        self._ledger.spend(project, key_id, user, app, at=at, nano=nano)

    async def used(self, subjects: Sequence[str]) -> list[Used]:
        return await self._ledger.used(subjects)

    async def largest(self, prefix: str, count: int) -> list[str]:
        return await self._ledger.largest(prefix, count)

    def state(self) -> LedgerState:
        return self._ledger.state()
