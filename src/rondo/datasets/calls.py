"""Recorded calls as examples: what was asked, without what was answered, unless the answer is said to be right.

What is asked is scrubbed by default: records may hold what guards let pass.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from rondo.catalog.engine import Catalog
from rondo.datasets.conversation import is_conversation, messages_of
from rondo.datasets.formats.rows import Problem
from rondo.datasets.importing import Imported, ImportOptions, import_examples
from rondo.datasets.model import Example, Provenance
from rondo.errors import InvalidRequest
from rondo.records import Call
from rondo.store.base import RecordStore
from rondo.traces.filter import CallFilter
from rondo.traces.search import export_calls

MOST_CALLS = 100_000
_PARAMS = ("tools", "tool_choice", "response_format")
_LONGEST_TAG = 200


class _Recorded(msgspec.Struct):
    """What an exported call must tell."""

    trace_id: str
    wire: str
    status: int
    error_code: str | None = None
    app: str | None = None
    release: int | None = None
    session: str | None = None
    tags: dict[str, str | None] | None = None
    question: str | None = None
    answer: str | None = None
    input: str | None = None
    inputs: str | None = None
    params: str | None = None


_decode = msgspec.json.Decoder(_Recorded).decode


def import_calls(
    catalog: Catalog,
    records: RecordStore,
    project: str,
    dataset: str,
    *,
    chosen: CallFilter,
    options: ImportOptions,
    actor: str,
    limit: int = 10_000,
    answers_are_right: bool = False,
) -> Imported:
    """The newest calls that match, as a version of a dataset; copies for shadows and evaluations are left out.

    Raises InvalidRequest (no call matches), Unavailable, and what `import_file` does.
    """
    if not 1 <= limit <= MOST_CALLS:
        raise InvalidRequest(f"`limit` must be between 1 and {MOST_CALLS:,}, not {limit}.", param="limit")
    if chosen.arm is None:
        chosen = structs.replace(chosen, arm="live")
    left_out: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="rondo-calls-") as folder:
        file = Path(folder) / "calls.jsonl"
        matching = export_calls(records, project, chosen, "jsonl", file)
        if not matching:
            raise InvalidRequest(
                "No call matches.", remedy="`rondo calls list` shows what filters find.", param="calls"
            )

        def about() -> dict[str, Any]:
            return {"file": None, "format": "calls", "rows": matching, "left_out": dict(left_out.most_common())}

        examples = _examples(file, left_out, limit=limit, answers_are_right=answers_are_right)
        return import_examples(catalog, project, dataset, examples, options, actor=actor, about=about)


def example_of_call(call: Call | _Recorded, *, answer_is_right: bool = False, by: str = "") -> Example | None:
    """The example that a call asks; None where it asks nothing in words (embeddings, an unreadable input)."""
    messages = _messages(call)
    if not messages:
        return None
    tags = {name: value[:_LONGEST_TAG] for name, value in (call.tags or {}).items() if value}
    answer = call.answer or None
    return Example(
        messages=messages,
        expected=answer if answer_is_right else None,
        inputs=_object(call.inputs),
        params={name: value for name, value in _object(call.params).items() if name in _PARAMS},
        tags=tags,
        group=call.session,
        metadata={} if answer is None or answer_is_right else {"answered": answer},
        provenance=Provenance(kind="call", source=by or release_label(call) or "", trace_id=call.trace_id),
    )


def release_label(call: Call | _Recorded) -> str | None:
    """`support-bot#7`; None where no release answered."""
    return f"{call.app}#{call.release}" if call.app and call.release is not None else None


def _examples(
    file: Path, left_out: Counter[str], *, limit: int, answers_are_right: bool
) -> Iterator[Example | Problem]:
    newest: deque[bytes] = deque(maxlen=limit)
    with file.open("rb") as lines:
        for line in lines:
            if len(newest) == limit:
                left_out["older_than_the_limit"] += 1
            newest.append(line)
    while newest:
        try:
            call = _decode(newest.popleft())
        except msgspec.DecodeError as error:
            yield Problem(f"A recorded call cannot be read: {error}.")
            continue
        if answers_are_right and (call.status >= 400 or not call.answer):
            left_out["without_an_answer"] += 1
            continue
        example = example_of_call(call, answer_is_right=answers_are_right)
        if example is None:
            left_out["without_a_question"] += 1
        else:
            yield example


def _messages(call: Call | _Recorded) -> list[dict[str, Any]] | None:
    if call.wire == "embeddings":
        return None
    try:
        given = json.loads(call.input or "null")
    except (ValueError, RecursionError):
        given = None
    messages = messages_of(given) if is_conversation(given) or isinstance(given, str) else None
    return messages or (messages_of(call.question) if call.question else None)


def _object(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
