"""Reviewing anew what has ended: done too fast, settled wrongly, dismissed by mistake.

What was said is put aside: it stays in the audit trail, and its scores are withdrawn from the records, where a word
stands in the place of each number. Until that is so the item counts as not written yet, so that after a crash in
between the scores come back, and the item is still done.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import structs
from sqlalchemy import Connection

from rondo.catalog.engine import Catalog
from rondo.catalog.text import check_text
from rondo.errors import Conflict
from rondo.governance import audit
from rondo.governance.admit import require
from rondo.governance.model import Grant, Role
from rondo.reviews import store
from rondo.reviews.answering import feedback
from rondo.reviews.model import Item, ReviewAnswer
from rondo.reviews.queue import LONGEST_NOTE, require_item

WITHDRAWN = "withdrawn"


def begin(catalog: Catalog, grant: Grant, item_id: str, *, reason: str) -> tuple[Item, list[ReviewAnswer]]:
    """The item, and what is to be withdrawn. Raises NotFound, Conflict, Forbidden, InvalidRequest."""
    check_text(reason, param="reason", longest=LONGEST_NOTE, required=True)
    with catalog.begin() as connection:
        item, answers = _ended(connection, grant, item_id)
        if item.status == "done":
            store.update_status(connection, grant.project, item_id, "done", ended_at=None)
    return item, answers


def withdrawals(item: Item, answers: list[ReviewAnswer]) -> Iterator[tuple[Grant, bytes]]:
    """The item's scores as they were written, with a word in the place of each number."""
    for grant, body in feedback(item, answers) if item.status == "done" else ():
        yield grant, msgspec.json.encode({**msgspec.json.decode(body), "value": WITHDRAWN, "comment": None})


def finish(catalog: Catalog, grant: Grant, item_id: str, *, reason: str) -> Item:
    """Open the item again, without any answers. Raises as `begin` does."""
    with catalog.begin() as connection:
        item, answers = _ended(connection, grant, item_id)
        store.delete_answers(connection, grant.project, item_id)
        store.update_status(connection, grant.project, item_id, "open")
        details = {
            "trace_id": item.trace_id,
            "was": item.status,
            "reason": reason,
            "answers": [_told(each) for each in answers],
        }
        audit.record(connection, grant.project, grant.name, "review.reopen", f"review:{item_id}", details)
        return structs.replace(item, status="open", ended_at=None)


def _ended(connection: Connection, grant: Grant, item_id: str) -> tuple[Item, list[ReviewAnswer]]:
    item = require_item(store.get_item(connection, grant.project, item_id), item_id)
    require(grant, Role.APPROVER)
    if not item.has_ended:
        raise Conflict(f"{item_id} is {item.status}.", remedy="Only what is done or dismissed can be opened again.")
    return item, store.answers_of(connection, grant.project, [item_id]).get(item_id, [])


def _told(answer: ReviewAnswer) -> dict[str, object]:
    told = structs.asdict(answer)
    return {name: told[name] for name in ("reviewer", "scores", "comment", "expected", "adjudicates")}
