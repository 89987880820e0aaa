"""The plan: everything the gateway needs to answer, as one immutable snapshot in memory.

`releases/publish.py` builds it from the catalog; the server swaps it in whole. A request keeps the plan it began
with. Nothing here touches a database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from rondo.cache.model import CachePolicy
from rondo.governance.model import Grant
from rondo.guards.chain import Guards
from rondo.knowledge.search import Index
from rondo.limits.model import NO_LIMITS, LimitTable
from rondo.prompts.render import Template
from rondo.providers.base import ModelSpec, Provider
from rondo.providers.prices import Price
from rondo.rules.chain import NO_RULES, Rules


class ServedModel(Struct, frozen=True):
    """A model ready to be called. `price` is None where it is unknown.

    `deployments` are the same model at each of its addresses; empty where it has one only.
    """

    spec: ModelSpec
    provider: Provider
    price: Price | None
    price_version: str
    deployments: tuple[ServedModel, ...] = ()

    @property
    def missing_key(self) -> str | None:
        """The variable of a key without which none of its addresses can be asked; None where one of them can."""
        missing = [getattr(each.provider, "missing_key", None) for each in self.deployments or (self,)]
        return missing[0] if all(missing) else None


class ServedRelease(Struct, frozen=True, kw_only=True):
    """A release with all its parts at hand. `params` are JSON values, already encoded."""

    app: str
    number: int
    hash: str
    prompt: str
    prompt_version: str
    template: Template
    route: tuple[ServedModel, ...]
    params: dict[str, bytes]
    knowledge: str | None
    knowledge_version: str | None
    index: Index | None
    top_k: int
    hand_over: str
    total_timeout_s: float | None = None
    models: dict[str, ServedModel] = {}
    """Every model that the release may call, by name."""
    rules: Rules = NO_RULES
    guards: Guards | None = None
    cache: CachePolicy | None = None
    rollout: str | None = None
    """The rollout that its calls are evidence for, where it serves as one side of one."""
    variant: Literal["candidate", "baseline"] | None = None

    @property
    def label(self) -> str:
        """`support-bot#7`."""
        return f"{self.app}#{self.number}"


class ServedApp(Struct, frozen=True, kw_only=True):
    """Who gets which release: `arms` take consecutive places of the 10,000 (`assign.py`), the rest is `stable`'s.

    In a rollout the baseline is an arm too: the stable release, with the rollout's name and its side.

    `shadows` get copies of so many of 10,000 requests each.
    """

    name: str
    stable: ServedRelease
    arms: tuple[tuple[ServedRelease, int], ...] = ()
    salt: str = ""
    shadows: tuple[tuple[ServedRelease, int], ...] = ()
    sticky_session: bool = False
    """Whether a session stays where it is, rather than its user."""


class Plan(Struct, frozen=True, kw_only=True):
    """One snapshot. Keys of `grants` are SHA-256 digests of secrets; of `apps` and `models`, (project, name)."""

    revision: int
    grants: dict[str, Grant]
    apps: dict[tuple[str, str], ServedApp]
    models: dict[tuple[str, str], ServedModel]
    direct: Callable[[str, str], ServedModel | None]
    """A model named by (provider, model id) alone; None where there is no such provider."""
    faults: dict[tuple[str, str], str] = {}
    """Apps that cannot be served as released, and why; one that the plan before had goes on with the stable
    release of that."""
    unserved: dict[tuple[str, str, str], str] = {}
    """What of an app is left out while the app goes on: candidates and shadows, by (project, app, number or model),
    and why."""
    limits: LimitTable = NO_LIMITS

    def why_unserved(self, project: str, app: str, release: int) -> str | None:
        """Why a release that has traffic gets none of it: it is left out, or its app is."""
        return self.unserved.get((project, app, str(release))) or self.faults.get((project, app))
