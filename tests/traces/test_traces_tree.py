"""Whole traces as trees: every span once, whatever parents they name, and every token counted once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.errors import InvalidRequest, NotFound
from rondo.traces import tree as trees
from rondo.traces.tree import MAX_ROWS, tree

TRACE = "0" * 31 + "1"


def row(span_id: str, parent: str | None = None, *, source: str = "span", **more: Any) -> dict[str, Any]:
    usual = {"name": span_id, "kind": "step", "started_at": 1_000, "duration_ms": 1.0, "failed": False, "error": None}
    unknown = dict.fromkeys(("model", "app", "user", "session", "service", "tokens", "cost_usd"))
    return {"source": source, "span_id": span_id, "parent_span_id": parent, **usual, **unknown, **more}


class Told:
    """A store that answers with these rows."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = list(rows)

    def query(self, name: str, params: dict[str, object], filters: object = None) -> list[dict[str, Any]]:
        assert name == "trace_rows"
        return [dict(each) for each in self.rows]


def shown(*rows: dict[str, Any], **page: int) -> trees.Tree:
    return tree(Told(*rows), "p", TRACE, **page)  # type: ignore[arg-type]


def test_spans_in_any_order_find_their_parents() -> None:
    found = shown(row("c", "b", started_at=3_000), row("a", started_at=1_000), row("b", "a", started_at=2_000))
    assert [(each.span_id, each.depth, each.below) for each in found.rows] == [("a", 0, 2), ("b", 1, 1), ("c", 2, 0)]
    assert found.rows[2].offset_ms == 2.0
    assert (found.started_at, found.duration_ms, found.spans) == (1_000, 3.0, 3)


def test_lost_parents_circles_and_ids_given_twice() -> None:
    rows = [row("a", "gone"), row("x", "y"), row("y", "x"), row("self", "self"), row("a"), row("child", "a")]
    found = shown(*rows)
    assert sorted(each.span_id for each in found.rows) == sorted(each["span_id"] for each in rows)


def test_a_call_told_twice_counts_once() -> None:
    outer = row("sdk", source="call", kind="traced", tokens=10, cost_usd=1.0)
    inner = row("live", "between", source="call", kind="live", tokens=10, cost_usd=0.5)
    copy = row("copy", source="call", kind="shadow", tokens=10, cost_usd=9.0)
    found = shown(outer, row("between", "sdk"), inner, copy)
    assert (found.calls, found.tokens, found.cost_usd) == (1, 10, 0.5)
    assert shown(row("a")).cost_usd is None


def test_who_asked_is_known_from_any_span() -> None:
    found = shown(row("a"), row("b", "a", user="u1"), row("c", "a", user="u2", session="s"))
    assert (found.user, found.session, found.app) == ("u1", "s", None)


def test_pages() -> None:
    rows = [row(f"{number:04}", "root") for number in range(30)]
    pages = [shown(row("root"), *rows, offset=offset, limit=10).rows for offset in (0, 10, 20, 30, 40)]
    assert [len(page) for page in pages] == [10, 10, 10, 1, 0]
    assert len({each.span_id for page in pages for each in page}) == 31
    for wrong in ({"limit": 0}, {"limit": 5_000}, {"offset": -1}, {"offset": MAX_ROWS + 1}):
        with pytest.raises(InvalidRequest):
            shown(row("a"), **wrong)
    with pytest.raises(NotFound):
        shown()


def test_a_chain_of_thousands_is_no_trouble() -> None:
    chain = [row(f"{number:05}", f"{number - 1:05}") for number in range(MAX_ROWS)]
    found = shown(*chain)
    assert (found.rows[0].below, found.rows[999].depth) == (MAX_ROWS - 1, 999)


@given(st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(0, 12)), min_size=1, max_size=25))
def test_every_span_is_shown_once(links: list[tuple[int, int | None]]) -> None:
    rows = [
        row(str(span), None if parent is None else str(parent), service=str(at))
        for at, (span, parent) in enumerate(links)
    ]
    found = shown(*rows).rows
    assert sorted(each.service or "" for each in found) == sorted(str(at) for at in range(len(links)))
    for at, each in enumerate(found):
        below = found[at + 1 : at + 1 + each.below]
        assert all(one.depth > each.depth for one in below)
        after = found[at + 1 + each.below : at + 2 + each.below]
        assert all(one.depth <= each.depth for one in after)
