"""What a failed try means: whose fault it was, whether another try may go better, and how long to wait for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from math import ceil
from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct

from rondo.errors import BudgetExceeded, InvalidRequest, KeyMissing, RondoError, Unavailable, UpstreamError
from rondo.gateway.reading import UNREADABLE, read

BASE_S = 0.25
LONGEST_BACKOFF_S = 8.0
LONGEST_WAIT_S = 20.0
"""A provider that asks for a longer wait is not waited for: whether it is worth it is the client's to say."""
PATIENCE_S = 1.0
"""With another model to go to, no wait is longer than this."""
COOL_DOWN_S = 5.0
"""A provider that asks to wait so long, or longer, is left alone by all calls for that time."""
_LONGEST_REST_S = 3_600
_MOST_DIGITS = 9

Then = Literal["tell", "next", "again"]
_TELL: Then = "tell"
_NEXT: Then = "next"
_AGAIN: Then = "again"


class Verdict(NamedTuple):
    """`then`: tell the client, go on to the next model, or try again. `counts`: against the deployment."""

    then: Then
    counts: bool


_BY_STATUS = {
    401: Verdict(_NEXT, True),  # it refuses our key, whoever asks
    402: Verdict(_NEXT, False),  # out of credit, though for some only for a request as dear as this
    403: Verdict(_NEXT, False),  # some providers say so of a request's content
    404: Verdict(_NEXT, False),
    407: Verdict(_NEXT, True),
    408: Verdict(_AGAIN, True),
    409: Verdict(_AGAIN, False),
    429: Verdict(_AGAIN, True),
}


class _Said(Struct):
    message: str | None = None


class _Fault(Struct):
    error: _Said | str | None = None
    message: str | None = None


_fault = msgspec.json.Decoder(_Fault)


def judge(error: RondoError) -> Verdict:
    """What to do after a try that ended in `error`."""
    # This provider has no words for it, or there is no room for another try here: with the next model there may be.
    if isinstance(error, InvalidRequest | BudgetExceeded | Unavailable):
        return Verdict(_NEXT, False)
    if not isinstance(error, UpstreamError):
        return Verdict(_TELL, False)
    if isinstance(error, KeyMissing):
        return Verdict(_NEXT, False)
    status = error.status
    if status is None or status >= 500:
        return Verdict(_AGAIN, True)
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    return Verdict(_TELL, False) if status >= 400 else Verdict(_NEXT, True)


def in_a_word(error: RondoError) -> str:
    """For whoever meets a closed door later: never the provider's words, which may repeat someone's request."""
    status = error.status if isinstance(error, UpstreamError) else None
    return error.code if status is None else str(status)


def rest_s(error: RondoError) -> float:
    """How long the provider wants to be left alone by everybody; 0 where it does not."""
    if not isinstance(error, UpstreamError) or error.status not in (429, 503):
        return 0.0
    asked = error.retry_after or 0
    return float(min(asked, _LONGEST_REST_S)) if asked >= COOL_DOWN_S else 0.0


def wait_s(tries: int, retry_after: int | None, chance: float) -> float:
    """How long to wait after `tries` tries: a share (`chance`, 0 to 1) of a time that doubles, on top of what the
    provider asked for."""
    backoff = min(LONGEST_BACKOFF_S, BASE_S * 2.0 ** min(tries - 1, 16))
    return (retry_after or 0) + backoff * chance


def told_wait(headers: Mapping[str, str], now_us: int) -> int | None:
    """The seconds a reply asks to wait (`retry-after` in seconds or as a date, `retry-after-ms`); None if it does not.

    Rounded up, and never more than a day; nonsense is no answer.
    """
    for name, unit in (("retry-after-ms", 1_000.0), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        if text and len(text) <= 64 and (seconds := _seconds(text, unit, now_us)) is not None:
            return min(86_400, max(0, ceil(seconds)))
    return None


def words_of(body: bytes) -> str:
    """The provider's own words: the message of its error, where it has one of a known shape."""
    try:
        fault = read(_fault, body)
    except UNREADABLE:
        fault = _Fault()
    said = fault.error.message if isinstance(fault.error, _Said) else fault.error
    return (said or fault.message or body.decode("utf-8", "replace"))[:2_000]


def _seconds(text: str, unit: float, now_us: int) -> float | None:
    if text.isascii() and text[0].isdigit():
        whole, _, part = text.partition(".")
        if whole.isdigit() and (part.isdigit() or not part) and len(whole) <= _MOST_DIGITS:
            return float(text) / unit
        return None
    try:
        return parsedate_to_datetime(text).timestamp() - now_us / 1e6
    except (ValueError, TypeError, OverflowError):
        return None
