"""The verb `add`: a failure becomes a test. A recorded call, with the expected behaviour that a person filled in.

The example must pass from then on. It names the release whose answer was wrong; `regressions` remembers which one got
it right again. What came from the call is scrubbed; what the person wrote stands as it is written.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, structs

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.catalog.text import check_text
from rondo.datasets import regressions, scrub
from rondo.datasets.calls import example_of_call, release_label
from rondo.datasets.importing import ImportOptions, import_examples
from rondo.datasets.intake import identified
from rondo.datasets.model import DatasetVersion, Example
from rondo.datasets.quality import has_expectation
from rondo.errors import Conflict, InvalidRequest
from rondo.governance import audit
from rondo.records import Call
from rondo.store.base import RecordStore
from rondo.traces.search import get_calls

LONGEST_EXPECTED = 20_000
_MOST_CHECKS = 20
_TRIES = 3


class Expectation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What should have been answered: at least one of these.

    `contains` are texts that must occur, `lacks` texts that must not; `expect` are checks as scorers have them.
    """

    expected: str | None = None
    hand_over: bool | None = None
    contains: list[str] = []
    lacks: list[str] = []
    expect: list[dict[str, Any]] = []
    sources: list[str] = []
    tags: dict[str, str] = {}
    must_pass: bool = True


class Added(Struct, frozen=True, kw_only=True):
    """The version that has the test, the test, and whether it was not in the dataset before."""

    version: DatasetVersion
    example: Example
    created: bool


def add_call(
    catalog: Catalog,
    records: RecordStore,
    project: str,
    dataset: str,
    *,
    trace_id: str,
    expectation: Expectation,
    actor: str,
    clean: bool = True,
) -> Added:
    """Make a call a test of the dataset, which is made where there is none.

    Raises NotFound (no such trace), InvalidRequest (nothing expected, nothing asked), Conflict.
    """
    call = get_calls(records, project, trace_id)[0]
    example = made_from(call, expectation, actor=actor, clean=clean)
    return add_example(catalog, project, dataset, example, actor=actor, call=call)


def made_from(call: Call, expectation: Expectation, *, actor: str, clean: bool = True) -> Example:
    """The test that a call is. Raises InvalidRequest."""
    asked = example_of_call(call, by=actor)
    if asked is None:
        raise InvalidRequest("The call asks nothing in words.", remedy="Choose a chat call.", param="trace_id")
    asked = scrub.look(asked, clean=clean).example
    _check(expectation)
    checks = [{"kind": "contains", "value": text} for text in expectation.contains]
    checks += [{"kind": "contains", "value": text, "how": "none"} for text in expectation.lacks]
    test = structs.replace(
        asked,
        expected=expectation.expected or None,
        hand_over=expectation.hand_over,
        expect=[*checks, *expectation.expect],
        sources=expectation.sources,
        tags={**asked.tags, **expectation.tags},
        must_pass=expectation.must_pass,
        provenance=structs.replace(asked.provenance, broke=release_label(call)),
    )
    if not has_expectation(test):
        raise InvalidRequest(
            "What should have been answered is not said.",
            remedy="Give the expected answer, texts it must hold, or whether to hand over.",
            param="expected",
        )
    return identified(test)


def add_example(
    catalog: Catalog, project: str, dataset: str, example: Example, *, actor: str, call: Call | None = None
) -> Added:
    """Add one example to the newest version; where it came from a call, remember what broke. Raises Conflict."""
    example = identified(example)

    def remember(connection: Any, ids: list[str]) -> None:
        if call is None or not example.must_pass:
            return
        now = clock.now_us()
        if regressions.note_broken(connection, project, example.id, dataset, call, actor=actor, at=now):
            details = {"dataset": dataset, "trace_id": call.trace_id, "broke": release_label(call)}
            audit.record(connection, project, actor, "regression.add", f"example:{example.id}", details)

    options = ImportOptions(append=True, note=f"added from {call.trace_id}" if call else "added")
    for attempt in range(_TRIES):
        try:
            done = import_examples(
                catalog, project, dataset, [example], options, actor=actor, about=_about, also=remember
            )
        except Conflict:
            if attempt == _TRIES - 1:
                raise
            continue
        return Added(version=done.version, example=example, created=done.created)
    raise AssertionError("the last try returns or raises")


def _about() -> dict[str, Any]:
    return {"file": None, "format": "added", "rows": 1, "left_out": {}}


def _check(given: Expectation) -> None:
    texts = {
        "expected": [given.expected or ""],
        "contains": given.contains,
        "lacks": given.lacks,
        "sources": given.sources,
    }
    for name, values in texts.items():
        if len(values) > _MOST_CHECKS:
            raise InvalidRequest(f"`{name}` has more than {_MOST_CHECKS} texts.", param=name)
        for value in values:
            check_text(value, param=name, longest=LONGEST_EXPECTED, required=name != "expected")
    if len(given.expect) > _MOST_CHECKS:
        raise InvalidRequest(f"`expect` has more than {_MOST_CHECKS} checks.", param="expect")
    for check in given.expect:
        if not isinstance(check.get("kind"), str):
            raise InvalidRequest("A check names no scorer.", remedy='Send {"kind": "contains", ...}.', param="expect")
