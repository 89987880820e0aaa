"""The upstream client's tests run on both event loops: the server has uvloop, other programs have asyncio's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from rondo.providers.upstream import Upstream


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def client() -> AsyncIterator[Upstream]:
    """An upstream client with short patience for connections."""
    made = Upstream(connect_timeout_s=5)
    yield made
    await made.close()
