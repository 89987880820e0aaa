"""Evaluation runs: started, watched, stopped; their results, scores and reports.

A suite comes with the request, as a table `suites/NAME.toml` has it; what it is run on is named by words (see
`evals/targets.py`).
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from starlette.responses import Response

from rondo.api.door import Asked, Door
from rondo.errors import InvalidRequest
from rondo.evals import store
from rondo.evals.beside import beside_each_other
from rondo.evals.evidence import Report
from rondo.evals.filtering import Wanted, matching, next_place, parse_place
from rondo.evals.matrix import Matrix
from rondo.evals.model import Run, Scored
from rondo.evals.ordering import NewRun, order_of
from rondo.evals.runs import Runs, ShownRun, shown
from rondo.evals.selection import Selection
from rondo.evals.store import Place
from rondo.evals.written import as_markdown, read
from rondo.governance.model import Role

MOST_BYTES = 32_000_000
"""Of scores in one request."""

_LONGEST_WAIT_S = 10


class Resumption(Struct, forbid_unknown_fields=True):
    """`budget_usd` is the new budget of the whole run, `again` asks once more what ended in an error."""

    budget_usd: float | None = None
    again: bool = False


class OwnScore(Struct, forbid_unknown_fields=True, kw_only=True):
    """What the command line's own scorers say of one result, by the scorer's name."""

    target: int
    example: str
    repeat: int
    scores: dict[str, Scored]


class OwnScores(Struct, forbid_unknown_fields=True):
    """Scores of several results, and the version of each scorer; with the `last` of them the run is finished."""

    scores: list[OwnScore] = []
    versions: dict[str, Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]] = {}
    last: bool = False


async def create(asked: Asked) -> ShownRun:
    """Begin an evaluation run of a suite on one or several targets."""
    order = order_of(await asked.body(NewRun))
    runs = _runs(asked)
    return _shown(runs, await runs.create(asked.grant, order))


async def list_runs(asked: Asked) -> dict[str, Any]:
    """Runs, newest first, without their reports; `before` is the id of a run."""
    limit, before = asked.query_number("limit", 20, most=200), asked.query("before")

    def read(connection: Any) -> list[Run]:
        last = None if before is None else store.get_run(connection, asked.project, before)
        return store.list_runs(
            connection, asked.project, app=asked.query("app"), name=asked.query("suite"), before=last, limit=limit
        )

    runs = _runs(asked)
    return {"runs": [_shown(runs, run) for run in await asked.control.read(read)]}


async def show(asked: Asked) -> ShownRun:
    """One run. With `wait` (seconds), it is answered once the run is further than `done` and `status` say."""
    runs, run_id = _runs(asked), asked.path("id")
    seconds = asked.query_number("wait", 0, least=0, most=_LONGEST_WAIT_S)
    if not seconds:
        return _shown(runs, await runs.get(asked.project, run_id))
    done = asked.query_number("done", 0, least=0, most=2**31 - 1)
    run = await runs.wait(
        asked.project, run_id, done=done, status=asked.query("status") or "", timeout_s=float(seconds)
    )
    return _shown(runs, run)


async def results(asked: Asked) -> dict[str, Any]:
    """A page of results, each with its example: of one `target`, those that `failed`, of a `slice` (`tag=value`), with
    a `scorer` that found fault, or of `must_pass` examples. `after` comes from the page before."""
    runs, run_id = _runs(asked), asked.path("id")
    limit = asked.query_number("limit", 100, most=1_000)
    wanted = Wanted.parse({name: asked.query(name) for name in ("failed", "slice", "scorer", "must_pass")})
    target = asked.query("target")
    at = None if target is None else asked.query_number("target", 0, least=0, most=1_000)
    after = asked.query("after")
    rows, more = await matching(
        runs, asked.project, run_id, wanted, target=at, after=parse_place(after) if after else None, limit=limit
    )
    return {"results": rows, "after": next_place(rows) if more else None}


async def report(asked: Asked) -> Report | Response:
    """The report of a finished run, as JSON or as Markdown (`format=markdown`)."""
    run = await _runs(asked).get(asked.project, asked.path("id"))
    if run.report is None:
        raise InvalidRequest(
            f"{run.id} is {run.status}, and has no report yet.", remedy="Wait until it is finished, or resume it."
        )
    if asked.query("format") == "markdown":
        return Response(as_markdown(run), media_type="text/markdown; charset=utf-8")
    return read(run.report)


async def decide(asked: Asked) -> Matrix:
    """The decision matrix of a finished run: its targets ranked by weighted metrics, and what speaks against each.

    What is not sent is as it was when the run began; weights are those of its goals where nothing else is said.
    """
    return await _runs(asked).matrix(asked.project, asked.path("id"), await asked.body(Selection))


async def examples(asked: Asked) -> dict[str, Any]:
    """A page of examples, each with a cell for every target, in their order: whether it passed. With `differing`, only
    those on which the targets differ; `metric` gives the value of this scorer. `after` comes from the page before."""
    found = await beside_each_other(
        _runs(asked),
        asked.project,
        asked.path("id"),
        metric=asked.query("metric"),
        differing=asked.query("differing") == "true",
        after=asked.query("after"),
        limit=asked.query_number("limit", 50, most=500),
    )
    return {"examples": [{"example": each.example, "cells": each.cells} for each in found.rows], "after": found.after}


async def cancel(asked: Asked) -> ShownRun:
    """Ask nothing more; results so far are kept."""
    runs = _runs(asked)
    return _shown(runs, await runs.cancel(asked.grant, asked.path("id")))


async def pause(asked: Asked) -> ShownRun:
    """Ask nothing more for now."""
    runs = _runs(asked)
    return _shown(runs, await runs.pause(asked.grant, asked.path("id")))


async def resume(asked: Asked) -> ShownRun:
    """Go on with a run that was paused, cancelled or has failed. What has been answered is not asked again."""
    wanted, runs = await asked.body(Resumption), _runs(asked)
    run = await runs.resume(asked.grant, asked.path("id"), budget_usd=wanted.budget_usd, again=wanted.again)
    return _shown(runs, run)


async def add_scores(asked: Asked) -> ShownRun:
    """Scores that the command line's own scorers gave, for a run that waits for them."""
    data = await asked.body_of_at_most(MOST_BYTES)
    try:
        sent = msgspec.json.decode(data or b"{}", type=OwnScores)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"The scores cannot be read: {error}.", param="scores") from None
    scores = {Place(each.target, each.example, each.repeat): each.scores for each in sent.scores}
    runs = _runs(asked)
    return _shown(
        runs, await runs.add_scores(asked.grant, asked.path("id"), scores, versions=sent.versions, last=sent.last)
    )


def _runs(asked: Asked) -> Runs:
    return asked.control.runs


def _shown(runs: Runs, run: Run) -> ShownRun:
    return shown(run, runs)


DOORS = [
    Door("POST", "/api/runs", Role.DEVELOPER, create),
    Door("GET", "/api/runs", Role.VIEWER, list_runs),
    Door("GET", "/api/runs/{id}", Role.VIEWER, show),
    Door("GET", "/api/runs/{id}/results", Role.VIEWER, results),
    Door("GET", "/api/runs/{id}/examples", Role.VIEWER, examples),
    Door("GET", "/api/runs/{id}/report", Role.VIEWER, report),
    Door("POST", "/api/runs/{id}/scores", Role.DEVELOPER, add_scores),
    Door("POST", "/api/runs/{id}/matrix", Role.VIEWER, decide),
    Door("POST", "/api/runs/{id}/cancel", Role.DEVELOPER, cancel),
    Door("POST", "/api/runs/{id}/pause", Role.DEVELOPER, pause),
    Door("POST", "/api/runs/{id}/resume", Role.DEVELOPER, resume),
]
