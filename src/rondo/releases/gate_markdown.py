"""A gate's decision as Markdown, for a pull request or `$GITHUB_STEP_SUMMARY`: a table of goals, then what is missing.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rondo.evals.written import amount, difference, interval
from rondo.releases.gate_model import Check, Decision, FailedExample

_MARKS = {"pass": "✅", "fail": "❌", "inconclusive": "❔"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#])")


def markdown(decision: Decision, failed: Sequence[FailedExample] = ()) -> str:
    """The whole summary, with the first examples that were failed; ends with a line break."""
    parts = [*_head(decision), *_goals(decision), *_missing(decision), *_failed(failed), *_changes(decision)]
    return "\n".join(parts) + "\n"


def _head(decision: Decision) -> Iterator[str]:
    yield f"### {_MARKS[decision.verdict]} Gate: {decision.verdict} for {_plain(decision.label)}"
    yield ""
    yield _plain(decision.sentence)
    yield ""
    against = f", against {_plain(decision.stable.label(decision.app))}" if decision.stable is not None else ""
    runs = sorted({check.run for check in decision.checks if check.run is not None and check.kind == "suite"})
    by = f" by {', '.join(f'`{run}`' for run in runs)}" if runs else ""
    yield f"Release hash `{decision.release.hash[:12]}`{against}{by}."


def _goals(decision: Decision) -> Iterator[str]:
    goals = [check for check in decision.checks if check.kind == "goal"]
    if not goals:
        return
    compared = {(check.suite, check.name): check for check in decision.checks if check.kind == "regression"}
    production = decision.stable.label(decision.app) if decision.stable is not None else "production"
    yield ""
    yield f"| Goal | Suite | Value | 95 % interval | Wanted | Against {_plain(production)} | |"
    yield "|---|---|--:|---|---|---|:-:|"
    for goal in goals:
        against = compared.get((goal.suite, goal.name))
        worst = max((each for each in (goal, against) if each is not None), key=lambda each: _rank(each.verdict))
        cells = [
            _plain(goal.name),
            _plain(goal.suite or "–"),
            _value(goal),
            _interval(goal),
            _plain(goal.bound or "–"),
            _against(against),
            f"{_MARKS[worst.verdict]} {worst.verdict}",
        ]
        yield f"| {' | '.join(cells)} |"


def _missing(decision: Decision) -> Iterator[str]:
    if not decision.missing:
        return
    yield ""
    yield "**What keeps it shut**"
    yield ""
    for check in decision.missing:
        where = f" ({_plain(check.suite)})" if check.suite is not None and check.suite != check.name else ""
        remedy = f" {_plain(check.remedy)}" if check.remedy else ""
        yield f"- {_MARKS[check.verdict]} **{_plain(check.name)}**{where}: {_plain(check.sentence)}{remedy}"


def _failed(failed: Sequence[FailedExample]) -> Iterator[str]:
    if not failed:
        return
    yield ""
    yield "**Examples that failed**"
    yield ""
    for each in failed:
        must = " (must pass)" if each.must_pass else ""
        yield f"- {_plain(each.question or each.example)}{must}, {_plain(each.suite)}: {_plain(each.why)}"


def _changes(decision: Decision) -> Iterator[str]:
    if not decision.changes or decision.stable is None:
        return
    yield ""
    yield f"**Held to other terms than {_plain(decision.stable.label(decision.app))}**"
    yield ""
    yield from (f"- {_plain(change)}" for change in decision.changes)


def _value(check: Check) -> str:
    return "not known" if check.value is None else amount(check.value, check.unit or "share")


def _interval(check: Check) -> str:
    if check.low is None or check.high is None:
        return "–"
    unit = check.unit or "share"
    return f"{_plain(interval(check.low, check.high, unit))}, n = {check.n or 0:,}"


def _against(check: Check | None) -> str:
    if check is None or check.difference is None:
        return "–"
    unit = check.unit or "share"
    span = interval(check.difference_low, check.difference_high, unit, signed=True)
    return _plain(f"{difference(check.difference, unit)} {span}".strip())


def _rank(verdict: str) -> int:
    return ("pass", "inconclusive", "fail").index(verdict)


def _plain(text: str) -> str:
    """One line, and nothing in it that Markdown or HTML would read. Code in backticks stays code."""
    parts = " ".join(text.split()).split("`")
    if len(parts) % 2 == 0:
        return _SPECIAL.sub(r"\\\1", "`".join(parts))
    return "`".join(
        part.replace("|", "\\|") if at % 2 else _SPECIAL.sub(r"\\\1", part) for at, part in enumerate(parts)
    )
