"""Why this answer? One trace, gathered into its whole story: release, prompt, passages, attempts, answer, judgements.

Who made and approved the release is known a floor above; the doors pass it in as `ReleaseFacts`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
from msgspec import Struct

from rondo.records import Call, Chunk, Score, Span
from rondo.store.base import RecordStore
from rondo.traces.search import get_calls

_CITATIONS = re.compile(r"\[(\d{1,4}(?:\s*,\s*\d{1,4})*)\]")


class GateFacts(Struct, frozen=True, kw_only=True):
    """How a release came through its gate: by passing evidence, or by a person's exception and their reason."""

    decision: str
    is_exception: bool
    verdict: str
    reason: str
    by: str
    at: int


class ReleaseFacts(Struct, frozen=True, kw_only=True):
    """What is known of a release: who made it, from what, and who let it serve. `gate` is None where it needed none."""

    app: str
    number: int
    hash: str
    created_by: str
    created_at: int
    message: str = ""
    promoted_by: str | None = None
    promoted_at: int | None = None
    gate: GateFacts | None = None
    prompt_source: str | None = None


class Passage(Struct, frozen=True):
    """A chunk that was put before the model, and whether the answer cites it as [number]."""

    chunk: Chunk
    cited: bool


class Step(Struct, frozen=True):
    """A span in its place: `depth` in the tree of its call, `offset_ms` after the call began."""

    span: Span
    depth: int
    offset_ms: float


class Story(Struct, frozen=True, kw_only=True):
    """One answer. `call` is the trace's first, `others` the rest of them; `attempts` are its tries at a model.

    `release` is None where the call had none or nothing is known of it. `release_intact` tells whether the release
    still has the hash that the call was answered under: False means that one of the two was altered.
    """

    trace_id: str
    call: Call
    others: list[Call]
    release: ReleaseFacts | None
    release_intact: bool | None
    passages: list[Passage]
    steps: list[Step]
    attempts: list[Span]
    scores: list[Score]
    tokens: int | None
    failed: bool


def story(
    store: RecordStore, project: str, trace_id: str, release_facts: Callable[[str, int], ReleaseFacts | None]
) -> Story:
    """The story of a trace; `release_facts(app, number)` tells of its release. Raises NotFound, InvalidRequest."""
    call, *others = get_calls(store, project, trace_id)
    release = release_facts(call.app, call.release) if call.app is not None and call.release is not None else None
    rows = store.query("scores_by_trace", {"project": project, "trace_id": trace_id})
    cited = citations(call.answer)
    return Story(
        trace_id=trace_id,
        call=call,
        others=others,
        release=release,
        release_intact=release.hash == call.release_hash if release and call.release_hash else None,
        passages=[Passage(chunk, chunk.number in cited) for chunk in call.chunks],
        steps=_steps(call),
        attempts=[span for span in call.spans if span.kind == "model"],
        scores=msgspec.convert(rows, list[Score]),
        tokens=_tokens(call),
        failed=call.status >= 400 or call.error_code is not None,
    )


def citations(answer: str) -> set[int]:
    """The numbers an answer cites, as in `[1]` or `[2, 3]`."""
    return {int(number) for group in _CITATIONS.findall(answer) for number in group.split(",")}


def _steps(call: Call) -> list[Step]:
    """The spans as a tree, in order of time; those whose parent is not among them stand at the root."""
    ids = {span.span_id for span in call.spans}
    children: dict[str | None, list[Span]] = {}
    for span in sorted(call.spans, key=lambda span: span.started_at):
        parent = span.parent_span_id if span.parent_span_id in ids else None
        children.setdefault(parent, []).append(span)
    steps: list[Step] = []
    stack = [(span, 0) for span in reversed(children.pop(None, []))]
    while stack:
        span, depth = stack.pop()
        steps.append(Step(span, depth, (span.started_at - call.started_at) / 1000))
        stack += [(child, depth + 1) for child in reversed(children.pop(span.span_id, []))]
    for circle in children.values():  # spans that name each other as parents
        steps += [Step(span, 0, (span.started_at - call.started_at) / 1000) for span in circle]
    return steps


def _tokens(call: Call) -> int | None:
    buckets = (
        call.input_tokens,
        call.cache_read_tokens,
        call.cache_write_tokens,
        call.output_tokens,
        call.reasoning_tokens,
    )
    known = [bucket for bucket in buckets if bucket is not None]
    return sum(known) if known else None
