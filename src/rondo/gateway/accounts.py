"""What a request takes from limits and budgets: reserved before a model is asked, settled when the record is made.

A request may ask more than one model: its errands before and after its own call, and further tries where one failed.
Each is reserved before it is sent. All of it is settled in one step together, just before the record is written, so
that what has been spent is in the ledger's sums and in the records, or in neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rondo.gateway.plan import Plan, ServedModel, ServedRelease
from rondo.gateway.spending import Terms, terms_of, worst_case
from rondo.gateway.turn import Turn
from rondo.limits.ledger import Ledger
from rondo.limits.model import Claim, Matched, to_nano, to_usd
from rondo.records import Usage

_MOST_TERMS = 1_000


class Accounts:
    """The ledger in the pipeline's words."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._plan: Plan | None = None
        self._terms: dict[tuple[int, int], tuple[Terms, ServedModel, ServedRelease | None]] = {}
        """Of this plan, by the identities of model and release."""

    async def reserve(self, turn: Turn, route: Sequence[ServedModel]) -> None:
        """Take the most that the request can use. Raises RateLimited, InvalidRequest, Unavailable."""
        matched = matched_by(turn)
        if matched is None:
            return
        claim = self._most(turn, matched, route, answers=answers_of(turn))
        turn.hold = await self._ledger.reserve(matched, claim)
        turn.matched = matched
        if matched.has_budget:
            turn.make_room = self._make_room

    async def reserve_errand(self, turn: Turn, errand: Turn, matched: Matched, model: ServedModel) -> None:
        """Take the most that an errand of this turn can cost. It is settled with the turn.

        `matched` are budgets only: an errand is none of the caller's requests. Raises as `reserve` does.
        """
        errand.started_at = turn.started_at
        errand.hold = await self._ledger.reserve(matched, self._most(errand, matched, (model,), answers=1))
        errand.matched = matched
        errand.make_room = self._make_room
        turn.errands = (*turn.errands, errand)

    async def _make_room(self, turn: Turn) -> None:
        """Take what is missing for one more try, where others may be on a bill. Raises BudgetExceeded, Unavailable."""
        assert turn.matched is not None
        assert turn.matched.money is not None
        missing = self._at_most(turn, *turn.bill()) - _reserved(turn)
        if missing > 0:
            claim = Claim(turn.started_at, 0, missing)
            hold = await self._ledger.reserve(turn.matched.money, claim)
            turn.extended = (*turn.extended, hold)  # as it is now: another try may have made room meanwhile

    def covers(self, turn: Turn, route: Sequence[ServedModel]) -> bool:
        """Whether another answer is certain to fit into what is left of the reservation."""
        hold, matched = turn.hold, turn.matched
        if hold is None or matched is None or not matched.needs_bound:
            return True
        usage, cost = turn.bill()
        claim = self._most(turn, matched, route, answers=1)
        nano = self._at_most(turn, usage, cost) if matched.has_budget else 0
        tokens = turn.side_tokens + (usage.total if usage is not None else 0)
        return bool(claim.nano + nano <= _reserved(turn) and claim.tokens + tokens <= hold.tokens)

    def settle(self, turn: Turn, cost_usd: float | None, usage: Usage | None) -> float | None:
        """Put what was used in the place of what was taken; the record's `charged_usd`, None where nothing was.

        Where the cost is unknown, all is charged that was reserved; where other tries may be on a bill besides the
        answer, the most that each can have cost.
        """
        paid_usd, paid_nano = self._settle_errands(turn) if turn.errands else (0.0, 0)
        hold, unsure = turn.hold, turn.unsure
        if hold is None:
            return self._spend(turn, cost_usd, paid_usd, paid_nano)
        tokens = None if usage is None else usage.total + turn.side_tokens
        if not unsure:  # nobody was asked, or everyone refused
            cost_usd = turn.side_usd or None if cost_usd is None else cost_usd
            tokens, nano = tokens or turn.side_tokens, to_nano((cost_usd or 0.0) - paid_usd)
        elif cost_usd is None:
            nano = max(_reserved(turn), to_nano(turn.side_usd - paid_usd))
        else:
            nano = to_nano(cost_usd - paid_usd)
            if len(unsure) > 1 and turn.make_room is not None:
                nano = max(nano, min(_reserved(turn), nano + self._owed(turn, turn.lost)))
        turn.hold = None
        self._ledger.settle(hold, tokens=tokens, nano=nano)
        for further in turn.extended:
            self._ledger.settle(further, tokens=None, nano=0)
        turn.extended = ()
        return _charged(nano + paid_nano, cost_usd)

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

    def _settle_errands(self, turn: Turn) -> tuple[float, int]:
        """Dollars that are known, as the turn's `side_usd` has them, and nano-dollars that were charged."""
        usd, nano = 0.0, 0
        for errand in turn.errands:
            usage, cost = errand.bill()
            nano += to_nano(self.settle(errand, cost, usage) or 0.0)
            usd += cost or 0.0
        turn.errands = ()
        return usd, nano

    def _spend(self, turn: Turn, cost_usd: float | None, paid_usd: float, paid_nano: int) -> float | None:
        """Count a call that reserved nothing for itself."""
        known = cost_usd or turn.side_usd
        if turn.shadow_of is not None:
            return known if known and cost_usd is None else None
        nano = to_nano(known - paid_usd)
        if nano:
            grant, app = turn.grant, turn.release.app if turn.release else None
            self._ledger.spend(grant.project, grant.key_id, turn.request.user, app, at=turn.started_at, nano=nano)
        if not paid_nano:
            return known if known and cost_usd is None else None
        charged = _charged(nano + paid_nano, known)
        return None if charged == cost_usd else charged

    def _at_most(self, turn: Turn, usage: Usage | None, cost_usd: float | None) -> int:
        """Nano-dollars that the turn may have cost until now, without its errands."""
        if cost_usd is None:
            known, tries = turn.side_usd, turn.unsure
        else:
            known, tries = cost_usd, turn.unsure if usage is None else turn.lost
        errands = sum(errand.bill()[1] or 0.0 for errand in turn.errands)
        return to_nano(known - errands) + self._owed(turn, tries)

    def _owed(self, turn: Turn, tries: Iterable[ServedModel]) -> int:
        """Nano-dollars that each of these tries can have cost, together."""
        assert turn.matched is not None
        return sum(self._most(turn, turn.matched, (model,), answers=1, hedges=False).nano for model in tries)

    def _most(
        self, turn: Turn, matched: Matched, route: Sequence[ServedModel], *, answers: int, hedges: bool = True
    ) -> Claim:
        if turn.plan is not self._plan:
            self._plan, self._terms = turn.plan, {}
        return worst_case(
            matched,
            turn.request,
            route,
            at=turn.started_at,
            release=turn.release,
            rendered=turn.rendered,
            answers=answers,
            hedges=hedges,
            known=self._known,
        )

    def _known(self, model: ServedModel, release: ServedRelease | None) -> Terms:
        place = id(model), id(release)
        found = self._terms.get(place)
        if found is None:
            if len(self._terms) >= _MOST_TERMS:
                self._terms.clear()
            found = self._terms[place] = terms_of(model, release), model, release  # kept, so that no other gets the id
        return found[0]


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
    caller = turn.grant.project, turn.grant.key_id, turn.request.user, app
    matched = turn.plan.limits.match(*caller)
    if turn.evaluated is None or turn.evaluated.budget is None:
        return matched
    return turn.evaluated.budget.beside(matched, *caller)


def _reserved(turn: Turn) -> int:
    """Nano-dollars that the turn holds, without its errands."""
    return sum([hold.nano for hold in (turn.hold, *turn.extended)])


def _charged(nano: int, cost_usd: float | None) -> float | None:
    """What budgets were charged, to the nano-dollar; the cost itself where that is the same."""
    if cost_usd is not None and abs(cost_usd * 1e9 - nano) < 0.5:
        return cost_usd
    return to_usd(nano) if nano else None
