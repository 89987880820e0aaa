"""One server for the tests of a client: its provider is in this process, its app and models are by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from journeys.openai_upstream import UpstreamThread
from journeys.running import Running, make_project, start


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server in a process of its own whose models (`chat`, `tools`, ...) are at a provider in this one."""
    provider = UpstreamThread()
    folder: Path = tmp_path_factory.mktemp("clients")
    server = start(make_project(folder / "project", more=provider.settings))
    yield server
    server.kill()
    if server.process.stdout is not None:
        server.process.stdout.close()
    provider.stop()
