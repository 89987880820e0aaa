"""The examples of a run with what each target made of them, side by side. A page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from rondo.datasets.model import Example
from rondo.errors import InvalidRequest, NotFound
from rondo.evals.model import Result, Run
from rondo.evals.runs import Row, Runs
from rondo.evals.store import Place

Mark = Literal["passed", "failed", "partly", "answered", "error", "missing"]
"""`partly`: repeats disagree. `answered`: no scorer drew a line. `error`: there is no answer, or no score."""

_AT_ONCE = 200
_LOOKED_THROUGH = 2_000
"""Examples that one page looks through for those that differ."""

_LAST_REPEAT = 10**6


class ExampleCell(Struct, frozen=True, kw_only=True):
    """What one target made of one example; `value` is the mean of its repeats' scores."""

    mark: Mark
    value: float | None = None


class Beside(Struct, frozen=True, kw_only=True):
    """An example with a cell for each target, and their results."""

    example: Example
    cells: list[ExampleCell]
    results: list[list[Result]]


class Page(Struct, frozen=True, kw_only=True):
    """`after` is where the next one begins; None where there is none."""

    rows: list[Beside]
    after: str | None


async def beside_each_other(
    runs: Runs,
    project: str,
    run_id: str,
    *,
    metric: str | None,
    differing: bool,
    after: str | None,
    limit: int,
) -> Page:
    """So many examples, in the order of their ids; fewer where few differ. A target that never answered makes no
    difference. Raises NotFound."""
    run = await runs.get(project, run_id)
    silent = _silent(run)
    rows: list[Beside] = []
    looked_through = 0
    while looked_through < _LOOKED_THROUGH:
        ids = await _ids(runs, run, after)
        if not ids:
            return Page(rows=rows, after=None)
        for each in _paired(run, ids, await runs.rows_of(project, run_id, ids), metric):
            heard = [cell for at, cell in enumerate(each.cells) if at not in silent]
            if not differing or _differ(heard):
                rows.append(each)
                if len(rows) > limit:
                    return Page(rows=rows[:limit], after=rows[limit - 1].example.id)
        after = ids[-1]
        looked_through += len(ids)
    return Page(rows=rows, after=after)


async def one_beside(runs: Runs, project: str, run_id: str, example: str) -> tuple[Run, Beside]:
    """One example, with all its results. Raises NotFound."""
    run = await runs.get(project, run_id)
    found = await runs.rows_of(project, run_id, [example])
    if not found:
        raise NotFound(f"There is no example {example!r:.100} in {run_id}.", param="example")
    return run, _paired(run, [example], found, None)[0]


def mark(results: Sequence[Result]) -> Mark:
    """What became of the repeats of one example."""
    marks = {_mark(result) for result in results}
    if not marks:
        return "missing"
    return marks.pop() if len(marks) == 1 else "partly"


def _mark(result: Result) -> Mark:
    if result.answer is None:
        return "error"
    lines = [scored.passed for scored in result.scores.values() if scored.passed is not None]
    if False in lines:
        return "failed"
    if any(scored.error is not None for scored in result.scores.values()):
        return "error"
    return "passed" if lines else "answered"


def _silent(run: Run) -> set[int]:
    """The targets that answered nothing at all, as far as it is known."""
    reports = run.report["targets"] if run.report is not None else []
    return {at for at, target in enumerate(reports) if not target["answered"]}


def _differ(cells: Sequence[ExampleCell]) -> bool:
    marks = {cell.mark for cell in cells} - {"missing"}
    if len(marks) > 1:
        return True
    values = [cell.value for cell in cells if cell.value is not None]
    return marks == {"answered"} and bool(values) and max(values) - min(values) > 1e-9


async def _ids(runs: Runs, run: Run, after: str | None) -> list[str]:
    """The next examples that the first target has been asked. Of the last, not all repeats may be among `found`."""
    if after is not None and (not after or len(after) > 200):
        raise InvalidRequest("`after` is not a place in the list.", remedy="Take it from the last page.", param="after")
    place = None if after is None else Place(0, after, _LAST_REPEAT)
    found = await runs.rows(run.project, run.id, target=0, after=place, limit=_AT_ONCE)
    return list(dict.fromkeys(row.example.id for row in found))


def _paired(run: Run, ids: Sequence[str], rows: Sequence[Row], metric: str | None) -> list[Beside]:
    examples = {row.example.id: row.example for row in rows}
    results: dict[tuple[str, int], list[Result]] = {}
    for row in rows:
        results.setdefault((row.result.example, row.result.target), []).append(row.result)
    made = []
    for id_ in ids:
        each = [results.get((id_, at), []) for at in range(len(run.targets))]
        cells = [ExampleCell(mark=mark(repeats), value=_value(repeats, metric)) for repeats in each]
        made.append(Beside(example=examples[id_], cells=cells, results=each))
    return made


def _value(results: Sequence[Result], metric: str | None) -> float | None:
    scored = [result.scores[metric].value for result in results if metric is not None and metric in result.scores]
    known = [value for value in scored if value is not None]
    return sum(known) / len(known) if known else None
