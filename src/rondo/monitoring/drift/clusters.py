"""Groups of vectors that are alike, by HDBSCAN (Campello, Moulavi & Sander 2013) of scikit-learn, which is optional.

Vectors are brought to their main directions first (latent semantic analysis), where density says more. How many groups
there are comes out of the data; what is in none of them is -1. The same vectors give the same groups. Loading
scikit-learn takes a second or more: call this in a thread.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
_SAME_OF_MODELS = 0.3
"""Around the mean: half the distance at which what has nothing in common lies."""


def least_size(texts: int) -> int:
    """The fewest that are a group: three, or one in fifty."""
    return max(3, texts // 50)


def cluster(vectors: Vectors, *, least: int | None = None, of_words: bool = True) -> list[int]:
    """A number for each row, 0 for the largest group; -1 for what is in none. Raises Conflict.

    `of_words`: texts without a word in common are at right angles, which is not so for a model's vectors.
    """
    require_installed()
    smallest = least_size(len(vectors)) if least is None else least
    says = np.linalg.norm(vectors, axis=1) > 0
    labels = np.full(len(vectors), NOWHERE)
    labels[says] = _grouped(vectors[says], smallest, of_words=of_words)
    return labels.tolist()


def _grouped(vectors: Vectors, smallest: int, *, of_words: bool) -> list[int]:
    """Of vectors none of which is zero: zeros are as dense as equal texts, and have nothing in common."""
    if len(vectors) < 2 * smallest:
        return [NOWHERE] * len(vectors)
    from sklearn.cluster import HDBSCAN

    reduced = _reduced(vectors)
    model = HDBSCAN(min_cluster_size=smallest, min_samples=min(_NEIGHBOURS, smallest), copy=True)
    with np.errstate(divide="ignore", invalid="ignore"):  # texts that are equal are infinitely dense
        labels = np.asarray(model.fit_predict(reduced.astype(np.float64)))
    if (labels == NOWHERE).all():
        return _one_or_none(vectors, smallest, _NEAR if of_words else _ALL_NEAR)
    taken_in = _taken_in(reduced, labels)
    return _by_size(_merged(vectors, taken_in, _SAME) if of_words else _merged(reduced, taken_in, _SAME_OF_MODELS))


def _reduced(vectors: Vectors) -> Vectors:
    """The main directions around the mean; each row of length one."""
    centred = (vectors - vectors.mean(axis=0)).astype(np.float64)
    if len(centred) < centred.shape[1]:  # the same by the smaller of both matrices
        values, places = np.linalg.eigh(centred @ centred.T)
        kept = np.argsort(-values)[:_DIRECTIONS]
        return unit(places[:, kept] * np.sqrt(np.maximum(values[kept], 0)))
    values, directions = np.linalg.eigh(centred.T @ centred)
    return unit(centred @ directions[:, np.argsort(-values)[:_DIRECTIONS]])


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


def _merged(vectors: Vectors, labels: NDArray[np.int_], same: float) -> NDArray[np.int_]:
    """Groups with much the same middle are one: density tells apart what differs in a name or a number.

    Average linkage, so that a chain of groups of which each is near to the next does not become one.
    """
    from sklearn.cluster import AgglomerativeClustering

    names = [name for name in np.unique(labels).tolist() if name != NOWHERE]
    if len(names) < 2:
        return labels
    middles = unit(np.stack([vectors[labels == name].mean(axis=0) for name in names]))
    model = AgglomerativeClustering(
        n_clusters=None, metric="cosine", linkage="average", distance_threshold=1 - same, compute_full_tree=True
    )
    found = labels.copy()
    for at, label in enumerate(model.fit_predict(middles).tolist()):
        found[labels == names[at]] = names[label]
    return found


def _by_size(labels: NDArray[np.int_]) -> list[int]:
    """Numbers in order of size, then of the first row, so that they do not depend on the library's."""
    names = {name: (-(labels == name).sum(), int(np.argmax(labels == name))) for name in np.unique(labels).tolist()}
    ordered = sorted((name for name in names if name != NOWHERE), key=lambda name: names[name])
    numbers = {name: number for number, name in enumerate(ordered)} | {NOWHERE: NOWHERE}
    return [numbers[label] for label in labels.tolist()]
