"""What a kind of scorer is: its options, its definition and its source, and how one is made. Pure.

A file of scorers ends with `KINDS`; `registry.py` gathers them. A scoring function gives what it says of one case. What
keeps it from saying anything is raised: `Unscorable` becomes an error, `NotApplicable` a score without a value.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct
from pydantic import Field

from rondo.evals.model import AskModel, Case, Metric, Scored, Scorer, Unit
from rondo.settings.table import Table

Say = Callable[[Case], Scored | Awaitable[Scored]]
"""Scores a case. Raises Unscorable, NotApplicable, RondoError."""

MakeJudges = Callable[[str], list[Scorer]]
"""Makes a judge's scorers, given the name that the suite has for them."""


class Unscorable(Exception):
    """There is no score, and there should be. `code` is what reports count, the message says why."""

    def __init__(self, code: str, message: str, *, cost_usd: float = 0.0) -> None:
        super().__init__(message)
        self.code = code
        self.cost_usd = cost_usd


class NoReference(Unscorable):
    """The example does not say what is right."""

    def __init__(self, message: str) -> None:
        super().__init__("no_reference", message)


class NotApplicable(Exception):
    """There is nothing to score here, and that is as it should be."""


class Options(Table):
    """What every scorer takes. The bounds draw the line between passed and failed."""

    kind: str
    name: str | None = None
    at_least: float | None = Field(None, description="An answer passes whose value is at least this.")
    at_most: float | None = Field(None, description="An answer passes whose value is at most this.")
    negate: bool = Field(
        False, description="Turns a share round: 1 becomes 0, passed becomes failed. For what must not be."
    )


class Referring(Options):
    """What scorers take besides that compare with what is right."""

    value: Any = Field(None, description="What is right, for all examples; by default, the example's `expected`.")
    no_reference: Literal["error", "skip"] = Field(
        "error", description="What an example is that does not say what is right: an `error`, or left out (`skip`)."
    )


class Tools(Struct, frozen=True, kw_only=True):
    """What scorers are given to work with. `make` makes a scorer of another one's settings; the text is its key."""

    ask: AskModel | None = None
    make: Callable[[Mapping[str, Any], str], Scorer]


class Kind(Struct, frozen=True, kw_only=True):
    """A kind of scorer.

    `summary` is one sentence, `definition` how the value comes about, `source` the paper or standard that says so.
    `metrics` gives a scorer's metrics from its name and options. `asks` tells that it needs a model. `revision` grows
    whenever the same options give other values; `decides` gives what decides values besides the options.
    """

    name: str
    summary: str
    definition: str
    source: str
    options: type[Options]
    make: Callable[[Any, Tools], Say]
    metrics: Callable[[str, Any], tuple[Metric, ...]]
    asks: bool = False
    own: bool = False
    revision: int = 1
    decides: Callable[[Any], object] = lambda options: None


def one(
    unit: Unit = "share", *, higher_is_better: bool = True, adds_up: str = "mean"
) -> Callable[[str, Any], tuple[Metric, ...]]:
    """The metrics of a scorer that makes one, which has its name."""
    return lambda name, options: (Metric(name=name, unit=unit, higher_is_better=higher_is_better, adds_up=adds_up),)


def several(
    parts: Sequence[tuple[str, str]], unit: Unit = "share", *, higher_is_better: bool = True
) -> Callable[[str, Any], tuple[Metric, ...]]:
    """The metrics of a scorer that makes several: (what follows its name, how it adds up) of each."""
    return lambda name, options: tuple(
        Metric(name=f"{name}.{part}", unit=unit, higher_is_better=higher_is_better, adds_up=adds_up)
        for part, adds_up in parts
    )


def passes(right: bool, reason: str = "", **details: Any) -> Scored:
    """1 or 0. Why it is not right is told; a right answer speaks for itself."""
    return Scored(value=float(right), passed=right, reason="" if right else reason, details=details)


def measured(value: float, reason: str = "", **details: Any) -> Scored:
    """A value without a line of its own."""
    return Scored(value=value, reason=reason, details=details)
