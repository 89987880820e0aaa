"""The queue: pages of items, one item as its reader may see it, the next one for a person, one that someone asked for.

What others said of an item stays unseen until the last reviewer has answered, here and in every export: whoever knows
the first answer gives it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from msgspec import Struct, structs

from rondo import clock, ids
from rondo.catalog.engine import Catalog
from rondo.catalog.text import check_text
from rondo.errors import Conflict, InvalidRequest, NotFound
from rondo.governance import audit
from rondo.governance.admit import require
from rondo.governance.model import Grant, Role
from rondo.reviews import state, store, texts
from rondo.reviews.collect import new_id
from rondo.reviews.model import SOURCES, STATUSES, Item, Listed, ReviewAnswer, Status, rules_of
from rondo.reviews.store import ItemFilter
from rondo.store.base import RecordStore
from rondo.traces.search import get_calls

MAX_PAGE = 1_000
LONGEST_NOTE = 2_000
FIELDS = ("app", "source", "status", "waiting", "trace_id", "since", "until")
"""Filters, as a query string or the command line has them."""


class Page(Struct, frozen=True):
    """Items; `after` asks for the page after this one, None where this is the last."""

    items: list[Listed]
    after: str | None


class Shown(Struct, frozen=True, kw_only=True):
    """An item as one reader may see it. `answers` are all there are, or the reader's own alone while others are open.

    `answered` counts them all. `gaps` are differences of the reviewers by criterion, as shares of the scale. `final` is
    what people said in the end, by criterion. `blind`: judgements of others must not be shown beside it.
    """

    item: Item
    answers: list[ReviewAnswer]
    answered: int
    gaps: dict[str, float]
    final: dict[str, float]
    expected: str | None
    blind: bool
    may_answer: bool
    may_adjudicate: bool
    may_dismiss: bool
    may_reopen: bool


def parse_filter(values: Mapping[str, str], reader: str) -> ItemFilter:
    """A filter from words; empty ones are as if not given. `waiting=true`: what waits for `reader`.

    `status` may be several, with commas between; times are `24h` (ago) or ISO 8601. Raises InvalidRequest, which names
    the field.
    """
    for name in values:
        if name not in FIELDS:
            raise InvalidRequest(
                f"There is no filter {name!r:.80}.", remedy=f"Filters: {', '.join(FIELDS)}.", param=name
            )
    given = {name: word for name, word in values.items() if word}
    for name, word in given.items():
        check_text(word, param=name, longest=1_000)
    trace_id = given.get("trace_id")
    if trace_id is not None and not ids.is_trace_id(trace_id):
        raise InvalidRequest(f"{trace_id!r:.80} is no trace id.", remedy="It has 32 hex digits.", param="trace_id")
    return ItemFilter(
        app=given.get("app"),
        source=_one_of(given, "source", SOURCES),
        statuses=_statuses(given.get("status", "")),
        waits_for=reader if _one_of(given, "waiting", ("true", "false")) == "true" else None,
        trace_id=trace_id,
        since=_time(given, "since"),
        until=_time(given, "until"),
    )


def page(
    catalog: Catalog,
    records: RecordStore,
    project: str,
    wanted: ItemFilter,
    *,
    reader: str,
    limit: int = 50,
    after: str | None = None,
) -> Page:
    """A page of items: what waits for someone oldest first, all else newest first.

    Raises InvalidRequest for a limit out of range or an `after` that no page gave.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRequest(f"'limit' must be from 1 to {MAX_PAGE}, not {limit}.", param="limit")
    beyond = None if after is None else _place(after)
    with catalog.read() as connection:
        found = store.list_items(
            connection, project, wanted, limit=limit + 1, beyond=beyond, newest_first=not _waits(wanted)
        )
        items = found[:limit]
        answers = store.answers_of(connection, project, [item.id for item in items])
    calls = texts.calls_of(records, project, [item.trace_id for item in items], longest=texts.SHORT)
    listed = []
    for item in items:
        call, given = calls.get(item.trace_id, {}), answers.get(item.id, [])
        listed.append(
            Listed(
                item=item,
                answers=len(given),
                is_mine=any(each.reviewer == reader for each in given),
                question=call.get("question"),
                answer=call.get("answer"),
                release=call.get("release"),
            )
        )
    return Page(listed, f"{items[-1].created_at}.{items[-1].id}" if len(found) > limit else None)


def totals(catalog: Catalog, project: str, *, app: str | None, reader: str) -> dict[str, int]:
    """How many items there are by status, and under `waiting` those that wait for the reader."""
    with catalog.read() as connection:
        found: dict[str, int] = dict.fromkeys(STATUSES, 0)
        for (status, _), number in store.totals(connection, project, app).items():
            found[status] += number
        waiting = store.count_items(connection, project, ItemFilter(app=app, waits_for=reader))
    return {**found, "waiting": waiting}


def apps(catalog: Catalog, project: str) -> list[str]:
    """The names of the project's apps."""
    with catalog.read() as connection:
        return store.app_names(connection, project)


