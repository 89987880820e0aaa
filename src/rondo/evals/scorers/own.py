"""Scorers whose work is done elsewhere: judges by their room; Python files, Ragas and DeepEval by the command line.

Code of users and of others never runs in the server. Here are only their options, so that a suite is checked whole.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator

from rondo.evals.model import Metric, Unit
from rondo.evals.scorers.model import Kind, Options, Say, Tools

_METRIC = re.compile(r"[a-z][a-z0-9_.@-]{0,63}")


class OwnOptions(Options):
    timeout_s: float = Field(60.0, gt=0, le=3600, description="Longest time for one example.")
    unit: Literal["share", "score"] = Field(
        "share", description="What values are: a `share` of 0 to 1, or any `score`."
    )
    higher_is_better: bool = Field(True, description="Whether larger values are better.")


class PythonOptions(OwnOptions):
    file: str = Field(description="The file, relative to rondo.toml.")
    file_hash: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 of it and of what it imports of the project; `rondo` writes it, and nobody else.",
    )
    function: str = Field("score", description="The function in it; it may be async.")
    metrics: list[str] = Field(
        default_factory=list, description="Metrics besides: keys of the `details` that it returns, each with a number."
    )

    @field_validator("file")
    @classmethod
    def file_is_inside(cls, value: str) -> str:
        parts = value.replace("\\", "/").split("/")
        if value.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or not value.endswith(".py"):
            raise ValueError("`file` must be a .py file inside the project, relative to rondo.toml")
        return value

    @field_validator("function")
    @classmethod
    def function_is_name(cls, value: str) -> str:
        if not value.isidentifier():
            raise ValueError("`function` must be the name of a function")
        return value

    @field_validator("metrics")
    @classmethod
    def metrics_are_names(cls, value: list[str]) -> list[str]:
        if any(_METRIC.fullmatch(each) is None for each in value) or len(set(value)) != len(value):
            raise ValueError("`metrics` must be different names of a-z, 0-9, '_', '.', '@' and '-'")
        return value


class AdaptedOptions(OwnOptions):
    """A metric of a package. Its version is part of the suite: another one scores otherwise."""

    version: str = Field(
        pattern=r"^[0-9][0-9A-Za-z.+!_-]{0,63}$",
        description="The package's version, as `pip show` tells it; where another one is installed, nothing is run.",
    )


class RagasOptions(AdaptedOptions):
    metric: str = Field(description="A class of `ragas.metrics.collections`, e.g. `Faithfulness`.")
    model: str = Field(description="The model that it asks, through the gateway.")
    embeddings: str | None = Field(None, description="The model that embeds texts, where the metric needs one.")
    options: dict[str, Any] = Field(default_factory=dict, description="Arguments for the metric itself.")


class DeepEvalOptions(AdaptedOptions):
    metric: str = Field(description="A class of `deepeval.metrics`, e.g. `AnswerRelevancyMetric`.")
    model: str = Field(description="The model that it asks, through the gateway.")
    options: dict[str, Any] = Field(default_factory=dict, description="Arguments for the metric itself.")


class JudgeOptions(Options):
    judge: str = Field(description="The judge: a table `[judges.NAME]` of rondo.toml.")


def _elsewhere(options: Any, tools: Tools) -> Say:
    raise AssertionError("made elsewhere")


def _metrics(name: str, options: OwnOptions) -> tuple[Metric, ...]:
    unit: Unit = options.unit
    more: list[str] = options.metrics if isinstance(options, PythonOptions) else []
    return tuple(
        Metric(name=metric, unit=unit, higher_is_better=options.higher_is_better, adds_up=adds_up)
        for metric, adds_up in [(name, "mean"), *((f"{name}.{each}", f"mean:{each}") for each in more)]
    )


KINDS = (
    Kind(
        name="judge",
        summary="What a judge of `[judges]` says.",
        definition="See Judges. Its word counts at a gate only while it agrees with people.",
        source="See Judges.",
        options=JudgeOptions,
        make=_elsewhere,
        metrics=lambda name, options: (),
        asks=True,
    ),
    Kind(
        name="python",
        summary="What a function of yours says.",
        definition="A function in a Python file of the project, run by the command line in its own process. It takes"
        " any"
        " of `question`, `answer`, `expected` and `case`, and returns true or false, a number, or a table with `value`"
        " and, if you like, `passed`, `reason`, `details` and `cost_usd`; None where there is nothing to score.",
        source="Yours.",
        options=PythonOptions,
        make=_elsewhere,
        metrics=_metrics,
        own=True,
    ),
    Kind(
        name="ragas",
        summary="A metric of Ragas.",
        definition="As Ragas defines it; run by the command line in its own process, its model asked through the"
        " gateway."
        " Needs the extra `rondo[ragas]`; its telemetry is off.",
        source="Ragas 0.4.",
        options=RagasOptions,
        make=_elsewhere,
        metrics=_metrics,
        own=True,
    ),
    Kind(
        name="deepeval",
        summary="A metric of DeepEval.",
        definition="As DeepEval defines it; run by the command line in its own process, its model asked through the"
        " gateway. Needs the extra `rondo[deepeval]`; its telemetry is off.",
        source="DeepEval 4.",
        options=DeepEvalOptions,
        make=_elsewhere,
        metrics=_metrics,
        own=True,
    ),
)
