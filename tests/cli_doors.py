"""Doors for tests of commands: a server that is a table of answers, and the arguments to reach it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner, Result

from rondo.cli import connect
from rondo.cli.client import Api
from rondo.cli.main import main
from rondo.settings.environment import ENVIRONMENT

Answers = dict[str, Any]


class Door:
    """Answers requests from `answers` (by `METHOD path`) and keeps what was sent.

    An answer is JSON, a response, an exception to raise, or an iterator of these.
    """

    def __init__(self) -> None:
        self.answers: Answers = {}
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.get(f"{request.method} {request.url.path}")
        if answer is None:
            error = {"message": f"There is no {request.url.path}.", "code": "not_found", "param": None}
            return httpx2.Response(404, json={"error": error})
        if isinstance(answer, Iterator):
            answer = next(answer)
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, httpx2.Response):
            return answer
        return httpx2.Response(200, json=answer)

    @property
    def last(self) -> httpx2.Request:
        return self.requests[-1]

    @property
    def body(self) -> Any:
        return json.loads(self.last.content)

    @property
    def query(self) -> dict[str, str]:
        return dict(self.last.url.params)


Run = Callable[..., Result]


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Door:
    """A server at http://rondo.test."""
    found = Door()

    @asynccontextmanager
    async def over_network(url: str, key: str, *, wants_json: bool) -> AsyncIterator[Api]:
        async with httpx2.AsyncClient(
            base_url=url, transport=httpx2.MockTransport(found), headers={"authorization": f"Bearer {key}"}
        ) as client:
            yield Api(client, where=url, wants_json=wants_json)

    monkeypatch.setattr(connect, "over_network", over_network)
    return found


@pytest.fixture
def rondo(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line; the result has `exit_code`, `stdout` and `stderr`."""
    for name in (*ENVIRONMENT, "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, list(words))

    return run


@pytest.fixture
def ask(rondo: Run, door: Door) -> Run:
    """Run a command against `door`."""
    return lambda *words: rondo(*words, "--url", "http://rondo.test", "--key", "rondo_sk_test")
