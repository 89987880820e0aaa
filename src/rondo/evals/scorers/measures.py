"""Scorers of what an answer took: time, tokens, money, and how likely the model found its own words. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rondo.evals.model import Answer, Case, Metric, Scored
from rondo.evals.scorers.model import Kind, NotApplicable, Options, Say, Tools, Unscorable, measured, one, several

_TIMES = (("p50_ms", "p50"), ("p95_ms", "p95"), ("mean_ms", "mean"))


class MeasureOptions(Options):
    pass


def _of(what: str, value_of: Callable[[Answer], float | None]) -> Callable[[Any, Tools], Say]:
    def make(options: MeasureOptions, tools: Tools) -> Say:
        def say(case: Case) -> Scored:
            value = value_of(case.answer)
            if value is None:
                raise NotApplicable(f"{what} is not known.")
            return measured(value)

        return say

    return make


def tokens(options: MeasureOptions, tools: Tools) -> Say:
    def say(case: Case) -> Scored:
        given, made = case.answer.input_tokens, case.answer.output_tokens
        if given is None or made is None:
            raise NotApplicable("The tokens are not known.")
        return measured(given + made, input=given, output=made)

    return say


def perplexity(options: MeasureOptions, tools: Tools) -> Say:
    def say(case: Case) -> Scored:
        logprobs = case.answer.logprobs
        if not logprobs:
            raise NotApplicable("The answer has no logprobs.")
        if any(not math.isfinite(each) or each > 0 for each in logprobs):
            raise Unscorable("wrong_type", "A log-probability is not a finite number of at most 0.")
        total = math.fsum(logprobs)
        return measured(math.exp(min(-total / len(logprobs), 700.0)), logprob=total, tokens=len(logprobs))

    return say


def _token_metrics(name: str, options: MeasureOptions) -> tuple[Metric, ...]:
    return several(
        (("input", "mean:input"), ("output", "mean:output"), ("total", "mean")), "tokens", higher_is_better=False
    )(name, options)


KINDS = (
    Kind(
        name="latency",
        summary="How long the answer took.",
        definition="Milliseconds from the request to the end of the answer; median, 95th percentile and mean. Of cached"
        " answers, what they took when they were made.",
        source="Hyndman and Fan 1996, type 7, for the percentiles.",
        options=MeasureOptions,
        make=_of("The latency", lambda answer: answer.latency_ms),
        metrics=several(_TIMES, "ms", higher_is_better=False),
    ),
    Kind(
        name="first_token",
        summary="How long the answer took to begin.",
        definition="Milliseconds from the request to the first token; median, 95th percentile and mean.",
        source="Hyndman and Fan 1996, type 7, for the percentiles.",
        options=MeasureOptions,
        make=_of("The time to the first token", lambda answer: answer.first_token_ms),
        metrics=several(_TIMES, "ms", higher_is_better=False),
    ),
    Kind(
        name="tokens",
        summary="How many tokens went in and came out.",
        definition="Mean tokens of the request, of the answer, and of both, as the provider counts them.",
        source="The provider's usage.",
        options=MeasureOptions,
        make=tokens,
        metrics=_token_metrics,
    ),
    Kind(
        name="cost",
        summary="What an answer cost.",
        definition="Mean US dollars per request, where the price is known. Of cached answers, what they cost once.",
        source="The price list, or your own prices.",
        options=MeasureOptions,
        make=_of("The cost", lambda answer: answer.cost_usd),
        metrics=several((("per_request_usd", "mean"),), "usd", higher_is_better=False),
    ),
    Kind(
        name="perplexity",
        summary="How surprised the model was by its own answer.",
        definition="exp(−Σ ln p / tokens) over the tokens of all answers together. Only where the provider gives"
        " log-probabilities (`params = {logprobs = true}`); compare only models with the same tokenizer.",
        source="Jelinek et al. 1977.",
        options=MeasureOptions,
        make=perplexity,
        metrics=one("score", higher_is_better=False, adds_up="perplexity"),
    ),
)
