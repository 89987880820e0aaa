"""Texts as vectors, without a model: hashed TF-IDF of words, pairs of words and parts of words, projected. Pure.

Features are hashed (Weinberger et al. 2009) and weighed by how rare they are among the texts at hand; a very sparse
random projection (Li, Hastie & Church 2006) keeps the angles between them to about ±1/sqrt(512). Nothing depends on
the order or the process: the same texts give the same vectors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""A row for each text, of length one; zero where a text has nothing in common with any other."""

WIDTH = 512
LONGEST = 2_000
"""Characters of a text that are looked at."""

_BUCKETS = 1 << 16
_PLACES = 4
_PART = 4
_SEED = 20_260_101
_WORD = re.compile(r"\w+")


def of_texts(texts: Sequence[str]) -> Vectors:
    """The texts' vectors; those of one call only are comparable with each other."""
    rows, buckets, counts = _counted(texts)
    in_texts = np.bincount(buckets, minlength=_BUCKETS)
    rare = np.log((1 + len(texts)) / (1 + in_texts)) + 1.0
    weights = (1 + np.log(counts)) * rare[buckets] * (in_texts[buckets] > 1)
    return unit(_projected(rows, buckets, weights, len(texts)))


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """Each row of length one; zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)


def features(text: str) -> Iterator[str]:
    """Words, pairs of words, and runs of four letters, so that endings and typos matter little."""
    words = _WORD.findall(text[:LONGEST].casefold())
    yield from words
    for one, other in pairwise(words):
        yield f"{one} {other}"
    for word in words:
        edged = f"<{word}>"
        for start in range(len(edged) - _PART + 1):
            yield edged[start : start + _PART]


def _counted(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Row, bucket and count of every feature that occurs."""
    keys = [
        np.fromiter((crc32(each.encode("utf-8", "replace")) % _BUCKETS for each in features(text)), dtype=np.int64)
        + row * _BUCKETS
        for row, text in enumerate(texts)
    ]
    found, counts = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *keys]), return_counts=True)
    return found // _BUCKETS, found % _BUCKETS, counts


@cache
def _directions() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Where each bucket goes, and with which sign: 4 MB."""
    random = np.random.default_rng(_SEED)
    places = random.integers(0, WIDTH, (_BUCKETS, _PLACES))
    return places, random.choice(np.array([-1.0, 1.0]), (_BUCKETS, _PLACES))


def _projected(
    rows: NDArray[np.int64], buckets: NDArray[np.int64], weights: NDArray[np.float64], texts: int
) -> NDArray[np.float64]:
    places, signs = _directions()
    made = np.zeros(texts * WIDTH)
    for turn in range(_PLACES):
        at = rows * WIDTH + places[buckets, turn]
        made += np.bincount(at, weights=weights * signs[buckets, turn], minlength=texts * WIDTH)
    return made.reshape(texts, WIDTH)
