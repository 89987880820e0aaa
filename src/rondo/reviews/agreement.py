"""How far reviewers agree, by criterion: Krippendorff's alpha over all of them, Cohen's kappa of each two.

It is measured on what they said before they knew of each other, so the word that settled a dispute does not count.
Scores are taken as ordered steps: alpha is the ordinal one, kappa weighs a disagreement by its square. Intervals are
of 95 %. It brings in NumPy, so doors import it where they use it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

from msgspec import structs

from rondo.catalog.engine import Catalog
from rondo.evals.statistics import agreement as statistics
from rondo.reviews import store
from rondo.reviews.model import Figure, OfCriterion, OfTwo, ReviewAnswer, ReviewersAgreement
from rondo.reviews.store import ItemFilter

MOST_ITEMS = 2_000
"""The newest items that agreement is measured on."""

LONGEST_ORDINAL = 21
"""Scores of a scale whose steps are compared; on a longer one alpha compares numbers, and there is no kappa."""

_AT_ONCE = 500


def agreement(catalog: Catalog, project: str, wanted: ItemFilter) -> ReviewersAgreement:
    """Of the items that fit and that no reviewer answers any more, the newest first."""
    ended = structs.replace(wanted, statuses=("disputed", "done"), waits_for=None)
    looked_at, disputed = 0, 0
    units: list[dict[str, ReviewAnswer]] = []
    scales: dict[str, range] = {}
    with catalog.read() as connection:
        everything = store.count_items(connection, project, ended)
        beyond = None
        while looked_at < MOST_ITEMS:
            page = store.list_items(connection, project, ended, limit=_AT_ONCE, beyond=beyond, newest_first=True)
            if not page:
                break
            answers = store.answers_of(connection, project, [item.id for item in page])
            for item in page:
                given = answers.get(item.id, [])
                unit = {each.reviewer: each for each in given if not each.adjudicates}
                if len(unit) > 1:
                    units.append(unit)
                    disputed += item.status == "disputed" or len(given) > len(unit)
                    for each in item.rubric:
                        scales[each.name] = _wider(scales.get(each.name, each.scale), each.scale)
            looked_at += len(page)
            beyond = page[-1].created_at, page[-1].id
    scored = {name: found for name in scales if (found := _scored(name, units))}
    return ReviewersAgreement(
        criteria=[_of_criterion(name, found, scales[name]) for name, found in scored.items()],
        pairs=[pair for name, found in scored.items() for pair in _of_pairs(name, found, scales[name])],
        items=len(units),
        disputed=disputed,
        left_out=everything - looked_at,
    )


def _wider(one: range, other: range) -> range:
    """A scale that holds both: a rubric may have changed."""
    return range(min(one.start, other.start), max(one.stop, other.stop))


def _scored(name: str, units: Sequence[dict[str, ReviewAnswer]]) -> list[dict[str, int]]:
    """The scores of one criterion by reviewer, for each item that two or more of them scored."""
    found = []
    for unit in units:
        scores = {who: score for who, said in unit.items() if (score := said.scores.get(name)) is not None}
        if len(scores) > 1:
            found.append(scores)
    return found


def _of_criterion(name: str, units: Sequence[dict[str, int]], scale: range) -> OfCriterion:
    same = sum(1 for scores in units if len(set(scores.values())) == 1)
    alpha = statistics.krippendorff_alpha(
        [list(scores.values()) for scores in units], scale="ordinal" if len(scale) <= LONGEST_ORDINAL else "interval"
    )
    return OfCriterion(criterion=name, alpha=_figure(alpha), items=len(units), same=same / len(units))


def _of_pairs(name: str, units: Sequence[dict[str, int]], scale: range) -> list[OfTwo]:
    both: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for scores in units if len(scale) <= LONGEST_ORDINAL else ():
        for one, other in combinations(sorted(scores), 2):
            both[one, other].append((scores[one], scores[other]))
    found = []
    for (one, other), pairs in sorted(both.items()):
        kappa = statistics.cohen_kappa(
            [first for first, _ in pairs], [second for _, second in pairs], weights="quadratic", categories=list(scale)
        )
        found.append(OfTwo(criterion=name, one=one, other=other, kappa=_figure(kappa), items=len(pairs)))
    return found


def _figure(found: statistics.Agreement) -> Figure:
    return Figure(value=found.value, low=found.low, high=found.high)
