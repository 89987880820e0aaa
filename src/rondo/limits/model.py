"""What limits are: whom they hold for, what they allow, and which of them a request meets. Pure.

Money is counted in whole nano-dollars (1e-9 dollars), so sums are exact. Days and months are those of the calendar in
UTC, and a call belongs to the ones in which it began.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import lru_cache
from hashlib import sha256
from math import isfinite

from msgspec import Struct, structs

from rondo.errors import InvalidRequest

NANO = 1_000_000_000
MOST_USD = 1_000_000
"""Largest budget. A float tells nano-dollars apart up to here, and so do the numbers of Redis' scripts."""

MOST_COUNT = 10**12
"""Largest limit of requests or tokens per minute, and of concurrent calls."""

SHARES = (0.5, 0.8, 1.0)
"""Shares of a budget at which an alert opens, where a limit does not name its own."""

KINDS = ("project", "app", "key", "user")
EACH = "*"
"""In the place of a name: each app, key or user for itself, where it has no limit of its own."""

DAY_US = 86_400_000_000
_LONGEST_USER = 128
_CACHED = 10_000


class Limit(Struct, frozen=True, kw_only=True):
    """What one scope may use; None is as much as it likes. Budgets are in nano-dollars.

    `scope` is `project`, or `app:NAME`, `key:ID` or `user:NAME`, or `app:*`, `key:*` or `user:*`.
    """

    scope: str
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None
    nano_per_day: int | None = None
    nano_per_month: int | None = None
    alert_at: tuple[float, ...] = SHARES

    @property
    def has_budget(self) -> bool:
        return self.nano_per_day is not None or self.nano_per_month is not None


class Bound(Struct, frozen=True):
    """A limit that a request meets. `subject` is whose use counts, `words` how people call it."""

    limit: Limit
    subject: str
    words: str


def _money_of(bound: Bound) -> Bound:
    """Its budget alone, without what it says of requests and tokens."""
    limit = structs.replace(bound.limit, requests_per_minute=None, tokens_per_minute=None, concurrent=None)
    return structs.replace(bound, limit=limit)


class Matched:
    """All limits that a request meets, and every subject that its money counts for. Made once for the same caller."""

    __slots__ = ("bounds", "has_budget", "money", "needs_bound", "project", "subjects", "user_subject")

    def __init__(self, project: str, bounds: tuple[Bound, ...], subjects: tuple[str, ...], user: str | None) -> None:
        self.project = project
        self.bounds = bounds
        self.subjects = subjects
        """Of the project, the key and the app; `user_subject` is the user's."""
        self.user_subject = user
        self.has_budget = any(bound.limit.has_budget for bound in bounds)
        self.needs_bound = self.has_budget or any(bound.limit.tokens_per_minute is not None for bound in bounds)
        """Whether it matters how much the request can cost at most."""
        self.money: Matched | None = self._money()
        """Its budgets alone, for what is spent beside the request's own call; None where there is none."""

    def _money(self) -> Matched | None:
        if not self.has_budget:
            return None
        budgets = tuple(_money_of(bound) for bound in self.bounds if bound.limit.has_budget)
        if budgets == self.bounds:
            return self
        return Matched(self.project, budgets, self.subjects, self.user_subject)


class Claim(Struct, frozen=True):
    """The most that a request can use, taken before it is sent. `at` is when it began (microseconds)."""

    at: int
    tokens: int = 0
    nano: int = 0


class LimitTable:
    """The limits of every project, as the plan has them. Immutable but for its own memory of what it was asked."""

    def __init__(self, limits: Iterable[tuple[str, Limit]] = (), key_names: Mapping[str, str] | None = None) -> None:
        """`limits` are (project, limit); `key_names` says how people call a key, by its id."""
        self._limits: dict[str, dict[str, Limit]] = {}
        for project, limit in limits:
            self._limits.setdefault(project, {})[limit.scope] = limit
        self._key_names = dict(key_names or {})
        self._known: dict[tuple[str, str, str | None, str | None], Matched | None] = {}

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return bool(self._limits)

    def of(self, project: str) -> list[Limit]:
        """The project's limits, in the order of their scopes."""
        return sorted(self._limits.get(project, {}).values(), key=lambda limit: scope_order(limit.scope))

    @property
    def projects(self) -> list[str]:
        """Projects with a limit."""
        return sorted(self._limits)

    @property
    def has_budget(self) -> bool:
        """Whether what is spent has to be known."""
        return any(limit.has_budget for limits in self._limits.values() for limit in limits.values())

    @property
    def has_user_budget(self) -> bool:
        """Whether what single users spend has to be known."""
        return any(
            limit.has_budget and scope.startswith("user:")
            for limits in self._limits.values()
            for scope, limit in limits.items()
        )

    def match(self, project: str, key_id: str, user: str | None = None, app: str | None = None) -> Matched | None:
        """The limits that a request of this caller meets; None where it meets none."""
        if not self._limits:
            return None
        asked = (project, key_id, user, app)
        try:
            return self._known[asked]
        except KeyError:
            pass
        if len(self._known) >= _CACHED:
            self._known.clear()
        found = self._known[asked] = self._match(*asked)
        return found

    def _match(self, project: str, key_id: str, user: str | None, app: str | None) -> Matched | None:
        limits = self._limits.get(project)
        if not limits:
            return None
        names = [("project", None), ("key", key_id), ("app", app), ("user", user or None)]
        bounds = []
        for kind, name in names:
            if kind == "project":
                limit = limits.get(kind)
            else:
                limit = None if name is None else limits.get(f"{kind}:{name}") or limits.get(f"{kind}:{EACH}")
            if limit is not None:
                whose = kind if name is None else f"{kind}:{name}"
                bounds.append(Bound(limit, subject(project, kind, name), self.words(whose)))
        if not bounds:
            return None
        return Matched(project, tuple(bounds), spenders(project, key_id, app), user_of(project, user))

    def words(self, whose: str) -> str:
        """How people call `key:key_1` or `user:anna`: a key by its name."""
        kind, colon, name = whose.partition(":")
        if not colon:
            return kind
        shown = self._key_names.get(name, name) if kind == "key" else name
        return f"{kind} {shown[:100]}"


