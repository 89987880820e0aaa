"""Takes in examples one at a time, and keeps of each only what deciding about it needs.

The examples themselves wait in a file, as the JSON that will be stored, and their signatures in another: memory holds
a few words of each, however long they are. Nothing is in the catalog yet.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import structs

from rondo.datasets import scrub
from rondo.datasets.fields import Unfit
from rondo.datasets.model import Example, Split
from rondo.datasets.quality import Quality, as_text, cut, input_text
from rondo.errors import InvalidRequest, TooLarge

if TYPE_CHECKING:
    from rondo.datasets.near import Signatures

MOST_EXAMPLES = 500_000
LARGEST_EXAMPLE = 1 << 20
"""Bytes of one, as JSON."""

Deduplicate = Literal["none", "same", "near"]
"""`same` keeps one example for each input, however it is spelled; `near` one for each cluster of near-duplicates."""

_SIGNED_AT_ONCE = 2_000
_encode = msgspec.json.Encoder().encode


class Kept(msgspec.Struct, gc=False):
    """What is known of an example that has been taken in. `digest` is of its input's plain text."""

    id: str
    digest: bytes
    split: Split | None
    group: str | None
    stratum: str
    must_pass: bool
    start: int
    size: int


class Intake:
    """Examples on their way into a version. A context: what it wrote is gone with it.

    `stratify` is `expected`, `hand_over` or a tag; `group_by` a tag whose value groups examples that have no group.
    """

    def __init__(self, *, clean: bool = False, stratify: str | None = None, group_by: str | None = None) -> None:
        self.kept: list[Kept] = []
        self.quality = Quality()
        self.merged = 0
        self._clean = clean
        self._stratify = stratify
        self._group_by = group_by
        self._ids: set[str] = set()
        self._size = 0
        self._texts: list[str] = []
        self._signed = 0
        self._signatures: IO[bytes] = tempfile.TemporaryFile(prefix="rondo-signatures-")  # noqa: SIM115 - as below
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="rondo-examples-")  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Intake:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signatures.close()
        self._file.close()

    def add(self, example: Example) -> None:
        """Take one in; one that is there already is only counted. Raises Unfit, TooLarge."""
        from rondo.datasets.near import plain

        looked = scrub.look(example, clean=self._clean)
        whole = identified(looked.example)
        if whole.id in self._ids:
            self.merged += 1
            return
        payload = payload_of(whole)
        if len(self.kept) >= MOST_EXAMPLES:
            raise TooLarge(f"There are more than {MOST_EXAMPLES:,} examples.", remedy="Make several datasets of them.")
        text = input_text(whole)
        simple = plain(text) or text  # punctuation alone is told apart by itself
        digest = blake2b(simple.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        self.quality.look(whole, text, digest, looked.found)
        self.kept.append(
            Kept(
                id=whole.id,
                digest=digest,
                split=whole.split,
                group=whole.group if whole.group is not None else whole.tags.get(self._group_by or ""),
                stratum=self._stratum(whole),
                must_pass=whole.must_pass,
                start=self._size,
                size=len(payload),
            )
        )
        self._ids.add(whole.id)
        self._size += self._file.write(payload)
        self._texts.append(simple)
        if len(self._texts) >= _SIGNED_AT_ONCE:
            self._sign()

    def clusters(self) -> list[int]:
        """For each example the place of the first of those that are nearly the same."""
        import numpy as np

        from rondo.datasets import near

        self._sign()
        self._signatures.flush()
        signed: Signatures = np.memmap(self._signatures, np.uint32, "r", shape=(self._signed, near.HASHES))
        return near.clusters([each.digest for each in self.kept], signed)

    def payloads(self, places: Sequence[int]) -> Iterator[tuple[str, str]]:
        """(id, JSON) of the examples at these places."""
        for place in places:
            each = self.kept[place]
            self._file.seek(each.start)
            yield each.id, self._file.read(each.size).decode()

    def conflicts(self, places: Sequence[int], shown: int) -> dict[str, Any]:
        """Inputs with several right answers: how many, and the first of them."""
        odd = self.quality.conflicts()
        groups: dict[bytes, list[int]] = {}
        for place in places:
            if self.kept[place].digest in odd:
                groups.setdefault(self.kept[place].digest, []).append(place)
        several = [group for group in groups.values() if len(group) > 1]
        return {"inputs": len(several), "shown": [self._conflict(group[:shown]) for group in several[:shown]]}

    def _conflict(self, places: Sequence[int]) -> dict[str, Any]:
        examples = [msgspec.json.decode(payload, type=Example) for _, payload in self.payloads(places)]
        return {
            "input": cut(examples[0].question),
            "examples": [
                {"id": each.id, "expected": None if each.expected is None else cut(as_text(each.expected))}
                | ({} if each.hand_over is None else {"hand_over": each.hand_over})
                for each in examples
            ],
        }

    def _stratum(self, example: Example) -> str:
        if self._stratify is None:
            return ""
        if self._stratify == "expected":
            return as_text(example.expected)
        if self._stratify == "hand_over":
            return str(example.hand_over)
        return example.tags.get(self._stratify, "")

    def _sign(self) -> None:
        from rondo.datasets import near

        if self._texts:
            near.signatures(self._texts).tofile(self._signatures)
            self._signed += len(self._texts)
            self._texts = []


def identified(example: Example) -> Example:
    """The example with its id. Raises Unfit for what JSON has not."""
    try:
        return example.identified()
    except (ValueError, TypeError, RecursionError, UnicodeEncodeError) as error:
        reason = "half a surrogate pair" if isinstance(error, UnicodeEncodeError) else str(error)
        raise Unfit(f"The example holds what JSON has not: {reason:.120}.") from None


def payload_of(example: Example) -> bytes:
    """An example as it is stored. Raises TooLarge."""
    payload = _encode(structs.replace(example, split=None))
    if len(payload) > LARGEST_EXAMPLE:
        raise TooLarge(f"An example has {len(payload):,} bytes, more than {LARGEST_EXAMPLE:,}.")
    return payload


def require_examples(kept: Sequence[object]) -> None:
    """Raises InvalidRequest where there are none."""
    if not kept:
        raise InvalidRequest("There are no examples.", remedy="A version holds at least one.", param="examples")
