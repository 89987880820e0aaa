"""A gateway whose app is guarded and whose project has limits, and what it has spent."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from gateway_house import House
from rondo.gateway.plan import ServedModel
from rondo.guards.build import build
from rondo.limits.model import Limit, LimitTable


def serve(house: House, *specs: dict[str, Any], **models: ServedModel) -> None:
    """The app `guarded`, on `echo` and these models, behind these guards."""
    echo = house.gateway.plan.models["p", "echo"]
    made = build(specs, hand_over="A colleague takes over.", project="p", secret=lambda: b"k" * 32)
    house.app("guarded", echo, guards=made, models={"echo": echo, **models})


def limit(house: House, **limits: Any) -> None:
    table = LimitTable([("p", Limit(scope="project", **limits))])
    house.gateway.plan = structs.replace(house.gateway.plan, limits=table)


async def spent(house: House) -> int:
    """Nano-dollars of this month, with nothing left reserved."""
    (used,) = await house.gateway.ledger.used(["p/project"])
    assert (used.month_reserved, used.concurrent) == (0, 0)
    return used.month_spent
