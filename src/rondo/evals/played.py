"""A conversation with a user who is played by a model: the persona asks, the target answers, until one has had enough.
Or with one whose words are written down beforehand: the example's follow-ups.

The user sees the conversation with the roles turned round, and says DONE when the goal is reached or given up. It ends
where a tool is called: nobody here carries it out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import structs

from rondo.datasets.model import Example, Persona, text_of
from rondo.errors import InvalidRequest
from rondo.evals.model import Answer, AskModel

DONE = "DONE"

Reply = Callable[[list[dict[str, Any]]], Awaitable[Answer]]
"""The target's answer to a conversation."""

_INSTRUCTIONS = """You play a customer who writes to a company's support. Stay in this role, and never say that you
are an AI.

Who you are: {who}
What you want: {goal}

Write the customer's next message, and nothing else. When you have what you want, or it is clear that you will not
get it here, write only {done}."""


async def converse(example: Example, user_model: str, ask: AskModel, reply: Reply, *, max_turns: int) -> Answer:
    """The last answer, with the whole conversation in `turns`; times, tokens and cost are of all answers together.

    A conversation begins with the example's messages where the last one is the user's; else the persona opens it.
    Raises InvalidRequest, and what asking raises.
    """
    persona = example.persona
    if persona is None:
        raise InvalidRequest("The example has no persona to play.", param="persona")
    turns = [dict(message) for message in example.messages]
    answers: list[Answer] = []
    most = min(max_turns, persona.max_turns)
    while len(answers) < most:
        if not turns or turns[-1].get("role") != "user":
            said = (await ask(user_model, _as_the_user(persona, turns))).text.strip()
            if not said or said.rstrip(".!") == DONE:
                break
            turns.append({"role": "user", "content": said})
        if await _is_over(turns, answers, reply):
            break
    if not answers:
        raise InvalidRequest("The played user had nothing to say.", remedy="Give the persona a goal.", param="persona")
    return _together(answers, turns)


async def follow(example: Example, reply: Reply) -> Answer:
    """The answer to the last follow-up, or the first that calls a tool, as `converse` has it. Raises as asking does."""
    turns = [dict(message) for message in example.messages]
    answers: list[Answer] = []
    for said in (None, *example.follow_ups):
        if said is not None:
            turns.append({"role": "user", "content": said})
        if await _is_over(turns, answers, reply):
            break
    return _together(answers, turns)


async def _is_over(turns: list[dict[str, Any]], answers: list[Answer], reply: Reply) -> bool:
    """Let the target answer; whether the conversation ends with that, as it does where a tool is called."""
    answer = await reply(turns)
    answers.append(answer)
    turns.append(answer.message or {"role": "assistant", "content": answer.text})
    return bool(answer.tool_calls)


def _as_the_user(persona: Persona, turns: list[dict[str, Any]]) -> dict[str, Any]:
    said = _INSTRUCTIONS.format(who=persona.who, goal=persona.goal, done=DONE)
    turned = {"user": "assistant", "assistant": "user"}
    heard = [{"role": turned[role], "content": text_of(turn)} for turn in turns if (role := turn.get("role")) in turned]
    opening = [] if heard else [{"role": "user", "content": "(The conversation begins. You write first.)"}]
    return {"messages": [{"role": "system", "content": said}, *opening, *heard]}


def _together(answers: list[Answer], turns: list[dict[str, Any]]) -> Answer:
    last = answers[-1]
    return structs.replace(
        last,
        turns=turns,
        chunks=[chunk for answer in answers for chunk in answer.chunks],
        handed_over=_any([answer.handed_over for answer in answers]),
        latency_ms=_sum([answer.latency_ms for answer in answers]),
        input_tokens=_count([answer.input_tokens for answer in answers]),
        output_tokens=_count([answer.output_tokens for answer in answers]),
        cost_usd=_sum([answer.cost_usd for answer in answers]),
    )


def _sum(values: list[float | None]) -> float | None:
    """None where one of them is not known."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _count(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _any(values: list[bool | None]) -> bool | None:
    known = [value for value in values if value is not None]
    return any(known) if known else None
