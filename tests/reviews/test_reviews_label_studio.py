"""To Label Studio and back: the configuration, the tasks, and annotations that may be anything."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from review_makers import RUBRIC, declare, get, make_item, queue_up
from rondo.catalog.engine import Catalog, open_catalog, sqlite_url
from rondo.errors import InvalidRequest
from rondo.evals.judges.model import Criterion
from rondo.governance import audit
from rondo.reviews import importing, store
from rondo.reviews.label_studio import configuration, conversation, predictions, read_annotations, task
from rondo.reviews.model import Item

HOSTILE = 'Is "it" <b>good</b> & $cheap?\x0b\n'


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    opened = open_catalog(sqlite_url(tmp_path / "catalog.db"))
    declare(opened)
    return opened


def test_the_configuration_is_xml_with_a_control_for_each_criterion() -> None:
    rubric = [
        *RUBRIC,
        Criterion(name="percent", question="How much?", lowest=0, highest=100),
        Criterion(name="hostile", question=HOSTILE, anchors={"1": HOSTILE}),
    ]
    text = configuration(rubric)
    root = ET.fromstring(text)
    assert root.tag == "View"
    objects = {each.get("name"): each for each in root.iter() if each.get("value", "").startswith("$")}
    assert {each.get("value") for each in objects.values()} == {"$conversation", "$passages", "$answer"}
    controls = {each.get("name"): each for each in root.iter() if each.get("toName")}
    assert set(controls) == {"accuracy", "tone", "percent", "hostile", "Expected", "Comment"}
    assert {each.get("toName") for each in controls.values()} == {"Answer"}
    assert [each.get("value") for each in controls["accuracy"]] == ["1", "2", "3", "4", "5"]
    assert controls["accuracy"][4].get("hint") == "right"
    assert [each.get("value") for each in controls["tone"]] == ["0", "1"]
    assert (controls["percent"].tag, controls["percent"].get("min"), controls["percent"].get("max")) == (
        "Number",
        "0",
        "100",
    )
    headers = [each.get("value") for each in root.iter("Header")]
    assert 'hostile: Is "it" <b>good</b> & ＄cheap?\n' in headers
    assert not any("$" in str(value) for value in headers), "a dollar sign would be a field of the task"
    with pytest.raises(InvalidRequest):
        configuration([])


def test_a_task_has_what_the_configuration_shows() -> None:
    item = make_item()
    call = {"app": "bot", "release": 3, "question": "q?", "answer": "a"}
    chunks = [{"number": 1, "title": "Returns", "source": "r.md", "text": "30 days"}]
    talk = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": [{"type": "text", "text": "q?"}]}]
    given_ = {"chunks": json.dumps(chunks), "input": json.dumps(talk)}
    made = task(
        item, call, given_, {"quality.accuracy": 0.75, "quality.tone": 1.0, "other.accuracy": 0.0, "quality": 0.5}
    )
    data = made["data"]
    assert (data["review"], data["trace_id"], data["answer"], data["release"]) == (item.id, item.trace_id, "a", 3)
    assert data["conversation"] == [{"author": "system", "text": "Be kind."}, {"author": "user", "text": "q?"}]
    assert data["passages"] == [{"author": "[1] Returns", "text": "30 days"}]
    judged = {each["model_version"]: each["result"] for each in made["predictions"]}
    assert judged["quality"] == [
        {"from_name": "accuracy", "to_name": "Answer", "type": "choices", "value": {"choices": ["4"]}},
        {"from_name": "tone", "to_name": "Answer", "type": "choices", "value": {"choices": ["1"]}},
    ]
    assert judged["other"][0]["value"] == {"choices": ["1"]}
    bare = task(item, {}, {}, {})
    assert "predictions" not in bare
    assert bare["data"]["passages"], "an empty list would not be shown"


@pytest.mark.parametrize("text", [None, "", "no json", "[1, 2]", '{"a": 1}', "null", "[" * 100_000])
def test_a_conversation_that_cannot_be_read_is_the_question(text: str | None) -> None:
    assert conversation(text, "q?") == [{"author": "user", "text": "q?"}]


def test_predictions_know_long_scales() -> None:
    long = [Criterion(name="percent", question="?", lowest=0, highest=100)]
    (made,) = predictions(long, {"j.percent": 0.423, "j.other": 0.1})
    assert made["result"][0]["value"] == {"number": 42}
    assert predictions(long, {"j.percent": 1.7}) == []
    dotted = [Criterion(name="tone.of-voice", question="?")]
    (made,) = predictions(dotted, {"j.tone.of-voice": 0.0, "j.voice": 1.0})
    assert (made["model_version"], made["result"][0]["value"]) == ("j", {"choices": ["1"]})


def annotation(by: Any = 1, at: str = "2026-11-21T10:00:00Z", **scores: Any) -> dict[str, Any]:
    """As Label Studio exports it: choices, and what is given besides as it is."""
    results = [
        value
        if isinstance(value, dict)
        else {"from_name": name, "to_name": "Answer", "type": "choices", "value": {"choices": [str(value)]}}
        for name, value in scores.items()
    ]
    return {"id": 7, "completed_by": by, "result": results, "was_cancelled": False, "created_at": at}


def file(*tasks: tuple[Item | str, list[Any]]) -> bytes:
    exported = [
        {"id": number, "data": {"review": item if isinstance(item, str) else item.id}, "annotations": annotations}
        for number, (item, annotations) in enumerate(tasks)
    ]
    return json.dumps(exported).encode()


def test_two_annotators_are_two_reviewers(catalog: Catalog) -> None:
    item, apart = make_item(), make_item()
    queue_up(catalog, item, apart)
    text = {"from_name": "Expected", "to_name": "Answer", "type": "textarea", "value": {"text": ["Say", "this."]}}
    words = {"from_name": "Comment", "to_name": "Answer", "type": "textarea", "value": {"text": "odd"}}
    rated = {"from_name": "accuracy", "type": "rating", "value": {"rating": 5}}
    number = {"from_name": "tone", "type": "number", "value": {"number": 1.0}}
    content = file(
        (
            item,
            [
                annotation({"id": 3, "email": "anna@x.org"}, accuracy=rated, tone=number),
                annotation(4, accuracy=4, a=text, b=words),
            ],
        ),
        (apart, [annotation(3, accuracy=5), annotation(4, accuracy=1)]),
    )
    names = {"anna@x.org": "anna", "3": "anna"}
    taken = importing.take(catalog, "p", content, reviewers=names, actor="lead")
    assert (taken.answers, taken.done, taken.disputed, taken.failed, taken.skipped) == (4, 1, 1, 0, 0)
    assert get(catalog, item).status == "done"
    assert get(catalog, apart).status == "disputed"
    with catalog.read() as connection:
        said = {each.reviewer: each for each in store.answers_of(connection, "p", [item.id])[item.id]}
        entry = audit.entries(connection, "p", limit=1)[0]
    assert said["anna"].scores == {"accuracy": 5, "tone": 1}
    assert (said["label-studio:4"].expected, said["label-studio:4"].comment) == ("Say\nthis.", "odd")
    assert (entry.action, entry.actor, entry.details["reviewers"]) == ("review.import", "lead", names)
    again = importing.take(catalog, "p", content, reviewers=names, actor="lead")
    assert (again.answers, again.unchanged, again.failed) == (0, 4, 0)


def test_what_cannot_be_used_is_named_and_the_rest_is_taken(catalog: Catalog) -> None:
    item, done = make_item(), make_item(status="done")
    queue_up(catalog, item, done)
    twice = {"from_name": "accuracy", "value": {"choices": ["2"]}}
    two = {"from_name": "accuracy", "value": {"choices": ["2", "3"]}}
    other = {"from_name": "mood", "type": "labels", "value": {"labels": ["x"]}}
    wrong: list[Any] = [
        annotation(1, accuracy=9),
        annotation(2, accuracy="good"),
        annotation(3, accuracy=two),
        annotation(4, accuracy=3, again=twice),
        annotation(5, manners=3),
        annotation(6),
        annotation(None, accuracy=3),
        annotation(True, accuracy=3),
        {"completed_by": 8, "result": "none"},
        {"completed_by": 9, "result": [7]},
        "no annotation",
        annotation("a" * 200, accuracy=3),
        annotation(10, accuracy={"from_name": "accuracy", "value": {"number": 3.5}}),
        annotation(11, accuracy=3, text={"from_name": "Comment", "value": {"text": [3]}}),
    ]
    cancelled = {**annotation(12, accuracy=3), "was_cancelled": True}
    good = annotation(13, accuracy=3, other=other)
    content = json.dumps(
        [
            {"data": {"review": item.id}, "annotations": [*wrong, cancelled, good]},
            {"data": {"review": done.id}, "annotations": [annotation(1, accuracy=3)]},
            {"data": {"review": "review_none"}, "annotations": [annotation(1, accuracy=3)]},
            {"data": {"text": "not ours"}, "annotations": []},
            {"data": {"review": item.id}, "annotations": 7},
            {"data": {"review": item.id}},
            "no task",
            None,
        ]
    ).encode()
    taken = importing.take(catalog, "p", content, actor="lead")
    assert (taken.answers, taken.skipped, taken.failed) == (1, 1, len(wrong) + 6)
    assert taken.ignored == {"mood": 1}
    assert [each.where for each in taken.problems if "annotation" not in each.where] == [
        "task 4",
        "task 5",
        "task 7",
        "task 8",
    ]
    with catalog.read() as connection:
        assert [each.reviewer for each in store.answers_of(connection, "p", [item.id])[item.id]] == ["label-studio:13"]


def test_more_annotators_than_seats_the_first_ones_count(catalog: Catalog) -> None:
    item = make_item()
    queue_up(catalog, item)
    said = [annotation(number, f"2026-11-2{9 - number}T10:00:00Z", accuracy=4) for number in range(4)]
    taken = importing.take(catalog, "p", file((item, said)), actor="lead")
    assert (taken.answers, taken.failed) == (2, 2)
    with catalog.read() as connection:
        reviewers = {each.reviewer for each in store.answers_of(connection, "p", [item.id])[item.id]}
    assert reviewers == {"label-studio:3", "label-studio:2"}


def test_an_item_of_another_project_is_unknown(catalog: Catalog) -> None:
    declare(catalog, project="q")
    foreign = make_item(project="q")
    queue_up(catalog, foreign)
    taken = importing.take(catalog, "p", file((foreign, [annotation(1, accuracy=4)])), actor="lead")
    assert (taken.answers, taken.failed) == (0, 1)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff\xfe", b"[NaN]", b'{"a":', b"[" * 100_000, b"3", b'"x"', b"null"]
)
def test_what_is_no_export_is_refused_whole(content: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_annotations(content)


@pytest.mark.parametrize("name", ["", " ", "n" * 101, "a\x00b"])
def test_a_reviewer_must_have_a_name(catalog: Catalog, name: str) -> None:
    with pytest.raises(InvalidRequest):
        importing.take(catalog, "p", b"[]", reviewers={"1": name}, actor="lead")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "review",
                    "annotations",
                    "result",
                    "value",
                    "choices",
                    "completed_by",
                    "from_name",
                    "text",
                    "x",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_nothing_in_a_file_breaks_the_reader(value: Any) -> None:
    content = json.dumps(
        [{"data": {"review": "r"}, "annotations": [value, {"completed_by": 1, "result": value}]}, value]
    )
    read = read_annotations(content.encode())
    assert len(read.found) + len(read.problems) + read.skipped >= 2
    for each in read.found:
        assert all(name not in ("Expected", "Comment") for name in each.scores)
