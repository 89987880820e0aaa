"""The statements of evaluation runs: runs, results, and what judges said. The project is in every one but those of the
server itself.

A result is written once: a second one of the same target, example and repeat changes nothing, so whatever is cut off
half-way can be done again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, structs
from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from rondo import clock
from rondo.catalog.schema_evals import eval_asks, eval_results, eval_runs
from rondo.errors import CorruptData, NotFound
from rondo.evals.model import Answer, Counted, Result, Run, RunStatus, Scored, Target
from rondo.records import json_line

_AT_ONCE = 400
"""Values of one statement's IN: SQLite binds a limited number."""

_LOOKED_THROUGH = 1_000
_FAILED = ('"passed":false', '"error":"')
"""What is in the JSON of a score that failed; within a text its quotes would be escaped."""

_encode = msgspec.json.Encoder().encode
_result = msgspec.json.Decoder(Result)
_answer = msgspec.json.Decoder(Answer)
_counted = msgspec.json.Decoder(Counted)
T = TypeVar("T")


class Kept(Struct, frozen=True):
    """A result on its way into the store. `answer_key` is empty where there is no answer to be used again."""

    result: Result
    answer_key: str


class Place(Struct, frozen=True, order=True):
    """Where a result stands among those of its run."""

    target: int
    example: str
    repeat: int


def insert_run(connection: Connection, run: Run) -> None:
    values = structs.asdict(run)
    connection.execute(insert(eval_runs).values({**values, "targets": msgspec.to_builtins(run.targets)}))


def get_run(connection: Connection, project: str, run_id: str) -> Run:
    """Raises NotFound."""
    row = connection.execute(select(eval_runs).where(eval_runs.c.project == project, eval_runs.c.id == run_id)).first()
    if row is None:
        raise NotFound(f"There is no run {run_id!r:.100}.", remedy="`rondo runs list` shows them.", param="run")
    return _run(row)


def find_run(connection: Connection, run_id: str) -> Run | None:
    """Whosever it is: for the server, which runs those of all projects."""
    row = connection.execute(select(eval_runs).where(eval_runs.c.id == run_id)).first()
    return None if row is None else _run(row)


def list_runs(
    connection: Connection,
    project: str,
    *,
    app: str | None = None,
    name: str | None = None,
    status: RunStatus | None = None,
    before: Run | None = None,
    limit: int = 50,
) -> list[Run]:
    """Newest first, without their reports."""
    conditions = [eval_runs.c.project == project]
    if app is not None:
        conditions.append(eval_runs.c.app == app)
    if name is not None:
        conditions.append(eval_runs.c.name == name)
    if status is not None:
        conditions.append(eval_runs.c.status == status)
    if before is not None:
        at, run_id = before.created_at, before.id
        conditions.append(or_(eval_runs.c.created_at < at, and_(eval_runs.c.created_at == at, eval_runs.c.id < run_id)))
    columns = [column for column in eval_runs.c if column.name != "report"]
    rows = connection.execute(
        select(*columns).where(*conditions).order_by(eval_runs.c.created_at.desc(), eval_runs.c.id.desc()).limit(limit)
    )
    return [_run(row) for row in rows]


def latest_runs(connection: Connection, project: str, app: str, hash_: str) -> list[Run]:
    """Finished runs that asked the release or draft with this hash: the newest of each suite, newest first, whole."""
    rows = connection.execute(
        select(eval_runs.c.id, eval_runs.c.name, eval_runs.c.targets)
        .where(eval_runs.c.project == project, eval_runs.c.app == app, eval_runs.c.status == "finished")
        .order_by(eval_runs.c.created_at.desc(), eval_runs.c.id.desc())
        .limit(_LOOKED_THROUGH)
    )
    newest: dict[str, str] = {}
    for row in rows:
        if any(target.get("hash") == hash_ for target in row.targets):
            newest.setdefault(row.name, row.id)
    return [get_run(connection, project, run_id) for run_id in newest.values()]


