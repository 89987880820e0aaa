"""What evaluations speak of: an answer, a scorer's word on it, a target, a run and its results. Pure.

A score that could not be had is None with an error, and never zero: errors are a third state beside right and wrong.
Times are microseconds since the epoch, durations milliseconds, money US dollars; `None` means "not known".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol

from msgspec import Struct

from rondo.datasets.model import Example
from rondo.records import Chunk

RunStatus = Literal["queued", "running", "paused", "awaiting_scores", "finished", "failed", "cancelled"]
ENDED: tuple[RunStatus, ...] = ("finished", "failed", "cancelled")

Outcome = Literal["better", "worse", "not_enough_evidence"]
MustPassOutcome = Literal["passed", "failed", "unknown", "not_asked"]
Unit = Literal["share", "score", "ms", "usd", "tokens"]


class Answer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a target said to an example.

    `message` is the assistant's message as chat completions have it, `text` its plain text, `tool_calls` its calls as
    [{"name", "arguments"}] with parsed arguments. `turns` is the whole conversation where a user was played. `logprobs`
    are natural logarithms, a token each; `top_logprobs` the likeliest tokens at each place, where `top_logprobs` was
    asked for. `cached`: it was paid for by an earlier run.
    """

    text: str
    message: dict[str, Any] = {}
    tool_calls: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    chunks: list[Chunk] = []
    handed_over: bool | None = None
    finish_reason: str | None = None
    logprobs: list[float] | None = None
    top_logprobs: list[dict[str, float]] | None = None
    latency_ms: float | None = None
    first_token_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    trace_id: str | None = None
    cached: bool = False


MOST_USD = 100_000.0
"""The highest cost of one score that is believed."""


class Scored(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one scorer said: `value` is None where there is nothing to say (`error` then tells, or it does not apply).

    `passed` is for scorers that draw a line. `details` is what reports add up (a label, a rank, a vote each).
    """

    value: float | None = None
    passed: bool | None = None
    reason: str = ""
    error: str | None = None
    details: dict[str, Any] = {}
    cost_usd: float = 0.0


class Case(Struct, frozen=True, kw_only=True):
    """What a scorer is given: the example, and the answer to it. `other` is the baseline's, for pairwise judges."""

    example: Example
    answer: Answer
    other: Answer | None = None


class AskModel(Protocol):
    """Asks a model of the project by its name, through the gateway, recorded and paid for by the run.

    `request` is a chat completion's body without `model`; gives the answer. `path` may be `/embeddings`: then the
    request is an embeddings body, and the answer's `message` is the response. Raises RondoError.
    """

    async def __call__(self, model: str, request: Mapping[str, Any], *, path: str = "/chat/completions") -> Answer: ...


Score = Callable[[Case], Awaitable[Scored]]


class Metric(Struct, frozen=True, kw_only=True):
    """A number that a scorer makes of a run; `name` is what goals call it, `unit` what its values are.

    `adds_up` says how scores become it, in the words of `evals/scorers/corpus.py`: `mean` is the mean of their values.
    `higher_is_better` is False for times, costs and errors.
    """

    name: str
    unit: Unit = "share"
    higher_is_better: bool = True
    adds_up: str = "mean"


class Scorer(Struct, frozen=True, kw_only=True):
    """A scorer, ready to run. `name` is what goals call its metric; `unit` is what its values are.

    `higher_is_better` False is for times, costs and errors. `adds_up` names how values become the metric: their mean,
    or one of `evals/scorers/corpus.py`; `metrics` is for scorers that make several. `is_judge`: its word counts at a
    gate only while it is calibrated; `version` is a hash of all that decides its word.
    """

    name: str
    kind: str
    version: str
    score: Score
    unit: Unit = "share"
    higher_is_better: bool = True
    adds_up: str = "mean"
    metrics: tuple[Metric, ...] = ()
    is_judge: bool = False
    judge: str | None = None


class Target(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is evaluated: a release or a draft (by `hash`), or a bare model. `label` heads its column.

    `number` is the release's; None for a draft. `prompt` and `model` say what either answers with.
    """

    label: str
    app: str | None = None
    number: int | None = None
    hash: str | None = None
    prompt: str | None = None
    model: str | None = None


class Result(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One target's answer to one repeat of one example, with its scores. `error` names why there is no answer."""

    target: int
    example: str
    repeat: int
    answer: Answer | None = None
    error: str | None = None
    error_message: str | None = None
    scores: dict[str, Scored] = {}


class CountedAnswer(Struct, frozen=True, kw_only=True):
    """Of an Answer what is counted, and nothing that was said."""

    handed_over: bool | None = None
    latency_ms: float | None = None
    first_token_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


class Counted(Struct, frozen=True, kw_only=True):
    """A Result as a report needs it: reading tens of thousands of them costs a third."""

    target: int
    example: str
    answer: CountedAnswer | None = None
    error: str | None = None
    scores: dict[str, Scored] = {}


class Run(Struct, frozen=True, kw_only=True):
    """An evaluation run: a suite against targets. `suite` is its file as settings, with judges and goals as they were.

    `baseline` is the target that others are compared with. `own_scorers` are those that the command line still owes.
    `report` is there once it has finished; it can be made again from the results at any time.
    """

    id: str
    project: str
    app: str
    name: str
    suite: dict[str, Any]
    suite_hash: str
    dataset: str
    dataset_hash: str
    targets: list[Target]
    baseline: int | None
    status: RunStatus
    created_by: str
    created_at: int
    key_id: str
    max_concurrency: int
    budget_usd: float | None = None
    total: int = 0
    done: int = 0
    failed: int = 0
    spent_usd: float = 0.0
    own_scorers: list[str] = []
    stop_reason: str | None = None
    started_at: int | None = None
    ended_at: int | None = None
    report: dict[str, Any] | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED
