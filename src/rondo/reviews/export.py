"""Reviews in files: JSON lines, CSV, and tasks for Label Studio.

A file appears whole or not at all. Answers of an item that others are still reviewing are in none of them.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal

import msgspec
from msgspec import Struct, structs

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.evals.judges.model import Criterion
from rondo.records import json_line
from rondo.reviews import label_studio, state, store, texts
from rondo.reviews.model import Item, ReviewAnswer
from rondo.reviews.store import ItemFilter
from rondo.store.base import RecordStore

Format = Literal["jsonl", "csv", "label-studio"]
_AT_ONCE = 200
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Exported(Struct, frozen=True):
    """How many items a file holds, and how many were left out because they have another rubric."""

    items: int
    left_out: int


class _Whole(Struct, frozen=True):
    """An item with all that is known of it."""

    item: Item
    answers: list[ReviewAnswer]
    call: dict[str, Any]
    given: dict[str, Any]
    judged: dict[str, float]


def export(
    catalog: Catalog,
    records: RecordStore,
    project: str,
    wanted: ItemFilter,
    *,
    format: Format,
    target: Path,
    predictions: bool = False,
) -> Exported:
    """Write the chosen items to `target`.

    Label Studio has one configuration for all tasks of a project, so items of other rubrics than the newest item's are
    left out of its files. `predictions` puts judges' scores into them. Raises Unavailable.
    """
    chosen, left_out = wanted, 0
    if format == "label-studio":
        rubric = rubric_of(catalog, project, wanted)
        chosen = structs.replace(wanted, rubric=store.rubric_hash(rubric) if rubric else None)
        with catalog.read() as connection:
            everything = store.count_items(connection, project, wanted)
            left_out = everything - store.count_items(connection, project, chosen)
    partial = target.with_name(target.name + ".partial")
    items = _everything(catalog, records, project, chosen, judged=predictions)
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            number = _WRITERS[format](file, items, lambda: _criteria(catalog, project, chosen))
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return Exported(number, left_out)


def rubric_of(catalog: Catalog, project: str, wanted: ItemFilter) -> list[Criterion]:
    """The rubric of the newest of these items; empty where there is none."""
    with catalog.read() as connection:
        newest = store.list_items(connection, project, wanted, limit=1, newest_first=True)
    return newest[0].rubric if newest else []


def row(whole: _Whole) -> dict[str, Any]:
    """An item as one object of JSON."""
    item, call = whole.item, whole.call
    seen = whole.answers if state.sees_answers(item) else []
    return {
        "id": item.id,
        "trace_id": item.trace_id,
        "app": item.app,
        "release": call.get("release"),
        "release_hash": call.get("release_hash"),
        "source": item.source,
        "note": item.note,
        "status": item.status,
        "created_at": clock.iso(item.created_at),
        "ended_at": None if item.ended_at is None else clock.iso(item.ended_at),
        "question": call.get("question"),
        "answer": call.get("answer"),
        "expected": state.expected(seen),
        "scores": state.final_scores(item.rubric, seen) if item.status == "done" else {},
        "answers": [
            {
                "reviewer": each.reviewer,
                "adjudicates": each.adjudicates,
                "scores": each.scores,
                "comment": each.comment,
                "expected": each.expected,
                "created_at": clock.iso(each.created_at),
            }
            for each in seen
        ],
        "rubric": [msgspec.to_builtins(each) for each in item.rubric],
    }


def _write_jsonl(file: IO[str], items: Iterator[_Whole], criteria: Callable[[], list[str]]) -> int:
    number = 0
    for whole in items:
        file.write(json_line(row(whole)).decode() + "\n")
        number += 1
    return number


def _write_csv(file: IO[str], items: Iterator[_Whole], criteria: Callable[[], list[str]]) -> int:
    """A row for each answer, and one for an item without any; criteria are columns."""
    names = criteria()
    facts = ("id", "trace_id", "app", "release", "source", "status", "question", "answer", "created_at", "ended_at")
    writer = csv.writer(file)
    writer.writerow([*facts, "reviewer", "adjudicates", *names, "comment", "expected"])
    number = 0
    for whole in items:
        about = row(whole)
        for said in about["answers"] or [{}]:
            scores = [said.get("scores", {}).get(name) for name in names]
            cells = [*(about[fact] for fact in facts), said.get("reviewer"), said.get("adjudicates"), *scores]
            writer.writerow([_cell(cell) for cell in (*cells, said.get("comment"), said.get("expected"))])
        number += 1
    return number


def _write_tasks(file: IO[str], items: Iterator[_Whole], criteria: Callable[[], list[str]]) -> int:
    number = 0
    file.write("[")
    for whole in items:
        task = label_studio.task(whole.item, whole.call, whole.given, whole.judged)
        file.write(("," if number else "") + "\n" + json_line(task).decode())
        number += 1
    file.write("\n]\n")
    return number


_WRITERS: dict[Format, Callable[[IO[str], Iterator[_Whole], Callable[[], list[str]]], int]] = {
    "jsonl": _write_jsonl,
    "csv": _write_csv,
    "label-studio": _write_tasks,
}


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula gets an apostrophe before it, as OWASP advises."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def _criteria(catalog: Catalog, project: str, wanted: ItemFilter) -> list[str]:
    with catalog.read() as connection:
        rubrics = store.rubrics_in_use(connection, project, wanted)
    return list(dict.fromkeys(each.name for rubric in rubrics for each in rubric))


def _everything(
    catalog: Catalog, records: RecordStore, project: str, wanted: ItemFilter, *, judged: bool
) -> Iterator[_Whole]:
    """Some items at a time, each time in a transaction of its own: a long export keeps nobody waiting."""
    beyond: tuple[int, str] | None = None
    while True:
        with catalog.read() as connection:
            items = store.list_items(connection, project, wanted, limit=_AT_ONCE, beyond=beyond)
            answers = store.answers_of(connection, project, [item.id for item in items])
        if not items:
            return
        traces = [item.trace_id for item in items]
        calls, inputs = texts.calls_of(records, project, traces), texts.inputs_of(records, project, traces)
        judgements = texts.judgements_of(records, project, traces) if judged else {}
        for item in items:
            yield _Whole(
                item,
                answers.get(item.id, []),
                calls.get(item.trace_id, {}),
                inputs.get(item.trace_id, {}),
                judgements.get(item.trace_id, {}),
            )
        beyond = items[-1].created_at, items[-1].id
