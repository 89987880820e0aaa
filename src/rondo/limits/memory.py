"""The ledger of one process: plain integers in memory, rebuilt from records when the process starts.

Nothing here waits, so each step is whole: no two requests can take the same room. Minutes are counted by a clock that
does not jump; days and months by the time a call began, and the sums of days past stay for a while, so that a wall
clock that is put back finds what was spent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from heapq import nlargest

from rondo import clock
from rondo.errors import RondoError, Unavailable
from rondo.limits.ledger import LedgerState, Used, refusal
from rondo.limits.model import (
    DAY_US,
    Bound,
    Claim,
    Matched,
    next_day,
    next_month,
    periods_of,
    spenders,
    user_of,
)
from rondo.limits.spent import Spent
from rondo.limits.window import Count, Window

_KEPT_PERIODS = 8  # days and months
_LANES = 10_000
_IDLE_CHECK = 10_000

_log = logging.getLogger("rondo.limits")


class _Pot:
    """Money of one subject in one period."""

    __slots__ = ("held", "spent")

    def __init__(self) -> None:
        self.spent = 0
        self.held = 0


class _Rate(Window):
    """What one subject did in the last minute, and does now."""

    __slots__ = ("busy",)

    def __init__(self) -> None:
        super().__init__()
        self.busy = 0


class _Lane:
    """All that a request of one caller touches, at hand: for one day."""

    __slots__ = ("budgets", "matched", "pots", "rates", "user_pots")

    def __init__(self, matched: Matched) -> None:
        self.matched = matched
        self.pots: tuple[_Pot, ...] = ()
        self.user_pots: tuple[_Pot, ...] = ()
        """Empty while nobody counts users."""
        self.budgets: list[tuple[Bound, _Pot, int, bool]] = []
        """Bound, pot, allowed, whether it is a day's."""
        self.rates: list[tuple[Bound, _Rate, int | None, int | None, int | None]] = []
        """Bound, counts, and the most of requests, tokens and calls at the same time."""


class MemoryHold:
    """What a call has taken, and where."""

    __slots__ = ("at", "lane", "nano", "places", "settled", "tokens")

    def __init__(self, lane: _Lane, at: int, nano: int, tokens: int) -> None:
        self.lane = lane
        self.at = at
        self.nano = nano
        self.tokens = tokens
        self.places: tuple[tuple[Window, Count], ...] = ()
        """Where tokens are to be corrected."""
        self.settled = False


