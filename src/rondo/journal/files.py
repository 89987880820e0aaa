"""Segment files as a folder holds them."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from rondo.journal.segment import parse_name


class SegmentFile(Struct, frozen=True):
    """A segment file: its number, and the sequence of its first entry."""

    number: int
    first_sequence: int
    path: Path


def segment_files(folder: Path) -> list[SegmentFile]:
    """The segments in a writer's folder, oldest first; none where there is no folder."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    found = [(parsed, name) for name in names if (parsed := parse_name(name)) is not None]
    return [SegmentFile(number, first, folder / name) for (number, first), name in sorted(found)]
