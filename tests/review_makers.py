"""Items and people for tests of reviews: everything has a plain default, a test names what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from record_makers import after, entry, make_call
from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.evals.judges.model import Criterion
from rondo.governance import projects
from rondo.governance.model import Grant, Role
from rondo.records import Call, Score
from rondo.releases import store as releases
from rondo.reviews import store
from rondo.reviews.answering import Words
from rondo.reviews.collect import new_id
from rondo.reviews.model import Item
from rondo.store.base import RecordStore

RUBRIC = [
    Criterion(name="accuracy", question="Is it true?", anchors={"1": "wrong", "5": "right"}),
    Criterion(name="tone", question="Is it polite?", lowest=0, highest=1),
]


def declare(
    catalog: Catalog, app: str = "bot", project: str = "p", criteria: Sequence[Criterion] = (), **settings: Any
) -> None:
    """An app of a project, with what its `[reviews]` says."""
    about = {"reviews": {"settings": settings, "criteria": [_plain(each) for each in criteria or RUBRIC]}}
    with catalog.read() as connection:
        there = project in projects.names(connection)
    if not there:
        projects.create(catalog, project, actor="setup")
    with catalog.begin() as connection:
        releases.save_app(connection, project, app, about, clock.now_us())


def _plain(criterion: Criterion) -> dict[str, Any]:
    return {name: getattr(criterion, name) for name in Criterion.__struct_fields__}


def make_item(**fields: Any) -> Item:
    """An open item of the app `bot` that two people are to look at."""
    call = make_call()
    plain: dict[str, Any] = {
        "id": new_id(),
        "project": "p",
        "app": "bot",
        "trace_id": call.trace_id,
        "source": "sampled",
        "note": "",
        "rubric": RUBRIC,
        "reviewers": 2,
        "status": "open",
        "created_by": "rondo",
        "created_at": call.started_at,
    }
    return Item(**{**plain, **fields})


def queue_up(catalog: Catalog, *items: Item) -> None:
    """Put the items into the queue as they are."""
    with catalog.begin() as connection:
        for item in items:
            store.save_rubric(connection, item.project, item.rubric)
        store.insert_items(connection, items)


def get(catalog: Catalog, item: Item) -> Item:
    """The item as it is now."""
    with catalog.read() as connection:
        found = store.get_item(connection, item.project, item.id)
    assert found is not None
    return found


def keep(records: RecordStore, *made: Call | Score, writer: str = "w") -> None:
    """Put records into the store."""
    positions = records.positions()
    start = positions[writer].sequence if writer in positions else 0
    records.insert(writer, list(map(entry, made)), after(start + len(made)))


def words(accuracy: int | None = 4, tone: int | None = 1, **more: Any) -> Words:
    return Words(scores={"accuracy": accuracy, "tone": tone}, **more)


def person(name: str, role: Role | None = Role.DEVELOPER, project: str = "p") -> Grant:
    return Grant(project=project, key_id=f"key_{name}", name=name, kind="secret", role=role)
