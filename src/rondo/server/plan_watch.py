"""Keeps a gateway's plan up to date: looks at the catalog's revision a few times a second, swaps the plan whole."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from rondo.errors import RondoError
from rondo.gateway.endpoint import Gateway
from rondo.releases.publish import Publisher

INTERVAL_S = 0.2
"""How often the revision is read: well under the second in which a change must take effect."""

_log = logging.getLogger("rondo.server")


class PlanWatch:
    """One per process. While the catalog cannot be read, the gateway goes on with the plan it has."""

    def __init__(self, publisher: Publisher, gateway: Gateway) -> None:
        self._publisher = publisher
        self._gateway = gateway
        self._lock = asyncio.Lock()

    async def refresh(self) -> None:
        """Publish now, if the catalog has changed. Raises RondoError where the catalog cannot be read.

        A caller that is cancelled leaves at once. What it began goes on, because a thread cannot be stopped: the next
        caller waits for it, instead of building beside it.
        """
        await asyncio.shield(self._refresh())

    async def _refresh(self) -> None:
        async with self._lock:
            if await asyncio.to_thread(self._publisher.revision) != self._gateway.plan.revision:
                self._gateway.plan = await asyncio.to_thread(self._publisher.plan)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set, and nothing reads the catalog any more."""
        failing = False
        while not stop.is_set():
            try:
                await self.refresh()
                failing = False
            except RondoError as error:
                if not failing:
                    _log.warning("the plan stays as it is: %s", error)
                failing = True
            except Exception:
                # Whatever it is, the watch must outlive it: without it a revoked key would stay valid for good.
                if not failing:
                    _log.exception("the plan stays as it is")
                failing = True
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), INTERVAL_S)
        async with self._lock:  # what a caller that has left began
            pass
