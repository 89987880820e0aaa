"""What counts when one of a run's targets is to be chosen: weights, what a model must have, how much it is used. Pure.

A run that was begun as a comparison keeps its own; whoever looks at it later may weigh anew, without asking anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import isfinite
from typing import Any

import msgspec
from msgspec import Struct, structs

from rondo.errors import InvalidRequest
from rondo.settings.table import nearest


class About(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What `rondo.toml` says of a model besides how to call it."""

    licence: str | None = None
    context_window: int | None = None


class Selection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`weights` by metric, over those of the goals; `about` tells of models, by name. Other fields: None is not said,
    none or 0 asks for nothing. `requests_per_month` makes a month's cost of a request's."""

    weights: dict[str, float] = {}
    licences: list[str] | None = None
    least_context_window: int | None = None
    requests_per_month: float | None = None
    about: dict[str, About] = {}


def read(values: Mapping[str, Any]) -> Selection:
    """A stored selection."""
    return msgspec.convert(values, Selection)


def over(kept: Selection, said: Selection) -> Selection:
    """What is said anew, over what was said before."""
    return Selection(
        weights={**kept.weights, **said.weights},
        licences=kept.licences if said.licences is None else said.licences,
        least_context_window=(
            kept.least_context_window if said.least_context_window is None else said.least_context_window
        ),
        requests_per_month=kept.requests_per_month if said.requests_per_month is None else said.requests_per_month,
        about={**kept.about, **said.about},
    )


def of_goals(goals: Collection[Mapping[str, Any]]) -> Selection:
    """The goals' own weights."""
    return Selection(weights={str(goal["metric"]): float(goal.get("weight", 1.0)) for goal in goals})


def checked(selection: Selection, metrics: Collection[str]) -> Selection:
    """The selection, whose weights are of these metrics. Raises InvalidRequest."""
    for name, weight in selection.weights.items():
        if not (isfinite(weight) and weight >= 0):
            raise InvalidRequest("A weight is a number from 0 up.", param=f"weights.{name:.100}")
        if name not in metrics:
            raise InvalidRequest(
                f"No metric of this suite is called {name!r:.100}.{nearest(name, list(metrics))}",
                param=f"weights.{name:.100}",
            )
    for field in ("least_context_window", "requests_per_month"):
        number = getattr(selection, field)
        if number is not None and not (isfinite(number) and number >= 0):
            raise InvalidRequest(f"`{field}` is a number from 0 up.", param=field)
    return structs.replace(selection, licences=_words(selection.licences))


def _words(licences: list[str] | None) -> list[str] | None:
    return None if licences is None else [each.strip() for each in licences if each.strip()]
