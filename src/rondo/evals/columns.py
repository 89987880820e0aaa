"""A run's results gathered by metric: what each target scored on each example, read a few hundred results at a time.

Memory holds numbers, sixteen bytes for a value, never answers. What metrics of a whole corpus add up
(`evals/scorers/corpus.py`) is kept as the scorers gave it, without its words.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from math import isnan, nan

from msgspec import Struct, field, structs
from sqlalchemy import Connection

from rondo.datasets import store as datasets
from rondo.datasets.store import Marks
from rondo.evals import store
from rondo.evals.cases import AT_ONCE, chosen
from rondo.evals.model import Counted, CountedAnswer, Metric, Run, Scored, Unit
from rondo.evals.scorers.registry import metrics_of, own_settings
from rondo.evals.suites import judges_of, scorers_of, settings_of


class Source(Struct, frozen=True, kw_only=True):
    """Where a metric's values come from: a scorer's by its name, or the answers themselves (`of`).

    `has_each`: every answer has such a value, so one whose value nobody knows is missing.
    """

    metric: Metric
    scorer: str = ""
    of: Callable[[Counted], float | None] | None = None
    has_each: bool = False
    judge: str | None = None
    judge_version: str | None = None

    @property
    def adds_sums(self) -> bool:
        """Whether the metric is one of the corpus, and no mean or percentile of values."""
        kind = self.metric.adds_up.partition(":")[0]
        return kind != "mean" and not _is_percentile(kind)


class Column(Struct, kw_only=True):
    """One metric of one target. `values` has a number for each repeat, NaN for one without a score, `places` where its
    example is among the run's; an example to which the metric does not apply is not there. `scored` is for metrics of a
    corpus. `errors` counts, by name."""

    values: array[float] = field(default_factory=lambda: array("d"))
    places: array[int] = field(default_factory=lambda: array("q"))
    scored: dict[str, list[Scored | None]] = {}
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def lost(self) -> float:
        """The share of its scores that could not be had, over all repeats."""
        given = [isnan(value) for value in self.values]
        given += [each is None or each.error is not None for repeats in self.scored.values() for each in repeats]
        return sum(given) / len(given) if given else 0.0


class Gathered(Struct, kw_only=True):
    """One target's results. `passed` says of each must-pass example whether it was passed."""

    columns: dict[str, Column]
    answered: int = 0
    failed: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    passed: dict[str, bool] = {}
    cost_usd: float = 0.0
    cost_known: int = 0


class Columns(Struct, kw_only=True):
    """A whole run. `examples` have a place each, by their ids; `clusters` and `tags` are those of the examples that
    have any."""

    sources: list[Source]
    targets: list[Gathered]
    examples: dict[str, int] = {}
    clusters: dict[str, str] = {}
    tags: dict[str, dict[str, str]] = {}


def sources_of(run: Run) -> list[Source]:
    """All metrics of a run: those of its scorers, and those of its answers. Raises SettingsError."""
    suite = settings_of(run)
    found: list[Source] = []
    for scorer in scorers_of(suite, judges_of(run), None, name=run.name):
        version = scorer.version if scorer.is_judge else None
        found += [
            Source(metric=metric, scorer=scorer.name, judge=scorer.judge, judge_version=version)
            for metric in metrics_of(scorer)
        ]
    for own in own_settings(suite.scorers, file=f"suites/{run.name}.toml"):
        found += [Source(metric=metric, scorer=own.name or own.kind) for metric in metrics_of(own)]
    names = {source.metric.name for source in found}
    return [*found, *(source for source in OF_ANSWERS if source.metric.name not in names)]


def gather(connection: Connection, run: Run) -> Columns:
    """Everything that has been measured."""
    sources = sources_of(run)
    found = Columns(
        sources=sources,
        targets=[Gathered(columns={source.metric.name: Column() for source in sources}) for _ in run.targets],
    )
    for examples, results in _read(connection, run):
        for example in examples.values():
            if example.group is not None:
                found.clusters[example.id] = example.group
            if example.tags:
                found.tags[example.id] = example.tags
        for result in results:
            place = found.examples.setdefault(result.example, len(found.examples))
            _take(found.targets[result.target], result, examples[result.example], place, sources)
    return found


