"""A goal, as `rondo.toml` has it: what a run is measured by, and what a gate holds a release to. Pure."""

from __future__ import annotations

from msgspec import Struct

from rondo.evals.statistics.standing import margin_of


class Goal(Struct, frozen=True, kw_only=True):
    """A bound on a metric. `margin` is the smallest change that counts; a `guarded` goal must not get worse."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    margin: float | None = None
    guarded: bool = True

    @property
    def limit(self) -> float:
        """The value of its bound."""
        return self.at_least if self.at_least is not None else self.at_most or 0.0

    @property
    def bound(self) -> str:
        """`at least 0.85`, as `rondo.toml` has it."""
        return f"at {'most' if self.at_least is None else 'least'} {self.limit:g}"

    @property
    def least_change(self) -> float:
        """The smallest change that counts."""
        return margin_of(self.limit, self.margin)
