"""The tables of evaluation: judges, rubrics, the gate and reviews in `rondo.toml`; and a suite, a file of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from rondo.settings.table import Name, Table

OF_FAILURES = "must-pass"
"""The suite that no file declares: the failures of an app that became must-pass examples."""


class CriterionSettings(Table):
    """One thing to look at, scored by judges and by people alike."""

    name: Name = Field(max_length=48, description="What its score is called.")
    question: str = Field(min_length=1, description="What is to be judged, in a sentence or two.")
    lowest: int = Field(1, ge=0, le=100, description="The worst score.")
    highest: int = Field(5, ge=1, le=100, description="The best score.")
    anchors: dict[str, str] = Field(default_factory=dict, description="What a score means, e.g. `1 = 'wrong'`.")

    @model_validator(mode="after")
    def ascends(self) -> CriterionSettings:
        if self.lowest >= self.highest:
            raise ValueError("`lowest` must be smaller than `highest`")
        return self

    @model_validator(mode="after")
    def anchors_are_scores(self) -> CriterionSettings:
        for score in self.anchors:
            if not (score.isascii() and score.isdigit() and self.lowest <= int(score) <= self.highest):
                raise ValueError(f"`anchors` has {score!r:.40}, which is no score from {self.lowest} to {self.highest}")
        return self


class RubricSettings(Table):
    """What judges and reviewers look at."""

    criteria: list[CriterionSettings] = Field(min_length=1, description="The criteria, in the order they are asked.")

    @model_validator(mode="after")
    def names_are_apart(self) -> RubricSettings:
        names = [criterion.name for criterion in self.criteria]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"`criteria` has {twice!r} twice; give each a name of its own")
        return self


class JudgeSettings(Table):
    """A model that judges answers. It is part of a release, and counts at a gate while it agrees with people."""

    kind: Literal["rubric", "pairwise", "geval", "yes_no"] = Field(
        "rubric",
        description="`rubric` scores each criterion, `pairwise` says which of two answers is better (asked in both"
        " orders), `geval` weighs scores by their probability, `yes_no` answers a question.",
    )
    model: Name = Field(description="The model that judges.")
    rubric: Name | None = Field(
        None, description="The rubric; by default accuracy, clarity, professionalism, helpfulness."
    )
    question: str | None = Field(None, description="What `yes_no` and `pairwise` ask.")
    instructions: str = Field("", description="What the judge must know besides: the house's rules, the audience.")
    votes: int = Field(1, ge=1, le=15, description="How often it is asked; the median, or the majority, counts.")
    params: dict[str, Any] = Field(default_factory=dict, description="Request fields sent to its model.")
    mark: float | None = Field(
        None, ge=-1, le=1, description="Least agreement with people (Cohen's kappa) at which it counts at a gate."
    )
    least_labels: int = Field(30, ge=2, description="Fewest human labels that a calibration needs.")

    @model_validator(mode="after")
    def has_question(self) -> JudgeSettings:
        if self.kind == "yes_no" and not self.question:
            raise ValueError("`question` is required for `yes_no`")
        unused = {"yes_no": "rubric", "rubric": "question", "geval": "question"}.get(self.kind)
        if unused is not None and getattr(self, unused) is not None:
            raise ValueError(f"`{unused}` is nothing that a judge of the kind `{self.kind}` asks for; leave it out")
        return self


class GateSettings(Table):
    """What a release must show before it may take traffic."""

    suites: list[Name] = Field(min_length=1, description="The suites that must have been run on the release.")
    most_errors: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Largest share of examples without an answer or a score; above it, nothing is shown.",
    )
    slices: list[str] = Field(default_factory=list, description="Tags whose slices are guarded like goals.")
    least_slice: int = Field(20, ge=2, description="Smallest slice that is looked at, in examples.")


class ReviewSettings(Table):
    """How people review answers."""

    rubric: Name | None = Field(None, description="The rubric of the form; by default, the judges' own.")
    reviewers: int = Field(2, ge=1, le=5, description="How many people look at each answer.")
    sample_percent: float = Field(0, ge=0, le=100, description="Share of live calls that are put into the queue.")
    thumbs_down: bool = Field(True, description="Whether calls that users voted down are put into the queue.")
    dispute_gap: float = Field(
        0.5, gt=0, le=1, description="Difference of two reviewers, as a share of the scale, that makes a dispute."
    )


class SelectionSettings(Table):
    """What a model must have to be chosen, whatever its scores."""

    licences: list[str] = Field(default_factory=list, description="The licences that are allowed; all by default.")
    least_context_window: int | None = Field(None, ge=1, description="Tokens that it must be able to read.")


class ScorerSettings(Table):
    """One scorer of a suite. Which other keys it takes depends on its kind; `rondo scorers` lists them."""

    model_config = ConfigDict(extra="allow")

    kind: str = Field(description="The scorer, e.g. `contains`, `token_f1`, `judge`, `python`.")
    name: str | None = Field(
        None, pattern=r"^[a-z][a-z0-9_.@-]{0,63}$", description="What goals call its metric; the kind by default."
    )


class PlayedUserSettings(Table):
    """A model that plays the user of examples with a persona."""

    model: Name = Field(description="The model that plays.")
    max_turns: int = Field(4, ge=1, le=20, description="Most turns of a conversation.")


class SuiteSettings(Table):
    """A file `suites/NAME.toml`: which examples, how they are scored."""

    summary: str = Field("", description="One line about what it shows.")
    dataset: str = Field(
        description="A file of examples, relative to rondo.toml, or a stored dataset (`name`, `name@3`)."
    )
    split: Literal["train", "validation", "test"] | None = Field(None, description="Only the examples of this split.")
    tags: dict[str, str] = Field(default_factory=dict, description="Only the examples with these tags.")
    regressions: bool | None = Field(None, description="Only failures of the app that became must-pass examples.")
    repeats: int = Field(1, ge=1, le=100, description="How often each example is asked.")
    slices: list[str] = Field(default_factory=list, description="Tags by whose values the report is split.")
    scorers: list[ScorerSettings] = Field(min_length=1, description="The scorers; each makes a metric.")
    user: PlayedUserSettings | None = Field(None, description="Who plays the user of examples with a persona.")
    max_concurrency: int = Field(8, ge=1, le=256, description="Examples asked at the same time.")
    budget_usd: float | None = Field(None, gt=0, description="The run pauses before it would cost more.")
    timeout_s: float = Field(120.0, gt=0, le=3600, description="Longest time for one example.")

    @model_validator(mode="after")
    def names_are_apart(self) -> SuiteSettings:
        seen: set[str] = set()
        for at, scorer in enumerate(self.scorers):
            name = scorer.name or scorer.kind
            if name in seen:
                raise ValueError(f"scorers[{at}].name: two scorers are called {name!r}; give them names of their own")
            seen.add(name)
        return self


def beside(failures: Iterable[SuiteSettings], suites: Iterable[SuiteSettings]) -> list[SuiteSettings]:
    """Those parts of `must-pass` that these suites do not ask anyway: they ask all that is in the same dataset."""
    whole = {each.dataset for each in suites if each.split is None and not each.tags}
    return [each for each in failures if each.dataset not in whole]
