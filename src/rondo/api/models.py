"""Models that can be called by name, how they are doing, and the providers there are."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import msgspec

from rondo.api.door import Asked, Door
from rondo.errors import Conflict, NotFound, RondoError
from rondo.gateway.result import Streaming
from rondo.governance.model import Role
from rondo.providers.registry import SUMMARIES
from rondo.records import Call

_QUESTION = "Count from one to twenty in words, and say nothing else."


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


async def test_model(asked: Asked) -> dict[str, Any]:
    """Ask a model something short, through the gateway and recorded like any call (tag `rondo.test`): time to the
    first token, tokens per second, cost, or what went wrong."""
    name = asked.path("name")
    plan = asked.control.gateway.plan
    model = plan.models.get((asked.project, name))
    if model is None:
        raise NotFound(f"There is no model called {name!r:.80}.", remedy="GET /api/models lists the models.")
    if (asked.project, name) in plan.apps:
        raise Conflict(f"An app has the same name as the model {name!r}, and would answer.", remedy="Rename one.")
    call, error, trace_id = await _call(asked, name)
    return {
        "name": name,
        "provider": model.spec.provider,
        "model": model.spec.model,
        "price": model.price,
        "price_version": model.price_version,
        "ok": error is None,
        "error": error,
        "trace_id": trace_id,
        "first_token_ms": call.first_token_ms if call else None,
        "duration_ms": call.duration_ms if call else None,
        "attempts": call.attempts if call else 0,
        "input_tokens": call.input_tokens if call else None,
        "output_tokens": call.output_tokens if call else None,
        "tokens_per_s": _tokens_per_s(call) if call else None,
        "cost_usd": call.cost_usd if call else None,
    }


async def _call(asked: Asked, name: str) -> tuple[Call | None, str | None, str | None]:
    """The record of a test call where there is one at hand, what went wrong, and the trace."""
    body = {
        "model": name,
        "messages": [{"role": "user", "content": _QUESTION}],
        "stream": True,
        "metadata": {"rondo.test": "model"},
    }
    try:
        streaming = await asked.control.gateway.ask(asked.grant, msgspec.json.encode(body))
        assert isinstance(streaming, Streaming)
        async with aclosing(streaming.parts) as parts:
            async for _ in parts:
                pass
    except RondoError as error:
        return None, str(error), error.trace_id
    call = streaming.turn.recorded
    if call is None:
        return None, "The call could not be recorded; the server's log says why.", None
    return call, call.error_message, call.trace_id


def _tokens_per_s(call: Call) -> float | None:
    """Between the first token and the last; over the whole call where they came together."""
    if not call.output_tokens:
        return None
    between_ms = call.duration_ms - (call.first_token_ms or 0.0)
    if between_ms < call.duration_ms / 100:
        between_ms = call.duration_ms
    return call.output_tokens / between_ms * 1_000 if between_ms > 0 else None


async def deployments(asked: Asked) -> dict[str, Any]:
    """How the deployments that this process has called are doing: circuit breaker, calls under way and waiting."""
    standing = [each for each in asked.control.gateway.tries.standing() if each.project == asked.project]
    return {"deployments": standing}


async def providers(asked: Asked) -> dict[str, Any]:
    """The providers that a model may name."""
    return {"providers": [{"name": name, "summary": summary} for name, summary in sorted(SUMMARIES.items())]}


DOORS = [
    Door("GET", "/api/models", Role.VIEWER, list_models),
    Door("GET", "/api/deployments", Role.VIEWER, deployments),
    Door("POST", "/api/models/{name}/test", Role.DEVELOPER, test_model),
    Door("GET", "/api/providers", Role.VIEWER, providers),
]
