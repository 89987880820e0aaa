"""What is told of a call: attributes by OpenTelemetry's GenAI conventions 1.41, and Rondo's own under `rondo.`. Pure.

Tokens are told as the conventions count them: what came from a cache is part of the input, reasoning of the output.
What was asked and answered, and what providers said of errors, which may repeat it, is told only where it is wished
for. https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from __future__ import annotations

import json
from typing import Any

from rondo.records import Call, Span
from rondo.traces.telling.content import input_of, output_of, system_of

Attributes = dict[str, Any]

OPERATIONS = {"embeddings": "embeddings", "completions": "text_completion"}
"""By wire; all others are `chat`."""

PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
}
"""Names of the conventions that are other than ours."""

_REQUEST = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
    "n": "choice.count",
}


def name_of(call: Call) -> str:
    """The span's name: operation and model."""
    return f"{operation_of(call)} {call.requested_model}"


def operation_of(call: Call) -> str:
    return OPERATIONS.get(call.wire, "chat")


def has_failed(call: Call) -> bool:
    """As the record store has it: not if its client left."""
    return (call.status >= 400 or call.error_code is not None) and call.error_code != "client_closed"


def of_call(call: Call, *, content: bool) -> Attributes:
    """What is not known is left out."""
    told: Attributes = {
        "gen_ai.operation.name": operation_of(call),
        "gen_ai.provider.name": None if call.provider is None else PROVIDERS.get(call.provider, call.provider),
        "gen_ai.request.model": call.requested_model,
        "gen_ai.response.model": call.served_model or call.model,
        "gen_ai.response.id": call.answer_id,
        "gen_ai.response.finish_reasons": [call.finish_reason] if call.finish_reason else None,
        "gen_ai.response.time_to_first_chunk": None if call.first_token_ms is None else call.first_token_ms / 1_000,
        "gen_ai.conversation.id": call.session,
        "user.id": call.user,
        "error.type": (call.error_code or str(call.status)) if has_failed(call) else None,
        "http.response.status_code": call.status,
        **_requested(call),
        **_used(call),
        **_own(call),
    }
    if content:
        told["gen_ai.input.messages"] = input_of(call)
        told["gen_ai.output.messages"] = output_of(call)
        told["gen_ai.system_instructions"] = system_of(call)
    return {name: value for name, value in told.items() if value is not None}


def of_step(call: Call, span: Span, *, content: bool) -> Attributes:
    """A step inside of a call. An attempt at a model is no call of its own, so nothing counts twice."""
    told: Attributes = {"rondo.kind": span.kind, "rondo.name": span.name, "rondo.project": call.project}
    told |= {f"rondo.{name}": value for name, value in _object(span.attributes).items() if _is_plain(value)}
    if span.kind == "retrieve":
        told["gen_ai.operation.name"] = "retrieval"
        told["gen_ai.data_source.id"] = span.name or None
        told["gen_ai.retrieval.documents"] = _documents(call, content=content)
        if content and call.question:
            told["gen_ai.retrieval.query.text"] = call.question
    if span.status == "error":
        told["error.type"] = "error"
    return {name: value for name, value in told.items() if value is not None}


def _requested(call: Call) -> Attributes:
    params = _object(call.params)
    found: Attributes = {
        f"gen_ai.request.{told}": params[name]
        for name, told in _REQUEST.items()
        if isinstance(params.get(name), int | float) and not isinstance(params[name], bool)
    }
    stop = params.get("stop")
    stops = [stop] if isinstance(stop, str) else stop
    if isinstance(stops, list) and stops and all(isinstance(each, str) for each in stops):
        found["gen_ai.request.stop_sequences"] = stops
    if call.stream:
        found["gen_ai.request.stream"] = True
    return found


def _used(call: Call) -> Attributes:
    return {
        "gen_ai.usage.input_tokens": _sum(call.input_tokens, call.cache_read_tokens, call.cache_write_tokens),
        "gen_ai.usage.output_tokens": _sum(call.output_tokens, call.reasoning_tokens),
        "gen_ai.usage.cache_read.input_tokens": call.cache_read_tokens,
        "gen_ai.usage.cache_creation.input_tokens": call.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": call.reasoning_tokens,
        "llm.cost.total": call.cost_usd,  # OpenInference's: OpenTelemetry has none
    }


def _own(call: Call) -> Attributes:
    return {
        "rondo.project": call.project,
        "rondo.app": call.app,
        "rondo.release": call.release,
        "rondo.hash": call.release_hash,
        "rondo.arm": call.arm,
        "rondo.shadow_of": call.shadow_of,
        "rondo.rollout": call.rollout,
        "rondo.variant": call.variant,
        "rondo.model": call.model,
        "rondo.prompt": call.prompt,
        "rondo.prompt_version": call.prompt_version,
        "rondo.knowledge": call.knowledge,
        "rondo.knowledge_version": call.knowledge_version,
        "rondo.rule": call.rule,
        "rondo.cache": call.cache,
        "rondo.saved_usd": call.saved_usd,
        "rondo.cost_usd": call.cost_usd,
        "rondo.attempts": call.attempts,
        "rondo.handed_over": call.handed_over,
        "rondo.wire": call.wire,
        **{f"rondo.tag.{name}": value for name, value in call.tags.items()},
    }


def _documents(call: Call, *, content: bool) -> str | None:
    if not call.chunks:
        return None
    documents = [
        {"id": chunk.id, "score": chunk.score, **({"content": chunk.text} if content else {})} for chunk in call.chunks
    ]
    return json.dumps(documents, ensure_ascii=False)


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, str | int | float) for each in value)
    return isinstance(value, str | int | float)
