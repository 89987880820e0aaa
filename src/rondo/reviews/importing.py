"""Annotations from Label Studio, as answers of reviewers.

Each annotator is a reviewer: `label-studio:` and their address or number there, or the name that the importer gives
them. An annotation that cannot be used is named and left out; the others are taken. Taking a file twice changes
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from sqlalchemy import Connection

from rondo.catalog.engine import Catalog
from rondo.catalog.text import check_text
from rondo.errors import Conflict, InvalidRequest, NotFound
from rondo.governance import audit
from rondo.reviews import state, store
from rondo.reviews.answering import Words, answer_in
from rondo.reviews.label_studio import Annotation, Unusable, read_annotations

MOST_TOLD = 100
"""Problems that are told one by one."""

_AT_ONCE = 200
_LONGEST_NAME = 100


class Taken(Struct, frozen=True, kw_only=True):
    """What became of a file. `unchanged` were there already, `skipped` cancelled by their annotators.

    `done` and `disputed` count the items that the answers made so. Of the `failed` annotations and tasks, `problems`
    tells of the first hundred. `ignored` counts results of controls that are none of ours, by name.
    """

    answers: int
    unchanged: int
    skipped: int
    done: int
    disputed: int
    failed: int
    problems: list[Unusable]
    ignored: dict[str, int]


def take(
    catalog: Catalog, project: str, content: bytes, *, reviewers: Mapping[str, str] | None = None, actor: str
) -> Taken:
    """Take the annotations of a JSON export. `reviewers` says who annotators are here, by address or number.

    Raises InvalidRequest where the file is no export, or where a reviewer's name cannot be used.
    """
    for name in (reviewers or {}).values():
        check_text(name, param="reviewers", longest=_LONGEST_NAME, required=True)
    file = read_annotations(content)
    problems = list(file.problems)
    counted = dict.fromkeys(("answers", "unchanged", "done", "disputed"), 0)
    for start in range(0, len(file.found), _AT_ONCE):
        with catalog.begin() as connection:
            for each in file.found[start : start + _AT_ONCE]:
                try:
                    for word in _take(connection, project, each, reviewers or {}):
                        counted[word] += 1
                except (InvalidRequest, NotFound, Conflict) as error:
                    problems.append(Unusable(each.where, str(error)))
    with catalog.begin() as connection:
        details = {**counted, "failed": len(problems), "reviewers": dict(reviewers or {})}
        audit.record(connection, project, actor, "review.import", "reviews", details)
    return Taken(
        **counted, skipped=file.skipped, failed=len(problems), problems=problems[:MOST_TOLD], ignored=file.ignored
    )


def _take(connection: Connection, project: str, said: Annotation, reviewers: Mapping[str, str]) -> Sequence[str]:
    """What has happened, as the words that are counted."""
    named = next((reviewers[name] for name in said.annotators if name in reviewers), None)
    reviewer = named or f"label-studio:{said.annotators[0]}"
    check_text(reviewer, param="completed_by", longest=_LONGEST_NAME)
    check_text(said.item, param="review", longest=_LONGEST_NAME)
    item = store.get_item(connection, project, said.item)
    if item is not None:
        before = store.answers_of(connection, project, [item.id]).get(item.id, [])
        same = next((each for each in before if each.reviewer == reviewer and not each.adjudicates), None)
        if same is not None and same.scores == state.checked(item.rubric, said.scores):
            texts = (said.comment.strip(), (said.expected or "").strip() or None)
            if (same.comment, same.expected) == texts:
                return ("unchanged",)
    words = Words(scores=said.scores, comment=said.comment, expected=said.expected)
    after = answer_in(connection, project, said.item, reviewer, words)
    return ("answers", after.status) if after.status in ("done", "disputed") else ("answers",)
