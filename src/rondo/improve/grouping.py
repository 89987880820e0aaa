"""From calls that went wrong to patterns: errors by their code, the others by what they are about. Pure.

Both windows are grouped together, so that a pattern can be counted in each. What is shown of texts is scrubbed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, structs

from rondo.improve.model import WHYS, Example, Pattern, Side, Trend, Wrong
from rondo.monitoring.drift.topics import difference
from rondo.monitoring.drift.wording import distinct, name_of, scrubbed, shown, top_terms

EXAMPLES = 5
MOST_TRACES = 500
LEAST = 3
"""Calls of a pattern, of both windows together."""

_MOST_NAMED = 8
_MOST_PATTERNS = 50
_STEADY_PART = 0.5
"""What has moved by no more than this part of what it was, at both ends of the interval, has not moved."""


class Group(Struct, frozen=True, kw_only=True):
    """Calls that belong together, before they are counted."""

    wrong: list[Wrong]
    error_code: str | None
    terms: list[str]


def by_error(wrong: Sequence[Wrong]) -> tuple[list[Group], list[Wrong]]:
    """Groups of failed calls with one code, and what is left: calls that were answered, and errors that are rare."""
    of_code: dict[str, list[Wrong]] = {}
    for each in wrong:
        if each.failed:
            of_code.setdefault(each.error_code or "unknown", []).append(each)
    kept = {code: calls for code, calls in of_code.items() if len(calls) >= LEAST}
    texts = {code: scrubbed([each.question for each in calls]) for code, calls in kept.items()}
    flat = [(text, at) for at, code in enumerate(kept) for text in texts[code]]
    terms = top_terms([text for text, _ in flat], [at for _, at in flat])
    groups = [
        Group(wrong=calls, error_code=code, terms=terms.get(at, [])) for at, (code, calls) in enumerate(kept.items())
    ]
    return groups, [each for each in wrong if not each.failed or (each.error_code or "unknown") not in kept]


def by_topic(wrong: Sequence[Wrong], labels: Sequence[int]) -> list[Group]:
    """Groups by the labels of a clustering, -1 being none."""
    terms = top_terms(scrubbed([each.question for each in wrong]), labels)
    return [
        Group(
            wrong=[each for each, given in zip(wrong, labels, strict=True) if given == label],
            error_code=None,
            terms=terms[label],
        )
        for label in sorted(set(labels) - {-1})
    ]


def patterns(
    groups: Sequence[Group], names: Mapping[int, str], now: Side, before: Side, earlier: Sequence[Pattern]
) -> list[Pattern]:
    """The largest first. `names` are a model's, by the group's place; `earlier` ones say since when one is known."""
    made = [_pattern(group, names.get(at), now, before) for at, group in enumerate(groups)]
    made = [_known_since(pattern, groups[at], earlier) for at, pattern in enumerate(made)]
    ordered = sorted(made, key=lambda pattern: (-pattern.calls, -pattern.before, pattern.name))[:_MOST_PATTERNS]
    return [structs.replace(pattern, number=number) for number, pattern in enumerate(ordered, 1)]


def _pattern(group: Group, name: str | None, now: Side, before: Side) -> Pattern:
    ours = [each for each in group.wrong if each.is_now]
    theirs = len(group.wrong) - len(ours)
    scale, scale_before = _scale(now), _scale(before)
    units = Counter(each.unit for each in group.wrong if not each.is_now), Counter(each.unit for each in ours)
    gap, low, high = _change((units[0], before), (units[1], now), by_user=group.error_code is None)
    rate_before = min(1.0, theirs * scale_before / before.calls) if before.calls else 0.0
    newest = sorted(ours or group.wrong, key=lambda each: (-each.started_at, each.trace_id))
    times = [each.started_at for each in group.wrong]
    return Pattern(
        number=0,
        kind="topic" if group.error_code is None else "error",
        name=name or _name(group),
        terms=group.terms,
        error_code=group.error_code,
        calls=round(len(ours) * scale),
        before=round(theirs * scale_before),
        share=len(ours) / len(now.drawn) if now.drawn else 0.0,
        rate=min(1.0, len(ours) * scale / now.calls) if now.calls else 0.0,
        change=gap,
        low=low,
        high=high,
        trend=_trend(theirs, len(ours), low, high, rate_before) if now.calls and before.calls else "unknown",
        users=len({each.unit for each in ours}),
        whys={why: count for why in WHYS if (count := sum(1 for each in ours if _went(each, why)))},
        releases=_counted(f"{each.app}#{each.release}" for each in ours if each.app and each.release is not None),
        models=_counted(each.model for each in ours if each.model),
        first_seen=min(times),
        last_seen=max(times),
        examples=_examples(newest),
        traces=[each.trace_id for each in newest[:MOST_TRACES]],
    )


def _known_since(pattern: Pattern, group: Group, earlier: Sequence[Pattern]) -> Pattern:
    """The same pattern in an earlier run: of the same code, or most of its examples are here again."""
    members = {each.trace_id for each in group.wrong}
    same = [
        each.first_seen
        for each in earlier
        if each.kind == pattern.kind
        and (
            each.error_code == pattern.error_code
            if pattern.error_code is not None
            else 2 * sum(1 for example in each.examples if example.trace_id in members) > len(each.examples)
        )
    ]
    return structs.replace(pattern, first_seen=min([pattern.first_seen, *same]))


def _name(group: Group) -> str:
    if group.error_code is None:
        return name_of(group.terms)
    about = f": {', '.join(group.terms[:2])}" if group.terms else ""
    return f"{group.error_code}{about}"


def _went(each: Wrong, why: str) -> bool:
    return bool(getattr(each, "failed" if why == "failing" else why))


def _scale(side: Side) -> float:
    return side.matching / len(side.drawn) if side.drawn else 1.0


def _change(
    before: tuple[Counter[str], Side], now: tuple[Counter[str], Side], *, by_user: bool
) -> tuple[float, float, float]:
    """Of the rate among all calls, from how many calls of each user went wrong so.

    Where only some were drawn, the calls that they stand for are as many fewer. `by_user`: what one user dislikes again
    and again is one opinion, so calls weigh as many times less as sum n² / sum n over users (Kish's design effect, of
    calls that are equal).
    """
    counts = [*before[0].values(), *now[0].values()]
    alike = sum(count * count for count in counts) / sum(counts) if by_user else 1.0
    shares = []
    for units, side in (before, now):
        calls = max(units.total(), round(side.calls / _scale(side)))
        if not calls:
            return 0.0, -1.0, 1.0
        shares.append((units.total() / alike, max(1.0, calls / alike)))
    return difference(shares[0], shares[1])


def _trend(before: int, now: int, low: float, high: float, rate_before: float) -> Trend:
    """What the interval of the change tells; where it holds zero, only a narrow one says that nothing has changed."""
    if low > 0:
        return "new" if before == 0 else "grown"
    if high < 0:
        return "gone" if now == 0 else "shrunk"
    return "steady" if max(-low, high) <= _STEADY_PART * rate_before else "not_enough"


def _counted(names: Iterable[str]) -> dict[str, int]:
    counted = Counter(names)
    return dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_NAMED])


def _examples(newest: Sequence[Wrong]) -> list[Example]:
    """The newest, no two of them much alike."""
    told = [each.question.strip() or each.error_message or "" for each in newest]
    return [
        Example(trace_id=newest[at].trace_id, question=shown(told[at]), started_at=newest[at].started_at)
        for at in distinct(told, EXAMPLES)
    ]
