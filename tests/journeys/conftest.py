"""Fixtures of the journeys: a project, and servers on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from journeys.clients import served
from journeys.running import Running, make_project, serving

__all__ = ["served"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture
def serve(project: Path) -> Iterator[Callable[..., Running]]:
    """Start servers; those still running at the end are killed."""
    with serving(project) as begin:
        yield begin