def _read(connection: Connection, run: Run) -> Iterator[tuple[dict[str, Marks], list[Counted]]]:
    members = iter(chosen(connection, run, settings_of(run)))
    while some := list(islice(members, AT_ONCE)):
        examples = {each.id: each for each in datasets.read_marks(connection, run.project, some)}
        yield examples, store.counted_of(connection, run.project, run.id, list(examples), len(run.targets))


def _take(target: Gathered, result: Counted, example: Marks, place: int, sources: Sequence[Source]) -> None:
    answer = result.answer
    if answer is None:
        target.failed += 1
        target.errors[result.error or "unknown"] += 1
    else:
        target.answered += 1
        if answer.cost_usd is not None:
            target.cost_usd += answer.cost_usd
            target.cost_known += 1
    if example.must_pass:
        target.passed[example.id] = target.passed.get(example.id, True) and has_passed(result)
    for source in sources:
        column = target.columns[source.metric.name]
        if source.of is not None:
            value = source.of(result)
            # An answer that was never given has no latency, and is missing; one that has no first token is left out.
            if value is not None or answer is None or source.has_each:
                _add(column, place, value)
        else:
            _add_score(column, source, result, place)


def _add(column: Column, place: int, value: float | None) -> None:
    column.values.append(nan if value is None else value)
    column.places.append(place)


def _add_score(column: Column, source: Source, result: Counted, place: int) -> None:
    scored = result.scores.get(source.scorer)
    if result.answer is not None and scored is not None and scored.value is None and scored.error is None:
        return  # it does not apply here
    if scored is not None and scored.error is not None:
        column.errors[scored.error] += 1
    if source.adds_sums:
        kept = None if scored is None else structs.replace(scored, reason="")
        column.scored.setdefault(result.example, []).append(kept)
        return
    value = None if scored is None else scored.value
    key = source.metric.adds_up.partition(":")[2]
    if key and scored is not None and value is not None:
        detail = scored.details.get(key)
        value = float(detail) if isinstance(detail, int | float) else None
    _add(column, place, value)


def has_passed(result: Counted) -> bool:
    """Whether an answer is there, some scorer drew a line, and it is on the right side of every line that was drawn."""
    lines = [scored.passed for scored in result.scores.values() if scored.passed is not None]
    failed_to_score = any(scored.error is not None for scored in result.scores.values())
    return result.answer is not None and bool(lines) and all(lines) and not failed_to_score


def _is_percentile(kind: str) -> bool:
    return kind[:1] == "p" and kind[1:].isdigit()


def _of_answer(read: Callable[[CountedAnswer], float | None]) -> Callable[[Counted], float | None]:
    return lambda result: None if result.answer is None else read(result.answer)


def _answers(
    name: str,
    unit: Unit,
    adds_up: str,
    read: Callable[[CountedAnswer], float | None],
    *,
    higher_is_better: bool = False,
) -> Source:
    metric = Metric(name=name, unit=unit, adds_up=adds_up, higher_is_better=higher_is_better)
    return Source(metric=metric, of=_of_answer(read), has_each=name in _OF_EVERY_ANSWER)


_OF_EVERY_ANSWER = ("latency.p50_ms", "latency.p95_ms", "cost.per_request_usd", "tokens.per_request")


def _tokens(answer: CountedAnswer) -> float | None:
    if answer.input_tokens is None and answer.output_tokens is None:
        return None
    return float((answer.input_tokens or 0) + (answer.output_tokens or 0))


_ERRORS = Source(
    metric=Metric(name="errors.rate", higher_is_better=False), of=lambda result: float(result.answer is None)
)
OF_ANSWERS = (
    _ERRORS,
    _answers("latency.p50_ms", "ms", "p50", lambda answer: answer.latency_ms),
    _answers("latency.p95_ms", "ms", "p95", lambda answer: answer.latency_ms),
    _answers("first_token.p95_ms", "ms", "p95", lambda answer: answer.first_token_ms),
    _answers("cost.per_request_usd", "usd", "mean", lambda answer: answer.cost_usd),
    _answers("tokens.per_request", "tokens", "mean", _tokens),
    _answers(
        "deflection",
        "share",
        "mean",
        lambda answer: None if answer.handed_over is None else float(not answer.handed_over),
        higher_is_better=True,
    ),
    _answers(
        "handed_over.rate",
        "share",
        "mean",
        lambda answer: None if answer.handed_over is None else float(answer.handed_over),
    ),
)
"""What is measured without any scorer, under the names that `store/queries/goal_metrics.sql` has for live calls."""
