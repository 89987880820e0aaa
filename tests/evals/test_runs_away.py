"""A run's asking where a model is away: it is waited for, but not by everyone, and not for ever."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from msgspec import structs

from evaluating_house import Evaluating, answering
from record_makers import make_call
from rondo.errors import (
    KeyMissing,
    RondoError,
    Unavailable,
    UpstreamError,
    UpstreamSilent,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from rondo.evals.asking import Asking, Halted
from rondo.evals.model import Run, Target
from rondo.evals.targets import Subject
from rondo.gateway.result import Answered
from rondo.governance.model import Grant
from scripted_upstream import whole

GRANT = Grant(project="p", key_id="k", name="ann", kind="secret")
RUN = Run(
    id="run_1",
    project="p",
    app="bot",
    name="suite",
    suite={},
    suite_hash="0",
    dataset="questions",
    dataset_hash="0",
    targets=[],
    baseline=None,
    status="running",
    created_by="ann",
    created_at=0,
    key_id="k",
    max_concurrency=1,
)


@pytest.mark.parametrize("error", [Unavailable("cooling down"), UpstreamError("down", status=503)])
async def test_a_model_that_is_away_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch, error: RondoError) -> None:
    """It is waited for once; what it is asked after that fails at once, until it has answered again."""
    monkeypatch.setattr("rondo.gateway.pace._BACKOFF_S", 0.0)
    monkeypatch.setattr("rondo.evals.asking._PATIENCE_S", 0.0)
    error.retry_after = 0
    asked: list[str] = []
    is_back = False

    async def evaluate(grant: Any, path: Any, body: bytes, evaluated: Any, tags: dict[str, str], **_: Any) -> Answered:
        asked.append(tags["eval_key"])
        if is_back:
            return Answered(b'{"choices": []}', make_call())
        raise error

    subject = Subject(Target(label="m", model="m"), (), "identity of m")
    asking = Asking(RUN, evaluate, lambda: GRANT, timeout_s=5)

    async def ask(key: str) -> int:
        """How often it was tried."""
        asked.clear()
        with suppress(RondoError):
            await asking.ask(subject, "/chat/completions", {}, key=key, case=key)
        return len(asked)

    assert [await ask("one"), await ask("two"), await ask("three")] == [8, 1, 1]
    is_back = True
    assert await ask("four") == 1
    is_back = False
    assert await ask("five") == 8


class Dead:
    """A provider that nobody reaches, behind a gateway that lets one try through at a time and leaves it alone then."""

    def __init__(self, *, open_after: int = 5, most: int = 500) -> None:
        self.asked = 0
        self._open_after = open_after
        self._most = most

    async def __call__(self, grant: Any, path: Any, body: bytes, evaluated: Any, tags: Any, **_: Any) -> Answered:
        self.asked += 1
        assert self.asked < self._most, "it is asked for ever"
        await asyncio.sleep(0)
        if self.asked <= self._open_after or self.asked % 8 == 0:
            raise UpstreamUnreachable("The connection failed.")
        raise Unavailable("left alone")


async def test_where_the_only_model_is_away_the_run_stops_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, each example had its own eight waits: a dead provider took 15 s of each of them."""
    monkeypatch.setattr("rondo.gateway.pace._BACKOFF_S", 0.001)
    monkeypatch.setattr("rondo.errors.Unavailable.retry_after", 0)
    monkeypatch.setattr("rondo.evals.asking._PATIENCE_S", 0.0)
    dead = Dead()
    subject = Subject(Target(label="m", model="m"), (), "identity of m")
    asking = Asking(RUN, dead, lambda: GRANT, timeout_s=5, about={subject.identity})

    async def ask(number: int) -> None:
        with pytest.raises(Halted):
            await asking.ask(subject, "/chat/completions", {}, key=str(number), case=str(number))

    await asyncio.gather(*(ask(number) for number in range(40)))
    assert dead.asked == 5
    assert asking.refused == "m has answered nothing for 0 s: The connection failed."
    assert not asking.is_spent


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (UpstreamUnreachable("refused"), 8),
        (Unavailable("left alone"), 8),
        (UpstreamSilent("broke off"), 1),
        (UpstreamTimeout("no answer"), 1),
        (KeyMissing("no key"), 1),
        (UpstreamError("wrong", status=400), 1),
    ],
)
async def test_only_what_has_cost_nothing_and_may_go_well_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, error: RondoError, tries: int
) -> None:
    monkeypatch.setattr("rondo.gateway.pace._BACKOFF_S", 0.0)
    error.retry_after = 0
    asked = 0

    async def evaluate(*_: Any, **__: Any) -> Answered:
        nonlocal asked
        asked += 1
        raise error

    asking = Asking(RUN, evaluate, lambda: GRANT, timeout_s=5)
    with pytest.raises(type(error)):
        await asking.ask(Subject(Target(label="m", model="m"), (), "m"), "/embeddings", {}, key="k", case="c")
    assert asked == tries
    assert asking.refused is None


