"""A judge's version: a hash of all that decides its word. Pure.

It covers the very requests that the judge makes of a fixed case, so whoever changes a sentence of the prompt has made
another judge, which people have not been compared with yet.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from rondo.catalog.text import canonical_json
from rondo.datasets.model import Example
from rondo.evals.judges import prompt
from rondo.evals.judges.material import material, pair
from rondo.evals.judges.model import Judge
from rondo.evals.model import Answer, Case

PROCEDURE = 1
"""Grows where votes are read or put together in another way."""

DECIDES = ("provider", "model", "base_url", "query", "params", "region", "deployments", "max_output_tokens")
"""What of a model's definition changes what it says; the rest is how it is reached and how long it is waited for."""

_CASE = Case(
    example=Example(messages=[{"role": "user", "content": "?"}], expected="!", context=[{"text": "..."}]),
    answer=Answer(text="A"),
    other=Answer(text="B"),
)


def version_of(judge: Judge) -> str:
    """SHA-256, in hex. Its name, mark and least labels are no part of it."""
    model = msgspec.to_builtins(judge.model)
    decides: dict[str, Any] = {
        "procedure": PROCEDURE,
        "kind": judge.kind,
        "model": {field: model[field] for field in DECIDES},
        "votes": judge.votes,
        "scales": [[each.name, each.lowest, each.highest] for each in judge.criteria],
        "requests": _requests(judge),
        "repair": prompt.REPAIR,
    }
    return sha256(canonical_json(decides).encode()).hexdigest()


def _requests(judge: Judge) -> list[dict[str, Any]]:
    if judge.kind == "pairwise":
        return [prompt.pairwise(judge, pair(_CASE, swapped=swapped)) for swapped in (False, True)]
    shown = material(_CASE)
    if judge.kind == "geval":
        return [prompt.geval(judge, shown, criterion) for criterion in judge.criteria]
    return [(prompt.rubric if judge.kind == "rubric" else prompt.yes_no)(judge, shown)]
