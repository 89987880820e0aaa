"""Cases for tests of scorers, and one line to score them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rondo.datasets.model import Example
from rondo.errors import RondoError
from rondo.evals.model import Answer, Case, Scored, Scorer
from rondo.evals.scorers.registry import build
from rondo.records import Chunk


def case(text: str = "", expected: Any = None, *, answer: Mapping[str, Any] | None = None, **example: Any) -> Case:
    messages = [{"role": "user", "content": "How long can I return it?"}]
    return Case(
        example=Example(messages=messages, expected=expected, **example).identified(),
        answer=Answer(text=text, **(answer or {})),
    )


def chunk(number: int, text: str = "", *, source: str = "", id_: str = "") -> Chunk:
    name = source or f"doc{number}.md"
    return Chunk(
        number=number, id=id_ or f"c{number}", source=name, title="", heading="", text=text, score=1.0 / number
    )


def scorer(kind: str, **options: Any) -> Scorer:
    """Raises SettingsError. `ask` is passed on."""
    ask = options.pop("ask", None)
    return build([{"kind": kind, **options}], ask=ask, file="suites/s.toml")[0]


async def scored(kind: str, given: Case, **options: Any) -> Scored:
    return await scorer(kind, **options).score(given)


class Model:
    """Answers what it is told to, one after the other, and keeps what it was asked."""

    def __init__(self, *replies: str | Mapping[str, Any] | RondoError) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    async def __call__(self, model: str, request: Mapping[str, Any], *, path: str = "/chat/completions") -> Answer:
        self.asked.append((model, path, dict(request)))
        reply = self.replies.pop(0)
        if isinstance(reply, RondoError):
            raise reply
        if isinstance(reply, str):
            return Answer(text=reply, cost_usd=0.25)
        return Answer(text="", message=dict(reply), cost_usd=0.25)

    def prompts(self) -> list[str]:
        return ["\n".join(str(each["content"]) for each in request["messages"]) for _, _, request in self.asked]


def vectors(*rows: Sequence[float]) -> dict[str, Any]:
    """An answer on the embeddings' wire, out of order."""
    data = [{"object": "embedding", "index": at, "embedding": list(row)} for at, row in enumerate(rows)]
    return {"object": "list", "data": data[::-1]}
