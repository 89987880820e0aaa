"""Making Redis' sums whole from the records, where it has lost them, or has older ones than it should.

An epoch is a set of sums. It names the start of the server that it was begun on, so a Redis that was restarted, with
whatever it found on its disk, has none. Each server on it adds the sums of its own records exactly once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from zlib import crc32

from rondo import ids
from rondo.limits import scripts
from rondo.limits.redis_line import Away, Line, Value
from rondo.limits.redis_names import Names, adding
from rondo.limits.spent import Spent

GRACE_US = 2_000_000
"""How long a new epoch lets nothing through: every process has to bring what it has under way."""

_PARTS = 8


class Epochs:
    """Looks whether the epoch is whole, and makes it so where `load` is given: that process has the records."""

    def __init__(self, line: Line, names: Names, source: str, load: Callable[[], Awaitable[Spent]] | None) -> None:
        self._line = line
        self._names = names
        self._source = source
        self._load = load
        self._loaded: tuple[str, Spent] | None = None

    async def make_whole(self, epoch: str, run: str, done: str) -> str | None:
        """The epoch, where it was begun or completed here and now; None where it was whole already.

        Raises Away where another process has to do it, and Unavailable while the records cannot be read.
        """
        stale = not epoch or (run != self._line.run and bool(run) and bool(self._line.run))
        if not stale and done:
            return None
        if self._load is None:
            raise Away("what was spent is being added up again")
        if stale:
            wanted = ids.new_span_id()
            words: list[Value] = [epoch, wanted, self._line.run, GRACE_US]
            if not await self._line.call(scripts.BEGIN, [self._names.epoch], words):
                raise Away("what was spent is being added up again")  # by another; the next beat sees it
            epoch = wanted
        await self._contribute(epoch)
        return epoch

    async def _contribute(self, epoch: str) -> None:
        """Add the sums of our records. In parts, for there may be many users; a part that is in stays in."""
        assert self._load is not None
        if self._loaded is None or self._loaded[0] != epoch:
            self._loaded = epoch, await self._load()
        spent = self._loaded[1]
        parts: list[dict[tuple[str, str], int]] = [{} for _ in range(_PARTS)]
        for (period, subject), nano in spent.nano.items():
            parts[crc32(subject.encode("utf-8", "replace")) % _PARTS][period, subject] = nano
        for number, part in enumerate(parts):
            await self._add(epoch, part, field=f"part:{self._source}:{number}", value="1")
        await self._add(epoch, {}, field=f"done:{self._source}", value=str(spent.read_at))
        self._loaded = None

    async def _add(self, epoch: str, nano: dict[tuple[str, str], int], *, field: str, value: str) -> None:
        remembered = self._names.epoch
        await self._line.call(*adding(self._names, epoch, nano, remembered=remembered, field=field, value=value))
