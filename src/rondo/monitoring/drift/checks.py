"""All checks of a look, each a permutation test, with Holm's correction over them. Pure, but for scikit-learn.

The correction keeps what `false_alarms` promises for the report as a whole: without any drift, a report finds some in
at most that share of looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import TypeVar
from zlib import crc32

from msgspec import Struct, structs

from rondo.evals.statistics.significance import holm
from rondo.monitoring.drift import advice, exchange, mmd, topics
from rondo.monitoring.drift.model import Bar, Check, Example, Part, Said, Sample, Side, Topic
from rondo.monitoring.drift.vectors import Vectors
from rondo.monitoring.drift.wording import distinct, shown

_EXAMPLES = 5
_LOOKED_THROUGH = 50
_MOST_CATEGORIES = 8
_MOST_CHECKS = 20
_LEAST_DRAWS = 1_999

T = TypeVar("T")


class Terms(Struct, frozen=True, kw_only=True):
    """`seed` decides every draw; `of_words` says that the vectors are of words, and not a model's."""

    least: int
    alpha: float
    seed: int = 0
    of_words: bool = True

    @property
    def draws(self) -> int:
        """The least that let the smallest of all corrected p values come below `alpha`."""
        return max(_LEAST_DRAWS, ceil(_MOST_CHECKS / self.alpha))


class What(Struct, frozen=True):
    """What a check is about."""

    name: str
    part: Part
    title: str


class Sides(Struct, frozen=True):
    """Both windows, and the terms of comparing them."""

    before: Side
    now: Side
    terms: Terms


_QUESTIONS = What("questions", "inputs", "What is asked")
_TOPICS = What("topics", "inputs", "Topics")


class Found(Struct, frozen=True, kw_only=True):
    """`grouped` is what topics were made of, None where they were left out."""

    checks: list[Check]
    grouped: topics.Grouped | None


def run(before: Side, now: Side, vectors: Vectors | None, terms: Terms, *, with_topics: bool) -> Found:
    """Every check. `vectors` has a row for each sample, those before first; None where there are too few."""
    sides = Sides(before, now, terms)
    checks: list[Check] = []
    grouped = None
    if vectors is None:
        checks.append(_too_few(_QUESTIONS, before.samples, now.samples))
    else:
        checks.append(_questions(sides, vectors))
        if with_topics:
            grouped = topics.find(
                before.samples,
                now.samples,
                vectors,
                seed=_seed(terms, "topics"),
                draws=terms.draws,
                of_words=terms.of_words,
            )
            checks.append(_topics(sides, grouped))
    checks += [
        _of_categories(What("language", "inputs", "Languages"), sides, lambda each: each.language),
        _of_numbers(What("length", "inputs", "Length of questions"), sides, lambda each: each.question_chars),
        _of_shares(What("personal_data", "inputs", "Personal data"), sides, lambda each: each.personal),
        _of_numbers(What("hits", "retrieval", "Best hit of retrieval"), sides, lambda each: each.top_score),
        _of_shares(What("unanswered", "retrieval", "Handed over"), sides, lambda each: each.handed_over),
        _of_numbers(What("answers", "outputs", "Length of answers"), sides, lambda each: each.answer_chars),
        _of_shares(What("refusals", "outputs", "Refusals"), sides, lambda each: each.refused),
    ]
    checks += [_score(name, sides) for name in sorted(set(before.scores) & set(now.scores))]
    return Found(checks=_corrected(checks, terms), grouped=grouped)


def told_topics(found: Found, names: Mapping[int, str], alpha: float) -> list[Topic]:
    """The topics with what the correction leaves of them."""
    if found.grouped is None:
        return []
    check = next((each for each in found.checks if each.name == "topics"), None)
    known = check is not None and check.p and check.corrected is not None
    factor = check.corrected / check.p if check is not None and known and check.p and check.corrected else 1.0
    return topics.named(found.grouped, names, factor=factor, alpha=alpha)


def _corrected(checks: Sequence[Check], terms: Terms) -> list[Check]:
    found = []
    for check, corrected in zip(checks, holm([check.p for check in checks]), strict=True):
        if corrected is None:
            found.append(check)
            continue
        verdict = "drifted" if corrected <= terms.alpha else "steady"
        changed = structs.replace(check, corrected=corrected, verdict=verdict)
        if verdict == "steady":
            changed = structs.replace(changed, examples=[])
        found.append(structs.replace(changed, sentence=advice.sentence(changed), next_step=advice.next_step(changed)))
    return found