NO_LIMITS = LimitTable()


def subject(project: str, kind: str, name: str | None = None) -> str:
    """Whose use is counted, as one name over all projects: `default/key:key_1`. Very long users go by their hash."""
    if name is None:
        return f"{project}/{kind}"
    if kind == "user" and len(name) > _LONGEST_USER:
        name = "sha256-" + sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{project}/{kind}:{name}"


def spenders(project: str, key_id: str, app: str | None) -> tuple[str, ...]:
    """The subjects that a call's money counts for, but for its user."""
    subjects = (f"{project}/project", f"{project}/key:{key_id}")
    return subjects if app is None else (*subjects, f"{project}/app:{app}")


def user_of(project: str, user: str | None) -> str | None:
    """The subject of a call's user; None where it names none."""
    return subject(project, "user", user) if user else None


@lru_cache(64)
def periods(day: int) -> tuple[str, str]:
    """A day, by its number since the epoch, and its month: `d20261121`, `m202611`."""
    year, month, of_month = _civil(day)
    return f"d{year:04d}{month:02d}{of_month:02d}", f"m{year:04d}{month:02d}"


def periods_of(at: int) -> tuple[str, str]:
    """The day and the month of a time in microseconds."""
    return periods(at // DAY_US)


def next_day(at: int) -> int:
    """When the day of `at` ends, in microseconds."""
    return (at // DAY_US + 1) * DAY_US


def month_start(at: int) -> int:
    """When the month of `at` began, in microseconds."""
    days = at // DAY_US
    return (days - (_civil(days)[2] - 1)) * DAY_US


def next_month(at: int) -> int:
    """When the month of `at` ends, in microseconds."""
    return month_start(month_start(at) + 32 * DAY_US)


def to_nano(usd: float) -> int:
    """The cost of a call in nano-dollars, to the nearest one (a half goes to the even one). Never below zero."""
    return round(usd * 1e9) if usd > 0 and isfinite(usd) else 0


def to_usd(nano: int) -> float:
    return nano / 1e9


def budget(usd: float | str, *, param: str) -> int:
    """A budget in nano-dollars. Raises InvalidRequest, which names the field."""
    try:
        amount = Decimal(str(usd))
    except InvalidOperation:
        raise InvalidRequest(f"`{param}` is no amount of money: {usd!r:.40}.", param=param) from None
    if not amount.is_finite() or not 0 <= amount <= MOST_USD:
        raise InvalidRequest(
            f"`{param}` must be between 0 and {MOST_USD:,} US dollars, not {usd!r:.40}.",
            remedy="0 lets only models through that cost nothing; leave it out for no limit.",
            param=param,
        )
    nano = amount * NANO
    if nano != nano.to_integral_value(ROUND_HALF_EVEN):
        raise InvalidRequest(f"`{param}` has more than nine decimals: {usd!r:.40}.", param=param)
    return int(nano)


def scope_order(scope: str) -> tuple[int, bool, str]:
    """Lists show the project first, then apps, keys and users, the ones for each of them last."""
    kind, _, name = scope.partition(":")
    return (KINDS.index(kind) if kind in KINDS else len(KINDS), name == EACH, name)


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of the Gregorian calendar, from days since the epoch (Howard Hinnant's algorithm)."""
    days += 719_468
    era, of_era = divmod(days, 146_097)
    year_of_era = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (month <= 2), month, of_year - (153 * shifted + 2) // 5 + 1
