"""What a record store is: rows in, exactly once, and named queries out.

`insert` takes a batch and the journal position behind it in one transaction, so a batch is stored whole or not at
all and a second try of the same batch is no second copy. Everything else reads. Named queries and their parameters
are in `queries/*.sql`; every one of them is bound to a project.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from msgspec import Struct

from rondo.records import Entry, Position

ExportFormat = Literal["jsonl", "parquet"]

NO_FILTERS: Mapping[str, object] = {}


class Holdings(Struct, frozen=True):
    """What the store has of the journals: `quarantined` entries it could not read and keeps whole, and `missing`
    ones whose segment files were gone before they could be stored."""

    positions: dict[str, Position]
    quarantined: int
    missing: int


class RecordStore(Protocol):
    """Every method may be called from any thread, and raises Unavailable while the store cannot be reached."""

    def insert(self, writer: str, batch: Sequence[Entry], position: Position) -> None:
        """Store `batch`, which ends at `position` in the journal of `writer`, but for what is stored already.

        A batch never spans two segments.
        """
        ...

    def holdings(self) -> Holdings:
        """How far each writer's journal has been stored."""
        ...

    def positions(self) -> dict[str, Position]:
        """The positions of `holdings`."""
        ...

    def query(
        self, name: str, params: Mapping[str, object], filters: Mapping[str, object] = NO_FILTERS
    ) -> list[dict[str, Any]]:
        """Rows of a named query. Raises InvalidRequest for an unknown name, parameter or filter."""
        ...

    def export(
        self,
        name: str,
        params: Mapping[str, object],
        filters: Mapping[str, object],
        *,
        format: ExportFormat,
        target: Path,
    ) -> int:
        """Write a named query's rows to `target`, which appears whole or not at all; how many there were."""
        ...

    def close(self) -> None: ...