def _questions(sides: Sides, vectors: Vectors) -> Check:
    n, now = len(sides.before.samples), sides.now
    shift = mmd.compare(
        vectors[:n], vectors[n:], seed=_seed(sides.terms, "questions"), draws=sides.terms.draws, examples=_EXAMPLES
    )
    return Check(
        name=_QUESTIONS.name,
        part=_QUESTIONS.part,
        title=_QUESTIONS.title,
        verdict="steady",
        units=(n, len(now.samples)),
        statistic=shift.mmd,
        p=shift.p,
        effect=shift.effect,
        effect_name="energy coefficient",
        examples=_examples([now.samples[row] for row in shift.newest]),
    )


def _topics(sides: Sides, grouped: topics.Grouped) -> Check:
    check = _too_few(_TOPICS, sides.before.samples, sides.now.samples)
    if grouped.p is None:
        return structs.replace(check, sentence="No topics stand out: too few questions are alike.")
    ordered = sorted(grouped.topics, key=lambda topic: (topic.p, -abs(topic.difference)))
    largest = ordered[0]
    return structs.replace(
        check,
        statistic=grouped.statistic,
        p=grouped.p,
        effect=abs(largest.difference),
        effect_name="change of a topic's share",
        bars=[Bar(name=topic.name, before=topic.before, now=topic.now) for topic in ordered[:_MOST_CATEGORIES]],
        examples=largest.examples if largest.difference > 0 else [],
    )


def _of_numbers(what: What, sides: Sides, of: Callable[[Sample], float | None]) -> Check:
    ours, theirs = _known(sides.now.samples, of), _known(sides.before.samples, of)
    if min(len(ours), len(theirs)) < sides.terms.least:
        return _too_few(what, theirs, ours)
    values, others = [value for _, value in ours], [value for _, value in theirs]
    check = _numbers(what, others, values, sides.terms)
    rises = sum(values) / len(values) > sum(others) / len(others)
    extreme = sorted(ours, key=lambda pair: (-pair[1] if rises else pair[1], pair[0].trace_id))
    return structs.replace(check, examples=_examples([sample for sample, _ in extreme]))


