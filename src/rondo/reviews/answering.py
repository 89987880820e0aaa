"""What people say of an item: their answers, the word that settles a dispute, and their way into the records.

An answer is kept in the catalog. Once an item is done, the scores that stand are written to the journal, like all
feedback: named `human.<criterion>`, as shares of the scale, by the people who gave them. Not before, so that nobody
reads there what the first reviewer said. An item's `ended_at` is set after that; whatever cuts in between, the next
look at what is unwritten writes the same scores again, under the same ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct, structs
from sqlalchemy import Connection

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.catalog.text import check_text
from rondo.errors import InvalidRequest
from rondo.governance import audit
from rondo.governance.model import Grant
from rondo.reviews import state, store
from rondo.reviews.model import METRIC, WRITER, Item, ReviewAnswer, rules_of
from rondo.reviews.queue import require_item

LONGEST_COMMENT = 4_000
LONGEST_EXPECTED = 20_000


class Words(Struct, frozen=True, kw_only=True):
    """What a person says: scores by criterion (None: no ground for one), and `expected`, what should have been said."""

    scores: Mapping[str, object]
    comment: str = ""
    expected: str | None = None


def answer(catalog: Catalog, project: str, item_id: str, reviewer: str, words: Words) -> Item:
    """Keep what `reviewer` says, in the place of what they said of this item before; the item, as it is then.

    Raises NotFound, InvalidRequest, and Conflict for an item that takes no answers any more.
    """
    with catalog.begin() as connection:
        return answer_in(connection, project, item_id, reviewer, words)


def answer_in(connection: Connection, project: str, item_id: str, reviewer: str, words: Words) -> Item:
    """The same inside a transaction. What it refuses, it refuses before it writes anything."""
    item = require_item(store.get_item(connection, project, item_id), item_id)
    answers = store.answers_of(connection, project, [item_id]).get(item_id, [])
    state.refuse_answer(item, answers, reviewer)
    given = _answer(item, reviewer, words, adjudicates=False)
    store.replace_answer(connection, project, given)
    settings = None if item.app is None else store.app_settings(connection, project, item.app)
    after = [*(each for each in answers if each.reviewer != reviewer), given]
    status = state.status_after(item, after, rules_of(settings).dispute_gap)
    if status != item.status:
        store.update_status(connection, project, item_id, status)
    return structs.replace(item, status=status)


def adjudicate(catalog: Catalog, project: str, item_id: str, adjudicator: str, words: Words) -> Item:
    """Settle a dispute: these scores stand in the place of the reviewers'.

    Raises NotFound, InvalidRequest, and Conflict for an item without a dispute, or of the adjudicator's own.
    """
    with catalog.begin() as connection:
        item = require_item(store.get_item(connection, project, item_id), item_id)
        answers = store.answers_of(connection, project, [item_id]).get(item_id, [])
        state.refuse_adjudication(item, answers, adjudicator)
        given = _answer(item, adjudicator, words, adjudicates=True)
        store.replace_answer(connection, project, given)
        store.update_status(connection, project, item_id, "done")
        details = {"trace_id": item.trace_id, "scores": given.scores, "comment": given.comment}
        audit.record(connection, project, adjudicator, "review.adjudicate", f"review:{item_id}", details)
        return structs.replace(item, status="done")


def _answer(item: Item, reviewer: str, words: Words, *, adjudicates: bool) -> ReviewAnswer:
    if not isinstance(words.scores, Mapping):
        raise InvalidRequest("`scores` must be an object.", remedy='{"accuracy": 4}', param="scores")
    check_text(words.comment, param="comment", longest=LONGEST_COMMENT)
    check_text(words.expected or "", param="expected", longest=LONGEST_EXPECTED)
    return ReviewAnswer(
        item=item.id,
        reviewer=reviewer,
        scores=state.checked(item.rubric, words.scores),
        comment=words.comment.strip(),
        expected=(words.expected or "").strip() or None,
        adjudicates=adjudicates,
        created_at=clock.now_us(),
    )


def feedback(item: Item, answers: list[ReviewAnswer]) -> Iterator[tuple[Grant, bytes]]:
    """The scores that stand, as bodies of feedback, and who gives them.

    They are written under a key id that no key has, so that nothing a client sends can overwrite them.
    """
    for said in state.standing(answers):
        grant = Grant(project=item.project, key_id=WRITER, name=said.reviewer, kind="secret")
        for criterion in item.rubric:
            score = said.scores.get(criterion.name)
            if score is None:
                continue
            words = f"{score} of {criterion.highest}"
            body = {
                "trace_id": item.trace_id,
                "name": f"{METRIC}{criterion.name}",
                "value": criterion.share(score),
                "comment": f"{words}: {said.comment}" if said.comment else words,
                "user": said.reviewer,
                "id": f"{item.trace_id}/{criterion.name}/{said.reviewer}",
            }
            yield grant, msgspec.json.encode(body)


def unwritten(catalog: Catalog, project: str, limit: int = 200) -> list[tuple[Item, list[ReviewAnswer]]]:
    """Items whose scores are not known to be in the journal, with their answers."""
    with catalog.read() as connection:
        items = store.unwritten(connection, project, limit)
        answers = store.answers_of(connection, project, [item.id for item in items])
    return [(item, answers.get(item.id, [])) for item in items]


def end(catalog: Catalog, items: Sequence[Item]) -> None:
    """The scores of these items are in the journal now."""
    now = clock.now_us()
    with catalog.begin() as connection:
        for item in items:
            store.update_status(connection, item.project, item.id, "done", ended_at=now)
