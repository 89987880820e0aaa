"""Drives the rollouts that go on: reads what their calls say twice a second, and acts on it at once.

While none goes on it only watches the catalog's revision in memory, so it costs nothing. All that it must know is in
the catalog: after a restart it goes on where it was, and two servers on one catalog take each step once. While the
record store cannot be read, or its records come late, nothing goes on: that time counts for no step, and health says
so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from msgspec import Struct, structs

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import Conflict, RondoError
from rondo.governance import projects
from rondo.releases.traffic import CheckRelease
from rondo.rollout import moves, state, store
from rondo.rollout.model import Reading, Terms
from rondo.rollout.progress import Basis, Decision, Progress, Rollout
from rondo.store.base import RecordStore
from rondo.traces.drain import DrainView

EVERY_S = 0.5
_LEAD_S = 0.15
"""The drain is woken so long before a look, so that the look finds what was answered a moment ago; and once more after
it, so that little is left to be done then."""

_SAVE_S = 5.0
_COUNT_S = 2.0
_LATE_S = 10.0
"""Records that have waited longer than this are no evidence of now."""

_log = logging.getLogger("rondo.rollout")


class Read(Protocol):
    """As `evidence.read`, and what has looked before."""

    def __call__(
        self,
        store: RecordStore,
        project: str,
        app: str,
        rollout: str,
        terms: Terms,
        *,
        since: int,
        now: int,
        candidate_share_bp: int,
    ) -> Reading: ...


class _Watched(Struct):
    """A rollout as this process has seen it. Times are of the monotonic clock."""

    rollout: Rollout
    progress: Progress
    looked_at: float
    saved_at: float
    reading: Reading | None = None
    fault: str | None = None


class Rollouts:
    """The rollouts of a server. `revision` tells of every change of the catalog, without asking it; `unserved` why a
    release of an app in a project gets no calls, whatever the traffic says; `check_release` raises for one that cannot
    be served, before it gets more."""

    def __init__(
        self,
        catalog: Catalog,
        records: RecordStore,
        drain: DrainView,
        *,
        publish: Callable[[], Awaitable[None]],
        revision: Callable[[], int],
        unserved: Callable[[str, str, int], str | None] = lambda *_: None,
        check_release: CheckRelease | None = None,
        read: Read | None = None,
    ) -> None:
        self._catalog = catalog
        self._records = records
        self._drain = drain
        self._publish = publish
        self._revision = revision
        self._unserved = unserved
        self._check_release = check_release
        self._read = read
        self._seen: int | None = None
        self._watched: dict[str, _Watched] = {}
        self._failing = False
        self._late: tuple[float, str | None] = (float("-inf"), None)

    async def run(self, ended: asyncio.Event) -> None:
        """Until `ended` is set."""
        while not ended.is_set():
            if self._watched or self._revision() != self._seen:
                await self._look_once()
            for pause_s in (EVERY_S - _LEAD_S, _LEAD_S):
                if self._watched:
                    self._drain.wake()
                await _sleep(ended, pause_s)
        await asyncio.to_thread(self._save_all)

    async def look(self) -> None:
        """Look at every rollout once, and do what is to be done. Raises RondoError where the catalog fails."""
        seen = self._revision()
        if await asyncio.to_thread(self._step):
            await self._publish()
        self._seen = seen

    def latest(self, rollout: Rollout) -> tuple[Progress, Reading | None, str | None]:
        """How far it is, what was last read of it, and what keeps it from being read, as this process knows it."""
        watched, unserved = self._watched.get(rollout.id), self._without_candidate(rollout)
        if watched is None or watched.rollout.sequence != rollout.sequence:
            return rollout.progress, rollout.reading, unserved
        return watched.progress, watched.reading or rollout.reading, watched.fault or unserved

    def faults(self, project: str) -> dict[str, str]:
        """Rollouts that cannot be looked at, by `app#release`, and why."""
        return {
            f"{each.rollout.app}#{each.rollout.release}": each.fault
            for each in list(self._watched.values())
            if each.fault is not None and each.rollout.project == project
        }

    async def _look_once(self) -> None:
        """As `look`, outliving every error: without it a bad candidate would go on for good."""
        try:
            await self.look()
            self._failing = False
        except Exception as error:
            if not self._failing:
                known = isinstance(error, RondoError)
                _log.warning("rollouts wait: %s", error, exc_info=None if known else error)
            self._failing = True

    def _step(self) -> bool:
        """One look at everything; whether the traffic may have changed."""
        with self._catalog.read() as connection:
            active = store.all_active(connection, projects.names(connection))
            gone = {each.id: moves.taken_away(connection, each) for each in active}
        self._watched = {each.id: self._known(each) for each in active}
        late = self._lateness() if self._watched else None
        changed = False
        for watched in self._watched.values():
            try:
                changed |= self._look_at(watched, gone[watched.rollout.id], late)
            except RondoError as error:
                self._waits(watched, str(error))
            except Exception as error:
                _log.exception("a rollout of %s cannot be looked at", watched.rollout.app)
                self._waits(watched, f"{type(error).__name__}: {error}")
        return changed

    def _known(self, rollout: Rollout) -> _Watched:
        watched = self._watched.get(rollout.id)
        if watched is None or watched.rollout.sequence != rollout.sequence:
            now = clock.monotonic()
            return _Watched(rollout=rollout, progress=rollout.progress, looked_at=now, saved_at=now)
        return watched

    def _look_at(self, watched: _Watched, gone: Decision | None, late: str | None) -> bool:
        if gone is not None:
            return self._write(watched, gone, None)
        if late is not None and watched.progress.status != "scheduled":
            self._waits(watched, late)
        basis = self._basis(watched)
        if late is None:
            watched.fault = None
        stands = late is not None or self._without_candidate(watched.rollout) is not None
        if stands:
            basis = structs.replace(basis, passed_s=0.0)
        decision = state.decide(watched.rollout.terms, basis)
        if stands and decision.kind in ("step", "promoted", "reported", "drawn"):
            return False  # harm that is seen is acted on all the same; all else waits
        if decision.kind is not None:
            return self._write(watched, decision, basis)
        watched.progress = decision.progress
        if clock.monotonic() - watched.saved_at >= _SAVE_S:
            self._save(watched)
        return False

    def _basis(self, watched: _Watched) -> Basis:
        rollout, now = watched.rollout, clock.now_us()
        if rollout.began_at is not None:
            watched.reading = self._reader()(
                self._records,
                rollout.project,
                rollout.app,
                rollout.id,
                rollout.terms,
                since=rollout.began_at,
                now=now,
                candidate_share_bp=watched.progress.share_bp,
            )
        looked_at, watched.looked_at = watched.looked_at, clock.monotonic()
        passed_s = watched.looked_at - looked_at
        return Basis(before=watched.progress, passed_s=passed_s, now=now, reading=watched.reading)

    def _reader(self) -> Read:
        if self._read is None:
            from rondo.rollout.evidence import Reader  # NumPy, which a server without rollouts does without

            self._read = Reader()
        return self._read

    def _write(self, watched: _Watched, decision: Decision, basis: Basis | None) -> bool:
        """Whether it was this server that took the step."""
        try:
            return self._written(watched, decision, basis)
        except Conflict as conflict:  # what the traffic is now does not fit; going back always does
            told = f"It cannot go on: {conflict}"
            after = structs.replace(watched.progress, status="aborted", share_bp=0, why=told)
            return self._written(watched, Decision(progress=after, kind="aborted", sentence=told), None)

    def _written(self, watched: _Watched, decision: Decision, basis: Basis | None) -> bool:
        with self._catalog.begin() as connection:
            written = moves.write(
                connection,
                watched.rollout,
                decision,
                actor=moves.ACTOR,
                basis=basis,
                reading=watched.reading,
                check_release=self._check_release,
            )
        if written is None:
            return False
        watched.rollout, watched.progress = written.rollout, written.rollout.progress
        watched.saved_at = clock.monotonic()
        _log.info("%s#%d: %s", watched.rollout.app, watched.rollout.release, decision.sentence)
        return True

    def _save(self, watched: _Watched) -> None:
        watched.saved_at = clock.monotonic()
        with self._catalog.begin() as connection:
            store.save_progress(connection, watched.rollout, watched.progress, watched.reading)

    def _save_all(self) -> None:
        for watched in self._watched.values():
            if not watched.progress.has_ended:
                with suppress(RondoError):  # a step may last a few seconds longer for it
                    self._save(watched)

    def _without_candidate(self, rollout: Rollout) -> str | None:
        """Why its candidate gets no calls, which must not pass for calls that show no harm."""
        if rollout.began_at is None or rollout.ended_at is not None:
            return None
        reason = self._unserved(rollout.project, rollout.app, rollout.release)
        return f"#{rollout.release} cannot be served: {reason}" if reason is not None else None

    def _waits(self, watched: _Watched, fault: str) -> None:
        """Time in which nothing could be read does not count."""
        watched.looked_at = clock.monotonic()
        if watched.fault is None:
            _log.warning("the rollout of %s#%d waits: %s", watched.rollout.app, watched.rollout.release, fault)
        watched.fault = fault

    def _lateness(self) -> str | None:
        """That the records come too late to say anything of now; as of a moment ago, since counting takes a while."""
        now = clock.monotonic()
        if now - self._late[0] >= _COUNT_S:
            status, told = self._drain.status(), None
            if status.oldest_queued_s is not None and status.oldest_queued_s >= _LATE_S:
                why = status.last_error or "the store is busy"
                told = f"The records are {status.oldest_queued_s:.0f} s behind: {why}."
            self._late = now, told
        return self._late[1]


async def _sleep(ended: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), seconds)
