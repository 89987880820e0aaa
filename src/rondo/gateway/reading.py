"""Reading JSON off the wire as leniently as its senders write it: providers do it too, and have it (below)."""

from __future__ import annotations

from rondo.providers.reading import UNREADABLE, read

__all__ = ["UNREADABLE", "read"]
