"""A visitor of the console: like a browser, it keeps cookies and says where its forms come from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2

Visitors = Callable[..., Awaitable["Visitor"]]


class Visitor:
    """One browser. `sign_in` uses a key of the role, or a secret."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client

    async def get(self, path: str, status: int = 200, *, headers: dict[str, str] | None = None) -> str:
        """The page's text, which must have this status."""
        response = await self.client.get(path, headers=headers)
        assert response.status_code == status, (path, response.status_code, response.text)
        return response.text

    async def post(self, path: str, **fields: Any) -> httpx2.Response:
        """Send a form, as a page of ours does."""
        return await self.client.post(path, data=fields, headers={"origin": "http://rondo.test"})
