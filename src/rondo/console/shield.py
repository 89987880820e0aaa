"""What every response and every form of the console gets, whatever the page: security headers, and the check that a
POST comes from our own pages.

Scripts and styles come only from our own files; nothing is ever fetched from elsewhere, and no page can be framed.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rondo.errors import Forbidden

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Shield:
    """Wraps an ASGI application in security headers; pages are never kept by caches."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


def require_our_page(headers: Headers) -> None:
    """Raises Forbidden unless a POST was sent by a page of this origin."""
    if not is_from_our_pages(headers):
        raise Forbidden(
            "This form was not sent by a page of this console.",
            remedy="Open the page again and retry. Behind a proxy, have it keep the Host header.",
        )


def is_from_our_pages(headers: Headers) -> bool:
    """Whether a POST was sent by a page of this origin: browsers say so, and pages elsewhere cannot make them lie.

    A request that says nothing of where it comes from is no browser's, and is refused too.
    """
    site = headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc == headers.get("host") and origin != "null"
    return site == "same-origin"


def is_safe_path(path: str) -> bool:
    """Whether `path` leads to a page of ours: for the address to go on to after signing in."""
    return path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
