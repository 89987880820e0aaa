"""What a request takes from limits and budgets: reserved before a model is asked, settled when the record is made."""

from __future__ import annotations

from collections.abc import Sequence

from rondo.errors import RondoError
from rondo.gateway.plan import ServedModel
from rondo.gateway.spending import charge, may_have_cost, worst_case
from rondo.gateway.turn import Turn
from rondo.limits.ledger import Ledger
from rondo.limits.model import Claim, Matched, to_nano
from rondo.records import Usage


class Accounts:
    """The ledger in the pipeline's words."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def reserve(self, turn: Turn, route: Sequence[ServedModel]) -> None:
        """Take the most that the request can use. Raises RateLimited, InvalidRequest, Unavailable.

        What guards and the cache have spent on models until now is part of it.
        """
        matched = matched_by(turn)
        if matched is None:
            return
        claim = _worst_case(turn, matched, route, answers=answers_of(turn))
        if turn.side_usd:
            claim = Claim(claim.at, claim.tokens, claim.nano + to_nano(turn.side_usd))
        turn.hold = await self._ledger.reserve(matched, claim)
        turn.matched = matched

    def covers(self, turn: Turn, route: Sequence[ServedModel]) -> bool:
        """Whether another answer is certain to fit into what is left of the reservation."""
        hold, matched = turn.hold, turn.matched
        if hold is None or matched is None or not matched.needs_bound:
            return True
        usage, cost = turn.bill()
        claim = _worst_case(turn, matched, route, answers=1)
        tokens = turn.side_tokens + (usage.total if usage is not None else 0)
        return bool(claim.nano + to_nano(cost or 0.0) <= hold.nano and claim.tokens + tokens <= hold.tokens)

    def settle(self, turn: Turn, cost_usd: float | None, usage: Usage | None, error: RondoError | None) -> float | None:
        """Put what was used in the place of what was taken; the record's `charged_usd`, None where nothing was."""
        hold = turn.hold
        if hold is None:
            known = cost_usd or turn.side_usd
            if turn.shadow_of is None and known:
                grant, app = turn.grant, turn.release.app if turn.release else None
                self._ledger.spend(
                    grant.project, grant.key_id, turn.request.user, app, at=turn.started_at, nano=to_nano(known)
                )
            return known if known and cost_usd is None else None
        turn.hold = None
        tokens = None if usage is None else usage.total + turn.side_tokens
        sent = turn.attempts > 0 and (turn.may_have_cost or may_have_cost(error))
        if not sent and cost_usd is None:
            cost_usd, tokens = turn.side_usd or None, tokens or turn.side_tokens
        used, nano, charged = charge(hold, sent=sent, cost_usd=cost_usd, tokens=tokens)
        self._ledger.settle(hold, tokens=used, nano=nano)
        return charged

    async def budget_left(self, turn: Turn) -> float | None:
        """The smallest share that is left of a budget which the request counts against; None where there is none."""
        matched = matched_by(turn)
        if matched is None or not matched.has_budget:
            return None
        bounds = [bound for bound in matched.bounds if bound.limit.has_budget]
        shares = []
        for bound, used in zip(bounds, await self._ledger.used([bound.subject for bound in bounds]), strict=True):
            limit = bound.limit
            for whole, taken in (
                (limit.nano_per_day, used.day_spent + used.day_reserved),
                (limit.nano_per_month, used.month_spent + used.month_reserved),
            ):
                if whole is not None:
                    shares.append(max(0.0, 1 - taken / whole) if whole else 0.0)
        return min(shares)


def _worst_case(turn: Turn, matched: Matched, route: Sequence[ServedModel], *, answers: int) -> Claim:
    return worst_case(
        matched,
        turn.request,
        route,
        at=turn.started_at,
        release=turn.release,
        rendered=turn.rendered,
        answers=answers,
    )


def answers_of(turn: Turn) -> int:
    """How many answers the request may be billed for: two, where a guard may have a whole one mended."""
    guards = turn.release.guards if turn.release is not None else None
    if guards is None or turn.request.stream:
        return 1
    return 2 if any(guard.repair for guard in guards.output) else 1


def matched_by(turn: Turn) -> Matched | None:
    """The limits that the request meets; a copy for a shadow meets none."""
    if turn.shadow_of is not None:
        return None
    app = turn.release.app if turn.release is not None else None
    return turn.plan.limits.match(turn.grant.project, turn.grant.key_id, turn.request.user, app)
