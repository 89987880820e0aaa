"""The scorer `expect`: each example's own checks, `expect = [{kind = "contains", value = "14 days"}]`. Pure.

A check is a scorer with its options. It passes by its own line, or by the `at_least` or `at_most` that it is given;
checks of the same kind and options are made once.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from rondo.catalog.text import canonical_json
from rondo.errors import SettingsError
from rondo.evals.model import Case, Scored, Scorer
from rondo.evals.scorers.model import Kind, NotApplicable, Options, Say, Tools, Unscorable, one

_MOST_KEPT = 10_000


class ExpectOptions(Options):
    partial: bool = Field(False, description="Whether the value is the share of checks that pass, instead of 1 or 0.")


def expect(options: ExpectOptions, tools: Tools) -> Say:
    made: dict[str, Scorer] = {}

    def scorer(check: Any, key: str) -> Scorer:
        if not isinstance(check, dict):
            raise Unscorable("invalid_check", f"{key}: a check is a table with a `kind`.")
        if check.get("kind") == "expect":
            raise Unscorable("invalid_check", f"{key}: a check cannot be `expect`.")
        try:
            text = canonical_json(check)
            if text not in made:
                if len(made) >= _MOST_KEPT:
                    made.clear()
                made[text] = tools.make(check, key)
        except (TypeError, ValueError) as error:
            raise Unscorable("invalid_check", f"{key}: {error}") from None
        except SettingsError as error:
            raise Unscorable("invalid_check", str(error)) from None
        return made[text]

    async def say(case: Case) -> Scored:
        checks = case.example.expect
        if not checks:
            raise NotApplicable("The example has no checks of its own.")
        cost, failed = 0.0, []
        for number, check in enumerate(checks):
            key = f"expect[{number}]"
            scored = await scorer(check, key).score(case)
            cost += scored.cost_usd
            what = f"{key} ({check['kind']})"
            if scored.error is not None:
                raise Unscorable(scored.error, f"{what}: {scored.reason}", cost_usd=cost)
            if scored.passed is None:
                why = scored.reason if scored.value is None else "it draws no line: give it `at_least` or `at_most`"
                raise Unscorable("invalid_check", f"{what}: {why}", cost_usd=cost)
            if not scored.passed:
                failed.append(f"{what}: {scored.reason}" if scored.reason else f"{what}.")
        share = 1 - len(failed) / len(checks)
        return Scored(
            value=share if options.partial else float(not failed),
            passed=not failed,
            reason=" ".join(failed),
            details={"checks": len(checks), "failed": len(failed), "share": share},
            cost_usd=cost,
        )

    return say


KINDS = (
    Kind(
        name="expect",
        summary="Whether the answer passes the example's own checks.",
        definition="1 where all checks pass, else 0 (`partial`: the share that pass). Where one of them cannot be had,"
        " there is no score but an error. Examples without checks are not scored.",
        source="By definition.",
        options=ExpectOptions,
        make=expect,
        metrics=one(),
    ),
)
