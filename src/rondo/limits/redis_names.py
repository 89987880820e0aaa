"""What is written to Redis for a call, and under which names. All names share one hash tag, as scripts want it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rondo import clock, ids
from rondo.limits import scripts
from rondo.limits.model import Bound, Claim, Matched, periods_of
from rondo.limits.redis_line import Value

Script = tuple[str, Sequence[str], Sequence[Value]]
"""A script with its keys and arguments."""

_MOST_SUMS = 2_000
_MOST_BATCHES = 20


class Names:
    """The names of keys, for one installation and one process of it."""

    def __init__(self, prefix: str, process: str) -> None:
        self.process = process
        self._prefix = f"{{{prefix}}}:"
        self.epoch = f"{self._prefix}epoch"
        self.processes = f"{self._prefix}processes"

    def sums(self, epoch: str, period: str) -> str:
        return f"{self._prefix}sums:{epoch}:{period}"

    def holds(self, epoch: str) -> str:
        return f"{self._prefix}holds:{epoch}:{self.process}"

    def batches(self, epoch: str) -> str:
        return f"{self._prefix}batches:{epoch}"

    def rate(self, subject: str) -> str:
        return f"{self._prefix}rate:{subject}"

    def busy(self, epoch: str, subject: str) -> str:
        return f"{self._prefix}busy:{epoch}:{subject}"


class RedisHold:
    """What a call takes, and how it is said. `counted` once Redis has it; `second` is when it was, there."""

    __slots__ = (
        "_names",
        "at",
        "budgets",
        "counted",
        "id",
        "nano",
        "owed_at",
        "periods",
        "rates",
        "second",
        "settled",
        "spent",
        "subjects",
        "tokens",
        "used_tokens",
    )

    def __init__(self, names: Names, matched: Matched, claim: Claim) -> None:
        self._names = names
        self.id = ids.new_span_id()
        self.nano = claim.nano
        self.tokens = claim.tokens
        user = matched.user_subject
        self.subjects = matched.subjects if user is None else (*matched.subjects, user)
        self.budgets: list[tuple[Bound, int, int]] = []
        """Bound, place of the key of its day (3) or month (4), allowed."""
        self.rates: list[Bound] = []
        for bound in matched.bounds:
            limit = bound.limit
            for place, allowed in ((3, limit.nano_per_day), (4, limit.nano_per_month)):
                if allowed is not None:
                    self.budgets.append((bound, place, allowed))
            if not (limit.requests_per_minute is limit.tokens_per_minute is limit.concurrent is None):
                self.rates.append(bound)
        self.second = 0
        self.counted = self.settled = False
        self.spent = self.used_tokens = self.owed_at = 0
        self.begin_at(claim.at)

    def begin_at(self, at: int) -> None:
        """Count it for the day and the month of this time (microseconds)."""
        self.at = at
        self.periods = periods_of(at)

    def reserving(self, epoch: str, source: str) -> Script:
        """The line adds the deadline."""
        names = self._names
        keys = [*self._keys(epoch), names.processes]
        words: list[Value] = [epoch, source, names.process, self.id, self.at, self.nano, self.tokens]
        words += [len(self.subjects), *self.subjects, len(self.budgets)]
        for bound, place, allowed in self.budgets:
            words += [place, bound.subject, allowed]
        for bound in self.rates:
            keys += [names.rate(bound.subject), names.busy(epoch, bound.subject)]
            limit = bound.limit
            for most in (limit.requests_per_minute, limit.tokens_per_minute, limit.concurrent):
                words.append(-1 if most is None else most)
        return scripts.RESERVE, keys, words

    def settling(self, epoch: str) -> Script:
        keys = self._keys(epoch)
        for bound in self.rates:
            keys += [self._names.rate(bound.subject), self._names.busy(epoch, bound.subject)]
        words: list[Value] = [epoch, self._names.process, self.id, self.second, self.used_tokens - self.tokens]
        return scripts.SETTLE, keys, [*words, self.nano, self.spent, *self.subjects]

    def adopting(self, epoch: str) -> Script:
        keys = [*self._keys(epoch), *(self._names.busy(epoch, bound.subject) for bound in self.rates)]
        return scripts.ADOPT, keys, [epoch, self._names.process, self.id, self.nano, *self.subjects]

    def _keys(self, epoch: str) -> list[str]:
        names, (day, month) = self._names, self.periods
        return [names.epoch, names.holds(epoch), names.sums(epoch, day), names.sums(epoch, month)]


class Sums:
    """Money by period and subject, to be added once. `ended` is when the last of it was recorded (microseconds)."""

    __slots__ = ("ended", "id", "nano")

    def __init__(self) -> None:
        self.id = ids.new_span_id()
        self.ended = 0
        self.nano: dict[tuple[str, str], int] = {}

    def adding(self, names: Names, epoch: str) -> Script:
        remembered = names.batches(epoch)
        return adding(names, epoch, self.nano, remembered=remembered, field=names.process, value=self.id)


def adding(
    names: Names, epoch: str, nano: Mapping[tuple[str, str], int], *, remembered: str, field: str, value: str
) -> Script:
    """Add these sums, unless `field` of the hash `remembered` has this value already."""
    keys, places = [names.epoch, remembered], dict[str, int]()
    words: list[Value] = [epoch, field, value]
    for (period, subject), amount in nano.items():
        if period not in places:
            keys.append(names.sums(epoch, period))
            places[period] = len(keys)
        words += [places[period], subject, amount]
    return scripts.ADD, keys, words


class Unheld:
    """Money that was spent without a hold, until Redis has been told of it."""

    def __init__(self) -> None:
        self._now = Sums()
        self._closed: list[Sums] = []

    def add(self, at: int, subjects: Sequence[str], nano: int) -> None:
        sums = self._now.nano
        for period in periods_of(at):
            for subject in subjects:
                sums[period, subject] = sums.get((period, subject), 0) + nano
        self._now.ended = clock.now_us()
        if len(sums) >= _MOST_SUMS:
            self.close()

    def close(self) -> None:
        """Begin a new batch; while nobody takes them, older ones are put together but for the newest few."""
        if not self._now.nano:
            return
        self._closed.append(self._now)
        self._now = Sums()
        if len(self._closed) > _MOST_BATCHES:  # the first may have been sent: it stays as it is
            second, third = self._closed[1], self._closed.pop(2)
            for place, nano in third.nano.items():
                second.nano[place] = second.nano.get(place, 0) + nano
            second.ended = third.ended

    def first(self) -> Sums | None:
        return self._closed[0] if self._closed else None

    def drop(self, sums: Sums) -> None:
        self._closed.remove(sums)

    def forget(self, until: int) -> None:
        """Leave out what was recorded up to then: someone has added it up from the records."""
        self._closed = [sums for sums in self._closed if sums.ended > until]
