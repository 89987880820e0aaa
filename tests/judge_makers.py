"""Judges for tests, and models that answer for them by a script."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rondo.datasets.model import Example
from rondo.errors import RondoError
from rondo.evals.judges.model import Criterion, Judge
from rondo.evals.model import Answer, Case
from rondo.providers.base import ModelSpec

ACCURACY = Criterion(name="accuracy", question="Is it true?", anchors={"1": "Wrong.", "5": "Right."})
CLARITY = Criterion(name="clarity", question="Is it clear?", lowest=0, highest=10)

Reply = str | Answer | RondoError


def judge(kind: Any = "rubric", **fields: Any) -> Judge:
    criteria = [ACCURACY, CLARITY] if kind == "rubric" else [ACCURACY] if kind == "geval" else []
    question = "Is it right?" if kind == "yes_no" else None
    given = {"name": "quality", "criteria": criteria, "question": question, **fields}
    return Judge(
        kind=kind, model=given.pop("model", ModelSpec(name="examiner", provider="openai", model="gpt-9")), **given
    )


def case(answer: str = "Within 30 days.", *, other: str | None = None, question: str = "When?", **fields: Any) -> Case:
    example = Example(messages=[{"role": "user", "content": question}], **fields).identified()
    return Case(example=example, answer=Answer(text=answer), other=None if other is None else Answer(text=other))


def verdict(accuracy: Any = 4, clarity: Any = 10, reason: str = "because") -> str:
    return json.dumps(
        {"accuracy": {"reason": reason, "score": accuracy}, "clarity": {"reason": reason, "score": clarity}}
    )


def better(place: str) -> str:
    return json.dumps({"reason": "because", "better": place})


class Model:
    """Answers by a script, in turn and from the start again, or by a function of the request; keeps what it heard."""

    def __init__(
        self, script: Sequence[Reply] | Callable[[Mapping[str, Any]], Reply], *, cost_usd: float = 0.01
    ) -> None:
        self.heard: list[Mapping[str, Any]] = []
        self.asked: list[str] = []
        self._script = script
        self._cost_usd = cost_usd

    async def __call__(self, model: str, request: Mapping[str, Any], *, path: str = "/chat/completions") -> Answer:
        assert path == "/chat/completions"
        self.heard.append(request)
        self.asked.append(model)
        script = self._script
        reply = script(request) if callable(script) else script[(len(self.heard) - 1) % len(script)]
        if isinstance(reply, RondoError):
            raise reply
        return Answer(text=reply, cost_usd=self._cost_usd) if isinstance(reply, str) else reply


def material_of(request: Mapping[str, Any]) -> str:
    """What the judge was shown."""
    text: str = request["messages"][1]["content"]
    return text
