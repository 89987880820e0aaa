"""From a pattern to tests: its examples become must-pass examples of a dataset, each with what a person expects."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from rondo.catalog.engine import Catalog
from rondo.datasets.failures import Expectation, add_call
from rondo.errors import Conflict, InvalidRequest, NotFound
from rondo.improve.model import Pattern
from rondo.store.base import RecordStore


class Made(Struct, frozen=True, kw_only=True):
    """The dataset and the hash of its newest version; the tests by their traces, and why others were left out."""

    dataset: str
    version: str
    tests: dict[str, str]
    left_out: dict[str, str]


def add(
    catalog: Catalog,
    records: RecordStore,
    project: str,
    dataset: str,
    *,
    pattern: Pattern,
    traces: Sequence[str],
    expectation: Expectation,
    actor: str,
) -> Made:
    """Make calls of a pattern tests; without `traces`, its examples. Raises InvalidRequest, Conflict."""
    chosen = list(traces) or [example.trace_id for example in pattern.examples]
    for trace in chosen:
        if trace not in pattern.traces:
            raise InvalidRequest(f"{trace!r:.60} is no call of this pattern.", param="traces")
    version, tests, left_out = "", dict[str, str](), dict[str, str]()
    for trace in chosen:
        try:
            added = add_call(catalog, records, project, dataset, trace_id=trace, expectation=expectation, actor=actor)
        except NotFound:  # erased, or past its retention
            left_out[trace] = "The call is no longer recorded."
            continue
        version, tests[trace] = added.version.hash, added.example.id
    if not tests:
        raise Conflict("None of the pattern's calls is recorded any more.", remedy="Find patterns anew.")
    return Made(dataset=dataset, version=version, tests=tests, left_out=left_out)
