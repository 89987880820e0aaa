"""What every room speaks: a Call, its Spans, Scores, and the TraceSpans and CallMessages of other programs.

They are written once, to the journal, as JSON, and never changed (but for the texts of a traced call, which may come
after it: `CallMessage`). Field names here are the column names of the
record store. Times are microseconds since the epoch, durations milliseconds, money US dollars. `None` means
"not known", never zero.
"""

from __future__ import annotations

import json
import re
from enum import IntEnum
from typing import Any, Literal

import msgspec
from msgspec import Struct

from rondo import ids

Wire = Literal["chat", "responses", "messages", "completions", "embeddings", "answer", "otlp"]
"""The formats in which clients ask; `answer` is Rondo's own, `otlp` tells of a call that was made elsewhere."""

ScoreKind = Literal["user", "human", "judge", "code", "outcome"]


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens in disjoint buckets: `input` holds neither cache reads nor cache writes, `output` no reasoning."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        return self.input + self.cache_read + self.cache_write + self.output + self.reasoning


class Span(Struct, frozen=True, kw_only=True):
    """One step inside a call: a retrieval, a rendering, an attempt at a model.

    `kind` is one of `rule`, `retrieve`, `render`, `cache`, `model`, and `errand` (a question of a guard's, or of the
    cache's, to a model); `attributes` is a JSON object as text.
    """

    span_id: str
    parent_span_id: str
    name: str
    kind: str
    started_at: int
    duration_ms: float
    status: Literal["ok", "error"] = "ok"
    error: str | None = None
    attributes: str = "{}"


class Chunk(Struct, frozen=True, kw_only=True):
    """A passage that was put before the model. `number` is how the prompt and the answer cite it: [1], [2], ..."""

    number: int
    id: str
    source: str
    title: str
    heading: str
    text: str
    score: float


class Verdict(Struct, frozen=True, kw_only=True):
    """What a guard said of a text: never the text itself. `found` counts what was found, by kind."""

    guard: str
    stage: Literal["input", "output"]
    action: Literal["flag", "redact", "route", "block"]
    found: dict[str, int]
    note: str | None = None
    duration_ms: float = 0.0


class Call(Struct, frozen=True, kw_only=True):
    """One answered (or refused) request at the gateway: one wide, immutable row.

    `input`, `output` and `params` are JSON as the wire had them: the client's messages (or embedding input), the
    assistant's message (choices where there are several), and the request's other fields. `question` and `answer`
    are their plain text, for lists and search. `rendered` is the JSON of the messages the model really got, where
    an app's prompt made them. All of it is as guards left it.

    `arm` is `live`, `shadow` for a copy of `shadow_of` (a trace) whose answer nobody saw, `eval` for an evaluation's,
    or `traced` for a call that another program made and told of by OpenTelemetry. `rollout` is the rollout that the
    call is evidence for, `variant` its side there. `rule` is the condition that chose the models. `cache` tells by
    what a cached answer was found, `saved_usd` what it cost when it was made. `charged_usd` is what budgets were
    charged: the cost, or, where that stayed unknown, the most it can have been.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None = None
    project: str
    key_id: str
    wire: Wire
    started_at: int
    duration_ms: float
    first_token_ms: float | None = None
    status: int
    error_code: str | None = None
    error_message: str | None = None
    finish_reason: str | None = None
    stream: bool = False

    app: str | None = None
    release: int | None = None
    release_hash: str | None = None
    prompt: str | None = None
    prompt_version: str | None = None
    knowledge: str | None = None
    knowledge_version: str | None = None

    requested_model: str
    model: str | None = None
    provider: str | None = None
    served_model: str | None = None
    attempts: int = 0

    user: str | None = None
    session: str | None = None
    tags: dict[str, str] = {}

    question: str = ""
    answer: str = ""
    handed_over: bool | None = None
    input: str = ""
    output: str = ""
    params: str = "{}"
    inputs: str = "{}"
    rendered: str = ""
    chunks: list[Chunk] = []

    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    price_version: str | None = None

    arm: Literal["live", "shadow", "eval", "traced"] = "live"
    shadow_of: str | None = None
    rollout: str | None = None
    variant: Literal["candidate", "baseline"] | None = None
    rule: str | None = None
    guards: list[Verdict] = []
    cache: Literal["exact", "semantic"] | None = None
    saved_usd: float | None = None
    charged_usd: float | None = None

    spans: list[Span] = []

    @property
    def answer_id(self) -> str:
        """The id that the client's wire gives the answer: the trace's, unless the trace is the client's own."""
        return self.trace_id if self.parent_span_id is None else ids.answer_id(self.started_at, self.span_id)


