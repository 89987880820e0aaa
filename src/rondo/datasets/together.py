"""What belongs together, by what has been joined. Pure, and without NumPy: servers that split nothing import it too."""

from __future__ import annotations


class Together:
    """Which places belong together, by what has been joined (a disjoint-set forest)."""

    def __init__(self, size: int) -> None:
        self._parents = list(range(size))

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.root(one), self.root(other)))
        self._parents[high] = low

    def root(self, place: int) -> int:
        parents = self._parents
        while parents[place] != place:
            parents[place] = place = parents[parents[place]]
        return place

    def labels(self) -> list[int]:
        """The first place of each one's cluster."""
        return [self.root(place) for place in range(len(self._parents))]