@pytest.mark.parametrize("others", [300, 0])
async def test_one_example_that_is_never_answered_ends_as_its_own_error(
    monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    """Also where it is the last, and nobody else is answered meanwhile: the run would stop at it for ever."""
    monkeypatch.setattr("rondo.gateway.pace._BACKOFF_S", 0.001)
    monkeypatch.setattr("rondo.evals.asking._PATIENCE_S", 0.0)

    async def evaluate(grant: Any, path: Any, body: bytes, evaluated: Any, tags: dict[str, str], **_: Any) -> Answered:
        await asyncio.sleep(0)
        if tags["eval_case"] == "poison":
            raise UpstreamError("no room for this one", status=503)
        return Answered(b'{"choices": []}', make_call())

    subject = Subject(Target(label="m", model="m"), (), "m")
    asking = Asking(structs.replace(RUN, max_concurrency=4), evaluate, lambda: GRANT, timeout_s=5, about={"m"})

    async def ask(case: str) -> None:
        await asking.ask(subject, "/chat/completions", {}, key=case, case=case)

    async def ask_all() -> None:
        for number in range(others):
            await ask(str(number))

    ended = await asyncio.gather(ask("poison"), ask_all(), return_exceptions=True)
    assert [type(each) for each in ended] == [UpstreamError, type(None)]
    assert asking.refused is None


async def test_one_of_two_that_is_away_does_not_stop_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rondo.gateway.pace._BACKOFF_S", 0.0)
    subjects = [Subject(Target(label=name, model=name), (), name) for name in ("dead", "well")]

    async def evaluate(grant: Any, path: Any, body: bytes, evaluated: Any, tags: dict[str, str], **_: Any) -> Answered:
        if tags["eval_key"] == "well":
            return Answered(b'{"choices": []}', make_call())
        raise UpstreamUnreachable("refused")

    asking = Asking(RUN, evaluate, lambda: GRANT, timeout_s=5, about={"dead", "well"})
    for _ in range(3):
        for subject in subjects:
            with suppress(RondoError):
                await asking.ask(subject, "/chat/completions", {}, key=subject.identity, case="c")
    assert asking.refused is None


async def test_a_run_whose_provider_is_away_pauses_and_goes_on_when_it_is_back(
    evaluating: Evaluating, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is scored as zero, no example ends as an error, and nothing that was answered is asked twice."""
    monkeypatch.setattr("rondo.evals.asking._PATIENCE_S", 0.0)
    monkeypatch.setattr("rondo.evals.asking._PATIENCE_TIMES", 3)
    monkeypatch.setattr("rondo.gateway.pace._BACKOFF_S", 0.01)
    evaluating.numbers(30)
    is_back = False

    def answer(question: str) -> Any:
        number = question.removeprefix("What is ").rstrip("?")
        return f"It is {number}!" if is_back or len(evaluating.asked("good")) <= 10 else _DOWN

    evaluating.upstream.plays["good"] = answering(answer)
    paused = await evaluating.run(targets=["production"], suite={"max_concurrency": 2})
    assert (paused["status"], paused["done"], paused["failed"]) == ("paused", 10, 0)
    assert "has answered nothing for 0 s" in paused["stop_reason"]
    assert "It is being mended." in paused["stop_reason"]

    is_back = True
    await evaluating.live.post(f"/api/runs/{paused['id']}/resume", {})
    run = await evaluating.until_still(paused["id"])
    assert (run["status"], run["done"], run["failed"]) == ("finished", 30, 0)
    assert len(set(evaluating.asked("good"))) == 30
    assert len(evaluating.asked("good")) == 30 + 3


_DOWN = whole({"error": {"message": "It is being mended."}}, 503)
