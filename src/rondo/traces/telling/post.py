"""Sends one OTLP request until it is taken or refused for good, as the protocol has it.

429, 502, 503 and 504, and an endpoint that cannot be reached, are waited out for as long as it takes, longer from time
to time or as `Retry-After` says. Anything else is final: what was refused is counted, never sent again.
https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import unquote

from msgspec import Struct

from rondo import clock
from rondo.errors import RondoError, SettingsError
from rondo.providers.http.address import BadHeader
from rondo.providers.upstream import Target, Upstream
from rondo.settings.telemetry import TelemetrySettings
from rondo.traces.telling.encode import rejected

TIMEOUT_S = 30.0
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0
_LONGEST_ASKED_S = 600.0
_BUSY = (429, 502, 503, 504)
_TOO_LARGE = 413
_SHOWN = 300

Signal = Literal["traces", "logs"]


class Sent(Struct, frozen=True):
    """What became of a request: `rejected` of what was in it, and why; `too_large` asks for smaller ones."""

    taken: bool
    rejected: int = 0
    why: str = ""
    too_large: bool = False


class Post:
    """An endpoint. Use it on one event loop."""

    def __init__(self, upstream: Upstream, settings: TelemetrySettings, secret: Callable[[str], str | None]) -> None:
        """Raises SettingsError for headers that are none."""
        headers = {"content-type": "application/x-protobuf", **headers_of(settings, secret)}
        base = settings.endpoint.rstrip("/").removesuffix("/v1/traces")
        try:
            self._targets: dict[Signal, Target] = {
                "traces": upstream.target(f"{base}/v1/traces", headers, timeout_s=TIMEOUT_S),
                "logs": upstream.target(f"{base}/v1/logs", headers, timeout_s=TIMEOUT_S),
            }
        except (BadHeader, ValueError) as error:
            raise SettingsError(f"{error}.", file="rondo.toml", param="telemetry") from None
        self.retrying: str | None = None
        """Why a request is being tried again."""

    async def send(self, signal: Signal, body: bytes, ended: asyncio.Event) -> Sent | None:
        """None where it was told to end before the request was taken or refused."""
        tries = 0
        while not ended.is_set():
            wait, why = 0.0, ""
            try:
                reply = await self._targets[signal].post(body)
                answer = await reply.read()
            except RondoError as error:
                why = str(error)
            else:
                if reply.status // 100 == 2:
                    self.retrying = None
                    refused, message = rejected(answer)
                    return Sent(True, refused, message[:_SHOWN])
                why = f"It answered {reply.status}: {answer[:_SHOWN].decode('utf-8', 'replace')}"
                if reply.status not in _BUSY:
                    self.retrying = None
                    return Sent(False, 0, why, too_large=reply.status == _TOO_LARGE)
                wait = asked_to_wait(reply.headers)
            self.retrying = why
            wait = wait or min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(tries, 16)) * random.uniform(0.5, 1.0)  # noqa: S311
            tries += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), wait)
        return None


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
