"""The ledger of many processes and machines: in Redis or Valkey, by scripts that nothing comes between.

Whatever has been settled, and not yet been told to Redis, waits here until it answers again. Each process gives a sign
of life twice a second; what a dead one had under way ends to count as concurrent, while its money stays taken: it may
have been spent. Redis is not where money is kept. Where it comes back empty, or older than it was, the sums begin anew
from the records (an *epoch*): each server adds its own once, each process what it has under way, and only then, after
two seconds of grace for the slower ones, is anything let through.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from heapq import nlargest
from typing import Any, Literal

from rondo import clock, ids
from rondo.errors import RondoError, Unavailable
from rondo.limits import scripts
from rondo.limits.ledger import LedgerState, Used, refusal
from rondo.limits.model import Claim, Matched, next_day, next_month, periods_of, spenders, user_of
from rondo.limits.redis_epoch import Epochs
from rondo.limits.redis_line import Away, Line
from rondo.limits.redis_names import Names, RedisHold, Unheld
from rondo.limits.spent import Spent

BEAT_S = 0.5
_LEASE_US = 10_000_000
_MARGIN_US = 100_000
_MOST_SCANNED = 200_000
_ALL = (scripts.RESERVE, scripts.SETTLE, scripts.ADOPT, scripts.ADD, scripts.BEAT, scripts.BEGIN, scripts.USED)

_ADDING = "what was spent is being added up again"
_LATE = "it took too long to answer"

_log = logging.getLogger("rondo.limits")


class RedisLedger:
    """A Ledger. `start` it on the event loop, `close` it last.

    `source` names the records of this server, whichever of its processes asks; the process that has them gives `load`,
    which adds them up. `prefix` keeps several installations on one Redis apart.
    """

    def __init__(
        self,
        url: str,
        *,
        source: str,
        fail: Literal["closed", "open"] = "closed",
        load: Callable[[], Awaitable[Spent]] | None = None,
        prefix: str = "rondo",
        timeout_s: float = 0.5,
    ) -> None:
        """Raises SettingsError where there is no such address, or no client library."""
        self.process = ids.new_span_id()
        self._source = source
        self._fail = fail
        self._names = Names(prefix, self.process)
        self._line = Line(url, _ALL, timeout_s=timeout_s)  # for the calls of one epoch
        self._control = Line(url, _ALL, timeout_s=timeout_s)  # for what is about epochs
        self._epochs = Epochs(self._control, self._names, source, load)
        self._epoch: str | None = None
        self._open: dict[str, RedisHold] = {}
        self._owed: dict[str, RedisHold] = {}  # settled here; not known to be settled there
        self._unheld = Unheld()
        self._away_since: int | None = None
        self._reason: str | None = "it has not been asked yet"
        self._refused = self._passed = 0
        self._beats: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to give signs of life; waits until requests are let through, unless Redis is away."""
        self._beats = asyncio.create_task(self._keep_beating())
        for _ in range(2):
            wait = await self._beat_once()
            if not wait:
                break
            await asyncio.sleep(wait)

    async def close(self) -> None:
        """Tell Redis what it does not know yet, if it answers."""
        if self._beats is not None:
            self._beats.cancel()
            with suppress(asyncio.CancelledError):
                await self._beats
        with suppress(Away):
            if self._epoch is not None:
                await self._tell(self._epoch)
            await self._control.command("ZREM", self._names.processes, self.process)
        await self._line.close()
        await self._control.close()

    async def reserve(self, matched: Matched, claim: Claim) -> RedisHold:
        hold = RedisHold(self._names, matched, claim)
        epoch = self._epoch
        if epoch is None or self._away_since is not None:
            return self._without(hold)
        try:
            for _ in range(2):
                reply = await self._line.call(*hold.reserving(epoch, self._source), timed=True)
                if reply[0] != b"clock":
                    break
                hold.begin_at(reply[1])  # our clock is wrong by a minute and more; the server's counts
        except Away as error:
            self._went_away(str(error))
            self._owe(hold, nano=0, tokens=0)  # it may have been done all the same
            return self._without(RedisHold(self._names, matched, claim))
        except asyncio.CancelledError:
            self._owe(hold, nano=0, tokens=0)
            raise
        return self._reserved(hold, epoch, claim, reply)

    def settle(self, hold: RedisHold, *, tokens: int | None, nano: int | None) -> None:
        if hold.settled:
            return
        hold.settled = True
        spent = hold.nano if nano is None else nano
        if hold.counted:
            self._owe(hold, nano=spent, tokens=hold.tokens if tokens is None else tokens)
        elif spent:
            self._unheld.add(hold.at, hold.subjects, spent)

    def spend(self, project: str, key_id: str, user: str | None, app: str | None, *, at: int, nano: int) -> None:
        if nano > 0:
            subjects, name = spenders(project, key_id, app), user_of(project, user)
            self._unheld.add(at, subjects if name is None else (*subjects, name), nano)

    async def used(self, subjects: Sequence[str]) -> list[Used]:
        if not subjects:
            return []
        names, epoch = self._names, self._epoch or ""
        day, month = periods_of(clock.now_us())
        keys = [names.sums(epoch, day), names.sums(epoch, month), names.processes]
        for subject in subjects:
            keys += [names.rate(subject), names.busy(epoch, subject)]
        try:
            told = await self._control.call(scripts.USED, keys, subjects)
        except Away as error:
            raise self._unavailable(str(error)) from None
        fields = ("requests", "tokens", "concurrent", "day_spent", "day_reserved", "month_spent", "month_reserved")
        return [
            Used(subject=subject, **dict(zip(fields, told[7 * place : 7 * place + 7], strict=True)))
            for place, subject in enumerate(subjects)
        ]

    async def largest(self, prefix: str, count: int) -> list[str]:
        key = self._names.sums(self._epoch or "", periods_of(clock.now_us())[1])
        pattern = "s:" + "".join(f"\\{letter}" if letter in "*?[]\\" else letter for letter in prefix) + "*"
        found: dict[str, int] = {}
        cursor: Any = 0
        try:
            while True:
                cursor, part = await self._control.command("HSCAN", key, cursor, "MATCH", pattern, "COUNT", 5_000)
                pairs = part.items() if isinstance(part, dict) else zip(part[::2], part[1::2], strict=True)
                found.update((field[2:].decode("utf-8", "replace"), int(nano)) for field, nano in pairs)
                if int(cursor) == 0 or len(found) > _MOST_SCANNED:
                    break
        except Away as error:
            raise self._unavailable(str(error)) from None
        return nlargest(count, found, key=lambda subject: found[subject])

    def state(self) -> LedgerState:
        return LedgerState(
            backend="redis",
            fail=self._fail,
            away_since=self._away_since,
            reason=self._reason,
            refused=self._refused,
            passed=self._passed,
        )

    def _reserved(self, hold: RedisHold, epoch: str, claim: Claim, reply: Any) -> RedisHold:
        """What came of asking. Raises the refusal."""
        answer = reply[0]
        if answer == b"ok":
            hold.counted, hold.second = True, reply[1]
            self._open[hold.id] = hold
            if self._epoch is not None and self._epoch != epoch:  # a new one began meanwhile
                self._control.call(*hold.adopting(self._epoch))
            return hold
        if answer == b"budget":
            bound, is_day = hold.budgets[reply[1]][0], hold.budgets[reply[1]][1] == 3
            end = next_day(hold.at) if is_day else next_month(hold.at)
            wait = max(1, -(-(end - reply[3]) // 1_000_000))
            raise refusal(bound, "day" if is_day else "month", claim, left=reply[2], wait_s=wait)
        if answer in (b"concurrent", b"requests", b"tokens"):
            raise refusal(hold.rates[reply[1]], answer.decode(), claim, wait_s=reply[2])
        if answer == b"epoch":
            self._epoch = None  # the next sign of life joins the new one
        return self._without(hold, _LATE if answer == b"late" else _ADDING)

    def _without(self, hold: RedisHold, reason: str | None = None) -> RedisHold:
        """Redis cannot tell: what the project chose for that applies. Raises Unavailable."""
        if self._fail == "open":
            self._passed += 1
            return hold
        self._refused += 1
        raise self._unavailable(reason or self._reason or _ADDING)

    def _unavailable(self, reason: str) -> Unavailable:
        return Unavailable(
            f"Limits cannot be checked: Redis: {reason}.",
            remedy="It is tried again twice a second. `limits.fail` says what happens meanwhile.",
        )

    def _owe(self, hold: RedisHold, *, nano: int, tokens: int) -> None:
        """Settle at Redis: now, or when it is back."""
        hold.settled, hold.owed_at = True, clock.now_us()
        hold.spent, hold.used_tokens = nano, tokens
        self._owed[hold.id] = hold
        if self._epoch is not None and self._away_since is None:
            self._pay(hold, self._epoch)

    def _pay(self, hold: RedisHold, epoch: str) -> asyncio.Future[Any]:
        paid = self._line.call(*hold.settling(epoch))

        def done(answer: asyncio.Future[Any]) -> None:
            if answer.cancelled():
                return
            if answer.exception() is not None:
                self._went_away(str(answer.exception()))
            elif answer.result() != b"epoch":
                self._owed.pop(hold.id, None)
                self._open.pop(hold.id, None)

        paid.add_done_callback(done)
        return paid

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            await self._beat_once()

    async def _beat_once(self) -> float:
        """One sign of life, and what follows from the answer; in how many seconds requests are let through, if not now.

        Never raises: the beat must outlive every error.
        """
        self._unheld.close()
        try:
            return await self._beat()
        except Away as error:
            self._went_away(str(error))
        except RondoError as error:
            self._went_away(error.message)
        except Exception:
            _log.exception("unexpected error in the ledger")
            self._went_away("an error of our own")
        return 0.0

    async def _beat(self) -> float:
        now, epoch, run, opens, done = await self._life()
        if await self._epochs.make_whole(epoch, run, done):
            now, epoch, run, opens, done = await self._life()
        if not done:
            raise Away("the server that has the records has not added them up yet")
        if epoch != self._epoch:
            await self._join(epoch, int(done))
        self._came_back()
        await self._tell(epoch)
        return max(0.0, (opens - now) / 1e6)

    async def _life(self) -> tuple[int, str, str, int, str]:
        """The server's time, the epoch, the start it was begun on, when it opens, and since when it is whole."""
        keys: list[str] = [self._names.epoch, self._names.processes]
        now, epoch, run, opens, done = await self._control.call(
            scripts.BEAT, keys, [self._source, self.process, _LEASE_US]
        )
        self._line.offset_us = now - round(clock.monotonic() * 1e6)
        return now, epoch.decode(), run.decode(), int(opens), done.decode()

    async def _join(self, epoch: str, read_at: int) -> None:
        """Bring what is under way into an epoch whose sums hold every call recorded up to `read_at`."""
        for hold in list(self._owed.values()):
            if hold.owed_at <= read_at - _MARGIN_US:
                del self._owed[hold.id]
                self._open.pop(hold.id, None)
        self._unheld.forget(read_at - _MARGIN_US)
        await asyncio.gather(*(self._control.call(*hold.adopting(epoch)) for hold in self._open.values()))
        self._line.only = self._control.run
        self._epoch = epoch

    async def _tell(self, epoch: str) -> None:
        """What Redis has missed."""
        await asyncio.gather(*(self._pay(hold, epoch) for hold in list(self._owed.values())))
        self._unheld.close()
        while (first := self._unheld.first()) is not None:
            answer = await self._control.call(*first.adding(self._names, epoch))
            if answer == b"epoch":
                return
            self._unheld.drop(first)

    def _went_away(self, reason: str) -> None:
        self._reason = reason
        if self._away_since is None:
            self._away_since = clock.now_us()
            meanwhile = "refused" if self._fail == "closed" else "let through uncounted"
            _log.error("limits cannot be checked: Redis: %s; requests with a limit are %s", reason, meanwhile)

    def _came_back(self) -> None:
        self._reason = None
        if self._away_since is not None:
            self._away_since = None
            _log.warning(
                "limits are checked again; %d requests were refused and %d let through since the start",
                self._refused,
                self._passed,
            )
