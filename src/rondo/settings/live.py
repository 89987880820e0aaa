"""The table `[live]`: which calls are judged while they happen, by what, and for how much money."""

from __future__ import annotations

from pydantic import Field

from rondo.settings.evaluating import ScorerSettings
from rondo.settings.table import Table


class LiveSettings(Table):
    """Scoring of production's own calls. Scores land on the calls, and goals of their names are measured live."""

    scorers: list[ScorerSettings] = Field(
        default_factory=list,
        description="Scorers that need no right answer, e.g. `judge`, `faithfulness`, `personal_data`.",
    )
    sample_percent: float = Field(5.0, ge=0, le=100, description="Share of the live calls that are scored.")
    rollout_percent: float = Field(
        100.0, ge=0, le=100, description="Share of a rollout's calls, candidate and baseline, that are scored."
    )
    budget_usd_per_day: float | None = Field(
        None, gt=0, description="What judges may cost in a day (UTC); they rest until the next one."
    )
    max_concurrency: int = Field(4, ge=1, le=64, description="Calls scored at the same time.")
