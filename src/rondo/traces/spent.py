"""What has been spent, from the records: those stored, and those still in the journals, each call once.

The store commits a batch together with the position behind it, so what is stored and what is not yet meet without a
gap. While the drain goes on meanwhile, a look that it ran into is taken again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from rondo import clock
from rondo.errors import Unavailable
from rondo.journal.replay import Reader
from rondo.limits.model import DAY_US, month_start, to_nano
from rondo.limits.spent import Spent
from rondo.records import Entry, Kind, Position
from rondo.store.base import RecordStore

_LOOKS = 20
_PAUSE_S = 0.05


class _Charged(Struct):
    """As much of a Call as is needed."""

    project: str
    key_id: str
    started_at: int
    app: str | None = None
    user: str | None = None
    arm: str = "live"
    cost_usd: float | None = None
    charged_usd: float | None = None


_decoder = msgspec.json.Decoder(_Charged)


def add_up_at_start(store: RecordStore, journals: Path, projects: Iterable[str], *, users: bool) -> Spent:
    """The money of this month, and of yesterday, while nothing is served and nothing drained yet.

    `journals` is the folder of all writers' journals. Raises Unavailable where the store cannot be read.
    """
    spent = Spent(read_at=0, users=users)
    since = _since(clock.now_us())
    before = _stored(store, list(projects), since, spent)
    spent.read_at = clock.now_us()
    _queued(journals, before, since, spent, everything=True)
    return spent


async def add_up(store: RecordStore, journals: Path, projects: Iterable[str], *, users: bool) -> Spent:
    """The same while calls go on, as of `read_at`. Call it on the event loop of the gateway, if there is one here.

    Raises Unavailable while the store cannot be read.
    """
    names = list(projects)
    for _ in range(_LOOKS):
        spent = Spent(read_at=0, users=users)
        since = _since(clock.now_us())
        before = await asyncio.to_thread(_stored, store, names, since, spent)
        # Taken between two steps of the loop: here, a call is settled and in the journal, or neither.
        spent.read_at = clock.now_us()
        whole = await asyncio.to_thread(_queued, journals, before, since, spent)
        if whole or await asyncio.to_thread(store.positions) == before:
            return spent
        await asyncio.sleep(_PAUSE_S)
    raise Unavailable("What has been spent cannot be added up: the records move too fast.", remedy="Try again.")


def _since(now: int) -> int:
    """The start of this month, or of yesterday where that is earlier."""
    return min(month_start(now), (now // DAY_US - 1) * DAY_US)


def _stored(store: RecordStore, projects: list[str], since: int, spent: Spent) -> dict[str, Position]:
    """Add what is stored, as of one moment; the positions that belong to it."""
    for _ in range(_LOOKS):
        positions = store.positions()
        rows = {
            project: store.query("spent", {"project": project, "since": since, "users": spent.users})
            for project in projects
        }
        if store.positions() == positions:
            for project, sums in rows.items():
                for row in sums:
                    spent.add(project, row["key_id"], row["app"], row["user"], at=row["day"] * DAY_US, nano=row["nano"])
            return positions
    raise Unavailable("What has been spent cannot be added up: the records move too fast.", remedy="Try again.")


def _queued(
    journals: Path, positions: dict[str, Position], since: int, spent: Spent, *, everything: bool = False
) -> bool:
    """Add what the journals have beyond the positions; whether nothing was missing in between.

    Without `everything` only what was accepted up to `read_at`.
    """
    until = None if everything else spent.read_at
    whole = True
    if not journals.is_dir():
        return whole
    for folder in sorted(each for each in journals.iterdir() if each.is_dir() and not each.is_symlink()):
        reader, position = Reader(folder), positions.get(folder.name)
        while True:
            batch = reader.read(position)
            if position is not None and batch.start.sequence != position.sequence:
                whole = False
            for entry in batch.entries:
                if until is None or entry.accepted_at <= until:
                    _add(entry, since, spent)
            if not batch.entries or (until is not None and batch.entries[-1].accepted_at > until):
                break  # the writer goes on; so would we, for ever
            position = batch.end
    return whole


def _add(entry: Entry, since: int, spent: Spent) -> None:
    if entry.kind != Kind.CALL:
        return
    try:
        call = _decoder.decode(entry.payload)
    except (ValueError, RecursionError):
        return  # the store cannot read it either, and keeps it in quarantine
    usd = call.cost_usd if call.charged_usd is None else call.charged_usd
    if call.arm == "live" and usd is not None and call.started_at >= since:
        spent.add(call.project, call.key_id, call.app, call.user, at=call.started_at, nano=to_nano(usd))
