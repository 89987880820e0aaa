"""The verb behind all others: keep examples as a version of a dataset.

A version is its examples, their order and their splits, and is named by their hash: the same content is the same
version. Examples are written first, a few at a time, so that nobody waits long for the catalog; what no version holds
is nothing yet. The version is then written as one, or not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.catalog.text import check_name, check_text
from rondo.datasets import division, quality, store
from rondo.datasets.division import Ratios
from rondo.datasets.fields import Unfit
from rondo.datasets.intake import Deduplicate, Intake, require_examples
from rondo.datasets.model import DatasetVersion, Example, Member, Split, hash_of_members
from rondo.errors import Conflict, InvalidRequest
from rondo.governance import audit, projects

LONGEST_NOTE = 2_000
NEW = ""
"""In the place of a parent: there must be no version yet."""

_AT_ONCE = 2_000

Also = Callable[[Any, list[str]], None]
"""Does something in the transaction that keeps a version, given the connection and the examples' ids."""


class Division(Struct, frozen=True, kw_only=True):
    """How to split. `afresh` forgets the splits there are; else only examples without one are placed.

    `stratify` is `expected`, `hand_over` or a tag; `group_by` a tag whose values are kept together.
    """

    ratios: Ratios = division.RATIOS
    seed: int = 0
    afresh: bool = True
    stratify: str | None = None
    group_by: str | None = None


def save_version(
    catalog: Catalog,
    project: str,
    dataset: str,
    examples: Iterable[Example],
    *,
    note: str,
    actor: str,
    parent: str | None = None,
    report: dict[str, Any] | None = None,
    divide: Division | None = None,
    scrub: bool = False,
    deduplicate: Deduplicate = "none",
    also: Also | None = None,
) -> DatasetVersion:
    """The version that these examples are, made unless it is there already.

    `parent` is the hash of the version it was made from, by default the newest; one that is not the newest any more
    is refused. `report` is what its maker knows besides, put into the quality report. Identical examples are one.
    `scrub` takes out personal data and secrets. Raises InvalidRequest (nothing to keep, an example that cannot be
    stored), TooLarge, NotFound (no such project), Conflict (another version came between).
    """
    check_names(dataset, note)
    stratify, group_by = (divide.stratify, divide.group_by) if divide else (None, None)
    with Intake(clean=scrub, stratify=stratify, group_by=group_by) as taken:
        for number, example in enumerate(examples, 1):
            try:
                taken.add(example)
            except Unfit as unfit:
                raise InvalidRequest(f"Example {number}: {unfit.message}", param=unfit.param or "examples") from None
        return keep(
            catalog, project, dataset, taken, note=note, actor=actor, parent=parent, report=report, divide=divide,
            cleaned=scrub, deduplicate=deduplicate, also=also,
        )  # fmt: skip


def check_names(dataset: str, note: str) -> None:
    """Raises InvalidRequest for what a version cannot be called."""
    check_name(dataset, param="dataset")
    check_text(note, param="note", longest=LONGEST_NOTE)


def keep(
    catalog: Catalog,
    project: str,
    dataset: str,
    taken: Intake,
    *,
    note: str,
    actor: str,
    parent: str | None = None,
    report: dict[str, Any] | None = None,
    divide: Division | None = None,
    cleaned: bool = False,
    deduplicate: Deduplicate = "none",
    also: Also | None = None,
) -> DatasetVersion:
    """As `save_version`, for examples that have been taken in, under names that have been checked."""
    require_examples(taken.kept)
    clusters = taken.clusters()
    places = _chosen(taken, clusters, deduplicate)
    splits = _splits(taken, places, clusters, divide)
    members: list[Member] = [(taken.kept[place].id, split) for place, split in zip(places, splits, strict=True)]
    whole = _report(taken, places, splits, clusters, cleaned=cleaned) | (report or {})
    hash_ = hash_of_members(members)
    _write_examples(catalog, project, taken, places)
    with catalog.begin() as connection:
        newest = store.find_newest(connection, project, dataset)
        if parent is not None and parent != (newest.hash if newest else NEW):
            raise Conflict(
                f"The dataset {dataset!r} has another version meanwhile.", remedy="Try again.", param="dataset"
            )
        version = store.find_version(connection, project, dataset, hash_)
        if version is None:
            version = DatasetVersion(
                project=project,
                dataset=dataset,
                number=newest.number + 1 if newest else 1,
                hash=hash_,
                parent=newest.hash if newest else None,
                examples=len(members),
                note=note,
                report=whole,
                created_by=actor,
                created_at=clock.now_us(),
            )
            store.insert_version(connection, version, members)
            details = {"hash": hash_, "examples": len(members), "note": note}
            audit.record(connection, project, actor, "dataset.version", f"dataset:{version.label}", details)
        if also is not None:
            also(connection, [id_ for id_, _ in members])
    return version


def _chosen(taken: Intake, clusters: Sequence[int], deduplicate: Deduplicate) -> list[int]:
    """The examples that are kept: all, or the first of those that are the same. Tests are never left out."""
    if deduplicate == "none":
        return list(range(len(taken.kept)))
    keys: Sequence[object] = clusters if deduplicate == "near" else [each.digest for each in taken.kept]
    seen: set[object] = set()
    places = []
    for place, key in enumerate(keys):
        if key not in seen or taken.kept[place].must_pass:
            places.append(place)
        seen.add(key)
    return places


def _splits(
    taken: Intake, places: Sequence[int], clusters: Sequence[int], divide: Division | None
) -> list[Split | None]:
    kept = [taken.kept[place] for place in places]
    given = [each.split for each in kept]
    if divide is None:
        return given
    units = division.units_of(
        [each.id for each in kept],
        _renumbered([clusters[place] for place in places]),
        [each.group for each in kept],
    )
    for unit in units:
        there = Counter([] if divide.afresh else [split for place in unit.places if (split := given[place])])
        if any(kept[place].must_pass for place in unit.places):
            unit.split = "test"
        elif there:
            unit.split = there.most_common(1)[0][0]
    division.divide(units, [each.stratum for each in kept], divide.ratios, seed=divide.seed)
    splits: list[Split | None] = [None] * len(kept)
    for unit in units:
        for place in unit.places:
            splits[place] = unit.split
    return splits


def _renumbered(clusters: Sequence[int]) -> list[int]:
    """Clusters among the examples that are kept, each named by the first of its own."""
    first: dict[int, int] = {}
    return [first.setdefault(label, place) for place, label in enumerate(clusters)]


def _report(
    taken: Intake, places: Sequence[int], splits: Sequence[Split | None], clusters: Sequence[int], *, cleaned: bool
) -> dict[str, Any]:
    kept = [taken.kept[place] for place in places]
    own = _renumbered([clusters[place] for place in places])
    report = taken.quality.report(cleaned=cleaned)
    report["examples"] = len(kept)
    report["duplicates"] = quality.duplicates(
        [each.id for each in kept],
        [each.digest for each in kept],
        own,
        merged=taken.merged,
        dropped=len(taken.kept) - len(kept),
    )
    report["conflicts"] = taken.conflicts(places, quality.SHOWN)
    report["splits"] = {str(split or "none"): splits.count(split) for split in dict.fromkeys(splits)}
    report["leaks"] = quality.leaks(splits, own, [each.group for each in kept])
    return report


def _write_examples(catalog: Catalog, project: str, taken: Intake, places: Sequence[int]) -> None:
    for start in range(0, len(places), _AT_ONCE):
        some = list(taken.payloads(places[start : start + _AT_ONCE]))
        with catalog.begin() as connection:
            projects.require(connection, project)
            store.insert_examples(connection, project, some)
