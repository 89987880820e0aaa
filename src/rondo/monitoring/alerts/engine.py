"""The alarms: every rule of every app looked at each few seconds, and whoever is to be told is told.

Several servers on one catalog may do this side by side: each look is written in one transaction that begins with how
things are, and each notice is sent by whoever takes it first. Nothing is lost when a server dies; what it had begun to
send is sent again, under the same id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct, structs
from sqlalchemy import Connection

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.durations import parse_duration
from rondo.errors import RondoError
from rondo.governance import projects
from rondo.limits.status import Status
from rondo.monitoring.alerts import changes, conditions, store, surroundings
from rondo.monitoring.alerts.changes import Looked
from rondo.monitoring.alerts.declared import is_unread, rules_of_app, settings_of
from rondo.monitoring.alerts.deliver import Courier
from rondo.monitoring.alerts.evidence import calls_behind
from rondo.monitoring.alerts.model import Alert, Rule, Seen, fingerprint
from rondo.monitoring.alerts.numbers import Numbers
from rondo.monitoring.alerts.surroundings import DriftNow, no_drift
from rondo.releases import store as releases
from rondo.settings.alerting import AlertsSettings
from rondo.store.base import RecordStore
from rondo.traces.drain import DrainView

EVERY_S = 15.0
_SILENCES_KEPT_US = 90 * 86_400_000_000
_TIDY_S = 3_600.0
_log = logging.getLogger("rondo.alerts")

Spent = Callable[[str], Awaitable[Status | None]]


class Watched(Struct, frozen=True, kw_only=True):
    """A rule and what was last seen of it; `fault` is why it could not be looked at."""

    rule: Rule
    seen: Sequence[Seen]
    fault: str | None = None


class _Known(Struct, frozen=True, kw_only=True):
    """What a project's look begins with."""

    rules: list[Rule]
    settings: dict[str, AlertsSettings]
    open: list[Alert]
    surroundings: dict[tuple[str, str], list[Seen]]


