"""One look at an app's drift: read both windows, make vectors, compare, name topics. Heavy parts run in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from rondo import clock
from rondo.ids import new_trace_id
from rondo.monitoring.drift import clusters_at_hand, reading
from rondo.monitoring.drift.asking import Faulty, Group, Means, Models
from rondo.monitoring.drift.model import Report, Side, Topic, Verdict
from rondo.monitoring.drift.schedule import Span
from rondo.rules import spoken
from rondo.settings.drift import DriftSettings
from rondo.store.base import RecordStore

if TYPE_CHECKING:  # numpy is loaded by the first look, not by the server
    from rondo.monitoring.drift.checks import Found, Terms
    from rondo.monitoring.drift.vectors import Vectors

WORDS = "words and letters (hashed TF-IDF)"


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to be looked at, and on whose behalf."""

    project: str
    app: str
    settings: DriftSettings
    span: Span
    scheduled: bool
    created_by: str


async def look(records: RecordStore, means: Means, wanted: Wanted) -> Report:
    """Raises Unavailable while the store cannot be reached."""
    before, now = await asyncio.to_thread(_sides, records, wanted)
    report_id = f"drift_{new_trace_id()}"
    models = Models(means, wanted.project, wanted.app, report_id, wanted.settings.budget_usd)
    notes = _notes(before, now, wanted.settings)
    enough = min(len(before.samples), len(now.samples)) >= wanted.settings.least_calls
    vectors, how = await _vectors(models, wanted.settings, before, now, notes) if enough else (None, WORDS)
    found = await asyncio.to_thread(_compared, before, now, vectors, _terms(wanted.settings, how), notes)
    names = await _names(models, wanted.settings.names_model, found, notes)
    topics = await asyncio.to_thread(_topics, found, names, wanted.settings.false_alarms)
    return Report(
        id=report_id,
        project=wanted.project,
        app=wanted.app,
        since=wanted.span.since,
        until=wanted.span.until,
        reference_since=wanted.span.reference_since,
        scheduled=wanted.scheduled,
        created_by=wanted.created_by,
        created_at=clock.now_us(),
        verdict=_verdict(found),
        calls=(before.calls, now.calls),
        units=(len(before.samples), len(now.samples)),
        vectors=how,
        checks=found.checks,
        topics=topics,
        notes=notes,
        spent_usd=models.spent_usd,
    )


def _sides(records: RecordStore, wanted: Wanted) -> tuple[Side, Side]:
    span = wanted.span
    bounds = (span.reference_since, span.since), (span.since, span.until)
    one, other = (
        reading.read(
            records,
            wanted.project,
            wanted.app,
            since=since,
            until=until,
            slice_us=span.slice_us,
            most=wanted.settings.most_calls,
        )
        for since, until in bounds
    )
    return one, other


def _notes(before: Side, now: Side, settings: DriftSettings) -> list[str]:
    notes = []
    for side, words in ((before, "the reference"), (now, "the window")):
        if len(side.samples) < settings.least_calls:
            notes.append(
                f"Too few in {words}: {len(side.samples):,} users (else sessions, else calls) with a question,"
                f" of {side.calls:,} calls; `drift.least_calls` asks for {settings.least_calls:,}."
            )
        elif side.units > len(side.samples):
            notes.append(f"Of {words}, {len(side.samples):,} of {side.units:,} users were drawn, a call of each.")
    if not spoken.is_installed():
        notes.append("Languages are not told apart: `pip install 'rondo[language]'` does that.")
    return notes


async def _vectors(
    models: Models, settings: DriftSettings, before: Side, now: Side, notes: list[str]
) -> tuple[Vectors, str]:
    """By the model that is named, else by words; where it cannot be asked, by words, and a note says so."""
    texts = [sample.question for side in (before, now) for sample in side.samples]
    if settings.model is not None:
        try:
            return await models.vectors(settings.model, texts), settings.model
        except Faulty as error:
            notes.append(f"The embedding model could not be used, so words and letters were compared. {error}")
    return await asyncio.to_thread(_of_texts, texts), WORDS


def _of_texts(texts: Sequence[str]) -> Vectors:
    from rondo.monitoring.drift.vectors import of_texts

    return of_texts(texts)


def _terms(settings: DriftSettings, how: str) -> Terms:
    from rondo.monitoring.drift.checks import Terms

    return Terms(least=settings.least_calls, alpha=settings.false_alarms, of_words=how == WORDS)


def _compared(before: Side, now: Side, vectors: Vectors | None, terms: Terms, notes: list[str]) -> Found:
    from rondo.monitoring.drift import checks

    with_topics = clusters_at_hand.is_installed()
    if vectors is not None and not with_topics:
        notes.append("Topics are left out: `pip install 'rondo[analysis]'` finds them.")
    return checks.run(before, now, vectors, terms, with_topics=with_topics)


async def _names(models: Models, model: str | None, found: Found, notes: list[str]) -> dict[int, str]:
    if model is None or found.grouped is None or not found.grouped.topics:
        return {}
    groups = [Group(topic.terms, [each.question for each in topic.examples]) for topic in found.grouped.topics]
    try:
        return dict(enumerate(await models.names(model, groups)))
    except Faulty as error:
        notes.append(f"Topics are named by their words: the model could not be used. {error}")
        return {}


def _topics(found: Found, names: dict[int, str], alpha: float) -> list[Topic]:
    from rondo.monitoring.drift.checks import told_topics

    return told_topics(found, names, alpha)


def _verdict(found: Found) -> Verdict:
    verdicts = {check.verdict for check in found.checks}
    return "drifted" if "drifted" in verdicts else "steady" if "steady" in verdicts else "not_enough"
