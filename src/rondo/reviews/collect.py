"""Fills the queue: calls that are sampled, that users voted down, and that are disputed.

Which calls are sampled is decided by a hash of their trace, so that looking twice, or from two servers, finds the
same. A call is put into the queue once, whatever it is found by; so this may run at any time, as often as one likes.
It reads the records, never the hot path, and takes a bounded number of calls at a time: what is left over is found
the next time.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from msgspec import Struct

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.reviews import store, unsteady
from rondo.reviews.model import Item, Rules, Source, rules_of, sample_bound
from rondo.store.base import RecordStore

LOOK_BACK_US = 7 * 24 * 3_600 * 1_000_000
"""How far back the queue is filled from: calls from before a week are not what a team can still learn from."""

MOST_AT_ONCE = 5_000
"""Calls put into one app's queue at a time."""

_MOST_FOUND = 50_000
_LONGEST_NOTE = 2_000


class Found(Struct, frozen=True):
    """A call that people should look at, and why. `at` is when there was a reason to."""

    trace_id: str
    source: Source
    at: int
    note: str = ""


class Collected(Struct, frozen=True, kw_only=True):
    """What was put into the queue, by source; `left_over`: there is more, for the next time."""

    added: dict[Source, int]
    left_over: bool


def collect(catalog: Catalog, records: RecordStore, project: str, *, actor: str, since: int | None = None) -> Collected:
    """Look at what has come in since then (a week ago by default) at all apps of a project.

    Raises Unavailable where the record store or the catalog cannot be reached; calls found so far stay in the queue.
    """
    now = clock.now_us()
    since = now - LOOK_BACK_US if since is None else max(since, now - LOOK_BACK_US)
    added: dict[Source, int] = {}
    left_over = False
    with catalog.read() as connection:
        rules = {
            name: rules_of(store.app_settings(connection, project, name))
            for name in store.app_names(connection, project)
        }
    for app, its_rules in rules.items():
        found = list(_find(catalog, records, project, app, its_rules, since=since, until=now + 1))
        taken = _put(catalog, project, app, its_rules, found, actor=actor)
        for item in taken[:MOST_AT_ONCE]:
            added[item.source] = added.get(item.source, 0) + 1
        left_over = left_over or len(taken) > MOST_AT_ONCE
    return Collected(added=added, left_over=left_over)


def _find(
    catalog: Catalog, records: RecordStore, project: str, app: str, rules: Rules, *, since: int, until: int
) -> Iterator[Found]:
    """Every reason to look at a call; a call may come up by several. The most telling reasons come first."""
    window: dict[str, object] = {
        "project": project,
        "app": app,
        "since": since,
        "until": until,
        "limit": _MOST_FOUND,
    }
    for row in records.query("reviews_contradicted", {**window, "gap": rules.dispute_gap}):
        yield Found(row["trace_id"], "disputed", row["happened_at"], f"The judge {row['judge']!r} and a user disagree.")
    for each in unsteady.judged(catalog, project, app, since=since, gap=rules.dispute_gap, limit=_MOST_FOUND):
        yield Found(each.trace_id, "disputed", each.at, each.why)
    if rules.thumbs_down:
        for row in records.query("reviews_voted_down", window):
            yield Found(row["trace_id"], "thumbs_down", row["happened_at"], row["note"] or "")
    if rules.sample_percent > 0:
        for row in records.query("reviews_sampled", {**window, "below": sample_bound(rules.sample_percent)}):
            yield Found(row["trace_id"], "sampled", row["happened_at"])


def _put(catalog: Catalog, project: str, app: str, rules: Rules, found: list[Found], *, actor: str) -> list[Item]:
    """The calls that had no item, each with one now, but for those beyond `MOST_AT_ONCE`."""
    first: dict[str, Found] = {}
    for each in found:
        first.setdefault(each.trace_id, each)
    if not first:
        return []
    with catalog.read() as connection:  # mostly there is nothing new, and no lock to be taken
        if len(store.known_traces(connection, project, list(first))) == len(first):
            return []
    with catalog.begin() as connection:
        known = store.known_traces(connection, project, list(first))
        new = sorted((each for trace, each in first.items() if trace not in known), key=lambda each: each.at)
        now = clock.now_us()
        items = [
            Item(
                id=new_id(),
                project=project,
                app=app,
                trace_id=each.trace_id,
                source=each.source,
                note=each.note.replace("\x00", "")[:_LONGEST_NOTE],
                rubric=rules.criteria,
                reviewers=rules.reviewers,
                status="open",
                created_by=actor,
                created_at=now + place,  # a place of its own in the queue, in the order of what happened
            )
            for place, each in enumerate(new)
        ]
        if items:
            store.save_rubric(connection, project, rules.criteria)
            store.insert_items(connection, items[:MOST_AT_ONCE])
    return items


def new_id() -> str:
    """For an item."""
    return f"review_{secrets.token_hex(12)}"
