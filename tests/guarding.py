"""Guards made in a line, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rondo.errors import UpstreamError
from rondo.guards.build import build
from rondo.guards.chain import Guards, Outcome, run
from rondo.guards.model import Ask, Role, Stage, Text
from rondo.guards.windows import Flow, Watch
from rondo.providers.base import Path

SECRET = b"0123456789abcdef0123456789abcdef"
HAND_OVER = "A colleague takes over."


def guards(*specs: dict[str, Any], project: str = "p", **more: Any) -> Guards:
    """Guards as a release would have them."""
    made = build(specs, hand_over=HAND_OVER, project=project, secret=lambda: SECRET, **more)
    assert made is not None
    return made


async def nobody(model: str, path: Path, body: dict[str, Any]) -> bytes:
    """No model can be asked."""
    raise UpstreamError(f"{model} is away")


class Asked:
    """A model that gives its answers in turn, and keeps what it was asked."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self._answers = list(answers)
        self.heard: list[tuple[str, Path, dict[str, Any]]] = []

    async def __call__(self, model: str, path: Path, body: dict[str, Any]) -> bytes:
        self.heard.append((model, path, body))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def over(made: Guards, *texts: str | Text, stage: Stage = "input", ask: Ask = nobody) -> Outcome:
    """What the guards of a stage make of texts; plain ones are a user's, or the assistant's."""
    role: Role = "user" if stage == "input" else "assistant"
    whole = [Text(role, each) if isinstance(each, str) else each for each in texts]
    return await run(getattr(made, stage), stage, whole, ask, set())


async def streamed(made: Guards, pieces: Sequence[str], *, ask: Ask = nobody) -> tuple[str, Watch]:
    """The text that comes out of the output guards' windows, whole."""
    watch = Watch(made.output, ask, set())
    flow = Flow(watch, "assistant")
    out = [await flow.feed(piece) for piece in pieces]
    out.append(await flow.feed("", last=True))
    return "".join(out), watch
