"""The scorer `tool_calls`: whether the tools were called that should be, with the right arguments. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from rondo.evals.model import Case, Scored
from rondo.evals.scorers.matching import same
from rondo.evals.scorers.model import Kind, NoReference, Options, Say, Tools, Unscorable, one

Fits = Callable[[Mapping[str, Any], Mapping[str, Any]], bool]
"""Whether the call made (second) is the one expected (first)."""

_MOST = 200


class ToolCallsOptions(Options):
    calls: Literal["exact", "subset"] = Field(
        "exact", description="Whether there may be no other calls (`exact`), or more than the expected ones (`subset`)."
    )
    arguments: Literal["exact", "subset", "ignore"] = Field(
        "exact", description="Whether arguments must be the same, hold the expected ones, or do not matter."
    )
    order: bool = Field(False, description="Whether the calls must be in the expected order.")
    no_reference: Literal["error", "skip"] = Field(
        "skip", description="What an example is that has no `tool_calls`: an `error`, or left out (`skip`)."
    )


def tool_calls(options: ToolCallsOptions, tools: Tools) -> Say:
    def fits(expected: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
        return expected["name"] == made.get("name") and _arguments_fit(
            expected.get("arguments", {}), made.get("arguments", {}), options.arguments
        )

    def say(case: Case) -> Scored:
        if case.example.tool_calls is None:
            raise NoReference("The example has no `tool_calls`.")
        expected, made = case.example.tool_calls, case.answer.tool_calls
        if not all(isinstance(each, dict) and isinstance(each.get("name"), str) for each in expected):
            raise Unscorable("wrong_type", "`tool_calls` of the example must be a list of {name, arguments}.")
        if len(expected) > _MOST or len(made) > _MOST:
            raise Unscorable("too_many", f"More than {_MOST} tool calls are not compared.")
        matched = (longest_in_order if options.order else most_pairs)(expected, made, fits)
        most = max(len(expected), len(made)) if options.calls == "exact" else len(expected)
        value = matched / most if most else 1.0
        names = [str(each.get("name")) for each in made]
        reason = (
            "" if value == 1 else f"{matched} of {len(expected)} expected; called: {', '.join(names[:5]) or 'nothing'}."
        )
        return Scored(value=value, passed=value == 1, reason=reason, details={"matched": matched, "made": len(made)})

    return say


def most_pairs(expected: Sequence[Any], made: Sequence[Any], fits: Fits) -> int:
    """The most expected calls that can each have a call of their own: Kuhn's augmenting paths."""
    taken: dict[int, int] = {}

    def place(position: int, tried: set[int]) -> bool:
        for at, call in enumerate(made):
            if at not in tried and fits(expected[position], call):
                tried.add(at)
                if at not in taken or place(taken[at], tried):
                    taken[at] = position
                    return True
        return False

    return sum(place(position, set()) for position in range(len(expected)))


def longest_in_order(expected: Sequence[Any], made: Sequence[Any], fits: Fits) -> int:
    """The longest row of expected calls that were made one after the other, others between them."""
    row = [0] * (len(made) + 1)
    for want in expected:
        above = row
        row = [0]
        for at, call in enumerate(made):
            row.append(above[at] + 1 if fits(want, call) else max(above[at + 1], row[at]))
    return row[-1]


def _arguments_fit(expected: Any, made: Any, how: str) -> bool:
    if how == "ignore":
        return True
    return same(expected, made) if how == "exact" else _holds(expected, made)


def _holds(expected: Any, made: Any) -> bool:
    """Whether all that is expected is there; objects may hold more."""
    if isinstance(expected, dict) and isinstance(made, dict):
        return all(key in made and _holds(value, made[key]) for key, value in expected.items())
    return same(expected, made)


KINDS = (
    Kind(
        name="tool_calls",
        summary="Whether the right tools were called with the right arguments.",
        definition="Expected calls that were made / the larger number of expected and made calls (`subset`: expected"
        " calls). Each call made counts for one expected call. No calls where none are expected: 1. It passes at 1.",
        source="By definition; as the AST accuracy of Patil et al. 2024 (BFCL), with partial credit.",
        options=ToolCallsOptions,
        make=tool_calls,
        metrics=one(),
    ),
)
