"""The most that a request can cost, before it is sent; and what it is charged, after. Pure.

A token is at least one byte, for every tokenizer that works on bytes, so a prompt has at most as many tokens as its
JSON has bytes; pictures and documents have an allowance instead. An answer has at most the tokens that were asked for,
so a request that asks for no bound is sent with one. Of all models that may answer, the dearest counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from math import ceil
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from rondo.errors import (
    ConnectTimeout,
    InvalidRequest,
    PriceUnknown,
    RateLimited,
    RondoError,
    Unavailable,
    UpstreamError,
    UpstreamSilent,
    UpstreamUnreachable,
)
from rondo.gateway.plan import ServedModel, ServedRelease
from rondo.gateway.reading import UNREADABLE, read
from rondo.gateway.request import ClientRequest, EmbeddingsRequest
from rondo.limits.model import MOST_COUNT, MOST_USD, NANO, Claim, Matched
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
_ASKED = frozenset((*_BOUNDS, *_CHOICES))
_MEDIA = (b'_url"', b'"file"')
_SPELLED = re.compile(rb"\\u00(?:5[fF]|[67])")  # a letter of a field's name, written so
_NANO_PER_TOKEN = NANO / 1_000_000  # prices are dollars for a million tokens
_MOST_NANO = MOST_USD * NANO
_ENCODED = (Raw, bytes)
_NO_FIELDS: Mapping[str, Raw] = {}
_encode = msgspec.json.Encoder().encode
_optional_int = msgspec.json.Decoder(int | None)


class Terms(NamedTuple):
    """What a model takes part in the worst case with, whatever the request: known for as long as the plan holds."""

    completion: int
    """Tokens of the longest answer, over all choices, to a request that asks for no bound of its own."""
    prompt: int
    """Tokens that its own parameters, and the release's, add to the prompt at most."""
    tries: int
    """How many tries one answer may take at the same time: two, where it is hedged."""
    rates: tuple[tuple[float, float], ...] | None
    """Dollars for a million tokens of prompt and of answer, at each address; None where one is not known."""


def terms_of(model: ServedModel, release: ServedRelease | None) -> Terms:
    """Raises InvalidRequest for a bound among the parameters that cannot be read."""
    prices = [place.price or model.price for place in model.deployments or (model,)]
    own = sum(len(_encode(value)) for value in model.spec.params.values() if isinstance(value, str | list | dict))
    return Terms(
        completion=_completion(_NO_FIELDS, model, release),
        prompt=own + (0 if release is None else sum(map(len, release.params.values()))),
        tries=1 if model.spec.hedge_after_s is None else 2,
        rates=None if None in prices else tuple(_rate(price) for price in prices if price is not None),
    )


def worst_case(
    matched: Matched,
    request: ClientRequest,
    models: Iterable[ServedModel],
    *,
    at: int,
    release: ServedRelease | None = None,
    rendered: bytes = b"",
    answers: int = 1,
    hedges: bool = True,
    known: Callable[[ServedModel, ServedRelease | None], Terms] = terms_of,
) -> Claim:
    """The most that the request can use, whichever of `models` answers; of an app, `rendered` are its messages.

    `answers` is how often it may be asked for one, each with a second try beside it where the model `hedges`.
    `known` remembers terms.

    Raises InvalidRequest for a bound that cannot be read, and PriceUnknown where there is a budget.
    """
    if not matched.needs_bound:
        return Claim(at)
    fields, has_budget = request.fields, matched.has_budget
    prompt = prompt_tokens(request, release, rendered)
    embeds = type(request) is EmbeddingsRequest
    asks = not embeds and not _ASKED.isdisjoint(fields)
    tokens, nano = 0, 0
    for model in models:
        terms = known(model, release)
        whole = prompt + terms.prompt
        completion = 0 if embeds else _completion(fields, model, release) if asks else terms.completion
        tries = answers * terms.tries if hedges else answers
        if (most := (whole + completion) * tries) > tokens:
            tokens = most
        if has_budget:
            if terms.rates is None:
                raise PriceUnknown(
                    f"A budget applies, and the price of the model {model.spec.name!r} is not known.",
                    remedy=f"Set `models.{model.spec.name}.price` in rondo.toml, or call a model of known price.",
                    param="model",
                )
            for of_prompt, of_answer in terms.rates:
                cost = ceil((whole * of_prompt + completion * of_answer) * _NANO_PER_TOKEN) * tries
                if cost > nano:  # noqa: PLR1730, on the way of each request
                    nano = cost
    if tokens > MOST_COUNT or nano > _MOST_NANO:
        tokens, nano = min(tokens, MOST_COUNT + 1), min(nano, _MOST_NANO + 1)
    return Claim(at, tokens, nano)


