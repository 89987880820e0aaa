"""Groups of vectors that are alike, by HDBSCAN (Campello, Moulavi & Sander 2013) of scikit-learn, which is optional.

Vectors are brought to their main directions first (latent semantic analysis), where density says more. How many groups
there are comes out of the data; what is in none of them is -1. The same vectors give the same groups. Loading
scikit-learn takes a second or more: call this in a thread.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rondo.datasets.together import Together
from rondo.monitoring.drift.clusters_at_hand import require_installed
from rondo.monitoring.drift.vectors import Vectors, unit

NOWHERE = -1
MOST = 5_000
"""Vectors that are grouped at once."""

_DIRECTIONS = 40
_NEIGHBOURS = 3
_NEAR = 0.5
_ALL_NEAR = 0.9
_SAME = 0.6


def least_size(texts: int) -> int:
    """The fewest that are a group: three, or one in fifty."""
    return max(3, texts // 50)


def cluster(vectors: Vectors, *, least: int | None = None, of_words: bool = True) -> list[int]:
    """A number for each row, 0 for the largest group; -1 for what is in none. Raises Conflict.

    `of_words`: texts without a word in common are at right angles, which is not so for a model's vectors.
    """
    require_installed()
    smallest = least_size(len(vectors)) if least is None else least
    if len(vectors) < 2 * smallest:
        return [NOWHERE] * len(vectors)
    from sklearn.cluster import HDBSCAN

    reduced = _reduced(vectors)
    model = HDBSCAN(min_cluster_size=smallest, min_samples=min(_NEIGHBOURS, smallest), copy=True)
    with np.errstate(divide="ignore", invalid="ignore"):  # texts that are equal are infinitely dense
        labels = np.asarray(model.fit_predict(reduced.astype(np.float64)))
    if (labels == NOWHERE).all():
        return _one_or_none(vectors, smallest, _NEAR if of_words else _ALL_NEAR)
    return _by_size(_merged(vectors if of_words else reduced, _taken_in(reduced, labels)))


def _reduced(vectors: Vectors) -> Vectors:
    """The main directions around the mean; each row of length one. Rows of zeros stay."""
    some = np.linalg.norm(vectors, axis=1) > 0
    centred = vectors - vectors[some].mean(axis=0) if some.any() else vectors.copy()
    centred[~some] = 0
    values, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    kept = directions[:, np.argsort(-values)[:_DIRECTIONS]]
    return unit(centred @ kept)


def _taken_in(vectors: Vectors, labels: NDArray[np.int_]) -> NDArray[np.int_]:
    """What is in no group joins the one whose middle is near."""
    names = [name for name in np.unique(labels).tolist() if name != NOWHERE]
    alone = labels == NOWHERE
    if not names or not alone.any():
        return labels
    middles = unit(np.stack([vectors[labels == name].mean(axis=0) for name in names]))
    near = vectors[alone] @ middles.T
    best = near.argmax(axis=1)
    found = labels.copy()
    found[alone] = np.where(near.max(axis=1) >= _NEAR, np.array(names)[best], NOWHERE)
    return found


def _one_or_none(vectors: Vectors, smallest: int, near: float) -> list[int]:
    """Density finds no groups where there is but one: all that is near the middle of everything."""
    is_near = vectors @ unit(vectors.mean(axis=0, keepdims=True))[0] >= near
    return (
        [0 if each else NOWHERE for each in is_near.tolist()] if is_near.sum() >= smallest else [NOWHERE] * len(vectors)
    )


def _merged(vectors: Vectors, labels: NDArray[np.int_]) -> NDArray[np.int_]:
    """Groups with much the same middle are one: density tells apart what differs in a name or a number."""
    names = [name for name in np.unique(labels).tolist() if name != NOWHERE]
    if len(names) < 2:
        return labels
    middles = unit(np.stack([vectors[labels == name].mean(axis=0) for name in names]))
    together = Together(len(names))
    for one, other in zip(*np.nonzero(middles @ middles.T >= _SAME), strict=True):
        together.join(int(one), int(other))
    found = labels.copy()
    for at, label in enumerate(together.labels()):
        found[labels == names[at]] = names[label]
    return found


def _by_size(labels: NDArray[np.int_]) -> list[int]:
    """Numbers in order of size, then of the first row, so that they do not depend on the library's."""
    names = {name: (-(labels == name).sum(), int(np.argmax(labels == name))) for name in np.unique(labels).tolist()}
    ordered = sorted((name for name in names if name != NOWHERE), key=lambda name: names[name])
    numbers = {name: number for number, name in enumerate(ordered)} | {NOWHERE: NOWHERE}
    return [numbers[label] for label in labels.tolist()]
