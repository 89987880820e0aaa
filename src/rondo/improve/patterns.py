"""Finds patterns among the calls that went wrong, when somebody asks: read, group, name, keep.

One run at a time: memory and processor are bounded by 5,000 calls. Heavy parts run in a thread. The same calls give the
same patterns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import InvalidRequest
from rondo.ids import new_trace_id
from rondo.improve import reading, store
from rondo.improve.model import USUAL, Found, Pattern, Side, Why, Wrong
from rondo.monitoring.drift.asking import Faulty, Means, Models
from rondo.monitoring.drift.asking import Group as Named
from rondo.monitoring.drift.clusters_at_hand import require_installed
from rondo.monitoring.drift.look import WORDS
from rondo.monitoring.drift.watching import settings_of
from rondo.releases import store as releases
from rondo.settings.drift import DriftSettings
from rondo.store.base import RecordStore

if TYPE_CHECKING:  # numpy is loaded by the first run, not by the server
    from rondo.improve.grouping import Group
    from rondo.monitoring.drift.vectors import Vectors

MOST_SPAN_US = 400 * 86_400_000_000


class Wanted(Struct, frozen=True, kw_only=True):
    """The calls of [since, until); those as long before it are what they are compared with."""

    project: str
    app: str | None = None
    since: int
    until: int
    whys: Sequence[Why] = USUAL
    score: str | None = None
    below: float | None = None


class Patterns:
    """A server's runs."""

    def __init__(self, catalog: Catalog, records: RecordStore, means: Means) -> None:
        self._catalog = catalog
        self._records = records
        self._means = means
        self._alone = asyncio.Lock()

    async def run(self, ended: asyncio.Event) -> None:
        """Nothing goes on by itself: runs are asked for."""
        await ended.wait()

    async def find(self, wanted: Wanted, *, actor: str) -> Found:
        """Raises InvalidRequest, NotFound (no such app), Conflict (no scikit-learn), Unavailable."""
        _check(wanted)
        require_installed()
        settings = await asyncio.to_thread(self._settings, wanted)
        async with self._alone:
            found = await self._found(wanted, settings, actor)
        await asyncio.to_thread(self._keep, found)
        return found

    async def _found(self, wanted: Wanted, settings: DriftSettings, actor: str) -> Found:
        run, notes = f"patterns_{new_trace_id()}", list[str]()
        now, before, groups, left = await asyncio.to_thread(self._read, wanted)
        models = Models(self._means, wanted.project, wanted.app, run, settings.budget_usd)
        vectors, how = await _vectors(models, settings.model, left, notes)
        groups += await asyncio.to_thread(_topics, left, vectors)
        names = await _names(models, settings.names_model, groups, notes)
        for side, words in ((now, "the window"), (before, "the window before")):
            if len(side.drawn) < side.matching:
                drawn = f"{len(side.drawn):,} of {side.matching:,} calls"
                notes.append(f"Of {words}, {drawn} that went wrong were drawn; counts are estimates.")
        patterns = await asyncio.to_thread(self._patterns, wanted, groups, names, now, before)
        in_patterns = {each.trace_id for group in groups for each in group.wrong if each.is_now}
        return Found(
            id=run,
            project=wanted.project,
            app=wanted.app,
            since=wanted.since,
            until=wanted.until,
            before_since=before.since,
            whys=list(wanted.whys),
            score=wanted.score,
            below=wanted.below,
            calls=now.calls,
            wrong=now.matching,
            drawn=len(now.drawn),
            alone=sum(1 for each in now.drawn if each.trace_id not in in_patterns),
            vectors=how,
            patterns=patterns,
            notes=notes,
            created_by=actor,
            created_at=clock.now_us(),
            spent_usd=models.spent_usd,
        )

    def _read(self, wanted: Wanted) -> tuple[Side, Side, list[Group], list[Wrong]]:
        from rondo.improve.grouping import by_error

        length = wanted.until - wanted.since
        read = partial(
            reading.read,
            self._records,
            wanted.project,
            wanted.app,
            whys=wanted.whys,
            score=wanted.score,
            below=wanted.below,
        )
        now = read(since=wanted.since, until=wanted.until, is_now=True)
        before = read(since=max(0, wanted.since - length), until=wanted.since, is_now=False)
        groups, left = by_error([*before.drawn, *now.drawn])
        return now, before, groups, [each for each in left if each.question.strip()]

    def _patterns(
        self, wanted: Wanted, groups: Sequence[Group], names: dict[int, str], now: Side, before: Side
    ) -> list[Pattern]:
        from rondo.improve.grouping import patterns

        with self._catalog.read() as connection:
            earlier = store.earlier(connection, wanted.project, wanted.app)
        return patterns(groups, names, now, before, earlier)

    def _settings(self, wanted: Wanted) -> DriftSettings:
        """Those of the app's `[drift]`; over all apps, no model is asked."""
        if wanted.app is None:
            return DriftSettings.model_validate({})
        with self._catalog.read() as connection:
            return settings_of(releases.get_app(connection, wanted.project, wanted.app).settings)

    def _keep(self, found: Found) -> None:
        with self._catalog.begin() as connection:
            store.save(connection, found)


def _check(wanted: Wanted) -> None:
    if not 0 <= wanted.since < wanted.until:
        raise InvalidRequest("`until` must be after `since`.", param="until")
    if wanted.until - wanted.since > MOST_SPAN_US:
        raise InvalidRequest("Patterns are looked for in at most 400 days at once.", param="since")
    if not wanted.whys:
        raise InvalidRequest("`why` names nothing.", remedy=f"It is some of {', '.join(USUAL)}.", param="why")
    if (wanted.score is None) != (wanted.below is None):
        raise InvalidRequest("`score` and `below` belong together.", param="below" if wanted.score else "score")
    if wanted.score is not None and "low" not in wanted.whys:
        raise InvalidRequest("`score` needs `low` in `why`.", param="why")


async def _vectors(
    models: Models, model: str | None, wrong: Sequence[Wrong], notes: list[str]
) -> tuple[Vectors | None, str]:
    """By the model, else by words, and then a note says so."""
    if model is not None and wrong:
        try:
            return await models.vectors(model, [each.question for each in wrong]), model
        except Faulty as error:
            notes.append(f"The embedding model could not be used, so words and letters were compared. {error}")
    return None, WORDS


def _topics(wrong: list[Wrong], vectors: Vectors | None) -> list[Group]:
    from rondo.improve.grouping import LEAST, by_topic
    from rondo.monitoring.drift.clusters import cluster, least_size
    from rondo.monitoring.drift.vectors import of_texts

    if not wrong:
        return []
    of_words = vectors is None
    if vectors is None:
        vectors = of_texts([each.question for each in wrong])
    least = max(LEAST, least_size(len(wrong)))
    return by_topic(wrong, cluster(vectors, least=least, of_words=of_words))


async def _names(models: Models, model: str | None, groups: Sequence[Group], notes: list[str]) -> dict[int, str]:
    """Of the groups by topic; errors are called what they are."""
    from rondo.monitoring.drift.wording import shown

    asked = [at for at, group in enumerate(groups) if group.error_code is None]
    if model is None or not asked:
        return {}
    named = [Named(groups[at].terms, [shown(each.question) for each in groups[at].wrong[-5:]]) for at in asked]
    try:
        return dict(zip(asked, await models.names(model, named), strict=True))
    except Faulty as error:
        notes.append(f"Patterns are named by their words: the model could not be used. {error}")
        return {}
