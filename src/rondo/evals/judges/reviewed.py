"""Labels from reviews: what people said of recorded calls, with what the judge has to be shown of those calls.

A score of a review is named `human.<criterion>` and is a share of its scale; a judge's own criterion of that name says
which scale. Calls that the record store no longer has are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from rondo.evals.judges.labels import MOST, Label
from rondo.evals.judges.model import Judge
from rondo.store.base import RecordStore

_WHOLE = 1 << 30
_AT_ONCE = 500


def labels_of(
    records: RecordStore, project: str, app: str, judge: Judge, *, since: int | None = None
) -> Iterator[tuple[str, Label]]:
    """("call 0192...", label) of each person who reviewed a call of the app, newest first; at most `MOST` of them.

    Raises Unavailable while the record store cannot be reached.
    """
    filters: dict[str, object] = {"app": app}
    if since is not None:
        filters["since"] = since
    rows = records.query("human_labels", {"project": project, "limit": MOST * len(judge.aspects)}, filters)
    said: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        if row["aspect"] in judge.aspects and 0 <= row["value"] <= 1:
            said.setdefault((row["trace_id"], row["author"]), {}).setdefault(row["aspect"], row["value"])
    people = list(said.items())[:MOST]
    for start in range(0, len(people), _AT_ONCE):
        some = people[start : start + _AT_ONCE]
        calls = _calls(records, project, sorted({trace for (trace, _), _ in some}))
        for (trace, author), shares in some:
            if trace in calls:
                yield f"call {trace}", _label(judge, trace, author, shares, calls[trace])


def _label(judge: Judge, trace: str, author: str, shares: dict[str, float], call: dict[str, Any]) -> Label:
    shown: dict[str, Any] = {
        "messages": _messages(call),
        "answer": call["answer"] or "",
        "context": [str(chunk["text"]) for chunk in _json(call["chunks"]) or [] if isinstance(chunk, dict)],
        "annotator": author,
        "source": trace,
    }
    if judge.kind == "yes_no":
        return Label(**shown, verdict=shares[judge.name] >= 0.5)
    scales = {each.name: each for each in judge.criteria}
    return Label(**shown, scores={name: round(scales[name].score(share), 6) for name, share in shares.items()})


def _messages(call: dict[str, Any]) -> list[dict[str, Any]]:
    found = _json(call["input"])
    if isinstance(found, list) and found and all(isinstance(message, dict) for message in found):
        return found
    return [{"role": "user", "content": call["question"] or ""}]


def _json(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return None


def _calls(records: RecordStore, project: str, traces: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By trace: question, answer, input and chunks of its first call."""
    asked: dict[str, object] = {"project": project, "traces": ",".join(traces)}
    told = {row["trace_id"]: row for row in records.query("calls_by_traces", {**asked, "longest": _WHOLE})}
    for row in records.query("inputs_by_traces", asked):
        if row["trace_id"] in told:
            told[row["trace_id"]] |= row
    return {trace: row for trace, row in told.items() if "input" in row}
