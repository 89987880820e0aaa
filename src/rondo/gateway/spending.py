"""The most that a request can cost, before it is sent; and what it is charged, after. Pure.

A token is at least one byte, for every tokenizer that works on bytes, so a prompt has at most as many tokens as its
JSON has bytes; pictures and documents have an allowance instead. An answer has at most the tokens that were asked for,
so a request that asks for no bound is sent with one. Of all models that may answer, the dearest counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any

import msgspec
from msgspec import Raw

from rondo.errors import InvalidRequest, RondoError, UpstreamError, UpstreamUnreachable
from rondo.gateway.plan import ServedModel, ServedRelease
from rondo.gateway.reading import UNREADABLE, read
from rondo.gateway.wire import ChatRequest, ClientRequest, EmbeddingsRequest
from rondo.limits.ledger import Hold
from rondo.limits.model import MOST_COUNT, MOST_USD, NANO, Claim, Matched, to_nano, to_usd
from rondo.providers.prices import Price

DEFAULT_MAX_TOKENS = 4_096
"""Longest answer where neither the client nor the model says: sent along, so that it holds."""

IMAGE_TOKENS = 50_000
"""Allowance for a picture, whatever its size: above what the models of the price list count for their largest."""

FILE_TOKENS = 200_000
"""Allowance for a document. One that comes with the request counts its bytes, where they are more."""

_OVERHEAD = 1_024  # what providers put around messages and tools
_BOUNDS = ("max_tokens", "max_completion_tokens")
_CHOICES = ("n", "best_of")
_MEDIA = (b'"image_url"', b'"file"', b'"input_audio"', b"\\u00")  # the last may spell any of them
_anything = msgspec.json.Decoder()
_optional_int = msgspec.json.Decoder(int | None)


def worst_case(
    matched: Matched,
    request: ClientRequest,
    models: Iterable[ServedModel],
    *,
    at: int,
    release: ServedRelease | None = None,
    rendered: bytes = b"",
    answers: int = 1,
) -> Claim:
    """The most that the request can use, whichever of `models` answers; of an app, `rendered` are its messages.

    `answers` is how often it may be asked for one.

    Raises InvalidRequest: for a bound that cannot be read, and for a model without a price where there is a budget.
    """
    if not matched.needs_bound:
        return Claim(at)
    prompt = prompt_tokens(request, release, rendered)
    tokens, nano = 0, 0
    for model in models:
        completion = 0 if isinstance(request, EmbeddingsRequest) else _completion(request, model, release)
        tries = answers if model.spec.hedge_after_s is None else 2 * answers
        tokens = max(tokens, (prompt + completion) * tries)
        if matched.has_budget:
            for price in _prices(model):
                nano = max(nano, _cost(price, prompt, completion) * tries)
    return Claim(at, min(tokens, MOST_COUNT + 1), min(nano, MOST_USD * NANO + 1))


def bound_to_send(
    matched: Matched, request: ClientRequest, model: ServedModel, release: ServedRelease | None = None
) -> tuple[str, int] | None:
    """The field, and its value, that must be put into the request for this model; None where it has a bound.

    It goes over everything else in the body: a null of the client's would lift the bound again.
    """
    if not matched.needs_bound or isinstance(request, EmbeddingsRequest):
        return None
    for name in _BOUNDS:
        if _number(request, model, release, name) is not None:
            return None
    # OpenAI's own newer models refuse `max_tokens`; many others know nothing else.
    name = "max_completion_tokens" if model.spec.provider in ("openai", "azure") else "max_tokens"
    return name, model.spec.max_output_tokens or DEFAULT_MAX_TOKENS


def prompt_tokens(request: ClientRequest, release: ServedRelease | None, rendered: bytes) -> int:
    """An upper bound of the prompt's tokens."""
    fields = request.fields
    if release is None:
        count = sum(map(len, fields.values()))
        messages = fields.get("messages")
        if messages is None or _is_text(request):
            return count + _OVERHEAD
        return count + _media(bytes(messages)) + _OVERHEAD
    count = sum(len(value) for name, value in fields.items() if name not in ("messages", "inputs"))
    count += sum(map(len, release.params.values())) + len(rendered)
    return count + _media(rendered) + _OVERHEAD


def may_have_cost(error: RondoError | None) -> bool:
    """Whether a try that ended so may be on the provider's bill. None: it was answered, or its client left.

    Providers take nothing for what they refuse, nor for what never reached them.
    """
    if isinstance(error, UpstreamUnreachable):
        return False
    return not (isinstance(error, UpstreamError) and error.status is not None and error.status >= 400)


