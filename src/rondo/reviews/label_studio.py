"""Reviews as Label Studio has them: a labelling configuration, tasks, and the annotations that come back. Pure.

The formats are those of Label Studio's documentation: the tags at https://labelstud.io/tags, tasks and annotations at
https://labelstud.io/guide/task_format, predictions at https://labelstud.io/guide/predictions. Each criterion is a
`Choices` (a `Number` where its scale is long); the names of our own tags begin with a capital letter, which no
criterion's does. What comes back was made elsewhere: nothing in it is believed before it has been looked at.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import msgspec
from msgspec import Struct

from rondo.datasets.model import text_of
from rondo.errors import InvalidRequest
from rondo.evals.judges.model import Criterion
from rondo.reviews.model import Item

LONGEST_CHOICES = 11
"""Scores of a scale that is still shown as choices."""

_OURS = ("Expected", "Comment")


class Annotation(Struct, frozen=True, kw_only=True):
    """What one annotator said of one item. `where` says which one it is in the file; `annotators` is how they may be
    called: their e-mail address, their number."""

    where: str
    item: str
    annotators: list[str]
    at: str
    scores: dict[str, object]
    comment: str
    expected: str | None


class Unusable(Struct, frozen=True):
    """What could not be used, and why."""

    where: str
    message: str


class Annotations(Struct, frozen=True, kw_only=True):
    """A file's annotations in the order in which they were made; `skipped` were cancelled by their annotators.

    `ignored` counts results of controls that are none of ours, by name.
    """

    found: list[Annotation]
    problems: list[Unusable]
    skipped: int
    ignored: dict[str, int]


def configuration(rubric: Sequence[Criterion]) -> str:
    """The labelling configuration for tasks of this rubric, as XML. Raises InvalidRequest where there is none."""
    if not rubric:
        raise InvalidRequest("No item matches, so there is no rubric.", remedy="Widen the filters.")
    lines = [
        "<View>",
        "  <Style>.htx-text { white-space: pre-wrap; }</Style>",
        '  <Header value="Conversation" size="4"/>',
        '  <Paragraphs name="Conversation" value="$conversation" layout="dialogue" nameKey="author" textKey="text"/>',
        '  <Header value="Passages" size="4"/>',
        '  <Paragraphs name="Passages" value="$passages" layout="dialogue" nameKey="author" textKey="text"/>',
        '  <Header value="Answer" size="4"/>',
        '  <Text name="Answer" value="$answer"/>',
    ]
    for each in rubric:
        lines.append(f'  <Header value={_attribute(f"{each.name}: {each.question}")} size="5"/>')
        lines += _control(each)
    lines += [
        '  <Header value="What should it have said?" size="5"/>',
        '  <TextArea name="Expected" toName="Answer" rows="4" maxSubmissions="1" editable="true"/>',
        '  <Header value="Comment" size="5"/>',
        '  <TextArea name="Comment" toName="Answer" rows="2" maxSubmissions="1" editable="true"/>',
        "</View>",
    ]
    return "\n".join(lines) + "\n"


def _control(criterion: Criterion) -> Iterator[str]:
    if len(criterion.scale) > LONGEST_CHOICES:
        yield (
            f'  <Number name={_attribute(criterion.name)} toName="Answer"'
            f' min="{criterion.lowest}" max="{criterion.highest}" step="1"/>'
        )
        return
    yield f'  <Choices name={_attribute(criterion.name)} toName="Answer" choice="single" showInline="true">'
    for score in criterion.scale:
        anchor = criterion.anchors.get(str(score))
        hint = f" hint={_attribute(anchor)}" if anchor else ""
        yield f'    <Choice value="{score}"{hint}/>'
    yield "  </Choices>"


def _attribute(text: str) -> str:
    """A value of XML. A dollar sign would begin the name of a field of the task, so it becomes one that does not."""
    clean = "".join(each for each in text if each.isprintable() or each == "\n")
    return quoteattr(clean.replace("$", "\N{FULLWIDTH DOLLAR SIGN}"))


def task(item: Item, call: Mapping[str, Any], given: Mapping[str, Any], judged: Mapping[str, float]) -> dict[str, Any]:
    """One task. `call` and `given` are rows of `texts.py`; `judged`, judges' scores by name, are predictions."""
    answer = str(call.get("answer") or "")
    passages = [
        {"author": f"[{chunk.get('number')}] {chunk.get('title') or chunk.get('source')}", "text": chunk.get("text")}
        for chunk in read_list(given.get("chunks"))
    ]
    data = {
        "review": item.id,
        "trace_id": item.trace_id,
        "app": call.get("app") or "",
        "release": call.get("release"),
        "conversation": conversation(given.get("input"), str(call.get("question") or "")),
        "passages": passages or [{"author": "", "text": "(none)"}],
        "answer": answer,
    }
    found = predictions(item.rubric, judged)
    return {"data": data, "predictions": found} if found else {"data": data}


def conversation(text: Any, question: str) -> list[dict[str, str]]:
    """The messages of a call's input, as {"author", "text"}; the bare question where they cannot be read."""
    lines = []
    for message in read_list(text):
        rest = {name: message[name] for name in message if name not in ("role", "content")}
        said = text_of(message) or (json.dumps(rest, ensure_ascii=False) if rest else "")
        lines.append({"author": str(message.get("role", "message")), "text": said})
    return lines or [{"author": "user", "text": question}]


