"""What programs sent, as names and values: whatever they sent."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from rondo.console import named_values as named
from rondo.console.named_values import NamedValues, events, named_values, params


def test_values_are_texts_with_their_own_lines() -> None:
    assert named_values('{"a": "x\\ny", "b": {"c": [1]}, "d": null}', "Attributes") == [
        NamedValues("Attributes", [("a", "x\ny"), ("b", '{\n  "c": [\n    1\n  ]\n}'), ("d", "null")])
    ]
    for nothing in ("", "{}", "[]", "null"):
        assert named_values(nothing, "Attributes") == events(nothing) == params(nothing) == []


def test_events_stand_each_under_its_name() -> None:
    told = '[{"name": "exception", "at": 5, "attributes": {"m": "no"}}, {"name": "done", "attributes": {}}, 7]'
    assert events(told) == [
        NamedValues("event exception", [("m", "no")]),
        NamedValues("event done", []),
        NamedValues("event", [("", "7")]),
    ]


def test_params_of_a_traced_call() -> None:
    told = (
        '{"seed": 7, "otlp": {"name": "n", "attributes": {"a": 1}, "resource": {"r": "s"}, "events": [{"name": "e"}]}}'
    )
    assert [each.title for each in params(told)] == ["Params", "Attributes", "Resource", "event e"]
    assert params('{"seed": 7}') == [NamedValues("Params", [("seed", "7")])]


def test_what_is_long_is_cut() -> None:
    (long,) = named_values('{"a": "' + "x" * 30_000 + '", "b": 1}', "Attributes")
    assert len(long.pairs[0][1]) < named._LONGEST + 100
    assert "the API has it whole" in long.pairs[0][1]
    assert long.pairs[1][0] == "…"


NAMES = st.sampled_from(["otlp", "attributes", "events", "name", "x"])


NESTED = st.recursive(
    st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=8
)


@given(st.text(max_size=40) | NESTED.map(json.dumps))
def test_nothing_that_was_sent_breaks_a_page(text: str) -> None:
    for read in (events, params, lambda each: named_values(each, "t")):
        assert all(isinstance(value, str) for each in read(text) for pair in each.pairs for value in pair)
