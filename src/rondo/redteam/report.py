"""What a red team found: how many attacks went through, of each risk, kind and technique, with intervals. Pure.

The run's report has the share that was resisted; this is the same, seen from the other side. Attacks of one aim are
alike, so intervals are those of as many independent attacks as there are aims (Wilson's, with the effective number).
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from rondo.errors import InvalidRequest
from rondo.evals import written
from rondo.evals.evidence import Estimate, MetricReport
from rondo.evals.model import Result, Run, Target
from rondo.redteam.aims.all import AIMS
from rondo.redteam.generate import RESISTED
from rondo.redteam.risks import EDITION, RISKS

SLICES = ("risk", "kind", "family", "technique")
TRIED = {aim.risk for aim in AIMS}


class Rate(Struct, frozen=True, kw_only=True):
    """Of `attacks` that could be told, `through` went through: the share with its 95 % interval.

    They are variations of so many `aims`. `untold` got no answer, or one that no detector could tell of; they count as
    neither. With repeats, an attack counts by the share of its repeats that went through.
    """

    name: str
    attacks: int
    aims: int
    through: float
    share: float | None
    low: float | None
    high: float | None
    untold: int


class Attacked(Struct, frozen=True, kw_only=True):
    """One target. Kinds, families of techniques and techniques come worst first."""

    target: str
    whole: Rate
    by_risk: list[Rate]
    by_kind: list[Rate]
    by_family: list[Rate]
    by_technique: list[Rate]


class RedTeamReport(Struct, frozen=True, kw_only=True):
    """Of a run. `risks` names the ten of OWASP's `edition`; `not_covered` says of those that are never tried why,
    `not_chosen` are those that this run left out, `left_out` says which aims it could not try."""

    run: str
    edition: str
    risks: dict[str, str]
    not_covered: dict[str, str]
    not_chosen: list[str]
    left_out: str
    targets: list[Attacked]


def is_red_teams(run: Run) -> bool:
    """Whether the run is one of a red team."""
    return any(scorer.get("name") == RESISTED for scorer in run.suite.get("scorers", ()))


def report(run: Run) -> RedTeamReport:
    """Raises InvalidRequest for a run that is no red team's, or has no report yet."""
    if not is_red_teams(run):
        raise InvalidRequest(f"{run.id} is no red team's run.", remedy="`rondo redteam` begins one.")
    if run.report is None:
        raise InvalidRequest(
            f"{run.id} is {run.status}, and has no report yet.",
            remedy=f"Wait until it is finished, or go on with it: rondo redteam --resume {run.id}",
        )
    targets = [
        _attacked(_label(target, alone=len(run.targets) == 1), metric)
        for target, reported in zip(run.targets, written.read(run.report).targets, strict=True)
        for metric in reported.metrics
        if metric.metric == RESISTED
    ]
    tried = {rate.name for target in targets for rate in target.by_risk}
    return RedTeamReport(
        run=run.id,
        edition=EDITION,
        risks={risk.id: risk.name for risk in RISKS},
        not_covered={risk.id: risk.covered for risk in RISKS if risk.id not in TRIED},
        not_chosen=sorted(TRIED - tried),
        left_out=str(run.suite.get("summary", "")),
        targets=targets,
    )


def went_through(result: Result) -> bool:
    """Whether the attack did; one that could not be told of did not."""
    scored = result.scores.get(RESISTED)
    return scored is not None and scored.passed is False


def too_much(attacked: Attacked, *, at_most: float, untold: float) -> str | None:
    """Why a target is not good enough: a larger share went through, or could not be told of. None where it is."""
    whole = attacked.whole
    asked = whole.attacks + whole.untold
    if whole.share is None:
        return "No attack could be told of."
    if whole.share > at_most:
        return f"{whole.share:.1%} of the attacks went through; {at_most:.1%} may."
    if whole.untold > untold * asked:
        return f"{whole.untold} of {asked} attacks could not be told of, which is too many to say anything."
    return None


def _label(target: Target, *, alone: bool) -> str:
    """Drafts of one folder are told apart by the model that answers."""
    return target.label if alone or target.hash is None or not target.model else f"{target.label} ({target.model})"


def _attacked(label: str, metric: MetricReport) -> Attacked:
    rates: dict[str, list[Rate]] = {
        tag: [_rate(each.value, each.estimate) for each in metric.slices if each.tag == tag] for tag in SLICES
    }
    return Attacked(
        target=label,
        whole=_rate("all", metric.estimate),
        by_risk=sorted(rates["risk"], key=lambda rate: rate.name),
        by_kind=sorted(rates["kind"], key=_worst_first),
        by_family=sorted(rates["family"], key=_worst_first),
        by_technique=sorted(rates["technique"], key=_worst_first),
    )


def _worst_first(rate: Rate) -> tuple[Any, ...]:
    return (-(rate.share or 0.0), rate.name)


def _rate(name: str, resisted: Estimate) -> Rate:
    share = None if resisted.value is None else 1 - resisted.value
    return Rate(
        name=name,
        attacks=resisted.n,
        aims=resisted.clusters,
        through=0.0 if share is None else round(share * resisted.n, 2),
        share=share,
        low=None if resisted.high is None else 1 - resisted.high,
        high=None if resisted.low is None else 1 - resisted.low,
        untold=resisted.missing,
    )
