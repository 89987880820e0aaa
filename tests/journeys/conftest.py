"""Fixtures of the journeys: a project, and servers on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from journeys.clients import served
from journeys.running import Running, make_project, start

__all__ = ["served"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture
def serve(project: Path) -> Iterator[Callable[..., Running]]:
    """Start servers; those still running at the end are killed."""
    started: list[Running] = []

    def begin(*arguments: str, **options: Any) -> Running:
        running = start(options.pop("project", project), *arguments, **options)
        started.append(running)
        return running

    yield begin
    for running in started:
        if running.process.poll() is None:
            running.kill()
        if running.process.stdout is not None:
            running.process.stdout.close()
