"""What calls cost: rows by what they are told apart by. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

By = Literal["user", "key", "app", "release", "model", "provider", "tag", "day"]
BY: tuple[By, ...] = ("user", "key", "app", "release", "model", "provider", "tag", "day")


class CostRow(Struct, frozen=True, kw_only=True):
    """`cost_usd` is the sum of the known costs, None where none is known; `cost_unknown` calls are not in it.

    `saved_usd` is what the cache's answers had cost; None where it is not counted by this.
    """

    name: str | None
    calls: int
    errors: int
    tokens: int | None
    cost_usd: float | None
    cost_unknown: int
    saved_usd: float | None


class Costs(Struct, frozen=True, kw_only=True):
    """Rows, the dearest first (days in order of time). `total` is over all calls, also those beyond the last row.

    A call has several tags, and may have no user: by those, rows do not add up to the total.
    """

    by: By
    since: int
    until: int
    rows: list[CostRow]
    total: CostRow