def charge(
    hold: Hold, *, sent: bool, cost_usd: float | None, tokens: int | None
) -> tuple[int | None, int | None, float | None]:
    """(tokens, nano) to settle, and the record's `charged_usd`. `sent`: a provider may have begun to answer.

    What was sent and is of unknown cost is charged what was reserved for it.
    """
    if not sent:  # refused, or answered from the cache
        return tokens or 0, to_nano(cost_usd or 0.0), cost_usd
    if cost_usd is not None:
        return tokens, to_nano(cost_usd), cost_usd
    return tokens, None, to_usd(hold.nano) if hold.nano else None


def _prices(model: ServedModel) -> Sequence[Price]:
    """Of the model at each of its addresses. Raises InvalidRequest where one is not known."""
    found = []
    for place in model.deployments or (model,):
        price = place.price or model.price
        if price is None:
            raise InvalidRequest(
                f"A budget applies, and the price of the model {model.spec.name!r} is not known.",
                remedy=f"Set `models.{model.spec.name}.price` in rondo.toml, or call a model of known price.",
                param="model",
            )
        found.append(price)
    return found


def _cost(price: Price, prompt: int, completion: int) -> int:
    """Nano-dollars, rounded up, if all of the prompt is of the dearest kind."""
    dearest = max(price.input, price.cache_read or 0.0, price.cache_write or 0.0)
    return ceil((prompt * dearest + completion * price.output) * (NANO / 1_000_000))


def _completion(request: ClientRequest, model: ServedModel, release: ServedRelease | None) -> int:
    """The longest answer, over all choices."""
    asked = [number for name in _BOUNDS if (number := _number(request, model, release, name)) is not None]
    longest = max(asked) if asked else model.spec.max_output_tokens or DEFAULT_MAX_TOKENS
    choices = max([_number(request, model, release, name) or 1 for name in _CHOICES])
    return min(longest, MOST_COUNT) * min(choices, MOST_COUNT)


def _number(request: ClientRequest, model: ServedModel, release: ServedRelease | None, name: str) -> int | None:
    """A field as the provider will get it: see `request_body.py` for what wins. Raises InvalidRequest."""
    value: Any = None
    if release is None:
        value = request.fields.get(name)
        if value is None:  # a null of the client's is the bytes of one
            value = model.spec.params.get(name)
            if value is None:
                return None
    else:
        for source in (model.spec.params, release.params, request.fields):
            if name in source:
                value = source[name]
                break
    if isinstance(value, Raw | bytes):
        try:
            value = read(_optional_int, value)
        except UNREADABLE as error:
            raise InvalidRequest(f"`{name}` cannot be read: {error}.", param=name) from None
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidRequest(f"`{name}` must be a whole number, and not below 0.", param=name)
    return value


def _is_text(request: ClientRequest) -> bool:
    """Whether every message is plain text, as nearly always: then there is nothing else to look for in them."""
    if not isinstance(request, ChatRequest) or not request.messages:
        return False
    return all(isinstance(message.content, str) for message in request.messages)


def _media(messages: bytes) -> int:
    """What pictures, documents and sound add to the bytes of these messages; below zero where they come along."""
    for mark in _MEDIA:
        if mark in messages:
            break
    else:
        return 0
    try:
        found = read(_anything, messages)
    except UNREADABLE as error:
        raise InvalidRequest(f"`messages` cannot be read: {error}.", param="messages") from None
    parts = (
        part
        for message in (found if isinstance(found, list) else ())
        if isinstance(message, dict) and isinstance(content := message.get("content"), list)
        for part in content
        if isinstance(part, dict)
    )
    return sum(map(_part, parts))


def _part(part: dict[str, Any]) -> int:
    kind = part.get("type")
    if kind == "image_url":
        url = _inner(part, "image_url", "url")
        return IMAGE_TOKENS - (len(url) if url.startswith("data:") else 0)
    if kind == "file":
        return max(0, FILE_TOKENS - len(_inner(part, "file", "file_data")))
    return 0


def _inner(part: dict[str, Any], outer: str, name: str) -> str:
    """`part[outer][name]`, or `part[outer]` where that is a text; empty where there is none."""
    value = part.get(outer)
    if isinstance(value, dict):
        value = value.get(name)
    return value if isinstance(value, str) else ""
