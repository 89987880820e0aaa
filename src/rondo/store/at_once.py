"""Several questions to the record store at the same time: a page waits for the longest of them, not for their sum."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from msgspec import Struct

from rondo.store.base import NO_FILTERS, RecordStore

Rows = list[dict[str, Any]]


class Asked(Struct, frozen=True):
    """A named query with its parameters and filters."""

    name: str
    params: Mapping[str, object]
    filters: Mapping[str, object] = NO_FILTERS


def ask_at_once(store: RecordStore, *asked: Asked) -> list[Rows]:
    """The rows of each. Raises as `query` does, once all have ended. Blocks."""
    with ThreadPoolExecutor(max_workers=len(asked)) as threads:
        return list(threads.map(lambda each: store.query(each.name, each.params, each.filters), asked))
