"""Label Studio's JSON: tasks with annotations (JSON), or one flat object an annotation (JSON-MIN). Pure.

A task's `data` are the columns. Of its annotations the ground truth counts, else what most annotators said; where they
differ without a majority, nothing is expected, and the task says so by a tag. Each labelled field becomes `expected`
where it is the only one or has a name like it, and `metadata` besides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rondo.catalog.text import canonical_json
from rondo.datasets.fields import EXPECTED, Unfit
from rondo.datasets.formats.openai import first_text
from rondo.datasets.model import Example, text_of

_VALUES = ("text", "choices", "rating", "number", "datetime", "taxonomy", "labels", "ranker")
DISAGREED = "annotators"
"""The tag of tasks whose annotators differ."""


def is_tasks(document: Any) -> bool:
    """Whether a JSON document is an export of tasks."""
    return (
        isinstance(document, list)
        and bool(document)
        and all(isinstance(each, dict) for each in document[:10])
        and (
            all(isinstance(each.get("data"), dict) for each in document[:10])
            or all("annotation_id" in each for each in document[:10])
        )
    )


def columns_of(task: Mapping[str, Any]) -> dict[str, Any]:
    """A task as a row of columns. Raises Unfit."""
    data = task.get("data")
    if not isinstance(data, dict):
        if "annotation_id" in task:
            return dict(task)
        raise Unfit("`data` is missing, or no object.", "data")
    row = {name: value for name, value in data.items() if value is not None}
    labels, disagreed = _agreed(task)
    expected = next((name for name in labels if name in EXPECTED), next(iter(labels)) if len(labels) == 1 else None)
    if expected is not None:
        row["expected"] = labels[expected]
    rest = {name: value for name, value in labels.items() if name != expected}
    if rest:
        row["labels"] = rest
    if disagreed:
        row["tags"] = {**_tags(row.get("tags")), DISAGREED: "disagree"}
        row["annotations"] = disagreed
    row.setdefault("id", task.get("id"))
    if task.get("meta"):
        row["meta"] = task["meta"]
    return row


def to_tasks(examples: Iterable[Example]) -> Iterator[dict[str, Any]]:
    """Examples as tasks to import there, with what is expected as a prediction."""
    for example in examples:
        data = {
            "question": example.question,
            "conversation": [{"role": str(each.get("role")), "content": text_of(each)} for each in example.messages],
            "example_id": example.id,
            "tags": example.tags,
        }
        task: dict[str, Any] = {"data": data}
        if example.expected is not None:
            data["expected"] = first_text(example.expected)
            value = {"text": [data["expected"]]}
            result = {"from_name": "expected", "to_name": "question", "type": "textarea", "value": value}
            task["predictions"] = [{"model_version": "dataset", "result": [result]}]
        yield task


def _agreed(task: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the annotations say, by field; and all of them where they differ."""
    annotations = task.get("annotations") or []
    if not isinstance(annotations, list) or not all(isinstance(each, dict) for each in annotations):
        raise Unfit("`annotations` is no list of objects.", "annotations")
    counted = [each for each in annotations if not each.get("was_cancelled")]
    truth = [each for each in counted if each.get("ground_truth")]
    said = [_labels(each) for each in (truth or counted)]
    names = dict.fromkeys(name for each in said for name in each)
    labels: dict[str, Any] = {}
    differ = False
    for name in names:
        values = [each[name] for each in said if name in each]
        votes = Counter(canonical_json(value) for value in values)
        best, count = votes.most_common(1)[0]
        if count * 2 > len(values):
            labels[name] = next(value for value in values if canonical_json(value) == best)
        differ = differ or len(votes) > 1
    return labels, said if differ else []


def _labels(annotation: Mapping[str, Any]) -> dict[str, Any]:
    labels: dict[str, Any] = {}
    for result in annotation.get("result") or []:
        value = result.get("value") if isinstance(result, dict) else None
        if not isinstance(value, dict):
            continue
        kind = next((name for name in _VALUES if name in value), None)
        name = result.get("from_name")
        if kind is None or not isinstance(name, str):
            continue
        found = value[kind]
        if isinstance(found, list) and len(found) == 1:
            found = found[0]
        if kind == "labels":  # spans: what, and where
            found = {"labels": found, "start": value.get("start"), "end": value.get("end"), "text": value.get("text")}
            labels.setdefault(name, []).append(found)
        else:
            labels[name] = found
    return labels


def _tags(given: Any) -> dict[str, Any]:
    return given if isinstance(given, dict) else {}
