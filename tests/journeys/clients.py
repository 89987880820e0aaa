"""One server for the tests of a client: its provider is in this process, its app and models are by name."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from journeys.openai_upstream import PLAYS
from journeys.running import Running, make_project, start
from scripted_upstream import Play, ScriptedUpstream


@contextmanager
def upstream_thread(plays: Mapping[str, Play]) -> Iterator[ScriptedUpstream]:
    """A provider in a thread of its own."""
    upstream = ScriptedUpstream()
    upstream.plays.update(plays)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(upstream.start(), loop).result(5)
    yield upstream
    asyncio.run_coroutine_threadsafe(upstream.stop(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@contextmanager
def server_on(plays: Mapping[str, Play], folder: Path, *, prefix: str = "") -> Iterator[Running]:
    """A server in a process of its own. Its models are called as at the provider, without `prefix`."""
    with upstream_thread(plays) as upstream:
        tables = [
            f'[models.{name.removeprefix(prefix)}]\nprovider = "{_wire(name)}"\nmodel = "{name}"\n'
            f'base_url = "{upstream.url}"\ntimeout_s = 1\nretries = 0\nprice = {{ input = 1.0, output = 2.0 }}\n'
            for name in plays
        ]
        server = start(make_project(folder / "project", more="\n".join(tables)))
        yield server
        server.kill()
        if server.process.stdout is not None:
            server.process.stdout.close()


def _wire(name: str) -> str:
    return "anthropic" if name.startswith("claude-") else "openai"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The models `chat`, `tools`, ... are at a provider that speaks OpenAI's wire."""
    with server_on(PLAYS, tmp_path_factory.mktemp("clients"), prefix="gpt-") as server:
        yield server