def finished_between(
    connection: Connection, project: str, *, app: str | None, since: int, until: int, limit: int
) -> list[Run]:
    """Runs that finished in [since, until), whole, the newest ones, oldest first; of one app, or of all."""
    conditions = [eval_runs.c.project == project, eval_runs.c.status == "finished", eval_runs.c.report.is_not(None)]
    conditions += [eval_runs.c.ended_at >= since, eval_runs.c.ended_at < until]
    if app is not None:
        conditions.append(eval_runs.c.app == app)
    rows = connection.execute(
        select(eval_runs).where(*conditions).order_by(eval_runs.c.ended_at.desc(), eval_runs.c.id.desc()).limit(limit)
    )
    return [_run(row) for row in rows][::-1]


def unfinished(connection: Connection) -> list[str]:
    """Ids of the runs, of all projects, that were under way."""
    here = eval_runs.c.status.in_(("queued", "running"))
    return list(connection.execute(select(eval_runs.c.id).where(here).order_by(eval_runs.c.created_at)).scalars())


def update_run(connection: Connection, run_id: str, statuses: Sequence[RunStatus], **values: Any) -> bool:
    """Change a run that has one of these statuses; whether there was one."""
    changed = connection.execute(
        update(eval_runs).where(eval_runs.c.id == run_id, eval_runs.c.status.in_(statuses)).values(**values)
    )
    return changed.rowcount > 0


def insert_results(connection: Connection, project: str, run_id: str, kept: Iterable[Kept]) -> None:
    """Add results, but for those that are there."""
    rows = [
        {
            "project": project,
            "run": run_id,
            "target": each.result.target,
            "example": each.result.example,
            "repeat": each.result.repeat,
            "answer_key": each.answer_key,
            "payload": _text(each.result),
        }
        for each in kept
    ]
    if rows:
        connection.execute(_insert(connection)(eval_results).on_conflict_do_nothing(), rows)


def delete_failed(connection: Connection, project: str, run_id: str) -> int:
    """Take out the results without an answer, so that they are asked again; how many there were."""
    here = eval_results.c.project == project, eval_results.c.run == run_id, eval_results.c.answer_key == ""
    return connection.execute(delete(eval_results).where(*here)).rowcount


def counts(connection: Connection, project: str, run_id: str) -> tuple[int, int]:
    """How many results are there, and how many of them without an answer."""
    here = eval_results.c.project == project, eval_results.c.run == run_id
    failed = func.count().filter(eval_results.c.answer_key == "")
    row = connection.execute(select(func.count(), failed).where(*here)).one()
    return row[0], row[1]


def places(connection: Connection, project: str, run_id: str, examples: Sequence[str], targets: int) -> set[Place]:
    """Which results of these examples are there; the run has so many targets."""
    found: set[Place] = set()
    for part in _parts(examples):
        rows = connection.execute(
            select(eval_results.c.target, eval_results.c.example, eval_results.c.repeat).where(
                *_these(project, run_id, part, targets)
            )
        )
        found |= {Place(row.target, row.example, row.repeat) for row in rows}
    return found


def results(
    connection: Connection,
    project: str,
    run_id: str,
    *,
    target: int | None = None,
    after: Place | None = None,
    limit: int = 500,
    doubtful: bool = False,
) -> list[Result]:
    """A page of results, in the order of target, example and repeat; `doubtful`: all that may have failed, and hardly
    any other."""
    table = eval_results.c
    conditions = [table.project == project, table.run == run_id]
    if target is not None:
        conditions.append(table.target == target)
    if after is not None:
        place = (after.target, after.example, after.repeat)
        conditions.append(tuple_(table.target, table.example, table.repeat) > place)
    if doubtful:
        conditions.append(or_(table.answer_key == "", *(table.payload.contains(each) for each in _FAILED)))
    statement = select(table.payload).where(*conditions).order_by(table.target, table.example, table.repeat)
    return [read_result(text) for text in connection.execute(statement.limit(limit)).scalars().all()]


def every_result(connection: Connection, project: str, run_id: str) -> Iterator[Result]:
    """All of them, a page in memory at a time."""
    after: Place | None = None
    while page := results(connection, project, run_id, after=after):
        yield from page
        after = Place(page[-1].target, page[-1].example, page[-1].repeat)


