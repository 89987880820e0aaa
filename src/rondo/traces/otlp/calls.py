"""A span that tells of a model's answer, as a Call: its arm is `traced`, its wire `otlp`. Pure but for price lists."""

from __future__ import annotations

from typing import Any

from rondo.providers.prices import Price, PriceBook
from rondo.records import Usage, WrittenCall
from rondo.traces.cost import cost_usd, usage_from
from rondo.traces.otlp import conventions as told
from rondo.traces.otlp.about import app_of, error_of, events_of, parent_of, rest_of, tags_of
from rondo.traces.otlp.facts import amount, as_json, loaded, whole, word
from rondo.traces.otlp.messages import embedded_of, talk_of
from rondo.traces.otlp.model import Attributes, SentSpan
from rondo.traces.otlp.timing import Timing
from rondo.traces.otlp.values import plain

_MOST_REMEMBERED = 10_000
_DEAREST = 1e9


class CallMaker:
    """Makes Calls, with one list of prices."""

    def __init__(self, prices: PriceBook) -> None:
        self._prices = prices
        self._known: dict[tuple[str, str], Price | None] = {}

    def call(
        self,
        span: SentSpan,
        attributes: Attributes,
        timing: Timing,
        *,
        ids: tuple[str, str],
        project: str,
        key_id: str,
        apps: frozenset[str],
        embeds: bool,
    ) -> WrittenCall:
        """The record of a span. Raises InvalidRequest where it may not be kept."""
        talk = talk_of(span.events, attributes) if not embeds else None
        given = talk.given if talk is not None else embedded_of(attributes)
        sent = _sent(attributes)
        requested, served = _models(attributes, sent)
        provider = _provider(attributes)
        usage = _usage(attributes)
        cost, version = self._cost(attributes, provider, served, requested, usage)
        fault = error_of(span, attributes)
        return WrittenCall(
            trace_id=ids[0],
            span_id=ids[1],
            parent_span_id=parent_of(span),
            project=project,
            key_id=key_id,
            wire="otlp",
            arm="traced",
            started_at=timing.started_at,
            duration_ms=timing.duration_ms,
            first_token_ms=_first_token(span, attributes, timing),
            status=_status(attributes, failed=fault is not None),
            error_code=None if fault is None else fault[0],
            error_message=None if fault is None else fault[1],
            finish_reason=_finish(attributes) or (talk.finish if talk is not None else None),
            stream=sent.get("stream") is True or any(attributes.get(name) is True for name in told.STREAM),
            app=app_of(span, apps),
            requested_model=requested,
            model=requested,
            provider=provider,
            served_model=served,
            attempts=1,
            user=word(attributes, told.USER) or word(sent, ("user",)),
            session=word(attributes, told.SESSION),
            tags=tags_of(attributes),
            question=talk.question if talk is not None else _joined(given),
            answer=talk.answer if talk is not None else "",
            input="" if given is None else as_json(given),
            output="" if talk is None or not talk.said else as_json(talk.said[0] if len(talk.said) == 1 else talk.said),
            params=as_json(_params(span, attributes, sent, timing)),
            input_tokens=None if usage is None else usage.input,
            cache_read_tokens=None if usage is None else usage.cache_read,
            cache_write_tokens=None if usage is None else usage.cache_write,
            output_tokens=None if usage is None else usage.output,
            reasoning_tokens=None if usage is None else usage.reasoning,
            cost_usd=cost,
            price_version=version,
        )

    def _cost(
        self, attributes: Attributes, provider: str | None, served: str | None, requested: str, usage: Usage | None
    ) -> tuple[float | None, str | None]:
        """US dollars, as they were sent, else by the list, with its version."""
        sent = amount(attributes, told.COST)
        if sent is None:
            parts = [amount(attributes, (name,)) for name in told.COST_PARTS]
            known = [part for part in parts if part is not None]
            sent = sum(known) if len(known) == len(parts) else None
        if sent is not None and sent < _DEAREST:
            return sent, None
        if usage is None or provider is None:
            return None, None
        price = (self._price(provider, served) if served is not None else None) or self._price(provider, requested)
        return (None, None) if price is None else (cost_usd(usage, price), self._prices.version)

    def _price(self, provider: str, model: str) -> Price | None:
        key = provider, model
        if key not in self._known:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[key] = self._prices.find(provider, model)
        return self._known[key]


def _provider(attributes: Attributes) -> str | None:
    found = word(attributes, told.PROVIDER)
    return None if found is None else told.PROVIDERS.get(found.lower(), found.lower())


def _usage(attributes: Attributes) -> Usage | None:
    """Tokens in disjoint buckets; None where nothing was counted."""
    prompt, completion = whole(attributes, told.INPUT_TOKENS), whole(attributes, told.OUTPUT_TOKENS)
    if prompt is None and completion is None:
        return None
    return usage_from(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": whole(attributes, told.TOTAL_TOKENS),
            "prompt_tokens_details": {
                "cached_tokens": whole(attributes, told.CACHE_READ_TOKENS),
                "cache_write_tokens": whole(attributes, told.CACHE_WRITE_TOKENS),
            },
            "completion_tokens_details": {"reasoning_tokens": whole(attributes, told.REASONING_TOKENS)},
        }
    )


def _status(attributes: Attributes, *, failed: bool) -> int:
    """The provider's own status where it was an error, else 500 for what failed and 200 for what did not."""
    if not failed:
        return 200
    sent = whole(attributes, ("http.response.status_code", "http.status_code"))
    return sent if sent is not None and 400 <= sent < 600 else 500


def _finish(attributes: Attributes) -> str | None:
    for name in told.FINISH:
        value = loaded(attributes.get(name))
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, str) and first:
            return first[:100]
    return None


def _first_token(span: SentSpan, attributes: Attributes, timing: Timing) -> float | None:
    sent = amount(attributes, told.FIRST_TOKEN_S)
    if sent is not None:
        return sent * 1_000
    moments = [event.at for event in span.events if event.name in told.FIRST_TOKEN_EVENTS]
    if not moments or timing.note is not None:
        return None
    after = (min(moments) - span.start) / 1e6
    return after if 0 <= after <= timing.duration_ms else None


def _sent(attributes: Attributes) -> Attributes:
    """The request's parameters, where they are told as one object."""
    given = plain(loaded(attributes.get(told.PARAMETERS)))
    return given if isinstance(given, dict) else {}


def _models(attributes: Attributes, sent: Attributes) -> tuple[str, str | None]:
    """The model that was asked for, and the one that said it answered."""
    requested = word(attributes, told.REQUEST_MODEL) or word(sent, ("model",))
    served, either = word(attributes, told.RESPONSE_MODEL), word(attributes, told.MODEL)
    if requested is not None:
        return requested, served or either
    return either or served or "unknown", served


def _params(span: SentSpan, attributes: Attributes, sent: Attributes, timing: Timing) -> dict[str, Any]:
    """The request's parameters, and under `otlp` what else the span says."""
    params = {name: value for name, value in sent.items() if name not in ("model", "user", "stream")}
    rest = rest_of(attributes, timing, span.source.scope)
    for name in [name for name in rest if name.startswith(told.REQUEST_PREFIX)]:
        params[name.removeprefix(told.REQUEST_PREFIX)] = rest.pop(name)
    otlp = {"name": span.name, "attributes": rest, "resource": span.source.resource}
    events = events_of(span)
    params["otlp"] = {**otlp, "events": events} if events else otlp
    return params


def _joined(given: Any) -> str:
    if isinstance(given, list):
        return "\n".join(each for each in given if isinstance(each, str))
    return given if isinstance(given, str) else ""