class MemoryLedger:
    """A Ledger. Belongs to one event loop.

    `load_users` adds up what single users spent; it is asked for when users get a limit, since nobody keeps count of
    users, who may be millions, without need.
    """

    def __init__(self, spent: Spent | None = None, *, load_users: Callable[[], Awaitable[Spent]] | None = None) -> None:
        self._pots: dict[str, dict[str, _Pot]] = {}
        self._rates: dict[str, _Rate] = {}
        self._lanes: dict[Matched, _Lane] = {}
        self._day = -1
        self._rates_checked_at = _IDLE_CHECK
        self._load_users = load_users
        self._counts_users = False
        self._users_known = load_users is None
        self._loading: asyncio.Task[None] | None = None
        self._meanwhile: list[tuple[int, tuple[_Pot, ...], int]] = []  # when, where and what users spent while loading
        if load_users is None:
            self._counts_users = True
        if spent is not None:
            self._add(spent, only_users=False)
            if spent.users:
                self._counts_users = self._users_known = True

    async def reserve(self, matched: Matched, claim: Claim) -> MemoryHold:
        if not self._users_known and _needs_users(matched):
            await self._learn_users()
        day = claim.at // DAY_US
        if day != self._day:
            self._begin_day(day)
        lane = self._lanes.get(matched)
        if lane is None:
            lane = self._lane(matched, claim.at)
        nano, tokens, now = claim.nano, claim.tokens, int(clock.monotonic())
        self._check(lane, claim, now)
        hold = MemoryHold(lane, claim.at, nano, tokens)
        if nano:
            for pot in lane.pots:
                pot.held += nano
            for pot in lane.user_pots:
                pot.held += nano
        for _, rate, _, most_tokens, _ in lane.rates:
            rate.busy += 1
            place = rate.take(now, tokens)
            if most_tokens is not None:
                hold.places = (*hold.places, (rate, place))
        return hold

    def settle(self, hold: MemoryHold, *, tokens: int | None, nano: int | None) -> None:
        if hold.settled:
            return
        hold.settled = True
        reserved, lane = hold.nano, hold.lane
        spent = reserved if nano is None else nano
        if reserved or spent:
            for pot in lane.pots:
                pot.held -= reserved
                pot.spent += spent
            user = lane.matched.user_subject
            if user is not None and self._counts_users:
                for pot in lane.user_pots:
                    pot.held -= reserved
                known = lane.user_pots if self._lanes.get(lane.matched) is lane else ()
                self._spend_of_user(known or self._user_pots(user, hold.at), spent)
        for _, rate, _, _, _ in lane.rates:
            rate.busy -= 1
        if tokens is not None and hold.places and tokens != hold.tokens:
            now = int(clock.monotonic())
            for window, place in hold.places:
                window.correct(place, now, tokens - hold.tokens)

    def spend(self, project: str, key_id: str, user: str | None, app: str | None, *, at: int, nano: int) -> None:
        if nano <= 0:
            return
        subjects = spenders(project, key_id, app)
        for period in periods_of(at):
            for subject in subjects:
                self._pot(period, subject).spent += nano
        if self._counts_users and (name := user_of(project, user)) is not None:
            self._spend_of_user(self._user_pots(name, at), nano)

    async def used(self, subjects: Sequence[str]) -> list[Used]:
        if not self._users_known and any(_is_user(subject) for subject in subjects):
            await self._learn_users()
        at, now = clock.now_us(), int(clock.monotonic())
        days, months = (self._pots.get(period, {}) for period in periods_of(at))
        nothing, idle = _Pot(), _Rate()
        found = []
        for subject in subjects:
            day, month = days.get(subject, nothing), months.get(subject, nothing)
            rate = self._rates.get(subject, idle)
            rate.look(now)
            found.append(
                Used(
                    subject=subject,
                    requests=rate.requests,
                    tokens=rate.tokens,
                    concurrent=rate.busy,
                    day_spent=day.spent,
                    day_reserved=day.held,
                    month_spent=month.spent,
                    month_reserved=month.held,
                )
            )
        return found

    async def largest(self, prefix: str, count: int) -> list[str]:
        if not self._users_known and _is_user(prefix):
            await self._learn_users()
        pots = self._pots.get(periods_of(clock.now_us())[1], {})
        found = ((pot.spent, subject) for subject, pot in pots.items() if subject.startswith(prefix))
        return [subject for _, subject in nlargest(count, found)]

    def state(self) -> LedgerState:
        return LedgerState(backend="memory")

    def _check(self, lane: _Lane, claim: Claim, now: int) -> None:
        """Raises the refusal of the first limit without room; takes nothing."""
        nano = claim.nano
        for bound, pot, allowed, is_day in lane.budgets:
            left = allowed - pot.spent - pot.held
            if nano > left:
                end = next_day(claim.at) if is_day else next_month(claim.at)
                wait = max(1, -(-(end - clock.now_us()) // 1_000_000))
                raise refusal(bound, "day" if is_day else "month", claim, left=left, wait_s=wait)
        for bound, rate, requests, tokens, concurrent in lane.rates:
            rate.look(now)
            if concurrent is not None and rate.busy >= concurrent:
                raise refusal(bound, "concurrent", claim)
            if requests is not None and rate.requests >= requests:
                raise refusal(bound, "requests", claim, wait_s=rate.wait_for_request(now, requests))
            if tokens is not None and rate.tokens + claim.tokens > tokens:
                raise refusal(bound, "tokens", claim, wait_s=rate.wait_for_tokens(now, claim.tokens, tokens))

    def _lane(self, matched: Matched, at: int) -> _Lane:
        if len(self._lanes) >= _LANES:
            self._lanes.clear()
        lane, (day, month) = _Lane(matched), periods_of(at)
        lane.pots = tuple(self._pot(period, subject) for period in (day, month) for subject in matched.subjects)
        if self._counts_users and matched.user_subject is not None:
            lane.user_pots = self._user_pots(matched.user_subject, at)
        for bound in matched.bounds:
            limit = bound.limit
            for period, allowed in ((day, limit.nano_per_day), (month, limit.nano_per_month)):
                if allowed is not None:
                    lane.budgets.append((bound, self._pot(period, bound.subject), allowed, period is day))
            most = limit.requests_per_minute, limit.tokens_per_minute, limit.concurrent
            if most != (None, None, None):
                lane.rates.append((bound, self._rate(bound.subject), *most))
        self._lanes[matched] = lane
        return lane

    def _pot(self, period: str, subject: str) -> _Pot:
        pots = self._pots.get(period)
        if pots is None:
            pots = self._pots[period] = {}
            self._forget_periods(period[0])
        pot = pots.get(subject)
        if pot is None:
            pot = pots[subject] = _Pot()
        return pot

    def _rate(self, subject: str) -> _Rate:
        if len(self._rates) >= self._rates_checked_at:
            self._forget_idle()
        rate = self._rates.get(subject)
        if rate is None:
            rate = self._rates[subject] = _Rate()
        return rate

    def _forget_idle(self) -> None:
        """Drop who did nothing for a minute: any user may come once."""
        now = int(clock.monotonic())
        for rate in self._rates.values():
            rate.look(now)
        self._rates = {subject: rate for subject, rate in self._rates.items() if rate.busy or rate.requests}
        self._rates_checked_at = max(_IDLE_CHECK, 2 * len(self._rates))
        self._lanes.clear()

    def _begin_day(self, day: int) -> None:
        self._day = day
        self._lanes.clear()

    def _forget_periods(self, kind: str) -> None:
        """Keep the last few days or months: the ones met last, whatever the wall clock calls them."""
        periods = [period for period in self._pots if period[0] == kind]
        for period in periods[:-_KEPT_PERIODS]:
            del self._pots[period]

    def _user_pots(self, subject: str, at: int) -> tuple[_Pot, ...]:
        day, month = periods_of(at)
        return self._pot(day, subject), self._pot(month, subject)

    def _spend_of_user(self, pots: tuple[_Pot, ...], spent: int) -> None:
        for pot in pots:
            pot.spent += spent
        if self._loading is not None:
            self._meanwhile.append((clock.now_us(), pots, spent))

    async def _learn_users(self) -> None:
        """Add up what users spent before anyone counted; from this moment on everything is counted."""
        if self._loading is None:
            self._counts_users = True
            self._lanes.clear()
            self._loading = asyncio.ensure_future(self._load())
        await asyncio.shield(self._loading)

    async def _load(self) -> None:
        assert self._load_users is not None
        try:
            spent = await self._load_users()
            for at, pots, nano in self._meanwhile:
                if at <= spent.read_at:  # it is among what was read
                    for pot in pots:
                        pot.spent -= nano
            self._add(spent, only_users=True)
            self._users_known = True
        except RondoError as error:
            self._counts_users = False  # begin anew: what was counted meanwhile is in the records too
            for period in self._pots.values():
                for subject in [name for name in period if _is_user(name)]:
                    del period[subject]
            self._lanes.clear()
            raise Unavailable(
                f"What users have spent cannot be added up: {error.message}", remedy="It is tried again by itself."
            ) from error
        finally:
            self._loading = None
            self._meanwhile.clear()

    def _add(self, spent: Spent, *, only_users: bool) -> None:
        for (period, subject), nano in spent.nano.items():
            if not only_users or _is_user(subject):
                self._pot(period, subject).spent += nano


def _is_user(subject: str) -> bool:
    return "/user:" in subject


def _needs_users(matched: Matched) -> bool:
    return any(bound.limit.has_budget and _is_user(bound.subject) for bound in matched.bounds)
