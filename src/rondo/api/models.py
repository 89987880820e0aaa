"""Models that can be called by name, and the providers there are."""

from __future__ import annotations

from typing import Any

from rondo.api.door import Asked, Door
from rondo.governance.model import Role
from rondo.providers.registry import SUMMARIES


async def list_models(asked: Asked) -> dict[str, Any]:
    """The models that can be called by name, with their prices in US dollars per million tokens."""
    plan = asked.control.gateway.plan
    models = [
        {
            "name": name,
            "provider": model.spec.provider,
            "model": model.spec.model,
            "price": model.price,
            "price_version": model.price_version,
        }
        for (project, name), model in sorted(plan.models.items())
        if project == asked.project
    ]
    return {"models": models}


async def providers(asked: Asked) -> dict[str, Any]:
    """The providers that a model may name."""
    return {"providers": [{"name": name, "summary": summary} for name, summary in sorted(SUMMARIES.items())]}


DOORS = [
    Door("GET", "/api/models", Role.VIEWER, list_models),
    Door("GET", "/api/providers", Role.VIEWER, providers),
]
