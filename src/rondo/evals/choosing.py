"""Choosing one of a run's targets: what is known of their models, and the decision matrix of its report."""

from __future__ import annotations

from collections.abc import Mapping

from rondo.errors import Conflict, RondoError
from rondo.evals import selection, written
from rondo.evals.grid import Grid, grid
from rondo.evals.matrix import AskedModel, Contender, Matrix, decide
from rondo.evals.model import Run, Target
from rondo.evals.selection import About, Selection
from rondo.evals.targets import RULE_BASED, Subjects
from rondo.gateway.plan import ServedModel


def matrix_of(run: Run, said: Selection, subjects: Subjects) -> Matrix:
    """The run's targets, ranked by the goals' weights, the run's own selection, and what is said now, one over the
    other. Raises Conflict, InvalidRequest."""
    if run.report is None:
        raise Conflict(f"{run.id} is {run.status}, and has no report yet.", remedy="Wait until it is finished.")
    report = written.read(run.report)
    said = selection.checked(said, {metric.metric for target in report.targets for metric in target.metrics})
    goals = selection.of_goals(run.suite.get("goals", ()))
    wanted = selection.over(selection.over(goals, selection.read(run.suite.get("selection", {}))), said)
    models = [_asked_models(run, target, subjects, wanted.about) for target in run.targets]
    labels = grid_of(run, models).labels
    contenders = [Contender(label=label, models=each) for label, each in zip(labels, models, strict=True)]
    return decide(report, wanted, contenders)


def grid_of(run: Run, models: list[list[AskedModel]]) -> Grid:
    """The run's targets by prompt and model; `models` are those of each target."""
    return grid(run.targets, [bool(each) and all(model.rule_based for model in each) for each in models])


def require_measured(said: Selection, run: Run) -> None:
    """What is wrong with a selection is told before anything is asked, and paid for. Raises InvalidRequest."""
    from rondo.evals.columns import sources_of  # it imports NumPy, which a server without evaluations never needs

    selection.checked(said, [source.metric.name for source in sources_of(run)])


def _asked_models(run: Run, target: Target, subjects: Subjects, about: Mapping[str, About]) -> list[AskedModel]:
    """The models of a target, in the order they are tried; only their names where it cannot be served any more."""
    try:
        served = subjects.subject(run.project, target).served
    except RondoError:
        return [AskedModel(name=name) for name in (target.model or target.label).split(", ")]
    route = served if isinstance(served, tuple) else served.route
    return [_asked_model(model, about.get(model.spec.name, About())) for model in route]


def _asked_model(model: ServedModel, about: About) -> AskedModel:
    return AskedModel(
        name=model.spec.name,
        rule_based=model.spec.provider == RULE_BASED,
        licence=about.licence,
        context_window=about.context_window,
        input_price=None if model.price is None else model.price.input,
        output_price=None if model.price is None else model.price.output,
    )
