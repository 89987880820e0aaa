"""One thread for matrices: they are small here, and threads that wait for each other cost more than they save."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # without types


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    import numpy  # noqa: F401  # what is limited must be loaded

    with threadpool_limits(1):
        yield