def read_list(text: Any) -> list[dict[str, Any]]:
    """The objects of a JSON list that is kept as text; what cannot be read has none."""
    try:
        found = json.loads(text) if isinstance(text, str) and text else []
    except (ValueError, RecursionError):
        return []
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def predictions(rubric: Sequence[Criterion], judged: Mapping[str, float]) -> list[dict[str, Any]]:
    """Scores of judges (`quality.accuracy`, as shares of the scale), one prediction for each judge."""
    results: dict[str, list[dict[str, Any]]] = {}
    for name, share in judged.items():
        criterion = next((each for each in rubric if f".{name}".endswith(f".{each.name}")), None)
        if criterion is None or not 0 <= share <= 1:
            continue
        judge = name.removesuffix(criterion.name).rstrip(".") or criterion.name
        score = round(criterion.lowest + share * (criterion.highest - criterion.lowest))
        value: dict[str, Any] = {"choices": [str(score)]}
        if len(criterion.scale) > LONGEST_CHOICES:
            value = {"number": score}
        kind = next(iter(value))
        results.setdefault(judge, []).append(
            {"from_name": criterion.name, "to_name": "Answer", "type": kind, "value": value}
        )
    return [{"model_version": judge, "result": found} for judge, found in results.items()]


def read_annotations(content: bytes) -> Annotations:
    """The annotations of a JSON export. Raises InvalidRequest where the file is none; problems in it are told apart."""
    try:
        tasks = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"The file is not JSON: {error}.", remedy="Export from Label Studio as JSON.") from None
    if not isinstance(tasks, list):
        raise InvalidRequest(
            "The file is no list of tasks.", remedy="Export from Label Studio as JSON, not as JSON-MIN or CSV."
        )
    found: list[Annotation] = []
    problems: list[Unusable] = []
    ignored: Counter[str] = Counter()
    skipped = 0
    for place, each in enumerate(tasks, 1):
        where = f"task {place}"
        try:
            item, annotations = _task(each)
        except InvalidRequest as error:
            problems.append(Unusable(where, str(error)))
            continue
        for number, annotation in enumerate(annotations, 1):
            spot = f"{where}, annotation {number}"
            try:
                if not isinstance(annotation, dict):
                    raise InvalidRequest("It is no object.")
                if annotation.get("was_cancelled"):
                    skipped += 1
                    continue
                found.append(_annotation(spot, item, annotation, ignored))
            except InvalidRequest as error:
                problems.append(Unusable(spot, str(error)))
    found.sort(key=lambda each: each.at)
    return Annotations(found=found, problems=problems, skipped=skipped, ignored=dict(ignored))


def _task(task: Any) -> tuple[str, list[Any]]:
    data = task.get("data") if isinstance(task, dict) else None
    item = data.get("review") if isinstance(data, dict) else None
    if not isinstance(item, str) or not item:
        raise InvalidRequest("It has no `data.review`.", remedy="Import only tasks that came from Rondo.")
    annotations = task.get("annotations", task.get("completions", []))
    if not isinstance(annotations, list):
        raise InvalidRequest("Its `annotations` are no list.", remedy="Export from Label Studio as JSON.")
    return item, annotations


def _annotation(where: str, item: str, said: dict[str, Any], ignored: Counter[str]) -> Annotation:
    results = said.get("result")
    if not isinstance(results, list):
        raise InvalidRequest("Its `result` is no list.")
    scores: dict[str, object] = {}
    texts: dict[str, str] = {}
    for result in results:
        if not isinstance(result, dict) or not isinstance(result.get("value"), dict):
            raise InvalidRequest("A result has no value.")
        name, value = result.get("from_name"), result["value"]
        if not isinstance(name, str) or name in scores or name in texts:
            raise InvalidRequest(f"The control {name!r:.80} has no name, or stands twice.")
        if name in _OURS:
            texts[name] = _text(name, value)
        elif any(kind in value for kind in ("choices", "number", "rating")):
            scores[name] = _score(name, value)
        else:
            ignored[name[:80]] += 1
    return Annotation(
        where=where,
        item=item,
        annotators=_annotators(said.get("completed_by")),
        at=str(said.get("created_at") or ""),
        scores=scores,
        comment=texts.get("Comment", ""),
        expected=texts.get("Expected"),
    )


def _annotators(completed_by: Any) -> list[str]:
    named = completed_by if isinstance(completed_by, dict) else {"id": completed_by}
    names = [named.get("email"), named.get("id")]
    found = [str(name) for name in names if isinstance(name, str | int) and not isinstance(name, bool) and name != ""]
    if not found:
        raise InvalidRequest("Nobody is named in its `completed_by`.", remedy="Export from Label Studio as JSON.")
    return found


def _score(name: str, value: dict[str, Any]) -> object:
    """The whole number in a value; what is none is left as it is, for the rubric to refuse."""
    said = value.get("choices", value.get("number", value.get("rating")))
    if isinstance(said, list):
        if len(said) != 1:
            raise InvalidRequest(f"{name!r:.80} has {len(said)} choices.", remedy="A criterion has one score.")
        said = said[0]
    if isinstance(said, str) and said.isascii() and said.isdigit() and len(said) < 4:
        return int(said)
    return int(said) if isinstance(said, float) and said.is_integer() and abs(said) < 1_000 else said


def _text(name: str, value: dict[str, Any]) -> str:
    said = value.get("text")
    parts = said if isinstance(said, list) else [said]
    lines = [part for part in parts if isinstance(part, str)]
    if len(lines) < len(parts):
        raise InvalidRequest(f"{name} is no text.")
    return "\n".join(lines)
