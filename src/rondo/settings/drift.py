"""The table `[drift]`: how often this window of calls is compared with an earlier one; what embeds and names topics."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from rondo.settings.table import DURATION, Name, Table


class DriftSettings(Table):
    """Whether what is asked, found and answered changes."""

    every: str = Field("1d", pattern=DURATION, description="How often it is looked at.")
    window: str = Field("1d", pattern=DURATION, description="The calls that are looked at.")
    reference: str = Field("7d", pattern=DURATION, description="The calls before them that they are compared with.")
    least_calls: int = Field(
        200,
        ge=20,
        le=2_000,
        description="Fewest users (else sessions, else calls) in each; with fewer, nothing is said.",
    )
    most_calls: int = Field(
        1_000, ge=100, le=2_000, description="Drawn from each where there are more; one call of each user."
    )
    false_alarms: float = Field(
        0.05, ge=0.001, lt=0.5, description="Chance that a comparison without any drift finds one."
    )
    model: Name | None = Field(
        None,
        description="The model that embeds questions, also for patterns; by default, words and letters are compared.",
    )
    names_model: Name | None = Field(
        None, description="The model that names topics and patterns; by default they are named by their words."
    )
    budget_usd: float | None = Field(None, gt=0, description="What these models may cost at one look.")

    @model_validator(mode="after")
    def _can_be_enough(self) -> Self:
        if self.most_calls < self.least_calls:
            raise ValueError(
                f"`most_calls` ({self.most_calls}) must be at least `least_calls` ({self.least_calls}),"
                " or no look ever has enough"
            )
        return self
