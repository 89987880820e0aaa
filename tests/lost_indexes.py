"""Releases whose index gets lost, so that no plan made anew can serve them."""

from __future__ import annotations

import shutil
from pathlib import Path

from live_server import Live


def indexes(live: Live) -> set[Path]:
    return set((live.data / "knowledge").iterdir())


async def with_own_index(live: Live) -> tuple[int, Path]:
    """A new release of the project with one more document, and the folder of its index."""
    before = indexes(live)
    (live.project / "facts" / "more.md").write_text("# Helmets\n\nHelmets cost 49 pounds.\n")
    number = await live.release()
    (index,) = indexes(live) - before
    return number, index


async def lost(live: Live) -> int:
    """The same, once its index is gone."""
    number, index = await with_own_index(live)
    shutil.rmtree(index)
    return number
