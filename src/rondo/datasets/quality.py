"""The quality report of a version: what a person should know before trusting its examples. Pure.

Counts are of examples unless they say otherwise; what is listed is cut short, and the counts tell how much there is.
Lengths are characters. Languages are told later, when somebody asks: `languages.py`.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rondo.catalog.text import canonical_json
from rondo.datasets.model import Example, Split, text_of

LONG = 20_000
"""Characters of an input from which it is called long: about 5,000 tokens."""

SHOWN = 20
_MOST_VALUES = 50
_LONGEST_SHOWN = 200
_QUANTILES = (("median", 0.5), ("p90", 0.9), ("p99", 0.99))


class Quality:
    """Looks at examples one by one, and keeps counts."""

    def __init__(self) -> None:
        self._inputs = array("L")
        self._expected = array("L")
        self._without_expected = 0
        self._empty = 0
        self._long = 0
        self._must_pass = 0
        self._roles: Counter[str] = Counter()
        self._tags: dict[str, Counter[str]] = {}
        self._personal: Counter[str] = Counter()
        self._with_personal = 0
        self._answers: dict[bytes, int] = {}
        self._conflicting: set[bytes] = set()
        self._kinds: Counter[str] = Counter()

    def look(self, example: Example, text: str, digest: bytes, found: Mapping[str, int]) -> None:
        """`text` is the input's, `digest` that of its plain text; `found` counts personal data and secrets."""
        self._inputs.append(len(text))
        self._empty += not text.strip()
        self._long += len(text) > LONG
        self._must_pass += example.must_pass
        self._kinds[example.provenance.kind] += 1
        if has_expectation(example):
            if example.expected is not None:
                self._expected.append(len(as_text(example.expected)))
        else:
            self._without_expected += 1
        for name, value in example.tags.items():
            self._tags.setdefault(name, Counter())[value] += 1
        self._personal.update(found)
        self._with_personal += bool(found)
        answer = hash(_rightness(example))
        if self._answers.setdefault(digest, answer) != answer:
            self._conflicting.add(digest)

    def conflicts(self) -> set[bytes]:
        """The inputs (digests) that have more than one right answer."""
        return self._conflicting

    def report(self, *, cleaned: bool) -> dict[str, Any]:
        return {
            "examples": len(self._inputs),
            "must_pass": self._must_pass,
            "came_from": dict(self._kinds),
            "length": {"input": _spread(self._inputs), "expected": _spread(self._expected)},
            "empty": {"input": self._empty, "expected": self._without_expected},
            "long": {"characters": LONG, "examples": self._long},
            "personal": {
                "found": dict(self._personal.most_common()),
                "examples": self._with_personal,
                "replaced": cleaned,
            },
            "tags": {name: _values(values) for name, values in sorted(self._tags.items())},
        }


def duplicates(
    ids: Sequence[str], digests: Sequence[bytes], clusters: Sequence[int], *, merged: int, dropped: int
) -> dict[str, Any]:
    """What is there more than once: `merged` examples were identical, `dropped` left out on request."""
    sizes = Counter(clusters)
    groups: dict[int, list[int]] = {}
    for place, label in enumerate(clusters):
        if sizes[label] > 1:
            groups.setdefault(label, []).append(place)
    near = sorted(groups.values(), key=lambda places: (-len(places), places[0]))
    return {
        "identical_merged": merged,
        "dropped": dropped,
        "same_input": len(digests) - len(set(digests)),
        "near": {
            "clusters": len(near),
            "examples": sum(map(len, near)),
            "largest": len(near[0]) if near else 0,
            "shown": [[ids[place] for place in places[:SHOWN]] for places in near[:SHOWN]],
        },
    }


def leaks(splits: Sequence[Split | None], clusters: Sequence[int], groups: Sequence[str | None]) -> dict[str, int]:
    """Clusters of near-duplicates, and groups, that have examples in more than one split."""
    return {"near_duplicates": _leaking(splits, clusters), "groups": _leaking(splits, groups)}


def _leaking(splits: Sequence[Split | None], parts: Sequence[str | int | None]) -> int:
    """How many parts have examples in more than one split."""
    first: dict[str | int, Split] = {}
    leaking: set[str | int] = set()
    for split, part in zip(splits, parts, strict=True):
        if split is not None and part is not None and first.setdefault(part, split) != split:
            leaking.add(part)
    return len(leaking)


def has_expectation(example: Example) -> bool:
    """Whether the example says anything of the right answer."""
    says = (example.expected is not None, example.hand_over is not None, bool(example.expect))
    return any(says) or example.tool_calls is not None


def input_text(example: Example) -> str:
    """All that is asked, as text: the conversation but for the system's part, and the prompt's inputs."""
    said = [text_of(message) for message in example.messages if message.get("role") not in ("system", "developer")]
    said += example.follow_ups
    given = [as_text(value) for value in example.inputs.values()]
    text = "\n".join(part for part in (*said, *given) if part)
    return text or as_text(example.messages)


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def cut(text: str) -> str:
    """As much of a text as a list shows."""
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def _rightness(example: Example) -> str | tuple[str | None, bool | None]:
    """What makes two answers to one question differ."""
    if example.tool_calls is None and (example.expected is None or isinstance(example.expected, str)):
        return example.expected, example.hand_over
    return canonical_json([example.expected, example.hand_over, example.tool_calls])


def _spread(lengths: array[int]) -> dict[str, int] | None:
    if not lengths:
        return None
    ordered = sorted(lengths)
    at = {name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] for name, share in _QUANTILES}
    return {"least": ordered[0], **at, "most": ordered[-1]}


def _values(values: Counter[str]) -> dict[str, Any]:
    """The commonest values; how many others there are, and of how many kinds."""
    common = values.most_common(_MOST_VALUES)
    other = len(values) - len(common)
    shown: dict[str, Any] = {"values": dict(common), "different": len(values)}
    return {**shown, "other": values.total() - sum(count for _, count in common)} if other else shown
