"""What people would have scored a run, from what the judge scored it and a few labels: prediction-powered estimates.

The judge's mean over the whole run is moved by how far the judge is from people on the labelled answers (Angelopoulos
et al. 2023, https://arxiv.org/abs/2301.09633, with the tuned weight of https://arxiv.org/abs/2311.01453), and the
interval carries the doubt of both. That holds where the labelled answers are like those of the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from sqlalchemy import Connection

from rondo.errors import InvalidRequest
from rondo.evals import store
from rondo.evals.judges.model import Judge
from rondo.evals.judges.report import Agreement, Bounded, Corrected, Measured
from rondo.evals.judges.version import version_of
from rondo.evals.model import Result, Run

LEAST = 5
"""Fewest labels that an estimate is made from."""


def corrected(connection: Connection, project: str, run_id: str, judge: Judge, measured: Measured) -> list[Corrected]:
    """Every metric of this judge in a run, of every target. Raises NotFound, and InvalidRequest where there is none."""
    run = store.get_run(connection, project, run_id)
    wanted = _metrics(run, judge)
    if not wanted:
        raise InvalidRequest(
            f"The run {run_id} has nothing that this version of {judge.name} has scored.",
            remedy="Name a finished run whose suite has the judge as a scorer.",
            param="run",
        )
    values = _values(store.every_result(connection, project, run_id), set(wanted))
    aspects = {each.aspect: each for each in measured.aspects}
    found = []
    for (target, metric), examples in sorted(values.items()):
        aspect = aspects[wanted[metric]]
        if len(aspect.pairs) >= LEAST and examples:
            found.append(_corrected(run.targets[target].label, metric, list(examples.values()), aspect))
    return found


def _metrics(run: Run, judge: Judge) -> dict[str, str]:
    """By the name of a metric in the run, the aspect of the judge that it is."""
    version = version_of(judge)
    found: dict[str, str] = {}
    for target in (run.report or {}).get("targets", ()):
        for metric in target["metrics"]:
            if (metric.get("judge"), metric.get("judge_version")) != (judge.name, version):
                continue
            name = metric["metric"]
            for aspect in judge.aspects:
                if name == judge.metric_of(aspect, name.removesuffix(f".{aspect}")):
                    found[name] = aspect
    return found


def _values(results: Iterable[Result], metrics: set[str]) -> dict[tuple[int, str], dict[str, float]]:
    """By target and metric, each example's value: the mean of its repeats."""
    repeats: dict[tuple[int, str], dict[str, list[float]]] = {}
    for result in results:
        for name in metrics & result.scores.keys():
            value = result.scores[name].value
            if value is not None:
                repeats.setdefault((result.target, name), {}).setdefault(result.example, []).append(value)
    return {key: {example: fmean(each) for example, each in found.items()} for key, found in repeats.items()}


def _corrected(target: str, metric: str, judged: list[float], aspect: Agreement) -> Corrected:
    from rondo.evals.statistics.prediction_powered import corrected_mean

    found = corrected_mean([people for _, people in aspect.pairs], [judge for judge, _ in aspect.pairs], judged)
    estimate = found.estimate
    return Corrected(
        target=target,
        metric=metric,
        n=len(judged),
        labels=len(aspect.pairs),
        judged=fmean(judged),
        corrected=Bounded(estimate.value, estimate.low, estimate.high),
    )
