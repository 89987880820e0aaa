"""Visitors of the console on the live server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx2
import pytest

from console.visiting import Visitor, Visitors
from live_server import Live


@pytest.fixture
async def visitors(live: Live) -> AsyncIterator[Visitors]:
    """Makes visitors of the live server, by role, by secret, or not signed in."""
    async with AsyncExitStack() as stack:

        async def visit(role: str | None = "admin", *, secret: str | None = None) -> Visitor:
            transport = httpx2.ASGITransport(live.server)
            client = httpx2.AsyncClient(transport=transport, base_url="http://rondo.test")
            visitor = Visitor(await stack.enter_async_context(client))
            if role == "admin" and secret is None:
                secret = live.admin
            elif role is not None and secret is None:
                secret = (await live.key(role, role=role))[1]
            if secret is not None:
                response = await visitor.post("/login", key=secret)
                assert response.status_code == 303, response.text
            return visitor

        yield visit
