"""The table `[rollout]`: how traffic moves to a new release, and what stops it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from rondo.settings.steps import parse_step
from rondo.settings.table import DURATION, Table


class RolloutGuardSettings(Table):
    """Limits that end a rollout within seconds, whatever the goals say."""

    errors_at_most: float = Field(0.2, ge=0, le=1, description="Largest share of the candidate's calls that fail.")
    timeouts_at_most: float = Field(0.1, ge=0, le=1, description="Largest share of its calls that time out.")
    cost_ratio_at_most: float = Field(
        3.0, gt=0, description="What its calls may cost on average, as a multiple of the baseline's."
    )
    least_calls: int = Field(20, ge=1, description="Calls of the candidate before any of these is looked at.")


class RolloutSettings(Table):
    """How traffic moves from the stable release to a new one."""

    steps: list[str] = Field(
        min_length=1,
        max_length=50,
        description='One after the other: `"shadow 10m"`, `"5% 30m"`, `"25% 1h 400 calls"`, `"50% until evidence"`,'
        ' `"approve"`, `"at 2026-12-01T09:00Z"`, `"100%"`.',
    )
    kind: Literal["canary", "ab", "bandit"] = Field(
        "canary",
        description="`canary` promotes what holds up, `ab` ends in a report and changes nothing, `bandit` gives the"
        " better side more of the traffic once the guards hold.",
    )
    sticky: Literal["user", "session"] = Field(
        "user", description="Who stays on one side: a user (else the session), or each session for itself."
    )
    baseline: bool = Field(
        True, description="Whether a fresh arm of the stable release, as large as the candidate's, is compared with."
    )
    false_alarms: float = Field(
        0.05, gt=0, lt=0.5, description="Chance that a rollout of something no worse is rolled back, over all looks."
    )
    window: str = Field(
        "1m",
        pattern=DURATION,
        description="How long after a caller's first call its calls are counted: each caller is one piece of evidence.",
    )
    settle: str = Field(
        "30s", pattern=DURATION, description="How long after that until slow calls are over and stored."
    )
    maturity: str = Field(
        "0s",
        pattern=DURATION,
        description="How long after a call its outcomes may still come in, e.g. `2d` for tickets that are reopened.",
    )
    reward: str | None = Field(None, description="The metric that `bandit` goes by; the first goal by default.")
    draw_every: str = Field(
        "10m", pattern=DURATION, description="How often `bandit` draws the share of the candidate anew."
    )
    on_release: Literal["start", "wait"] = Field(
        "start", description="Whether `rondo release` starts the rollout, or `rondo rollout start` does."
    )
    guards: RolloutGuardSettings = Field(
        default_factory=RolloutGuardSettings, description="What takes the candidate back within seconds."
    )

    @field_validator("steps")
    @classmethod
    def steps_can_be_read(cls, steps: list[str]) -> list[str]:
        parsed = [parse_step(text) for text in steps]
        if any(step.kind == "promote" for step in parsed[:-1]):
            raise ValueError("`100%` ends the rollout, so it is the last step")
        shares = [step.share_bp for step in parsed if step.kind in ("split", "promote")]
        if shares != sorted(shares):
            raise ValueError("the shares must not fall from step to step")
        return steps

    @model_validator(mode="after")
    def ends_as_its_kind(self) -> RolloutSettings:
        last = parse_step(self.steps[-1]).kind
        if self.kind == "canary" and last != "promote":
            raise ValueError('the last step of a canary is `"100%"`')
        if self.kind != "canary" and last == "promote":
            raise ValueError(f'`"100%"` is no step of the kind `{self.kind}`, which promotes nothing')
        return self