class Alarms:
    """The alerts of a server. `spent` tells of a project's budgets, `drift` of the newest reports on an app."""

    def __init__(
        self,
        catalog: Catalog,
        records: RecordStore,
        drain: DrainView,
        courier: Courier,
        *,
        spent: Spent,
        drift: DriftNow = no_drift,
    ) -> None:
        self._catalog = catalog
        self._records = records
        self._drain = drain
        self._spent = spent
        self._drift = drift
        self.courier = courier
        self._numbers: dict[str, Numbers] = {}
        self._looked_at: dict[str, float] = {}
        self._watched: dict[str, list[Watched]] = {}
        self._mine: dict[str, set[str]] = {}
        self._tidied = float("-inf")
        self._fault: str | None = None
        self._faults: dict[str, str] = {}
        self._unread: dict[str, list[str]] = {}

    async def run(self, ended: asyncio.Event) -> None:
        """Until `ended` is set."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self.courier.run(ended))
            both.create_task(self._watch(ended))

    async def look(self) -> None:
        """Look at everything once; a project that cannot be looked at keeps no other from it. Raises RondoError where
        the catalog fails."""
        with_budgets = await asyncio.to_thread(self._with_budgets)
        for project, needed in with_budgets.items():
            try:
                spent = await self._spent(project) if needed else None
                await asyncio.to_thread(self._look_at, project, spent)
                self._faults.pop(project, None)
            except Exception as error:
                self._looked_at.pop(project, None)  # what passes meanwhile is nobody's
                if project not in self._faults:
                    _log.warning("alerts of %s wait: %s", project, error, exc_info=not isinstance(error, RondoError))
                self._faults[project] = _told(error)
        if clock.monotonic() - self._tidied >= _TIDY_S:
            self._tidied = clock.monotonic()
            await asyncio.to_thread(self._tidy, list(with_budgets))
        self.courier.wake()

    def watched(self, project: str) -> list[Watched]:
        """Every rule of a project, and what this server saw of it last."""
        return list(self._watched.get(project, []))

    def faults(self, project: str) -> list[str]:
        """Why some of it could not be looked at, in sentences."""
        whole = [each for each in (self._fault, self._faults.get(project)) if each is not None]
        parts = [f"{each.rule.app}, {each.rule.name}: {each.fault}" for each in self.watched(project) if each.fault]
        return [*whole, *self._unread.get(project, []), *parts]

    async def _watch(self, ended: asyncio.Event) -> None:
        while not ended.is_set():
            try:
                await self.look()
                self._fault = None
            except Exception as error:
                if self._fault is None:
                    _log.warning("alerts wait: %s", error, exc_info=not isinstance(error, RondoError))
                self._looked_at.clear()
                self._fault = _told(error)
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), EVERY_S)

    def _with_budgets(self) -> dict[str, bool]:
        """All projects, and whether a rule of theirs is on budgets."""
        with self._catalog.read() as connection:
            return {
                project: any(
                    rule.on == "budget"
                    for app in releases.list_apps(connection, project)
                    for rule in rules_of_app(app.name, app.settings)
                )
                for project in projects.names(connection)
            }

    def _look_at(self, project: str, spent: Status | None) -> None:
        now, moment = clock.now_us(), clock.monotonic()
        last = self._looked_at.get(project)
        with self._catalog.read() as connection:
            known = self._known(connection, project, spent)
        numbers = self._numbers.setdefault(project, Numbers(self._records, project))
        numbers.begin(now)
        watched = [self._see(rule, numbers, known) for rule in known.rules]
        self._watched[project] = watched
        look = Looked(
            project=project,
            now=now,
            passed_s=None if last is None else moment - last,
            rules={(rule.app, rule.name): rule for rule in known.rules},
            seen={(each.rule.app, each.rule.name): each.seen for each in watched if each.fault is None},
            settings=known.settings,
            mine=self._mine.setdefault(project, set()),
        )
        self._looked_at[project] = moment
        if changes.is_quiet(look, known.open):
            return
        look = structs.replace(look, seen=self._with_traces(project, look, known.open))
        with self._catalog.begin() as connection:
            changes.write(connection, look)

    def _known(self, connection: Connection, project: str, spent: Status | None) -> _Known:
        apps: dict[str, Mapping[str, Any]] = {app.name: app.settings for app in releases.list_apps(connection, project)}
        rules = [rule for name, about in apps.items() for rule in rules_of_app(name, about)]
        found: dict[tuple[str, str], list[Seen]] = {}
        for rule in rules:
            if rule.on == "budget":
                found[rule.app, rule.name] = surroundings.budgets(rule, spent)
            elif rule.on == "judge_drift":
                found[rule.app, rule.name] = surroundings.judge_drift(rule, connection, project)
            elif rule.on == "drift":
                is_looked_for = bool(apps[rule.app].get("drift"))
                reports = self._drift(connection, project, rule.app) if is_looked_for else None
                found[rule.app, rule.name] = surroundings.drift(rule, reports)
        self._unread[project] = [
            f"{name}: its [alerts] cannot be read by this server, so nobody is told"
            for name, about in apps.items()
            if is_unread(about)
        ]
        settings = {name: settings_of(about) for name, about in apps.items()}
        return _Known(rules=rules, settings=settings, open=store.open_alerts(connection, project), surroundings=found)

    def _see(self, rule: Rule, numbers: Numbers, known: _Known) -> Watched:
        """A rule that cannot be looked at changes nothing, and keeps no other from being looked at."""
        try:
            if rule.on in conditions.OF_CALLS:
                return Watched(rule=rule, seen=[conditions.sees(rule, numbers)])
            if rule.on == "drain_lag":
                return Watched(rule=rule, seen=surroundings.drain_lag(rule, self._drain.status()))
            return Watched(rule=rule, seen=known.surroundings[rule.app, rule.name])
        except RondoError as error:
            return Watched(rule=rule, seen=[], fault=str(error))
        except Exception as error:
            _log.exception("the rule %s of %s cannot be looked at", rule.name, rule.app)
            return Watched(rule=rule, seen=[], fault=f"{type(error).__name__}: {error}")

    def _with_traces(
        self, project: str, look: Looked, open_alerts: Sequence[Alert]
    ) -> dict[tuple[str, str], list[Seen]]:
        """What is bad with the calls behind it, where it is new or worse than it was."""
        worst = {alert.fingerprint: alert.worst for alert in open_alerts if alert.fired_at is not None}

        def traced(seen: Seen, rule: Rule) -> Seen:
            before = worst.get(fingerprint(rule.app, rule.name, seen.labels))
            if seen.level != "bad" or (before is not None and before.traces and seen.excess <= before.excess):
                return seen
            try:
                return structs.replace(seen, traces=calls_behind(self._records, project, seen))
            except RondoError:
                return seen
            except Exception:  # better told without its calls than not
                _log.exception("the calls behind %s of %s cannot be found", rule.name, rule.app)
                return seen

        return {place: [traced(seen, look.rules[place]) for seen in found] for place, found in look.seen.items()}

    def _tidy(self, names: Sequence[str]) -> None:
        """Forget what was over long ago."""
        now = clock.now_us()
        for project in names:
            with self._catalog.begin() as connection:
                for app in releases.list_apps(connection, project):
                    kept_s = parse_duration(settings_of(app.settings).keep)
                    store.forget(connection, project, app.name, now - int(kept_s * 1_000_000))
                store.forget_silences(connection, project, now - _SILENCES_KEPT_US)


def _told(error: Exception) -> str:
    return f"alerts cannot be looked at: {error if isinstance(error, RondoError) else type(error).__name__}"