def results_of(
    connection: Connection, project: str, run_id: str, examples: Sequence[str], targets: int
) -> list[Result]:
    """Those of these examples, of all so many targets."""
    found: list[Result] = []
    for part in _parts(examples):
        rows = connection.execute(select(eval_results.c.payload).where(*_these(project, run_id, part, targets)))
        found += [read_result(text) for text in rows.scalars().all()]
    return found


def counted_of(
    connection: Connection, project: str, run_id: str, examples: Sequence[str], targets: int
) -> list[Counted]:
    """As `results_of`, without what was said."""
    found: list[Counted] = []
    for part in _parts(examples):
        rows = connection.execute(select(eval_results.c.payload).where(*_these(project, run_id, part, targets)))
        found += [_read(_counted, text) for text in rows.scalars().all()]
    return found


def add_scores(
    connection: Connection, project: str, run_id: str, scores: Mapping[Place, Mapping[str, Scored]]
) -> tuple[int, float]:
    """Put scores beside those that results have: how many results there were for them, and by how much what
    their scores have cost has grown."""
    changed, cost = 0, 0.0
    table = eval_results.c
    for place, more in scores.items():
        here = (
            table.project == project,
            table.run == run_id,
            table.target == place.target,
            table.example == place.example,
            table.repeat == place.repeat,
        )
        text = connection.execute(select(table.payload).where(*here)).scalar()
        if text is None:
            continue
        result = read_result(text)
        cost += sum(each.cost_usd - result.scores.get(name, Scored()).cost_usd for name, each in more.items())
        result = structs.replace(result, scores={**result.scores, **more})
        connection.execute(update(eval_results).where(*here).values(payload=_text(result)))
        changed += 1
    return changed, cost


def answers(connection: Connection, project: str, keys: Sequence[str]) -> dict[str, Answer]:
    """Answers of any run of the project, by the key of what was asked."""
    found: dict[str, Answer] = {}
    for part in _parts(keys):
        rows = connection.execute(
            select(eval_results.c.answer_key, eval_results.c.payload).where(
                eval_results.c.project == project, eval_results.c.answer_key.in_(part)
            )
        )
        for row in rows:
            answer = read_result(row.payload).answer if row.answer_key not in found else None
            if answer is not None:
                found[row.answer_key] = answer
    return found


def said(connection: Connection, project: str, key: str) -> Answer | None:
    """What a judge, or a played user, answered to this."""
    here = eval_asks.c.project == project, eval_asks.c.key == key
    text = connection.execute(select(eval_asks.c.payload).where(*here)).scalar()
    return None if text is None else _answer.decode(text)


def keep_said(connection: Connection, project: str, said: Mapping[str, Answer]) -> None:
    """Keep what was answered, by key."""
    now = clock.now_us()
    rows = [
        {"project": project, "key": key, "payload": _text(answer), "created_at": now} for key, answer in said.items()
    ]
    if rows:
        connection.execute(_insert(connection)(eval_asks).on_conflict_do_nothing(), rows)


def read_result(text: str) -> Result:
    """A stored result. Raises CorruptData."""
    return _read(_result, text)


def _read(decoder: msgspec.json.Decoder[T], text: str) -> T:
    try:
        return decoder.decode(text)
    except msgspec.DecodeError as error:
        raise CorruptData(
            f"A stored result cannot be read: {error}.", remedy="A newer Rondo may have written it: start that one."
        ) from None


def _text(value: Result | Answer) -> str:
    """As JSON. Half a surrogate pair, which no UTF-8 can carry, costs itself and never the result."""
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:
        return json_line(msgspec.to_builtins(value)).decode()


def _these(project: str, run_id: str, examples: Sequence[str], targets: int) -> tuple[Any, ...]:
    """By whole keys of the table: naming the targets lets a database go straight to the examples."""
    table = eval_results.c
    return (
        table.project == project,
        table.run == run_id,
        table.target.in_(range(targets)),
        table.example.in_(examples),
    )


def _insert(connection: Connection) -> Any:
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def _run(row: Row[Any]) -> Run:
    values = dict(row._mapping)
    return Run(**{**values, "targets": msgspec.convert(values["targets"], list[Target])})
