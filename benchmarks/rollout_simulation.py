"""Whether rollouts keep their promises, and what a look costs: false rollbacks, callers until a change is known, time.

    python benchmarks/rollout_simulation.py [rollouts]

Prints Markdown tables, and ends with status 1 where a target is missed: false rollbacks in at most 5 % of the rollouts
that change nothing, and a drop from 0.80 to 0.70 known after at most 500 calls of each side in half of them. Callers
come three a minute on each side; every goal is looked at each minute, by what verdicts are made of.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from rondo.evals.goals import Goal
from rondo.rollout.matched import Observed
from rondo.rollout.verdict import judge, level
from simulated_rollouts import Sides, Truth, first_alarms, side

FALSE_ALARMS = 0.05
PER_LOOK = 3
AT_ONCE = 1_000
LONG = 2_880  # callers of each side: 16 hours
GOALS = [
    Goal(metric="answer.correct", at_least=0.8),
    Goal(metric="errors.rate", at_most=0.02),
    Goal(metric="cost.per_request_usd", at_most=0.01),
    Goal(metric="latency.p95_ms", at_most=5000.0),
]
CHANGES = {
    "right answers 0.80 → 0.70": ("answer.correct", Truth(correct=0.70)),
    "right answers 0.80 → 0.75": ("answer.correct", Truth(correct=0.75)),
    "errors 1 % → 5 %": ("errors.rate", Truth(errors=0.05)),
    "cost + 30 %": ("cost.per_request_usd", Truth(cost=0.0026)),
    "latency + 50 %": ("latency.p95_ms", Truth(latency_ms=1350.0)),
    "latency × 2": ("latency.p95_ms", Truth(latency_ms=1800.0)),
}


def false_rollbacks(rollouts: int) -> float:
    """Prints the shares by goal; the largest share of rollouts rolled back by any."""
    print(f"\n## False rollbacks: {rollouts:,} rollouts that change nothing\n")
    names = [goal.metric for goal in GOALS]
    print("| callers of each side | calls of each | " + " | ".join(names) + " | any of them |")
    print("|---:|---:|" + "---:|" * (len(names) + 1))
    highest = 0.0
    for callers, calls in ((720, 1), (720, 3), (720, 10), (LONG, 3)):
        rng, alarms = np.random.default_rng(callers + calls), {name: np.zeros(0, dtype=bool) for name in names}
        for _ in range(-(-rollouts // AT_ONCE)):
            ours, theirs = (side(rng, Truth(), min(AT_ONCE, rollouts), callers, calls=calls) for _ in range(2))
            found = first_alarms(ours, theirs, level(GOALS, FALSE_ALARMS), PER_LOOK)
            alarms = {name: np.concatenate([alarms[name], found[name] > 0]) for name in names}
        rolled_back = np.any(list(alarms.values()), axis=0).mean()
        highest = max(highest, float(rolled_back))
        told = " | ".join(f"{alarms[name].mean():.1%}" for name in names)
        print(f"| {callers:,} | {calls} | {told} | {rolled_back:.1%} |", flush=True)
    return highest


def until_known(rollouts: int) -> float:
    """Prints callers and calls until a change is known; the median of calls for the drop from 0.80 to 0.70."""
    print(f"\n## Until a worse candidate is known: {rollouts:,} rollouts, four guarded goals\n")
    print("| change | calls of each caller | callers of each side, median | 90 % | calls of each side, median |")
    print("|---|---:|---:|---:|---:|")
    promised = 0.0
    for name, (metric, bad) in CHANGES.items():
        for calls in (1, 3):
            rng = np.random.default_rng(calls)
            ours, theirs = (side(rng, each, rollouts, LONG, calls=calls) for each in (bad, Truth()))
            found = first_alarms(ours, theirs, level(GOALS, FALSE_ALARMS), PER_LOOK)[metric]
            callers = np.where(found > 0, found, np.inf)
            middle, most = np.quantile(callers, [0.5, 0.9], method="inverted_cdf")
            told = [
                f"{each:,.0f}" if np.isfinite(each) else f"over {LONG:,}" for each in (middle, most, middle * calls)
            ]
            print(f"| {name} | {calls} | {' | '.join(told)} |", flush=True)
            promised = promised or float(middle)
    return promised


def cost_of_a_look() -> None:
    print("\n## One look at a goal\n")
    print("| callers of each side | " + " | ".join(f"{goal.metric}, ms" for goal in GOALS) + " |")
    print("|---:|" + "---:|" * len(GOALS))
    rng, alpha = np.random.default_rng(1), level(GOALS, FALSE_ALARMS)
    for callers in (1_000, 10_000, 100_000):
        ours, theirs = (side(rng, Truth(), 1, callers) for _ in range(2))
        took = [_least_ms(goal, _of(ours, goal.metric), _of(theirs, goal.metric), alpha) for goal in GOALS]
        print(f"| {callers:,} | " + " | ".join(f"{each:.1f}" for each in took) + " |")


def _least_ms(goal: Goal, ours: Observed, theirs: Observed, alpha: float) -> float:
    took = []
    for _ in range(5):
        began = time.process_time()
        judge(goal, ours, theirs, alpha)
        took.append(time.process_time() - began)
    return 1_000 * min(took)


def _of(seen: Sides, metric: str) -> Observed:
    values = {
        "answer.correct": seen.correct,
        "errors.rate": seen.errors,
        "cost.per_request_usd": seen.cost,
        "latency.p95_ms": seen.latency,
    }[metric][0]
    return Observed(np.arange(len(values)), values)


def main() -> int:
    rollouts = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    highest, promised = false_rollbacks(rollouts), until_known(min(rollouts, 500))
    cost_of_a_look()
    kept = highest <= FALSE_ALARMS, promised <= 500
    print(f"\n- False rollbacks: {highest:.1%} at the most (at most 5 %: {'met' if kept[0] else 'MISSED'})")
    print(f"- 0.80 → 0.70: {promised:,.0f} calls of each side, median (at most 500: {'met' if kept[1] else 'MISSED'})")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
