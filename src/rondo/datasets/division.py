"""Divides examples into train, validation and test. Pure: the same examples, ratios and seed give the same division.

What must stay together is one unit: a cluster of near-duplicates, a group, or several of them that share an example.
Units are placed largest first, each where most examples are still wanted, of its own strata and altogether (after
iterative stratification: Sechidis, Tsoumakas, Vlahavas 2011).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

from msgspec import Struct

from rondo.datasets.model import SPLITS, Split
from rondo.datasets.together import Together
from rondo.errors import InvalidRequest

Ratios = tuple[float, float, float]
"""Shares of train, validation and test; they add up to 1."""

RATIOS: Ratios = (0.7, 0.15, 0.15)


class Unit(Struct):
    """What must stay together, by the places of its examples.

    `key` draws its lot; `split` is where it must go, where that is decided already.
    """

    key: str
    places: list[int]
    split: Split | None = None


def parse_ratios(given: Sequence[float]) -> Ratios:
    """Shares from two or three numbers in any scale (70/15/15, 0.8/0.2: no validation). Raises InvalidRequest."""
    numbers = [float(each) for each in given]
    whole = sum(numbers)
    if len(numbers) not in (2, 3) or not all(math.isfinite(each) and each >= 0 for each in numbers) or whole <= 0:
        raise InvalidRequest(
            f"These are no ratios: {'/'.join(f'{each:g}' for each in numbers)!r:.60}.",
            remedy="Give train/validation/test, such as 70/15/15, or train/test, such as 80/20.",
            param="ratios",
        )
    train, *middle, test = (each / whole for each in numbers)
    return train, middle[0] if middle else 0.0, test


def units_of(ids: Sequence[str], clusters: Sequence[int], groups: Sequence[str | None]) -> list[Unit]:
    """The units that clusters and groups make of examples; each place is in one."""
    together = Together(len(ids))
    first: dict[str, int] = {}
    for place, (cluster, group) in enumerate(zip(clusters, groups, strict=True)):
        together.join(cluster, place)
        if group is not None:
            together.join(first.setdefault(group, place), place)
    units: dict[int, Unit] = {}
    for place, label in enumerate(together.labels()):
        unit = units.get(label)
        if unit is None:
            unit = units[label] = Unit(ids[place], [])
        unit.places.append(place)
        unit.key = min(unit.key, ids[place])  # whatever the order that examples come in
    return list(units.values())


def divide(units: Sequence[Unit], strata: Sequence[str], ratios: Ratios, *, seed: int = 0) -> None:
    """Give every unit that has none a split; `strata` has one of each place. What is placed already counts."""
    there: dict[str, list[int]] = {name: [0] * len(SPLITS) for name in strata}
    for unit in units:
        if unit.split is not None:
            for place in unit.places:
                there[strata[place]][SPLITS.index(unit.split)] += 1
    wanted = {name: _missing(size, ratios, there[name]) for name, size in Counter(strata).items()}
    overall = _missing(len(strata), ratios, [sum(counts) for counts in zip(*there.values(), strict=True)])
    possible = [split for split in range(len(SPLITS)) if ratios[split] > 0]
    for unit in sorted(
        (unit for unit in units if unit.split is None), key=lambda unit: (-len(unit.places), _lot(unit.key, seed))
    ):
        own = [strata[place] for place in unit.places]
        where = max(
            possible,
            key=lambda split: (sum(wanted[name][split] for name in own) / len(own) + overall[split], ratios[split]),
        )
        unit.split = SPLITS[where]
        overall[where] -= len(own)
        for name in own:
            wanted[name][where] -= 1


def _missing(size: int, ratios: Ratios, there: Sequence[int]) -> list[float]:
    """How many more of `size` examples each split should have; one that has too many leaves the others the rest."""
    missing = [max(0.0, size * share - count) for share, count in zip(ratios, there, strict=True)]
    scale = (size - sum(there)) / sum(missing) if sum(missing) > 0 else 0.0
    return [each * scale for each in missing]


def _lot(key: str, seed: int) -> bytes:
    return blake2b(f"{seed}:{key}".encode(), digest_size=16).digest()