def _numbers(what: What, before: Sequence[float], now: Sequence[float], terms: Terms) -> Check:
    tested = exchange.ks(before, now, seed=_seed(terms, what.name), draws=terms.draws)
    middle = [sorted(values)[len(values) // 2] for values in (before, now)]
    return Check(
        name=what.name,
        part=what.part,
        title=what.title,
        verdict="steady",
        units=(len(before), len(now)),
        statistic=tested.statistic,
        p=tested.p,
        effect=tested.statistic,
        effect_name="Kolmogorov-Smirnov distance",
        bars=[Bar(name=label, before=one, now=other) for label, one, other in exchange.tenths(before, now)],
        facts={
            "before": float(middle[0]),
            "now": float(middle[1]),
            "stability_index": exchange.stability_index(before, now),
        },
    )


def _of_shares(what: What, sides: Sides, of: Callable[[Sample], bool | None]) -> Check:
    ours, theirs = _known(sides.now.samples, of), _known(sides.before.samples, of)
    if min(len(ours), len(theirs)) < sides.terms.least:
        return _too_few(what, theirs, ours)
    counts = [(sum(1 for _, value in side if value), len(side)) for side in (theirs, ours)]
    tested = exchange.categories(
        *([yes, n - yes] for yes, n in counts),
        seed=_seed(sides.terms, what.name),
        draws=sides.terms.draws,
    )
    gap, low, high = topics.difference(*counts)
    shares = [yes / n for yes, n in counts]
    return Check(
        name=what.name,
        part=what.part,
        title=what.title,
        verdict="steady",
        units=(len(theirs), len(ours)),
        statistic=gap,
        p=tested.p,
        effect=abs(gap),
        effect_name="difference of shares",
        bars=[Bar(name="yes", before=shares[0], now=shares[1])],
        examples=_examples([sample for sample, value in ours if value]) if gap > 0 else [],
        facts={"before": shares[0], "now": shares[1], "low": low, "high": high},
    )


def _of_categories(what: What, sides: Sides, of: Callable[[Sample], str | None]) -> Check:
    ours, theirs = _known(sides.now.samples, of), _known(sides.before.samples, of)
    if min(len(ours), len(theirs)) < sides.terms.least:
        return _too_few(what, theirs, ours)
    check = _categories(what, [value for _, value in theirs], [value for _, value in ours], sides.terms)
    grown = max(check.bars, key=lambda bar: bar.now - bar.before)
    return structs.replace(check, examples=_examples([sample for sample, value in ours if value == grown.name]))


def _categories(what: What, before: Sequence[str], now: Sequence[str], terms: Terms) -> Check:
    every = sorted({*before, *now}, key=lambda each: (-before.count(each) - now.count(each), each))
    kept = every[: _MOST_CATEGORIES - 1] if len(every) > _MOST_CATEGORIES else every
    counts = [[sum(1 for each in side if each == label) for label in kept] for side in (before, now)]
    bars = [
        Bar(name=label, before=counts[0][at] / len(before), now=counts[1][at] / len(now))
        for at, label in enumerate(kept)
    ]
    if len(kept) < len(every):
        rest = [len(side) - sum(counted) for side, counted in zip((before, now), counts, strict=True)]
        counts = [[*counted, more] for counted, more in zip(counts, rest, strict=True)]
        bars.append(Bar(name="others", before=rest[0] / len(before), now=rest[1] / len(now)))
    tested = exchange.categories(*counts, seed=_seed(terms, what.name), draws=terms.draws)
    return Check(
        name=what.name,
        part=what.part,
        title=what.title,
        verdict="steady",
        units=(len(before), len(now)),
        statistic=tested.statistic,
        p=tested.p,
        effect=tested.statistic,
        effect_name="total variation",
        bars=bars,
    )


def _score(name: str, sides: Sides) -> Check:
    """A score's numbers, or its categories, whichever it mostly has."""
    what = What(f"score:{name}", "outputs", f"Score {name}")
    scores = sides.before.scores[name], sides.now.scores[name]
    numbers = [[said for said in side if said.value is not None] for side in scores]
    labels = [[said for said in side if said.label is not None] for side in scores]
    as_labels = len(labels[0]) + len(labels[1]) > len(numbers[0]) + len(numbers[1])
    theirs, ours = labels if as_labels else numbers
    if min(len(theirs), len(ours)) < sides.terms.least:
        return _too_few(what, theirs, ours)
    if as_labels:
        return _categories(
            what, [said.label or "" for said in theirs], [said.label or "" for said in ours], sides.terms
        )
    before, now = _values(theirs), _values(ours)
    check = _numbers(what, before, now, sides.terms)
    questions = {sample.trace_id: sample for sample in sides.now.samples}
    low = sorted(ours, key=lambda said: (said.value or 0.0, said.trace_id))
    return structs.replace(
        check,
        facts={**check.facts, "before": sum(before) / len(before), "now": sum(now) / len(now)},
        examples=_examples([questions[said.trace_id] for said in low if said.trace_id in questions]),
    )


def _values(said: Sequence[Said]) -> list[float]:
    return [each.value for each in said if each.value is not None]


def _known(samples: Sequence[Sample], of: Callable[[Sample], T | None]) -> list[tuple[Sample, T]]:
    pairs = ((sample, of(sample)) for sample in samples)
    return [(sample, value) for sample, value in pairs if value is not None]


def _too_few(what: What, before: Sequence[object], now: Sequence[object]) -> Check:
    units = len(before), len(now)
    check = Check(name=what.name, part=what.part, title=what.title, verdict="not_enough", units=units)
    return structs.replace(check, sentence=advice.too_few(check))


def _examples(samples: Sequence[Sample]) -> list[Example]:
    """The first, no two of them much alike."""
    chosen = distinct([each.question for each in samples[:_LOOKED_THROUGH]], _EXAMPLES)
    return [Example(trace_id=samples[at].trace_id, question=shown(samples[at].question)) for at in chosen]


def _seed(terms: Terms, name: str) -> int:
    """Of each check its own, and the same whatever other checks there are."""
    return crc32(name.encode("utf-8", "replace")) + terms.seed
