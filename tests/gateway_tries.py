"""Tries without a network: models that do as they are told, and a time that only passes when someone sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec

from rondo.errors import UpstreamError
from rondo.gateway.plan import Plan, ServedModel
from rondo.gateway.request import ChatRequest, Message
from rondo.gateway.retry import Tries
from rondo.gateway.turn import Turn
from rondo.gateway.won import Won
from rondo.governance.model import Grant
from rondo.providers.base import Deployment, ModelSpec, Provider

EMPTY = Plan(revision=1, grants={}, apps={}, models={}, direct=lambda provider, model: None)
Outcome = BaseException | str | Callable[[], Awaitable[str]]


class Time:
    """Passes when someone sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Stage:
    """`plays` says what each address answers, in order; the last of them again and again."""

    def __init__(self, *, chance: float = 1.0, **breaker: Any) -> None:
        self.time = Time()
        self.chance = chance
        self.tries = Tries(chance=lambda: self.chance, sleep=self.time.sleep, now=lambda: self.time.now, **breaker)
        self.plays: dict[str, list[Outcome]] = {}
        self.asked: list[str] = []
        self.open: list[str] = []
        self.turn = self.new_turn()

    def new_turn(self) -> Turn:
        grant = Grant(project="p", key_id="k", name="k", kind="secret", apps=())
        return Turn(EMPTY, grant, "chat", ChatRequest(fields={}, model="m", messages=[Message("user", "hi")]))

    def model(
        self, name: str, *plays: Outcome, at: tuple[str, ...] = (), weights: tuple[float, ...] = (), **spec: Any
    ) -> ServedModel:
        """A model that answers `plays`; or that has the addresses `at`, which `plays` tells of."""
        if plays:
            self.plays[name] = list(plays)
        where = tuple(
            Deployment(base_url=f"http://{host}/v1", weight=weights[index] if weights else 1.0)
            for index, host in enumerate(at)
        )
        made = ModelSpec(name=name, provider="openai", model=name, deployments=where, **spec)
        return serve(made, tuple(serve(made.at(each)) for each in where))

    async def send(self, model: ServedModel) -> str:
        address = model.spec.base_url
        name = model.spec.name if address is None else address.split("/")[2]
        self.asked.append(name)
        plays = self.plays.get(name, ["good"])
        outcome = plays.pop(0) if len(plays) > 1 else plays[0]
        self.open.append(name)
        try:
            if callable(outcome):
                return await outcome()
            await asyncio.sleep(0)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome
        finally:
            self.open.remove(name)

    async def start(self, *route: ServedModel, total_timeout_s: float = 600.0, **more: Any) -> Won[str]:
        """A request of its own; `turn` is its turn, and what it won keeps its place."""
        self.turn = self.new_turn()
        return await self.tries.first(route, self.send, self.turn, total_timeout_s=total_timeout_s, **more)

    async def ask(self, *route: ServedModel, **more: Any) -> str:
        """A request from start to end."""
        won = await self.start(*route, **more)
        won.release()
        return won.value

    @property
    def spans(self) -> list[dict[str, Any]]:
        """The tries of the last turn: their attributes, and `error` where there was one."""
        told = []
        for span in self.turn.spans:
            attributes: dict[str, Any] = msgspec.json.decode(span.attributes)
            told.append({"name": span.name, **attributes, **({"error": span.error} if span.error else {})})
        return told

    def state(self, name: str) -> str:
        """How the breaker of a model with one deployment, or of an address, is."""
        (found,) = [each for each in self.tries.standing() if name in (each.model, each.address)]
        return found.state

    @property
    def idle(self) -> bool:
        """Whether every place has been given back."""
        return all(not (s.in_flight or s.model_in_flight or s.model_waiting) for s in self.tries.standing())


def serve(spec: ModelSpec, deployments: tuple[ServedModel, ...] = ()) -> ServedModel:
    return ServedModel(spec, cast(Provider, None), None, "prices-1", deployments)


def failing(status: int, retry_after: int | None = None) -> UpstreamError:
    return UpstreamError(f"The provider answered {status}.", status=status, retry_after=retry_after)


async def never() -> str:
    await asyncio.Event().wait()
    raise AssertionError
