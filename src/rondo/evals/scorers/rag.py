"""Scorers of answers from passages, by a model: faithfulness, answer relevancy, context precision, context recall.

Written anew from Es et al. 2024 (Ragas) and its documentation. Each asks for lists with a verdict for each item; lists
that do not fit what was asked are an error, as is anything else that cannot be read. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from msgspec import Struct
from pydantic import Field

from rondo.evals.model import Case, Scored
from rondo.evals.scorers.asking import Asked, Asker, Judged
from rondo.evals.scorers.model import Kind, NotApplicable, Options, Referring, Say, Tools, Unscorable, measured, one
from rondo.evals.scorers.reference import wanted_texts

FAITHFUL_STATEMENTS = (
    "Take the answer apart into short statements, each of which can be understood by itself: no pronouns, one fact"
    " each."
    " Leave out greetings, questions and offers. Give an empty list where the answer states nothing."
)
FAITHFUL_VERDICTS = (
    "Judge each numbered statement, in order: verdict true where it follows directly from the passages, else false."
)
RELEVANT_QUESTIONS = (
    "Write {questions} different questions that the given answer would be a full and fitting answer to. Say also"
    " whether"
    " the answer is noncommittal: evasive, vague, or saying that it does not know."
)
PRECISE_VERDICTS = (
    "Judge each numbered passage, in order: verdict true where it was useful in arriving at the right answer to the"
    " question, else false."
)
RECALL_VERDICTS = (
    "Take the right answer apart into its sentences. Judge each: verdict true where it can be attributed to the"
    " passages,"
    " else false."
)


class AskingOptions(Options):
    model: str = Field(description="The model that is asked.")
    params: dict[str, Any] = Field(
        default_factory=dict, description="Request fields sent to it; `temperature` is 0 where they do not say."
    )


class AskingReferringOptions(Referring):
    model: str = Field(description="The model that is asked.")
    params: dict[str, Any] = Field(
        default_factory=dict, description="Request fields sent to it; `temperature` is 0 where they do not say."
    )


class RelevancyOptions(AskingOptions):
    embeddings: str = Field(description="The model that embeds questions.")
    questions: int = Field(3, ge=1, le=10, description="How many questions are written.")


class _Statements(Struct):
    statements: list[str]


class _Verdicts(Struct):
    verdicts: list[Judged]


class _Attributed(Struct):
    sentence: str
    reason: str
    verdict: bool


class _Attributions(Struct):
    sentences: list[_Attributed]


class _Questions(Struct):
    questions: list[str]
    noncommittal: bool


Ask = Callable[[Case, Asked], Coroutine[Any, Any, Scored]]


def _by_asking(options: Any, tools: Tools, score: Ask) -> Say:
    """`score` with a model to ask; what it cost is part of what it says."""
    asker = Asker(tools, options.kind, options.model, options.params)

    async def say(case: Case) -> Scored:
        asked = asker.about()
        scored = await score(case, asked)
        return Scored(value=scored.value, reason=scored.reason, details=scored.details, cost_usd=asked.cost_usd)

    return say


def faithfulness(options: AskingOptions, tools: Tools) -> Say:
    async def score(case: Case, asked: Asked) -> Scored:
        passages = _passages(case)
        taken = await asked.ask(
            FAITHFUL_STATEMENTS, {"question": case.example.question, "answer": case.answer.text}, _Statements
        )
        statements = [each for each in taken.statements if each.strip()]
        if not statements:
            return Scored(reason="The answer states nothing.")
        data = {"passages": _numbered(passages), "statements": _numbered(statements)}
        verdicts = (await asked.ask(FAITHFUL_VERDICTS, data, _Verdicts, _of_each(statements))).verdicts
        unfaithful = [each for each, verdict in zip(statements, verdicts, strict=True) if not verdict.verdict]
        reason = f"Not in the passages: {unfaithful[0]:.200}" if unfaithful else ""
        return measured(
            1 - len(unfaithful) / len(statements), reason, statements=len(statements), unfaithful=unfaithful
        )

    return _by_asking(options, tools, score)


def answer_relevancy(options: RelevancyOptions, tools: Tools) -> Say:
    async def score(case: Case, asked: Asked) -> Scored:
        system = RELEVANT_QUESTIONS.format(questions=options.questions)
        told = await asked.ask(system, {"answer": case.answer.text}, _Questions)
        questions = [each for each in told.questions if each.strip()][: options.questions]
        if not questions:
            raise Unscorable("garbage", f"{options.model} wrote no question.", cost_usd=asked.cost_usd)
        if told.noncommittal:
            return measured(0.0, "The answer is noncommittal.", noncommittal=True)
        question, *written = await asked.embed(options.embeddings, [case.example.question, *questions])
        near = [cosine(question, each) for each in written]
        return measured(sum(near) / len(near), questions=questions)

    return _by_asking(options, tools, score)


def context_precision(options: AskingReferringOptions, tools: Tools) -> Say:
    async def score(case: Case, asked: Asked) -> Scored:
        right = wanted_texts(case, options)[0]
        passages = _passages(case)
        data = {"question": case.example.question, "right_answer": right, "passages": _numbered(passages)}
        told = await asked.ask(PRECISE_VERDICTS, data, _Verdicts, _of_each(passages))
        verdicts = [each.verdict for each in told.verdicts]
        return measured(average_precision(verdicts), useful=[at for at, each in enumerate(verdicts, 1) if each])

    return _by_asking(options, tools, score)


def context_recall(options: AskingReferringOptions, tools: Tools) -> Say:
    async def score(case: Case, asked: Asked) -> Scored:
        data = {"right_answer": wanted_texts(case, options)[0], "passages": _numbered(_passages(case))}
        told = (await asked.ask(RECALL_VERDICTS, data, _Attributions)).sentences
        if not told:
            raise Unscorable(
                "garbage", f"{options.model} found no sentence in the right answer.", cost_usd=asked.cost_usd
            )
        missing = [each.sentence for each in told if not each.verdict]
        reason = f"Not in the passages: {missing[0]:.200}" if missing else ""
        return measured(1 - len(missing) / len(told), reason, sentences=len(told), missing=missing)

    return _by_asking(options, tools, score)


def average_precision(verdicts: Sequence[bool]) -> float:
    """The mean of precision@k over the places k of what is useful; 0 where nothing is."""
    useful = [sum(verdicts[:place]) / place for place, verdict in enumerate(verdicts, 1) if verdict]
    return sum(useful) / len(useful) if useful else 0.0


def cosine(one_vector: Sequence[float], other: Sequence[float]) -> float:
    """Cosine similarity, -1 to 1. Raises Unscorable for vectors that have no direction."""
    import numpy as np

    left, right = np.asarray(one_vector, dtype=np.float64), np.asarray(other, dtype=np.float64)
    lengths = float(np.linalg.norm(left) * np.linalg.norm(right))
    if not np.isfinite(lengths) or lengths == 0:
        raise Unscorable("garbage", "An embedding has no direction: it is zero, or not finite.")
    return float(np.clip(left @ right / lengths, -1.0, 1.0))


def _passages(case: Case) -> list[str]:
    passages = [chunk.text for chunk in sorted(case.answer.chunks, key=lambda chunk: chunk.number)]
    if not passages:
        raise NotApplicable("The answer had no passages.")
    return passages


def _of_each(items: Sequence[str]) -> Callable[[_Verdicts], bool]:
    return lambda told: len(told.verdicts) == len(items)


def _numbered(texts: Sequence[str]) -> str:
    return "\n\n".join(f"{number}. {text}" for number, text in enumerate(texts, 1))


_RAGAS = "Es et al. 2024 (Ragas) and its documentation; prompts of our own."

KINDS = (
    Kind(
        name="faithfulness",
        summary="How much of what the answer states follows from its passages.",
        definition="Statements that follow from the passages / all statements of the answer. A model takes the answer"
        " apart, then judges. An answer that states nothing, or had no passages, is not scored.",
        source=_RAGAS,
        options=AskingOptions,
        make=faithfulness,
        metrics=one(),
        asks=True,
        decides=lambda options: (FAITHFUL_STATEMENTS, FAITHFUL_VERDICTS),
    ),
    Kind(
        name="answer_relevancy",
        summary="How well the answer fits the question.",
        definition="Mean cosine similarity of the question with questions that a model writes from the answer alone; 0"
        " where the answer is noncommittal.",
        source=_RAGAS,
        options=RelevancyOptions,
        make=answer_relevancy,
        metrics=one("score"),
        asks=True,
        decides=lambda options: RELEVANT_QUESTIONS,
    ),
    Kind(
        name="context_precision",
        summary="Whether the useful passages stand at the top.",
        definition="Average precision: the mean of precision@k over the places k of the passages that a model finds"
        " useful for the expected answer; 0 where none is.",
        source=_RAGAS,
        options=AskingReferringOptions,
        make=context_precision,
        metrics=one(),
        asks=True,
        decides=lambda options: PRECISE_VERDICTS,
    ),
    Kind(
        name="context_recall",
        summary="How much of the expected answer the passages hold.",
        definition="Sentences of the expected answer that a model can attribute to the passages / all its sentences.",
        source=_RAGAS,
        options=AskingReferringOptions,
        make=context_recall,
        metrics=one(),
        asks=True,
        decides=lambda options: RECALL_VERDICTS,
    ),
)
