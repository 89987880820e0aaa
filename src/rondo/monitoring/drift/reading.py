"""A window of calls from the record store, as drift compares them. Call this in a thread.

Of each call only what is compared stays: lengths, the language, whether there is personal data (not which), whether it
was refused; and the question, cut.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isfinite
from typing import Any

from rondo.evals.model import Answer
from rondo.evals.scorers.refusals import refuses
from rondo.guards import personal
from rondo.monitoring.drift.model import Said, Sample, Side
from rondo.rules import spoken
from rondo.store.base import RecordStore

MOST_SCORES = 8
"""Names of scores that are compared, the commonest."""


def read(store: RecordStore, project: str, app: str, *, since: int, until: int, slice_us: int, most: int) -> Side:
    """At most `most` calls, one of each user, of [since, until). Raises Unavailable.

    `slice_us` is the length of the shorter of the two windows that are compared. A user is drawn in proportion to the
    slices with calls of theirs: as likely to be in the longer window as in the shorter one, however often they come.
    """
    asked: dict[str, object] = {"project": project, "app": app, "since": since, "until": until}
    asked |= {"slice": slice_us, "limit": most}
    rows = store.query("drift_calls", asked)
    language = spoken.language_of if spoken.is_installed() else _unknown
    scores: dict[str, list[Said]] = {}
    for row in store.query("drift_scores", {**asked, "names": MOST_SCORES}):
        said = Said(trace_id=row["trace_id"], value=row["value"], label=row["label"])
        scores.setdefault(row["name"], []).append(said)
    return Side(
        since=since,
        until=until,
        calls=rows[0]["calls"] if rows else 0,
        units=rows[0]["units"] if rows else 0,
        samples=[_sample(row, language) for row in rows if (row["question"] or "").strip()],
        scores=scores,
    )


def _sample(row: dict[str, Any], language: Callable[[str], str | None]) -> Sample:
    question = row["question"]
    answered = not row["failed"]
    return Sample(
        trace_id=row["trace_id"],
        question=question,
        question_chars=row["question_chars"],
        answer_chars=row["answer_chars"] if answered else None,
        language=language(question),
        personal=_was_personal(row["guards"]) or bool(personal.find_personal(question)),
        top_score=_finite(row["top_score"]),
        handed_over=row["handed_over"] if answered else None,
        refused=not row["handed_over"] and _refused(row) if answered else None,
    )


def _refused(row: dict[str, Any]) -> bool:
    """Of an answer that was not handed over: that one says by design that it cannot help."""
    message: dict[str, Any] = {}
    if row["refusing"]:
        try:
            read = json.loads(row["refusing"])
        except ValueError:
            read = None
        message = read if isinstance(read, dict) else {}
    answer = Answer(text=row["answer"] or "", message=message, finish_reason=row["finish_reason"])
    return refuses(answer) is not None


def _was_personal(guards: str | None) -> bool:
    """Whether a guard found personal data in the question, and maybe took it out."""
    verdicts = json.loads(guards) if guards else None
    return any(
        verdict["stage"] == "input" and any(kind in personal.KINDS for kind in verdict["found"] or {})
        for verdict in verdicts or ()
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _unknown(text: str) -> None:
    return None
