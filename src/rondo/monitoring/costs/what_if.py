"""What the same traffic would have cost on another model, from the recorded tokens and that model's price. Pure.

Two things are not known, and are said rather than guessed. The other model has another tokenizer, so it would count the
same texts differently; and its provider's cache would have hit more or less often. So there are two sums: with the
recorded share of cached tokens at the other model's cache prices, and with no cache at all.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from rondo.providers.prices import Price
from rondo.records import Usage
from rondo.traces.cost import cost_usd


class Tokens(Struct, frozen=True, kw_only=True):
    """The calls of one recorded model: their tokens, and what they cost. A row of the query `cost_tokens`.

    Answers that are `without_tokens` or `cost_unknown` make sums that cannot be compared. Failed calls of unknown cost
    are in neither sum.
    """

    provider: str | None
    model: str | None
    calls: int
    without_tokens: int
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_usd: float | None
    cost_unknown: int
    failed_unknown: int
    cache_hits: int

    @property
    def usage(self) -> Usage:
        return Usage(
            input=self.input_tokens,
            cache_read=self.cache_read_tokens,
            cache_write=self.cache_write_tokens,
            output=self.output_tokens,
            reasoning=self.reasoning_tokens,
        )


class Instead(Struct, frozen=True, kw_only=True):
    """One recorded model's calls on the other model. `saved_usd` is what that would have spared, negative where it
    costs more; None where the recorded cost is not fully known."""

    provider: str | None
    model: str | None
    calls: int
    cost_usd: float | None
    instead_usd: float
    uncached_usd: float
    saved_usd: float | None


class WhatIf(Struct, frozen=True, kw_only=True):
    """All of them. `uncached_usd` is with no cache at the provider's; `notes` say what the sums do not know."""

    model: str
    price: Price
    calls: int
    cost_usd: float | None
    instead_usd: float
    uncached_usd: float
    saved_usd: float | None
    rows: list[Instead]
    notes: list[str]


def what_if(model: str, price: Price, rows: Iterable[Tokens], *, provider: str | None = None) -> WhatIf:
    """`provider` is the other model's."""
    rows = list(rows)
    found = [_instead(row, price) for row in rows]
    complete = all(each.saved_usd is not None for each in found)
    known = [each.cost_usd for each in found if each.cost_usd is not None]
    recorded = sum(known) if known else None
    instead = sum(each.instead_usd for each in found)
    return WhatIf(
        model=model,
        price=price,
        calls=sum(each.calls for each in found),
        cost_usd=recorded,
        instead_usd=instead,
        uncached_usd=sum(each.uncached_usd for each in found),
        saved_usd=recorded - instead if recorded is not None and complete else None,
        rows=found,
        notes=_notes(rows, price, provider),
    )


def _instead(row: Tokens, price: Price) -> Instead:
    usage = row.usage
    uncached = Usage(
        input=usage.input + usage.cache_read + usage.cache_write, output=usage.output, reasoning=usage.reasoning
    )
    cost = cost_usd(usage, price)
    comparable = not row.cost_unknown and not row.without_tokens
    return Instead(
        provider=row.provider,
        model=row.model,
        calls=row.calls,
        cost_usd=row.cost_usd,
        instead_usd=cost,
        uncached_usd=cost_usd(uncached, price),
        saved_usd=(row.cost_usd or 0.0) - cost if comparable else None,
    )


def _notes(rows: list[Tokens], price: Price, provider: str | None) -> list[str]:
    notes = []
    if any(row.provider != provider and row.usage.total for row in rows):
        notes.append(
            "Tokens are as the recorded models counted them; another tokenizer counts the same texts differently."
        )
    if any(row.cache_read_tokens or row.cache_write_tokens for row in rows):
        how = (
            "at its cache prices" if price.cache_read is not None else "at its input price, since it has no cache price"
        )
        notes.append(f"Tokens that were cached are {how}; without any cache it is the second sum.")
    if price.tiered:
        notes.append("The list has further prices for this model; these are for short prompts and the dearest hour.")
    if unknown := sum(row.without_tokens for row in rows):
        notes.append(f"{unknown:,} answers have no known tokens, and cost nothing in these sums.")
    if unknown := sum(row.cost_unknown for row in rows):
        notes.append(f"The recorded cost of {unknown:,} answers is unknown, so no difference is told for their models.")
    if unknown := sum(row.failed_unknown for row in rows):
        notes.append(f"{unknown:,} calls that failed, or whose client left, are in neither sum.")
    if hits := sum(row.cache_hits for row in rows):
        notes.append(f"{hits:,} answers came from Rondo's own cache, at no cost; they would again.")
    return notes
