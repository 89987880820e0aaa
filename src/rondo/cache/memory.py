"""Kept answers in this process: the least recently used go first when their bytes reach the bound."""

from __future__ import annotations

from collections import OrderedDict

from rondo import clock
from rondo.cache.model import Kept


class Memory:
    """For one event loop. Time is the monotonic clock's: a change of the wall clock ages nothing."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[bytes, tuple[Kept, float]] = OrderedDict()
        self.bytes = 0
        """What is kept now, in bytes of memory, about."""

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes) -> Kept | None:
        """The answer, if it is here and not too old."""
        found = self._kept.get(key)
        if found is None:
            return None
        kept, until = found
        if clock.monotonic() >= until:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept

    def put(self, key: bytes, kept: Kept, ttl_s: float) -> None:
        """Keep it for `ttl_s` seconds; what does not fit into an eighth of the bound is not kept."""
        if key in self._kept:
            self._drop(key)
        if ttl_s <= 0 or kept.size > self._most_bytes // 8:
            return
        self._kept[key] = (kept, clock.monotonic() + ttl_s)
        self.bytes += kept.size
        while self.bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: bytes) -> None:
        kept, _ = self._kept.pop(key)
        self.bytes -= kept.size
