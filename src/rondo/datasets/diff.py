"""What differs between two versions: examples added, removed, changed, and moved from one split to another. Pure.

An example that is gone and one that is new are one that changed where the row's own id is the same, or else where
their inputs are nearly the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from rondo.datasets.model import Example, Member, Split
from rondo.datasets.quality import as_text, cut, input_text

_LEAST = 0.5
"""Overlap from which an example that is new is one that was there before, changed."""

_FIELDS = tuple(name for name in Example.__struct_fields__ if name not in ("id", "split", "provenance"))


class Preview(Struct, frozen=True, kw_only=True):
    """An example in a list: its texts are cut."""

    id: str
    question: str
    expected: str | None
    split: Split | None


class Changed(Struct, frozen=True, kw_only=True):
    """An example before and after, and the fields that differ: [before, after]."""

    before: Preview
    after: Preview
    fields: dict[str, tuple[Any, Any]]


class Moved(Struct, frozen=True, kw_only=True):
    """An example that is in another split now."""

    id: str
    before: Split | None
    after: Split | None


class Difference(Struct, frozen=True, kw_only=True):
    """Counts of all; the lists hold the first of each."""

    same: int
    counts: dict[str, int]
    added: list[Preview]
    removed: list[Preview]
    changed: list[Changed]
    moved: list[Moved]
    moves: dict[str, int]
    """How many went from where to where: `train → test`."""


def gone_and_new(before: Sequence[Member], after: Sequence[Member]) -> tuple[list[Member], list[Member]]:
    """The members that only one of two versions has."""
    old, new = {id_ for id_, _ in before}, {id_ for id_, _ in after}
    return [each for each in before if each[0] not in new], [each for each in after if each[0] not in old]


def difference(
    before: Sequence[Member], after: Sequence[Member], gone: Sequence[Example], new: Sequence[Example], *, limit: int
) -> Difference:
    """`gone` and `new` are the examples of `gone_and_new`; lists have at most `limit` entries."""
    pairs = _pairs(gone, new)
    paired = {id(each) for pair in pairs for each in pair}
    removed = [each for each in gone if id(each) not in paired]
    added = [each for each in new if id(each) not in paired]
    was = dict(before)
    moved = [Moved(id=id_, before=was[id_], after=split) for id_, split in after if id_ in was and was[id_] != split]
    moves: dict[str, int] = {}
    for each in moved:
        words = f"{each.before or 'none'} → {each.after or 'none'}"
        moves[words] = moves.get(words, 0) + 1
    return Difference(
        same=len(after) - len(new) - len(moved),
        counts={"added": len(added), "removed": len(removed), "changed": len(pairs), "moved": len(moved)},
        added=[preview(each) for each in added[:limit]],
        removed=[preview(each) for each in removed[:limit]],
        changed=[
            Changed(before=preview(old), after=preview(now), fields=_fields(old, now)) for old, now in pairs[:limit]
        ],
        moved=moved[:limit],
        moves=moves,
    )


def preview(example: Example) -> Preview:
    """An example as a list shows it."""
    expected = None if example.expected is None else cut(as_text(example.expected))
    return Preview(id=example.id, question=cut(example.question), expected=expected, split=example.split)


def _pairs(gone: Sequence[Example], new: Sequence[Example]) -> list[tuple[Example, Example]]:
    by_id = {key: each for each in gone if (key := _own_id(each)) is not None}
    pairs: list[tuple[Example, Example]] = []
    taken: set[int] = set()
    for example in new:
        old = by_id.get(_own_id(example) or "")
        if old is not None and id(old) not in taken:
            pairs.append((old, example))
            taken |= {id(old), id(example)}
    left = ([each for each in gone if id(each) not in taken], [each for each in new if id(each) not in taken])
    return [*pairs, *_alike(*left)] if all(left) else pairs


def _alike(gone: Sequence[Example], new: Sequence[Example]) -> list[tuple[Example, Example]]:
    """Pairs of nearly equal inputs, the most alike first; each example is in one at most."""
    from rondo.datasets.near import alike_pairs, plain, signatures

    signed = signatures([plain(input_text(each)) for each in (*gone, *new)])
    found: dict[tuple[int, int], float] = {}
    for first, second, overlap in alike_pairs(signed, least=_LEAST):
        for one, other, share in zip(first.tolist(), second.tolist(), overlap.tolist(), strict=True):
            low, high = min(one, other), max(one, other)
            if low < len(gone) <= high:
                found[low, high - len(gone)] = share
    pairs, taken = [], set()
    for (old, now), _ in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        if ("old", old) not in taken and ("new", now) not in taken:
            taken |= {("old", old), ("new", now)}
            pairs.append((old, now))
    return [(gone[old], new[now]) for old, now in sorted(pairs, key=lambda pair: pair[1])]


def _own_id(example: Example) -> str | None:
    """What the row was called where it came from."""
    own = example.metadata.get("id")
    return None if own is None else as_text(own)


def _fields(before: Example, after: Example) -> dict[str, tuple[Any, Any]]:
    one, other = _built(before), _built(after)
    return {name: (one.get(name), other.get(name)) for name in _FIELDS if one.get(name) != other.get(name)}


def _built(example: Example) -> Mapping[str, Any]:
    built: Mapping[str, Any] = msgspec.to_builtins(example)
    return built
