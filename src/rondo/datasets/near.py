"""Which texts are nearly the same: MinHash signatures of their characters, and clusters of those that are alike. Pure.

Two texts are alike where the sets of their runs of five characters overlap (Jaccard): a word more, another ending, a
typo. Signatures estimate that overlap (Broder 1997); locality-sensitive hashing finds the pairs worth comparing
(Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, ch. 3). Case, punctuation and spacing do not count. Pairs
that overlap by 0.8 or more are found but for one in about a hundred thousand, by 0.7 nine times in ten; a rephrasing
is not found.

The hash functions are part of how splits come out, so they are written here and never change.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rondo.datasets.together import Together

Signatures = NDArray[np.uint32]
"""One row a text, `HASHES` columns."""

HASHES = 128
ALIKE = 0.65
"""The least estimated overlap of texts that are alike; the estimate's deviation is 0.035 at an overlap of 0.8."""

_RUN = 5
_BANDS = 32
_ROWS = HASHES // _BANDS
_NEIGHBOURS = 16
_AT_ONCE = 1 << 16  # characters whose hashes stay in a processor's cache
_KEYED_AT_ONCE = 1 << 10
_PAIRS_AT_ONCE = 1 << 11
_SPACES = re.compile(r"[\W_]+")
_SMALL_PRIME = np.uint64(1_000_003)
_MIX = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))  # of MurmurHash3's finaliser


def plain(text: str) -> str:
    """The text without case, punctuation, accents of composition and spacing."""
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def signatures(texts: Sequence[str]) -> Signatures:
    """The signatures of texts that `plain` has gone over."""
    found = np.empty((len(texts), HASHES), dtype=np.uint32)
    done = 0
    for some in _batches(texts):
        _sign(some, found[done : done + len(some)])
        done += len(some)
    return found


def similarity(one: Signatures, other: Signatures) -> NDArray[np.float64]:
    """The estimated overlap of each row of `one` with the same row of `other`."""
    same: NDArray[np.float64] = np.mean(one == other, axis=1)
    return same


def alike_pairs(
    signed: Signatures, *, least: float = ALIKE
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]]:
    """Pairs of rows that overlap by `least`: both places, and how much. A pair may come more than once.

    Where very many rows share a hash, only neighbours are compared, in the order of their next hash: what is alike in
    one crowd is met in another.
    """
    for first, second in _candidates(signed, np.arange(len(signed))):
        for start in range(0, len(first), _PAIRS_AT_ONCE):
            one, other = first[start : start + _PAIRS_AT_ONCE], second[start : start + _PAIRS_AT_ONCE]
            overlap = similarity(signed[one], signed[other])
            alike = overlap >= least
            if alike.any():
                yield one[alike], other[alike], overlap[alike]


def clusters(texts_of: Sequence[bytes], signed: Signatures) -> list[int]:
    """A number for each text; those in one cluster have the same: the place of the cluster's first text.

    `texts_of` are digests of the texts, so that equal texts are known without comparing.
    """
    together = Together(len(texts_of))
    first: dict[bytes, int] = {}
    for place, digest in enumerate(texts_of):
        together.join(first.setdefault(digest, place), place)
    once = np.fromiter(first.values(), dtype=np.intp, count=len(first))
    for band in _candidates(signed, once):
        _join_alike(together, once, signed, band)
    return together.labels()


def _join_alike(
    together: Together, once: NDArray[np.intp], signed: Signatures, pairs: tuple[NDArray[np.intp], NDArray[np.intp]]
) -> None:
    """Join the pairs that are alike; those that are together already are not compared again."""
    first, second = once[pairs[0]], once[pairs[1]]
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        one, other = first[start : start + _PAIRS_AT_ONCE], second[start : start + _PAIRS_AT_ONCE]
        apart = np.fromiter(
            (together.root(a) != together.root(b) for a, b in zip(one.tolist(), other.tolist(), strict=True)),
            dtype=bool,
            count=len(one),
        )
        one, other = one[apart], other[apart]
        alike = similarity(signed[one], signed[other]) >= ALIKE
        for a, b in zip(one[alike].tolist(), other[alike].tolist(), strict=True):
            together.join(a, b)


def _keys(signed: Signatures, rows: NDArray[np.intp], band: int) -> NDArray[np.uint64]:
    """A key for each row: rows with an equal key may be alike."""
    keys = np.empty(len(rows), dtype=np.uint64)
    columns = slice(band * _ROWS, (band + 1) * _ROWS)
    for start in range(0, len(rows), _KEYED_AT_ONCE):
        some = signed[rows[start : start + _KEYED_AT_ONCE], columns]
        key = np.full(len(some), band + 1, dtype=np.uint64)
        for column in range(_ROWS):
            key = _mixed((key ^ some[:, column]) * _MIX[0])
        keys[start : start + len(some)] = key
    return keys


def _candidates(signed: Signatures, rows: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Pairs of places in `rows` that share a band's key. Memory holds the keys of two bands at a time."""
    first = following = _keys(signed, rows, 0)
    for band in range(_BANDS):
        own, following = following, _keys(signed, rows, band + 1) if band + 1 < _BANDS else first
        order = np.lexsort((following, own))
        key = own[order]
        for step in range(1, min(_NEIGHBOURS, len(order) - 1) + 1):
            equal = np.flatnonzero(key[:-step] == key[step:])
            if not len(equal):
                break
            yield order[equal], order[equal + step]


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text.ljust(_RUN))
        size += len(batch[-1])
        if size >= _AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _sign(texts: Sequence[str], into: Signatures) -> None:
    """The least of each hash over a text's runs. Every text has at least `_RUN` characters."""
    letters = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    lengths = np.fromiter((len(text) for text in texts), dtype=np.intp, count=len(texts))
    runs = len(letters) - _RUN + 1
    hashes = np.zeros(runs, dtype=np.uint64)
    for place in range(_RUN):
        hashes = hashes * _SMALL_PRIME + letters[place : place + runs]
    whole = np.ones(len(letters), dtype=bool)  # runs that do not reach into the next text
    ends = np.cumsum(lengths)
    for place in range(1, _RUN):
        whole[ends - place] = False
    hashes = _mixed(hashes[whole[:runs]])
    counts = lengths - _RUN + 1
    starts = np.cumsum(counts) - counts
    factors, terms = _functions()
    for column in range(HASHES):
        values = ((hashes * factors[column] + terms[column]) >> np.uint64(32)).astype(np.uint32)
        into[:, column] = np.minimum.reduceat(values, starts)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    shift = np.uint64(33)
    values = (values ^ (values >> shift)) * _MIX[0]
    values = (values ^ (values >> shift)) * _MIX[1]
    return values ^ (values >> shift)


def _functions() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Odd factors and terms of the hash functions, the same for ever (multiply-shift, Dietzfelbinger 1997)."""
    drawn = _mixed(np.arange(1, 2 * HASHES + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return drawn[:HASHES] | np.uint64(1), drawn[HASHES:]