def bound_to_send(
    matched: Matched, request: ClientRequest, model: ServedModel, release: ServedRelease | None = None
) -> tuple[str, int] | None:
    """The field, and its value, that must be put into the request for this model; None where it has a bound.

    It goes over everything else in the body: a null of the client's would lift the bound again.
    """
    if not matched.needs_bound or isinstance(request, EmbeddingsRequest):
        return None
    for name in _BOUNDS:
        if _number(request.fields, model, release, name) is not None:
            return None
    # OpenAI's own newer models refuse `max_tokens`; many others know nothing else.
    name = "max_completion_tokens" if model.spec.provider in ("openai", "azure") else "max_tokens"
    return name, model.spec.max_output_tokens or DEFAULT_MAX_TOKENS


def prompt_tokens(request: ClientRequest, release: ServedRelease | None, rendered: bytes) -> int:
    """An upper bound of the prompt's tokens, but for those of parameters."""
    fields = request.fields
    if release is None:
        count = sum(map(len, fields.values())) + _OVERHEAD
        messages = fields.get("messages")
        return count if messages is None else count + _media(bytes(messages))
    count = sum(len(value) for name, value in fields.items() if name not in ("messages", "inputs"))
    return count + len(rendered) + _media(rendered) + _OVERHEAD


def may_have_cost(error: RondoError) -> bool:
    """Whether a try that ended so may be on the provider's bill.

    Providers take nothing for what they refuse, nor for what never reached them.
    """
    if isinstance(error, UpstreamError):
        if isinstance(error, UpstreamUnreachable):
            return isinstance(error, UpstreamSilent)
        if isinstance(error, ConnectTimeout):
            return False
        return error.status is None or error.status < 400
    return not isinstance(error, InvalidRequest | RateLimited | Unavailable)  # it was not sent


def _rate(price: Price) -> tuple[float, float]:
    """As if all of the prompt were of the dearest kind."""
    return max(price.input, price.cache_read or 0.0, price.cache_write or 0.0), price.output


def _completion(fields: Mapping[str, Raw], model: ServedModel, release: ServedRelease | None) -> int:
    """The longest answer, over all choices."""
    asked = [number for name in _BOUNDS if (number := _number(fields, model, release, name)) is not None]
    longest = max(asked) if asked else model.spec.max_output_tokens or DEFAULT_MAX_TOKENS
    choices = max([_number(fields, model, release, name) or 1 for name in _CHOICES])
    return min(longest, MOST_COUNT) * min(choices, MOST_COUNT)


def _number(fields: Mapping[str, Raw], model: ServedModel, release: ServedRelease | None, name: str) -> int | None:
    """A field as the provider will get it: see `request_body.py` for what wins. Raises InvalidRequest."""
    value: Any = None
    if release is None:
        value = fields.get(name)
        if value is None:  # a null of the client's is the bytes of one
            value = model.spec.params.get(name)
            if value is None:
                return None
    else:
        for source in (model.spec.params, release.params, fields):
            if name in source:
                value = source[name]
                break
    if type(value) in _ENCODED:
        try:
            value = read(_optional_int, value)
        except UNREADABLE as error:
            raise InvalidRequest(f"`{name}` cannot be read: {error}.", param=name) from None
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidRequest(f"`{name}` must be a whole number, and not below 0.", param=name)
    return value


def _media(messages: bytes) -> int:
    """What pictures, documents, sound and video add to the bytes of these messages; below zero where they come along.

    Raises InvalidRequest.
    """
    if messages.find(b"[", messages.find(b"[") + 1) < 0:  # the list of messages, and no parts
        return 0
    if not any(mark in messages for mark in _MEDIA) and _SPELLED.search(messages) is None:
        return 0
    try:
        found = _messages(messages.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"`messages` cannot be read: {error}.", param="messages") from None
    parts = (
        part
        for message in (found if isinstance(found, list) else ())
        if isinstance(message, dict) and isinstance(content := message.get("content"), list)
        for part in content
        if isinstance(part, dict)
    )
    return sum(map(_part, parts))


def _once(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. One that has a field twice is refused: the provider may read the other of the two."""
    found = dict(fields)
    if len(found) != len(fields):
        raise InvalidRequest("`messages` has an object with a field twice.", remedy="Send it once.", param="messages")
    return found


_messages = json.JSONDecoder(object_pairs_hook=_once).decode


def _part(part: dict[str, Any]) -> int:
    """By what the part holds: some servers take one that does not say its type."""
    count = FILE_TOKENS * (("video_url" in part) + ("audio_url" in part))
    if "image_url" in part:
        url = _inner(part, "image_url", "url")
        count += IMAGE_TOKENS - (len(url) if url.startswith("data:") else 0)
    if "file" in part:
        count += max(0, FILE_TOKENS - len(_inner(part, "file", "file_data")))
    return count


def _inner(part: dict[str, Any], outer: str, name: str) -> str:
    """`part[outer][name]`, or `part[outer]` where that is a text; empty where there is none."""
    value = part.get(outer)
    if isinstance(value, dict):
        value = value.get(name)
    return value if isinstance(value, str) else ""
