"""The scorer `number`: the number in the answer, within a tolerance. Pure."""

from __future__ import annotations

import math
import re
from typing import Any, Literal

from pydantic import Field

from rondo.evals.model import Case, Scored
from rondo.evals.scorers.model import Kind, Referring, Say, Tools, Unscorable, one, passes
from rondo.evals.scorers.reference import wanted

_NUMERALS = {
    decimal: re.compile(
        rf"(?<![\w.])([-+−]?)((?:\d{{1,3}}(?:[{group}'\u00a0\u202f]\d{{3}})+(?!\d)|\d+)(?:{point}\d+)?|{point}\d+)"
        rf"([eE][-+]?\d{{1,3}})?(?!{point}?\d)"
    )
    for decimal, point, group in ((".", r"\.", ","), (",", ",", "."))
}
_GROUP = re.compile("['\u00a0\u202f]")


class NumberOptions(Referring):
    abs: float = Field(0.0, ge=0, description="How far from the right number it may be.")
    rel: float = Field(1e-9, ge=0, description="How far it may be, as a share of the right number.")
    find: Literal["only", "first", "last"] = Field(
        "only",
        description="Which number of the answer counts: the `only` one (more than one are wrong), `first`, `last`.",
    )
    decimal: Literal[".", ","] = Field(".", description="The sign before decimals; the other one groups thousands.")


def number(options: NumberOptions, tools: Tools) -> Say:
    def say(case: Case) -> Scored:
        right = _right(wanted(case, options), options.decimal)
        found = numbers_in(case.answer.text, options.decimal)
        if not found:
            return passes(False, "The answer has no number.")
        if options.find == "only" and any(each != found[0] for each in found):
            return passes(False, f"The answer has {len(found)} different numbers; `find` can say which one counts.")
        given = found[-1] if options.find == "last" else found[0]
        near = within(given, right, absolute=options.abs, relative=options.rel)
        return passes(near, f"{given:g} is not {right:g}.", number=given)

    return say


def within(given: float, right: float, *, absolute: float, relative: float) -> bool:
    """Whether |given − right| ≤ max(absolute, relative · |right|)."""
    return abs(given - right) <= max(absolute, relative * abs(right))


def numbers_in(text: str, decimal: str = ".") -> list[float]:
    """The finite numbers in a text, in order: `1,234.5`, `-3`, `2e6`. Digits within words and versions are none."""
    group = "," if decimal == "." else "."
    found = []
    for sign, digits, exponent in _NUMERALS[decimal].findall(text):
        plain = _GROUP.sub("", digits).replace(group, "").replace(decimal, ".")
        value = float(plain + exponent)
        found.append(-value if sign in ("-", "−") else value)
    return [value for value in found if math.isfinite(value)]


def _right(value: Any, decimal: str) -> float:
    if isinstance(value, bool):
        raise Unscorable("wrong_type", f"`expected` is {value}, not a number.")
    if isinstance(value, int | float):
        try:
            right = float(value)
        except OverflowError:
            raise Unscorable("wrong_type", "`expected` is a number too large to compare.") from None
    else:
        found = numbers_in(value, decimal) if isinstance(value, str) else []
        if len(found) != 1:
            raise Unscorable("wrong_type", f"`expected` is {value!r:.60}, not a number.")
        right = found[0]
    if not math.isfinite(right):
        raise Unscorable("wrong_type", f"`expected` is {right}, not a finite number.")
    return right


KINDS = (
    Kind(
        name="number",
        summary="Whether the number in the answer is right, within a tolerance.",
        definition="1 where |given − right| ≤ max(abs, rel · |right|). An answer without a number is wrong.",
        source="By definition; the tolerances are those of `numpy.isclose`, the larger one instead of their sum.",
        options=NumberOptions,
        make=number,
        metrics=one(),
    ),
)
