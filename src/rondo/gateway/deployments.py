"""What is known of each deployment, and the choice among those of a model.

Plans come and go with every change in the catalog; what a deployment is like right now (is it failing, how many calls
has it) must outlive them. So it is kept here, by what identifies a deployment, and a model of any plan finds it again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from rondo.gateway.breaker import Breaker, State
from rondo.gateway.gate import Gate
from rondo.gateway.plan import ServedModel

_MOST_MODELS = 2_000
_MOST_STATES = 5_000


class DeploymentState:
    """One address of one model of one project, as things stand."""

    __slots__ = ("breaker", "in_flight")

    def __init__(self, breaker: Breaker) -> None:
        self.breaker = breaker
        self.in_flight = 0


class Candidate(NamedTuple):
    """A deployment that a plan offers, with what is known of it."""

    served: ServedModel
    weight: float
    state: DeploymentState
    plain: str
    """The attributes of the span of a try that has nothing special about it."""


class Candidates:
    """The deployments of a model of a plan, and the gate before all of them."""

    __slots__ = ("_least_busy", "_random", "all", "gate", "model")

    def __init__(
        self, model: ServedModel, found: list[Candidate], gate: Gate, chance: Callable[[], float] = random.random
    ) -> None:
        self.model = model
        self.all = found
        self.gate = gate
        self._least_busy = model.spec.balance == "least_busy"
        self._random = chance

    def available(self, now: float) -> bool:
        """Whether any of them would take a call."""
        return any(candidate.state.breaker.passes(now) for candidate in self.all)

    def wait_s(self, now: float) -> float:
        """When the first of them may be probed."""
        return min(candidate.state.breaker.wait_s(now) for candidate in self.all)

    def has_other(self, now: float, tried: Collection[DeploymentState]) -> bool:
        """Whether one that is not in `tried` would take a call."""
        return any(c.state not in tried and c.state.breaker.passes(now) for c in self.all)

    def pick(self, now: float, tried: Collection[DeploymentState] = ()) -> Candidate | None:
        """One that takes calls, by weight or the least busy, and rather none of `tried`."""
        if len(self.all) == 1:
            (only,) = self.all
            return only if only.state.breaker.passes(now) else None
        open_to = [candidate for candidate in self.all if candidate.state.breaker.passes(now)]
        fresh = [candidate for candidate in open_to if candidate.state not in tried] if tried else open_to
        choice = fresh or open_to
        if len(choice) <= 1:
            return choice[0] if choice else None
        if self._least_busy:
            least = min(candidate.state.in_flight / candidate.weight for candidate in choice)
            choice = [c for c in choice if c.state.in_flight / c.weight == least]
        return self._by_weight(choice)

    def _by_weight(self, choice: list[Candidate]) -> Candidate:
        place = self._random() * sum(candidate.weight for candidate in choice)
        for candidate in choice:
            place -= candidate.weight
            if place < 0:
                return candidate
        return choice[-1]


class Standing(Struct, frozen=True):
    """A deployment as operators see it. `waiting` and `in_flight` of the model count all its deployments."""

    project: str
    model: str
    provider: str
    model_id: str
    address: str
    state: State
    failures: int
    last_failure: str
    opens_for_s: float
    in_flight: int
    model_in_flight: int
    model_waiting: int


class _Key(NamedTuple):
    project: str
    name: str
    provider: str
    model_id: str
    base_url: str | None
    region: str | None
    api_key_env: str | None


class Deployments:
    """All of a gateway process."""

    def __init__(self, *, failures: int, open_s: float, chance: Callable[[], float] = random.random) -> None:
        """`failures` in a row open a breaker, for `open_s`."""
        self._failures = failures
        self._open_s = open_s
        self._chance = chance
        self._known: dict[tuple[str, int], Candidates] = {}
        self._states: dict[_Key, DeploymentState] = {}
        self._gates: dict[tuple[str, str], Gate] = {}

    def of(self, project: str, model: ServedModel) -> Candidates:
        """The deployments of a model of a plan."""
        known = self._known.get((project, id(model)))  # it holds the model, so the id stays the model's
        return known if known is not None else self._learn(project, model)

    def standing(self, now: float) -> list[Standing]:
        """Every deployment that has been called, by project and model."""
        told = []
        for key, state in sorted(self._states.items(), key=lambda item: tuple(part or "" for part in item[0])):
            gate = self._gates.get((key.project, key.name))
            told.append(
                Standing(
                    project=key.project,
                    model=key.name,
                    provider=key.provider,
                    model_id=key.model_id,
                    address=host_of(key.base_url) or key.region or "",
                    state=state.breaker.state(now),
                    failures=state.breaker.failures,
                    last_failure=state.breaker.last if state.breaker.failures else "",
                    opens_for_s=state.breaker.wait_s(now),
                    in_flight=state.in_flight,
                    model_in_flight=gate.in_flight if gate else 0,
                    model_waiting=gate.waiting if gate else 0,
                )
            )
        return told

    def _learn(self, project: str, model: ServedModel) -> Candidates:
        if len(self._known) >= _MOST_MODELS:
            self._known.clear()  # found again when they are called again
        if len(self._states) >= _MOST_STATES:
            self._forget()
        weights = [deployment.weight for deployment in model.spec.deployments]
        found = [
            Candidate(served, weights[at] if at < len(weights) else 1.0, self._state(project, served), _plain(served))
            for at, served in enumerate(model.deployments or (model,))
        ]
        gate = self._gates.setdefault((project, model.spec.name), Gate())
        candidates = Candidates(model, found, gate, self._chance)
        self._known[project, id(model)] = candidates
        return candidates

    def _state(self, project: str, model: ServedModel) -> DeploymentState:
        spec = model.spec
        key = _Key(project, spec.name, spec.provider, spec.model, spec.base_url, spec.region, spec.api_key_env)
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = DeploymentState(Breaker(self._failures, self._open_s))
        return state

    def _forget(self) -> None:
        """Drop what says nothing: deployments without calls and without failures, gates without calls.

        Names that nobody configured (`provider/model`) come from clients, so there is no end to them. Where failures
        are on record for too many, they are dropped too: a breaker closes early, and will open again.
        """
        busy = {key: state for key, state in self._states.items() if state.in_flight}
        failing = {key: state for key, state in self._states.items() if state.breaker.failures and key not in busy}
        kept = failing if len(failing) < _MOST_STATES // 2 else {}
        self._states = {**busy, **kept}
        self._gates = {key: gate for key, gate in self._gates.items() if gate.in_flight or gate.waiting}
        self._known.clear()


def _plain(served: ServedModel) -> str:
    spec = served.spec
    return msgspec.json.encode({"provider": spec.provider, "model": spec.model, "status": 200}).decode()


def host_of(base_url: str | None) -> str:
    """The host and port of an address, without anything that could be secret."""
    if base_url is None:
        return ""
    parts = urlsplit(base_url)
    return parts.netloc.rpartition("@")[2]
