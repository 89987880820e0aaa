"""A comparison as a grid: a row for each prompt, a column for each model. Pure.

What is varied in neither way (a bare model, a release of an earlier time) has a row of its own. The rule-based baseline
reads no prompt, so its column has the same in every row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from rondo.evals.model import Target

NO_PROMPT = "–"


class Grid(Struct, frozen=True, kw_only=True):
    """`places` has the target of (prompt, model). `labels` call each target by what sets it apart from the others."""

    prompts: list[str]
    models: list[str]
    places: Mapping[tuple[str, str], int]
    labels: list[str]


def grid(targets: Sequence[Target], rule_based: Sequence[bool]) -> Grid:
    """`rule_based` says of each target whether it answers without a model."""
    places: dict[tuple[str, str], int] = {}
    for at, target in enumerate(targets):
        if not rule_based[at]:
            places[_free(places, target)] = at
    prompts = list(dict.fromkeys(prompt for prompt, _ in places))
    labels = {at: (f"{prompt} · {model}" if len(prompts) > 1 else model) for (prompt, model), at in places.items()}
    for at, target in enumerate(targets):
        if rule_based[at]:
            rows = prompts or [target.prompt or NO_PROMPT]
            model = _apart(target.model or target.label, target, {column for _, column in places})
            labels[at] = model
            places |= {(prompt, model): at for prompt in rows}
    return Grid(
        prompts=prompts or list(dict.fromkeys(prompt for prompt, _ in places)),
        models=list(dict.fromkeys(model for _, model in places)),
        places=places,
        labels=[labels[at] for at in range(len(targets))],
    )


def _free(places: Mapping[tuple[str, str], int], target: Target) -> tuple[str, str]:
    """The target's place; two prompts of the same name (`a/answer.md`, `b/answer.md`) are told apart."""
    prompt, model = target.prompt or NO_PROMPT, target.model or target.label
    return _apart(prompt, target, {row for row, column in places if column == model}), model


def _apart(name: str, target: Target, taken: Collection[str]) -> str:
    """The name, with the release's or the draft's own beside it where another target has it, and a number where even
    that one is taken."""
    own = target.label if target.number is not None else (target.hash or "")[:8]
    wanted = [name, f"{name} {own}".strip(), *(f"{name} {own} {more}" for more in range(2, len(taken) + 2))]
    return next(each for each in wanted if each not in taken)
