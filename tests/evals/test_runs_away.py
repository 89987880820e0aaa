"""A run's asking where a model is away: it is waited for, but not by everyone."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from record_makers import make_call
from rondo.errors import RondoError, Unavailable, UpstreamError
from rondo.evals.asking import Asking
from rondo.evals.model import Run, Target
from rondo.evals.targets import Subject
from rondo.gateway.result import Answered
from rondo.governance.model import Grant

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
            await asking.ask(subject, "/chat/completions", {}, key=key, case="c")
        return len(asked)

    assert [await ask("one"), await ask("two"), await ask("three")] == [8, 1, 1]
    is_back = True
    assert await ask("four") == 1
    is_back = False
    assert await ask("five") == 8
