"""Whether groups can be found at all: scikit-learn is an optional package. Loads nothing."""

from __future__ import annotations

from importlib.util import find_spec

from rondo.errors import Conflict


def is_installed() -> bool:
    return find_spec("sklearn") is not None


def require_installed() -> None:
    """Raises Conflict."""
    if not is_installed():
        raise Conflict(
            "Finding patterns needs scikit-learn, which is not installed where the server runs.",
            remedy="Run `pip install 'rondo[analysis]'` there and start the server again.",
        )