def show(catalog: Catalog, grant: Grant, item_id: str) -> Shown:
    """Raises NotFound."""
    with catalog.read() as connection:
        item = require_item(store.get_item(connection, grant.project, item_id), item_id)
        answers = store.answers_of(connection, grant.project, [item_id]).get(item_id, [])
    mine = [each for each in answers if each.reviewer == grant.name]
    seen = state.sees_answers(item)
    party = any(each.reviewer == grant.name for each in answers)
    return Shown(
        item=item,
        answers=answers if seen else mine,
        answered=len(answers),
        gaps=dict(state.gaps(item.rubric, answers)) if seen else {},
        final=state.final_scores(item.rubric, answers) if item.status == "done" else {},
        expected=state.expected(answers if seen else mine),
        blind=not seen and not mine,
        may_answer=item.status == "open" and _has(grant, Role.DEVELOPER),
        may_adjudicate=item.status == "disputed" and not party and _has(grant, Role.APPROVER),
        may_dismiss=not item.has_ended and _has(grant, _dismisser(item)),
        may_reopen=item.has_ended and _has(grant, Role.APPROVER),
    )


def expected_of(catalog: Catalog, project: str, trace_id: str) -> str | None:
    """What reviewers say should have been answered; None while they are at it, and where nobody said anything."""
    with catalog.read() as connection:
        item = store.item_of_trace(connection, project, trace_id)
        if item is None or not state.sees_answers(item):
            return None
        return state.expected(store.answers_of(connection, project, [item.id]).get(item.id, []))


def neighbour(
    catalog: Catalog, project: str, wanted: ItemFilter, *, beyond: Item | None = None, backwards: bool = False
) -> Item | None:
    """The first item that fits, or the one after (before) `beyond` in the order of the queue; None at its end."""
    place = None if beyond is None else (beyond.created_at, beyond.id)
    with catalog.read() as connection:
        found = store.list_items(
            connection, project, wanted, limit=1, beyond=place, newest_first=backwards == _waits(wanted)
        )
    return found[0] if found else None


def add(
    catalog: Catalog, records: RecordStore, project: str, trace_id: str, *, note: str = "", actor: str
) -> tuple[Item, bool]:
    """Put a call into the queue because a person asks for it; (its item, whether it is new).

    A call that is in the queue already, or has been reviewed, stays as it is. Raises NotFound, InvalidRequest.
    """
    check_text(note, param="note", longest=LONGEST_NOTE)
    call = get_calls(records, project, trace_id)[0]
    with catalog.begin() as connection:
        there = store.item_of_trace(connection, project, trace_id)
        if there is not None:
            return there, False
        settings = None if call.app is None else store.app_settings(connection, project, call.app)
        rules = rules_of(settings)
        item = Item(
            id=new_id(),
            project=project,
            app=call.app,
            trace_id=trace_id,
            source="asked",
            note=note,
            rubric=rules.criteria,
            reviewers=rules.reviewers,
            status="open",
            created_by=actor,
            created_at=clock.now_us(),
        )
        store.save_rubric(connection, project, rules.criteria)
        store.insert_items(connection, [item])
        details = {"trace_id": trace_id, "note": note}
        audit.record(connection, project, actor, "review.add", f"review:{item.id}", details)
        return item, True


def dismiss(catalog: Catalog, grant: Grant, item_id: str, *, reason: str) -> Item:
    """Take an item out of the queue without a verdict; its call does not come back into it.

    A dispute can be dismissed by an approver only. Raises NotFound, Conflict, Forbidden, InvalidRequest.
    """
    check_text(reason, param="reason", longest=LONGEST_NOTE, required=True)
    with catalog.begin() as connection:
        item = require_item(store.get_item(connection, grant.project, item_id), item_id)
        if item.has_ended:
            raise Conflict(f"{item_id} is {item.status}.", remedy="There is nothing left to dismiss.")
        require(grant, _dismisser(item))
        now = clock.now_us()
        store.update_status(connection, grant.project, item_id, "dismissed", ended_at=now)
        details = {"trace_id": item.trace_id, "reason": reason}
        audit.record(connection, grant.project, grant.name, "review.dismiss", f"review:{item_id}", details)
        return structs.replace(item, status="dismissed", ended_at=now)


def require_item(item: Item | None, item_id: str) -> Item:
    """Raises NotFound."""
    if item is None:
        raise NotFound(f"There is no review {item_id!r:.80}.", remedy="`rondo reviews list` shows them.", param="id")
    return item


def _dismisser(item: Item) -> Role:
    return Role.APPROVER if item.status == "disputed" else Role.DEVELOPER


def _has(grant: Grant, role: Role) -> bool:
    return grant.role is not None and grant.role.includes(role)


def _waits(wanted: ItemFilter) -> bool:
    """Whether the list is of what waits for someone, which is worked off from its oldest end."""
    return wanted.waits_for is not None or (bool(wanted.statuses) and set(wanted.statuses) <= {"open", "disputed"})


def _place(after: str) -> tuple[int, str]:
    at, _, item_id = after.partition(".")
    if not (at.isascii() and at.isdigit() and len(at) < 19 and item_id):
        raise InvalidRequest("'after' is not a place in the list.", remedy="Take it from the last page.", param="after")
    return int(at), item_id


def _one_of(given: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str | None:
    word = given.get(name)
    if word is not None and word not in allowed:
        raise InvalidRequest(
            f"{name!r} cannot be {word!r:.80}.", remedy=f"It is one of: {', '.join(allowed)}.", param=name
        )
    return word


def _statuses(words: str) -> tuple[Status, ...]:
    found = tuple(word.strip() for word in words.split(",") if word.strip())
    for word in found:
        _one_of({"status": word}, "status", get_args(Status))
    return found  # type: ignore[return-value]


def _time(given: Mapping[str, str], name: str) -> int | None:
    if name not in given:
        return None
    try:
        return clock.parse_time(given[name])
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{name!r} is not a time: {given[name]!r:.60}.",
            remedy="Write it as 24h, 7d (ago), or 2026-11-21T10:00:00Z.",
            param=name,
        ) from None
