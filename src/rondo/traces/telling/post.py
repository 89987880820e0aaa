"""Sends one OTLP request until it is taken or refused for good, as the protocol has it.

429, 502, 503 and 504, a redirect, and an endpoint that cannot be reached, are waited out for as long as it takes,
longer from time to time or as `Retry-After` says. Anything else is final: what was refused is counted, never sent
again. What an answer says by its status holds, whatever its body is, of which only the beginning is read. No key
follows a redirect.
https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeVar
from urllib.parse import unquote

from msgspec import Struct

from rondo import clock
from rondo.errors import RondoError, SettingsError, UpstreamError
from rondo.providers.base import Reply
from rondo.providers.http.address import BadHeader
from rondo.providers.upstream import Target, Upstream
from rondo.settings.telemetry import TelemetrySettings
from rondo.traces.telling.encode import rejected

TIMEOUT_S = 30.0
GRACE_S = 2.0
"""For a request that is under way when the server ends; it is sent again by the next start."""

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0
_LONGEST_ASKED_S = 600.0
_BUSY = (429, 502, 503, 504)
_TOO_LARGE = 413
_SHOWN = 300
_READ = 64 << 10

_LEAST_HIDDEN = 8
_T = TypeVar("_T")
Signal = Literal["traces", "logs"]


class Sent(Struct, frozen=True):
    """What became of a request: `rejected` of what was in it, and why; `too_large` asks for smaller ones."""

    taken: bool
    rejected: int = 0
    why: str = ""
    too_large: bool = False


class _Busy(Struct, frozen=True):
    """It is to be asked again, after so long where it says so."""

    why: str
    wait_s: float = 0.0


class Post:
    """An endpoint. Use it on one event loop."""

    def __init__(self, upstream: Upstream, settings: TelemetrySettings, secret: Callable[[str], str | None]) -> None:
        """Raises SettingsError for headers that are none."""
        given = headers_of(settings, secret)
        headers = {"content-type": "application/x-protobuf", **given}
        base = settings.endpoint.rstrip("/").removesuffix("/v1/traces")
        try:
            self._targets: dict[Signal, Target] = {
                "traces": upstream.target(f"{base}/v1/traces", headers, timeout_s=TIMEOUT_S),
                "logs": upstream.target(f"{base}/v1/logs", headers, timeout_s=TIMEOUT_S),
            }
        except (BadHeader, ValueError) as error:
            raise SettingsError(f"{error}.", file="rondo.toml", param="telemetry") from None
        words = (word for value in given.values() for word in value.split())
        self._hidden = [word.encode() for word in words if len(word) >= _LEAST_HIDDEN]
        self._waiting: dict[Signal, str] = {}

    @property
    def retrying(self) -> str | None:
        """Why a request is being tried again."""
        return next(iter(self._waiting.values()), None)

    async def send(self, signal: Signal, body: bytes, ended: asyncio.Event) -> Sent | None:
        """None where it was told to end before the request was taken or refused."""
        tries = 0
        while not ended.is_set():
            said = await _unless_ended(self._once(signal, body), ended)
            if said is None:
                break
            if isinstance(said, Sent):
                self._waiting.pop(signal, None)
                return said
            self._waiting[signal] = said.why
            longer = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(tries, 16)) * random.uniform(0.5, 1.0)  # noqa: S311
            tries += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), said.wait_s or longer)
        return None

    async def _once(self, signal: Signal, body: bytes) -> Sent | _Busy:
        """What one request comes to."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                reply = await self._targets[signal].post(body)
        except TimeoutError:
            return _Busy(f"There was no answer within {TIMEOUT_S:g} s.")
        except RondoError as error:
            status = error.status if isinstance(error, UpstreamError) else None
            if status is None or status in _BUSY:
                return _Busy(str(error))
            return Sent(False, 0, str(error), too_large=status == _TOO_LARGE)
        return _what_it_says(reply, await self._some_of(reply))

    async def _some_of(self, reply: Reply) -> bytes:
        """The beginning of a body, as much as comes in time, without what we sent to prove who we are."""
        found = bytearray()
        with suppress(TimeoutError, RondoError):
            async with asyncio.timeout(TIMEOUT_S):
                async for part in reply.chunks():
                    found += part
                    if len(found) >= _READ:
                        break
        reply.close()
        answer = bytes(found)
        for secret in self._hidden:
            answer = answer.replace(secret, b"***")
        return answer


def _what_it_says(reply: Reply, answer: bytes) -> Sent | _Busy:
    if reply.status // 100 == 2:
        refused, message = rejected(answer)
        return Sent(True, refused, message[:_SHOWN])
    if reply.status // 100 == 3:
        return _Busy(f"It answered {reply.status}, and redirects are not followed: name the right address.")
    why = f"It answered {reply.status}: {answer[:_SHOWN].decode('utf-8', 'replace')}"
    if reply.status in _BUSY:
        return _Busy(why, asked_to_wait(reply.headers))
    return Sent(False, 0, why, too_large=reply.status == _TOO_LARGE)


async def _unless_ended(asked: Coroutine[Any, Any, _T], ended: asyncio.Event) -> _T | None:
    """What it comes to; None where the server ends, and it does not come to an end in a moment."""
    task, end = asyncio.ensure_future(asked), asyncio.ensure_future(ended.wait())
    try:
        await asyncio.wait({task, end}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait({task}, timeout=GRACE_S)
        return await task if task.done() else None
    finally:
        end.cancel()
        task.cancel()
        await asyncio.wait({task, end})


def headers_of(settings: TelemetrySettings, secret: Callable[[str], str | None]) -> dict[str, str]:
    """`name=value,name=value`, as OTEL_EXPORTER_OTLP_HEADERS has them. Raises SettingsError, without their values."""
    if settings.headers_env is None:
        return {}
    given = secret(settings.headers_env)
    if given is None:
        raise SettingsError(
            f"{settings.headers_env} is not set.",
            file="rondo.toml",
            param="telemetry.headers_env",
            remedy="Set it in the server's environment: `name=value,name=value`.",
        )
    found: dict[str, str] = {}
    for number, pair in enumerate(filter(None, (each.strip() for each in given.split(","))), 1):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise SettingsError(
                f"part {number} of {settings.headers_env} is not `name=value`.",
                file="rondo.toml",
                param="telemetry.headers_env",
                remedy="Write `name=value,name=value`; a comma within a value is `%2C`.",
            )
        found[name.strip()] = unquote(value.strip())
    return found


def asked_to_wait(headers: Mapping[str, str]) -> float:
    """Seconds of `Retry-After`, which may be a date; 0 where it says nothing."""
    given = headers.get("retry-after", "").strip()
    if not given:
        return 0.0
    if given.isascii() and given.isdigit():
        return min(float(given), _LONGEST_ASKED_S)
    try:
        at = parsedate_to_datetime(given)
    except ValueError:
        return 0.0
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return min(max(0.0, at.timestamp() - clock.now_us() / 1e6), _LONGEST_ASKED_S)
