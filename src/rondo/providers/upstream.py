"""The seam to the network: post bytes to a provider, get a reply under way.

The only file that knows the HTTP client. A `Target` is prepared once per model, so that a request costs no URL
parsing and no header building. Redirects are never followed: a key goes to the host it was given for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import aiohttp
from yarl import URL

from rondo.errors import UpstreamCut, UpstreamTimeout, UpstreamUnreachable
from rondo.providers.base import Reply


class Target(Protocol):
    """One address of one provider."""

    async def post(self, body: bytes) -> Reply: ...


class Upstream:
    """A pool of connections to providers, one per process. Make it and close it on the event loop."""

    def __init__(self, *, connect_timeout_s: float = 10.0) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._session: aiohttp.ClientSession | None = None

    def target(self, url: str, headers: Mapping[str, str], *, timeout_s: float) -> Target:
        """`timeout_s` is the longest silence: before the reply's headers, and between parts of its body."""
        return _AiohttpTarget(
            self,
            URL(url),
            {"content-type": "application/json", "accept-encoding": "identity", **headers},
            aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout_s, sock_read=timeout_s),
        )

    @property
    def session(self) -> aiohttp.ClientSession:
        """Made on first use, since it belongs to the running loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent",),
                auto_decompress=False,
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


class _AiohttpTarget:
    def __init__(
        self, upstream: Upstream, url: URL, headers: Mapping[str, str], timeout: aiohttp.ClientTimeout
    ) -> None:
        self._upstream = upstream
        self._url = url
        self._headers = headers
        self._timeout = timeout

    async def post(self, body: bytes) -> Reply:
        try:
            response = await self._upstream.session.post(
                self._url, data=body, headers=self._headers, timeout=self._timeout, allow_redirects=False
            )
        except TimeoutError:
            raise UpstreamTimeout(f"{self._url.host} did not answer in time.") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise UpstreamUnreachable(f"{self._url.host} could not be reached: {reason}.") from None
        return _AiohttpReply(response)


class _AiohttpReply:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response

    async def read(self) -> bytes:
        try:
            return await self._response.read()
        except TimeoutError:
            raise UpstreamTimeout("The provider fell silent in the middle of its answer.") from None
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamCut(f"The provider broke off its answer: {error or type(error).__name__}.") from None

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (TimeoutError, asyncio.IncompleteReadError):
            raise UpstreamCut("The provider fell silent in the middle of its answer.") from None
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamCut(f"The provider broke off its answer: {error or type(error).__name__}.") from None

    def close(self) -> None:
        self._response.close()