class WrittenCall(Call, frozen=True, kw_only=True, omit_defaults=True):
    """A call as the gateway writes it: its JSON leaves out what it has none of, which the store puts back."""


class TraceSpan(Struct, frozen=True, kw_only=True):
    """A span that another program sent by OpenTelemetry, and that is no call of a model: one wide, immutable row.

    `kind` is `workflow`, `agent`, `tool`, `retrieval`, `rerank`, `embedding`, `guard`, `evaluation`, `prompt`, or
    `step` for whatever else. `user`, `session` and `tags` are those of its trace, as far as the span told them.
    `input` and `output` are what it was given and gave back, as text; `attributes`, `events` and `resource` are the
    rest, JSON as text. `service` is the resource's `service.name`.
    """

    project: str
    key_id: str
    trace_id: str
    span_id: str
    parent_span_id: str | None = None
    name: str
    kind: str
    service: str | None = None
    started_at: int
    duration_ms: float
    status: Literal["ok", "error"] = "ok"
    error: str | None = None
    app: str | None = None
    user: str | None = None
    session: str | None = None
    tags: dict[str, str] = {}
    input: str = ""
    output: str = ""
    attributes: str = "{}"
    events: str = "[]"
    resource: str = "{}"


class CallMessage(Struct, frozen=True, kw_only=True):
    """A message of a traced call that another program told apart from the call's span, by a log record.

    `message` is JSON as a Call's `input` has it, `text` its text, `role` who says it, `side` whether the model was
    given it or said it. Messages of a call are in the order of `told_at`, those of one log record in that of `number`.
    The same `id` written twice is one message. The store puts it into its call, and forgets it when
    another comes a day after it.
    """

    id: str
    project: str
    key_id: str
    trace_id: str
    span_id: str
    side: Literal["input", "output"]
    told_at: int
    number: int
    role: str
    text: str
    message: str
    received_at: int


class Score(Struct, frozen=True, kw_only=True):
    """A judgement of a trace. The same `id` written twice is one score: the later one stands.

    Exactly one of `value` (number; a boolean is 0 or 1) and `label` (category) is set. `author` is who judged:
    the end user's id where the client gave one, else the key's id.
    """

    id: str
    project: str
    trace_id: str
    name: str
    kind: ScoreKind = "user"
    data_type: Literal["boolean", "number", "category"]
    value: float | None = None
    label: str | None = None
    comment: str | None = None
    author: str
    key_id: str
    created_at: int


Record = Call | Score | TraceSpan | CallMessage


class Kind(IntEnum):
    """What a journal entry holds: the JSON of a Call, of a Score, of a TraceSpan, or of a CallMessage; or a whole
    request of OpenTelemetry's as it came, of which the drain makes them (`traces/otlp/expand.py`)."""

    CALL = 1
    SCORE = 2
    SPAN = 3
    OTLP = 4
    MESSAGE = 5


class Entry(Struct, frozen=True, gc=False):
    """A journal entry: `payload` is JSON as bytes, or MessagePack of a request of OpenTelemetry's. `accepted_at`
    is when the journal took it (microseconds).

    `kind` is a plain number, because a newer program may have written kinds that this one does not know.
    """

    kind: int
    accepted_at: int
    payload: bytes


class Position(Struct, frozen=True):
    """A place between two entries of one writer's journal.

    `segment` numbers a file, `offset` is bytes into it, `sequence` how many entries the writer took before it.
    """

    segment: int
    offset: int
    sequence: int


_ENCODER = msgspec.json.Encoder()
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


def to_json(record: Record) -> bytes:
    """A record as a journal holds it: one line of JSON.

    Text from the wire can hold halves of surrogate pairs, which no UTF-8 can carry. They become U+FFFD, so that an
    odd character costs itself and never the record.
    """
    try:
        return _ENCODER.encode(record)
    except UnicodeEncodeError:
        return json_line(msgspec.to_builtins(record))


def json_line(value: Any) -> bytes:
    """Plain values as one line of JSON, with lone surrogates replaced."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _LONE_SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text).encode()
