"""The suite that a red team's run is: each attack's own checks, split by risk, kind, family and technique. Pure."""

from __future__ import annotations

from typing import Any

from rondo.redteam.generate import RESISTED
from rondo.redteam.report import SLICES

NAME = "redteam"
DATASET = "redteam"


def suite(*, summary: str = "", **options: Any) -> dict[str, Any]:
    """As a file `suites/redteam.toml` would have it; `options` that are None are left out.

    `summary` is kept with the run: what has been left out.
    """
    return {
        "summary": summary,
        "dataset": DATASET,
        "slices": list(SLICES),
        "scorers": [{"kind": "expect", "name": RESISTED}],
        **{name: value for name, value in options.items() if value is not None},
    }
