"""Which ledger a process counts limits in: in memory where it is the only one, else in Redis."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from rondo.errors import Unavailable
from rondo.limits.ledger import Ledger
from rondo.limits.memory import MemoryLedger
from rondo.limits.model import LimitTable
from rondo.limits.redis_ledger import RedisLedger
from rondo.limits.spent import Spent
from rondo.limits.uncounted import Uncounted
from rondo.server.data_folder import DataFolder
from rondo.settings.environment import environment
from rondo.settings.project import read
from rondo.store.base import RecordStore
from rondo.traces.spent import add_up, add_up_at_start

_log = logging.getLogger("rondo.limits")


def open_ledger(
    data: DataFolder,
    project: Path | None,
    records: RecordStore,
    limits: LimitTable,
    projects: Callable[[], Iterable[str]],
    *,
    workers: int,
) -> Ledger:
    """The ledger of the process that has the records, before anything is served or drained.

    `projects` names all there are. Raises SettingsError for a wrong address, Unavailable where there is a budget and
    the records cannot be read.
    """

    async def load() -> Spent:
        return await add_up(records, data.journal, projects(), users=True)

    shared = _redis(data, project, load=load)
    if shared is not None:
        return shared
    if workers > 1:
        return Uncounted()
    try:
        spent = add_up_at_start(records, data.journal, projects(), users=limits.has_user_budget)
    except Unavailable:
        if limits.has_budget:
            raise
        _log.warning("what was spent this month cannot be read; a budget set before the next start begins at zero")
        return MemoryLedger(load_users=load)
    return MemoryLedger(spent, load_users=load)


def open_workers_ledger(data: DataFolder, project: Path | None) -> Ledger:
    """The ledger of a gateway process beside others. Raises SettingsError."""
    return _redis(data, project) or Uncounted()


async def start(ledger: Ledger) -> None:
    """On the event loop, before the first request."""
    if isinstance(ledger, RedisLedger):
        await ledger.start()


async def close(ledger: Ledger) -> None:
    """After the last request."""
    if isinstance(ledger, RedisLedger):
        await ledger.close()


def _redis(
    data: DataFolder, project: Path | None, *, load: Callable[[], Awaitable[Spent]] | None = None
) -> RedisLedger | None:
    url = environment("RONDO_REDIS_URL")
    if url is None:
        return None
    fail = "closed" if project is None else read(project).limits.fail
    return RedisLedger(url, source=data.source(), fail=fail, load=load)
