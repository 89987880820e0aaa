"""A comparison as a grid: a row for each prompt, a column for each model. Pure.

What is varied in neither way (a bare model, a release of an earlier time) has a row of its own. The rule-based baseline
reads no prompt, so its column has the same in every row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
            model = target.model or target.label
            labels[at] = model
            for prompt in prompts or [target.prompt or NO_PROMPT]:
                places.setdefault((prompt, model), at)
    return Grid(
        prompts=prompts or list(dict.fromkeys(prompt for prompt, _ in places)),
        models=list(dict.fromkeys(model for _, model in places)),
        places=places,
        labels=[labels[at] for at in range(len(targets))],
    )


def _free(places: Mapping[tuple[str, str], int], target: Target) -> tuple[str, str]:
    """The target's place; two prompts of the same name (`a/answer.md`, `b/answer.md`) are told apart."""
    prompt, model = target.prompt or NO_PROMPT, target.model or target.label
    if (prompt, model) not in places:
        return prompt, model
    name = target.label if target.number is not None else (target.hash or "")[:8]
    return f"{prompt} {name}".strip(), model
