"""The control plane's JSON API, as commands call it: one method per HTTP verb, errors as exceptions.

It knows nothing of where the server is; `connect.py` finds that out. Connection failures name the remedy.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2

from rondo import errors
from rondo.cli import output
from rondo.errors import RondoError, Unavailable

Params = Mapping[str, object]

_TIMEOUT = httpx2.Timeout(60.0, connect=5.0)
_PIECE = 1 << 20
_BUILD_TIMEOUT = httpx2.Timeout(1800.0, connect=5.0)
_KINDS: dict[str, type[RondoError]] = {
    kind.code: kind
    for kind in (
        errors.InvalidRequest,
        errors.NotFound,
        errors.Conflict,
        errors.GateClosed,
        errors.Unservable,
        errors.Unauthorized,
        errors.Forbidden,
        errors.Unavailable,
        errors.CorruptData,
    )
}


class Api:
    """An open connection. Every method raises the RondoError that the server answered with."""

    def __init__(
        self, client: httpx2.AsyncClient, *, where: str, wants_json: bool, gateway: tuple[str, str] | None = None
    ) -> None:
        """`gateway` is the address and the key of a server that others can ask too; None where there is no port."""
        self._client = client
        self._where = where
        self.wants_json = wants_json
        self.gateway = gateway

    async def get(self, path: str, **params: object) -> Any:
        """`params` that are None are left out."""
        return await self._call("GET", path, params=_given(params))

    async def post(self, path: str, body: object, *, slow: bool = False) -> Any:
        """`slow`: the answer may take as long as a model does."""
        more = {"timeout": _BUILD_TIMEOUT} if slow else {}
        return await self._call("POST", path, json=body, **more)

    async def upload(self, path: str, bundle: bytes, *, content_type: str = "application/zip", **params: object) -> Any:
        """POST a file, a zip by default; may take as long as building what is in it."""
        return await self._call(
            "POST",
            path,
            params=_given(params),
            content=bundle,
            headers={"content-type": content_type},
            timeout=_BUILD_TIMEOUT,
        )

    async def upload_file(self, path: str, file: Path, **params: object) -> Any:
        """POST a file's bytes, a piece at a time; may take as long as reading what is in it."""
        return await self._call(
            "POST",
            path,
            params=_given(params),
            content=_pieces(file),
            headers={"content-type": "application/octet-stream"},
            timeout=_BUILD_TIMEOUT,
        )

    async def delete(self, path: str) -> Any:
        return await self._call("DELETE", path)

    async def download(self, path: str, **params: object) -> AsyncIterator[bytes]:
        """The bytes of an answer as they come."""
        try:
            async with self._client.stream("GET", path, params=_given(params), timeout=_BUILD_TIMEOUT) as response:
                if response.status_code >= 400:
                    await response.aread()
                    raise _error(response)
                async for part in response.aiter_bytes():
                    yield part
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from None

    def show(self, answer: Any, as_text: Callable[[Any], None]) -> None:
        """Print an answer: as JSON where --json asks for it, else by `as_text`."""
        if self.wants_json:
            output.as_json(answer)
        else:
            as_text(answer)

    async def _call(self, method: str, path: str, **request: Any) -> Any:
        try:
            response = await self._client.request(method, path, **request)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from None
        if response.status_code >= 400:
            raise _error(response)
        if not response.content:
            return {}
        try:
            return response.json()
        except ValueError:
            raise Unavailable(
                f"{self._where} did not answer in JSON.", remedy="Check that this is a Rondo server's address."
            ) from None

    def _unreachable(self, error: httpx2.HTTPError) -> Unavailable:
        if isinstance(error, httpx2.TimeoutException) and not isinstance(error, httpx2.ConnectTimeout):
            return Unavailable(f"{self._where} did not answer in time.", remedy="`rondo doctor` says how it is.")
        reason = str(error) or type(error).__name__
        return Unavailable(
            f"No server answers at {self._where} ({reason}).",
            remedy="Start it with `rondo up`, or correct --url or RONDO_URL.",
        )


def segment(text: object) -> str:
    """`text` as one segment of a path."""
    return quote(str(text), safe="")


@asynccontextmanager
async def over_network(url: str, key: str, *, wants_json: bool) -> AsyncIterator[Api]:
    """An Api at an address. A proxy from the environment is not asked for addresses of this machine."""
    async with httpx2.AsyncClient(
        base_url=url, headers=_headers(key), timeout=_TIMEOUT, trust_env=not is_loopback(url)
    ) as client:
        yield Api(client, where=url, wants_json=wants_json, gateway=(url, key))


@asynccontextmanager
async def over_asgi(app: Any, key: str, *, wants_json: bool) -> AsyncIterator[Api]:
    """An Api to an ASGI application in this process."""
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(
        base_url="http://127.0.0.1", headers=_headers(key), timeout=_TIMEOUT, transport=transport
    ) as client:
        yield Api(client, where="this process", wants_json=wants_json)


def _headers(key: str) -> dict[str, str]:
    if not key.isascii() or not key.isprintable():
        raise errors.InvalidRequest("The key has characters that no key has.", remedy="Copy it again.")
    return {"authorization": f"Bearer {key}", "accept": "application/json"}


def is_loopback(url: str) -> bool:
    """Whether an address is of this machine, where no proxy is asked."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _given(params: Params) -> dict[str, str | list[str]]:
    """As query parameters: None is left out, truth is `true` or `false`, a list is the parameter several times."""
    return {
        name.rstrip("_"): str(value).lower()
        if isinstance(value, bool)
        else [str(each) for each in value]
        if isinstance(value, list | tuple)
        else str(value)
        for name, value in params.items()
        if value is not None
    }


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(file.open, "rb") as opened:
        while piece := await asyncio.to_thread(opened.read, _PIECE):
            yield piece


def _error(response: httpx2.Response) -> RondoError:
    """The error in an answer, in our own terms."""
    try:
        told = json.loads(response.content)["error"]
        message, code = str(told["message"]), str(told.get("code"))
    except (ValueError, KeyError, TypeError):
        return RondoError(
            f"The server answered {response.status_code} without saying why.",
            remedy="Check the address; the server's log has the details.",
        )
    kind = errors.InvalidRequest if code == "invalid_settings" else _KINDS.get(code, RondoError)
    return kind(message, param=told.get("param"))
