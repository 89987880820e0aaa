"""Live judging: reads the stored calls in the order they came, and scores those that are chosen.

A call's scores are in the journal before the cursor moves past it, and a score's id is a hash of what it judges and by
what: after a crash a call may be scored again, and is one score all the same. Where a judge cannot be asked, the call
is tried again a few times; an error is counted, and never a score. Without an app that has `[live]`, nothing is read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import msgspec

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import RondoError, Unavailable
from rondo.evals.alone import values_of
from rondo.evals.asking import Evaluate
from rondo.evals.model import Scored, Scorer
from rondo.evals.recovered import Recorded
from rondo.evals.targets import Subjects
from rondo.governance.model import Grant
from rondo.monitoring.judging import apps
from rondo.monitoring.judging.model import KEY, LiveStatus, Watched, is_chosen
from rondo.monitoring.judging.progress import Counts, unable
from rondo.monitoring.judging.scoring import Scorers, asks
from rondo.monitoring.judging.window import Window
from rondo.records import Call, ScoreKind
from rondo.reviews.reviews import Judge
from rondo.store.base import RecordStore
from rondo.traces import arrivals, cursors
from rondo.traces.drain import DrainView

EVERY_S = 0.5
_PAGE = 500
_MOST_WAITING = 1_000
_RETRIES_S = (1.0, 10.0, 60.0)
_SAVE_EVERY_S = 1.0
_LONGEST_COMMENT = 2_000
_WAIT_S = 1.0

_App = tuple[str, str]
_encode = msgspec.json.Encoder().encode
_log = logging.getLogger("rondo.judging")


class Judging:
    """The live judging of a server. `revision` tells of every change of the catalog, without asking it."""

    def __init__(
        self,
        catalog: Catalog,
        records: RecordStore,
        drain: DrainView,
        *,
        evaluate: Evaluate,
        judge: Judge,
        subjects: Subjects,
        revision: Callable[[], int],
        retries_s: tuple[float, ...] = _RETRIES_S,
        cursor: str = KEY,
    ) -> None:
        self._catalog = catalog
        self._records = records
        self._recorded = Recorded(records, drain)
        self._drain = drain
        self._evaluate = evaluate
        self._judge = judge
        self._subjects = subjects
        self._revision = revision
        self._retries_s = retries_s
        self._cursor = cursor
        self._seen: int | None = None
        self._apps: dict[_App, Scorers] = {}
        self._before: dict[_App, Scorers] = {}  # of every app that ever was judged: what the day has cost goes on
        self._faults: dict[_App, str] = {}
        self._counts: dict[_App, Counts] = {}
        self._windows: dict[str, Window] = {}
        self._saved: dict[str, int] = {}
        self._saved_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._failing: str | None = None

    async def run(self, ended: asyncio.Event) -> None:
        """Until `ended` is set; what is under way then is done again by the next start."""
        try:
            while not ended.is_set():
                try:
                    more = await self.look()
                    self._failing = None
                except Exception as error:
                    more = False
                    if self._failing is None:
                        known = isinstance(error, RondoError)
                        _log.warning("live judging waits: %s", error, exc_info=None if known else error)
                    self._failing = str(error) or type(error).__name__
                if not more:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(ended.wait(), EVERY_S)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            with suppress(RondoError):
                await self._save()

    async def look(self) -> bool:
        """Begin what has come in since the last look; whether there is more at once. Raises RondoError."""
        revision = self._revision()
        if revision != self._seen:
            await self._take_in()
            self._seen = revision
        full = [await self._read(project) for project in self._windows]
        if self._saved != {project: window.done for project, window in self._windows.items()} and (
            clock.monotonic() - self._saved_at >= _SAVE_EVERY_S
        ):
            await self._save()
        return any(full)

    async def finish(self) -> None:
        """Wait until nothing is under way, and remember how far it is: for tests and commands."""
        while self._tasks:
            await asyncio.gather(*self._tasks)
        await self._save()

    def status(self, project: str) -> list[LiveStatus]:
        """How each app of a project stands."""
        working = [
            self._counts[key].status(scorers, fault=self._failing)
            for key, scorers in self._apps.items()
            if key[0] == project
        ]
        faulty = [unable(app, fault) for (whose, app), fault in self._faults.items() if whose == project]
        return sorted([*working, *faulty], key=lambda each: each.app)

    async def _take_in(self) -> None:
        """The apps as they are released now, and where to begin in their projects."""
        found, faults = await asyncio.to_thread(apps.watched, self._catalog, self._subjects)
        now: dict[_App, Scorers] = {}
        for each in found:
            key = (each.project, each.app)
            if each.project not in self._windows:
                await self._open(each.project)
            try:
                now[key] = self._before[key] = await self._scorers(each, self._before.get(key))
            except Unavailable:
                raise
            except RondoError as error:
                faults[key] = str(error)
                continue
            self._counts.setdefault(key, Counts())
        self._apps, self._faults = now, faults
        for project in [name for name in self._windows if all(name != each for each, _ in now)]:
            del self._windows[project]
            self._saved.pop(project, None)
            await asyncio.to_thread(self._forget, project)

    async def _scorers(self, watched: Watched, before: Scorers | None) -> Scorers:
        if before is not None and before.watched.same_as(watched):
            return before
        made = Scorers(watched, self._evaluate, self._recorded, self._subjects)
        await made.begin(before, resumes=self._seen is None and watched.project in self._saved)
        return made

    async def _open(self, project: str) -> None:
        """Go on where an earlier process was; else with what comes from now on."""

        def begin() -> tuple[int | None, int]:
            with self._catalog.read() as connection:
                known = cursors.find(connection, project, self._cursor)
            return known, arrivals.newest(self._records, project) if known is None else known

        known, after = await asyncio.to_thread(begin)
        self._windows[project] = Window(after)
        if known is not None:
            self._saved[project] = known

    async def _read(self, project: str) -> bool:
        """Begin the calls that have come in; whether there may be more."""
        window = self._windows[project]
        if len(window) >= _MOST_WAITING:
            return False
        rows = await asyncio.to_thread(arrivals.after, self._records, project, window.read, limit=_PAGE)
        chosen = [
            row["arrival"]
            for row in rows
            if (scorers := self._apps.get((project, row["app"]))) is not None
            and is_chosen(row, scorers.watched.settings)
        ]
        calls = await asyncio.to_thread(arrivals.whole, self._records, project, chosen)
        for row in rows:
            place = row["arrival"]
            call = calls.get(place)
            if call is None:
                window.passed(place)
                continue
            window.begin(place)
            self._counts[project, row["app"]].begin(place)
            task = asyncio.create_task(self._score(place, call))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(rows) == _PAGE

    async def _score(self, place: int, call: Call) -> None:
        """One call, until it has its scores, or has been tried often enough."""
        assert call.app is not None
        counts = self._counts[call.project, call.app]
        rested, left = False, None
        try:
            for attempt, wait in enumerate((*self._retries_s, None)):
                rests, left = await self._once(call, left, attempt, counts)
                rested |= rests
                if not left or wait is None:
                    break
                await asyncio.sleep(wait)
        except Exception as error:  # what nobody has thought of costs this call's scores, and never the others'
            _log.exception("a call of %s cannot be judged", call.app)
            counts.error(f"{type(error).__name__}: {error}")
            left = frozenset({call.app})
        counts.end(place, failed=bool(left), rested=rested)
        if call.project in self._windows:
            self._windows[call.project].end(place)

    async def _once(
        self, call: Call, only: frozenset[str] | None, attempt: int, counts: Counts
    ) -> tuple[bool, frozenset[str]]:
        """Whether some scorers rested, and which are to be tried again."""
        scorers = self._apps.get((call.project, call.app or ""))
        if scorers is None:
            return False, frozenset()
        async with counts.room(scorers.watched.settings.max_concurrency):
            found = await scorers.score(call, only, attempt)
        for scorer, scored in found.scores:
            await self._write(call, scorer, scored)
        for name, error in found.errors.items():
            counts.error(f"{name}: {error}")
        if found.scores:
            self._drain.wake()
            if not found.errors:
                counts.went_well()
        return found.rested, frozenset(found.errors)

    async def _write(self, call: Call, scorer: Scorer, scored: Scored) -> None:
        """Into the journal, as feedback is."""
        grant = Grant(project=call.project, key_id=KEY, name="live judging", kind="secret")
        for metric, value in values_of(scorer, scored):
            body = {
                "trace_id": call.trace_id,
                "name": metric,
                "value": value,
                "comment": scored.reason[:_LONGEST_COMMENT] or None,
                "user": scorer.judge or scorer.kind,
                "id": f"{call.span_id}/{call.trace_id}/{metric}/{scorer.version[:16]}",
            }
            await self._keep(grant, _encode(body), "judge" if asks(scorer) else "code")

    async def _keep(self, grant: Grant, body: bytes, kind: ScoreKind) -> None:
        """While the journal takes nothing, the call waits, and so does the cursor."""
        while True:
            try:
                await self._judge(grant, body, kind=kind)
                return
            except Unavailable as error:
                _log.warning("a score waits: %s", error)
                await asyncio.sleep(_WAIT_S)

    async def _save(self) -> None:
        done = {project: window.done for project, window in self._windows.items()}
        changed = {project: at for project, at in done.items() if self._saved.get(project) != at}
        if changed:
            await asyncio.to_thread(self._save_now, changed)
            self._saved.update(changed)
        self._saved_at = clock.monotonic()

    def _save_now(self, changed: dict[str, int]) -> None:
        with self._catalog.begin() as connection:
            for project, arrival in changed.items():
                cursors.save(connection, project, self._cursor, arrival)

    def _forget(self, project: str) -> None:
        with self._catalog.begin() as connection:
            cursors.forget(connection, project, self._cursor)
