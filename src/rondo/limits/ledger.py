"""What keeps count: room is taken before a call, and what was really used is settled after it.

`memory.py` counts for one process, `redis_ledger.py` for many. Both take all limits that a request meets together, or
nothing. Whoever reserves must settle, exactly once, however the call ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from rondo.errors import BudgetExceeded, InvalidRequest, RateLimited
from rondo.limits.model import Bound, Claim, Matched, to_usd

What = Literal["requests", "tokens", "concurrent", "day", "month"]


class Hold(Protocol):
    """What has been taken for a call: at most `nano` of money, at most `tokens` (0: no such limit applies)."""

    @property
    def nano(self) -> int: ...

    @property
    def tokens(self) -> int: ...


class Used(Struct, frozen=True, kw_only=True):
    """What one subject uses now. `spent` is settled, `reserved` may still be given back (nano-dollars)."""

    subject: str
    requests: int = 0
    tokens: int = 0
    concurrent: int = 0
    day_spent: int = 0
    day_reserved: int = 0
    month_spent: int = 0
    month_reserved: int = 0


class LedgerState(Struct, frozen=True, kw_only=True):
    """How the ledger is. `away_since`: nothing can be counted since then (microseconds), and `reason` is why.

    `refused` and `passed` count requests that met it so: those turned away, and those let through uncounted.
    """

    backend: Literal["memory", "redis"]
    fail: Literal["closed", "open"] = "closed"
    away_since: int | None = None
    reason: str | None = None
    refused: int = 0
    passed: int = 0


class Ledger(Protocol):
    """Counts for all projects."""

    async def reserve(self, matched: Matched, claim: Claim) -> Any:
        """Take the claim at every limit, or nothing at all; gives the Hold to settle.

        Raises RateLimited or BudgetExceeded, which name the limit, InvalidRequest for a request that is larger than
        a whole limit, and Unavailable where there is no telling.
        """
        ...

    def settle(self, hold: Any, *, tokens: int | None, nano: int | None) -> None:
        """Put what was used in the place of what was taken; None, where it is not known, leaves it as taken.

        Never waits and never fails. Call it before the record is written.
        """
        ...

    def spend(self, project: str, key_id: str, user: str | None, app: str | None, *, at: int, nano: int) -> None:
        """Count the money of a call that met no limit, for limits that are set later. As cheap as `settle`."""
        ...

    async def used(self, subjects: Sequence[str]) -> list[Used]:
        """What these use now, in this order. Raises Unavailable."""
        ...

    async def largest(self, prefix: str, count: int) -> list[str]:
        """The subjects beginning with `prefix` that spent most this month. Raises Unavailable."""
        ...

    def state(self) -> LedgerState: ...


def refusal(bound: Bound, what: What, claim: Claim, *, left: int = 0, wait_s: int = 1) -> RateLimited | InvalidRequest:
    """The error for a limit that has no room. `left` is what remains of a budget, `wait_s` when there may be room."""
    limit = bound.limit
    if what == "concurrent":
        return RateLimited(
            f"{bound.words}: {limit.concurrent:,} calls at the same time are under way.",
            retry_after=wait_s,
            remedy="Wait for one of them to end.",
        )
    if what == "requests":
        return RateLimited(
            f"{bound.words}: {limit.requests_per_minute:,} requests per minute.",
            retry_after=wait_s,
            remedy=f"There is room again in {wait_s} s.",
        )
    if what == "tokens":
        allowed = limit.tokens_per_minute or 0
        if claim.tokens > allowed:
            return InvalidRequest(
                f"{bound.words}: {allowed:,} tokens per minute, and this request alone may take {claim.tokens:,}.",
                remedy="Shorten it, or lower `max_tokens`.",
                param="max_tokens",
            )
        return RateLimited(
            f"{bound.words}: {allowed:,} tokens per minute; this request may take {claim.tokens:,}.",
            retry_after=wait_s,
            remedy=f"There is room in {wait_s} s, or sooner with a lower `max_tokens`.",
        )
    whole = (limit.nano_per_day if what == "day" else limit.nano_per_month) or 0
    return BudgetExceeded(
        f"{bound.words}: of {_dollars(whole)} for this {what} {_dollars(max(0, left))} is left, and this request may"
        f" cost {_dollars(claim.nano)}.",
        retry_after=wait_s,
        remedy=f"Lower `max_tokens`, wait for the next {what} (UTC), or raise the budget: `rondo limits set`.",
    )


def _dollars(nano: int) -> str:
    """`$1.50`; as many decimals as it takes, at least two."""
    text = f"{to_usd(nano):.9f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"${int(whole):,}.{decimals:0<2}"
