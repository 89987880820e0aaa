"""The rubric that holds where a project names none: accuracy, clarity, professionalism, helpfulness. Pure.

Judges and reviewers are asked the very same, so that their scores can be compared. The anchors say what tells one
score from the next; a judge without them puts nearly everything at 4.
"""

from __future__ import annotations

from rondo.evals.judges.model import Criterion
from rondo.settings.evaluating import RubricSettings

DEFAULT: tuple[Criterion, ...] = (
    Criterion(
        name="accuracy",
        question="Is what the answer says true, by the expected answer and the passages where they are given? Something"
        " made up is worse than something left out.",
        anchors={
            "1": "Wrong in what matters, or made up: acting on it would do harm.",
            "2": "A mistake or an invention that the user would be misled by, beside something right.",
            "3": "Right in the main point, with a mistake or an unsupported claim on the side.",
            "4": "Right; one detail is imprecise or missing, and nobody would be misled.",
            "5": "Right in every statement, and nothing in it goes beyond what is known.",
        },
    ),
    Criterion(
        name="clarity",
        question="Can the person who asked understand the answer at once, and find what they need in it?",
        anchors={
            "1": "Cannot be understood, or contradicts itself.",
            "2": "Has to be read several times; what matters is buried.",
            "3": "Can be followed, but is disordered, long-winded or full of terms the user may not know.",
            "4": "Clear and in order, with a sentence or a term that could be simpler.",
            "5": "Understood on the first reading: what matters comes first, and no word is wasted.",
        },
    ),
    Criterion(
        name="professionalism",
        question="Would the house be glad to have said it this way: polite, respectful, honest about its limits?",
        anchors={
            "1": "Rude, insulting, or harmful to the house or the user.",
            "2": "Dismissive, blaming, or far too casual or stiff for the occasion.",
            "3": "Correct and cold, or with a slip of tone.",
            "4": "Polite and fitting, with a phrase that sounds canned.",
            "5": "Polite, warm where it should be, and fitting to the user's own tone and trouble.",
        },
    ),
    Criterion(
        name="helpfulness",
        question="Does the answer bring the user to what they wanted: the answer itself, the next step, or the person"
        " who can help?",
        anchors={
            "1": "Does not help at all, or answers another question.",
            "2": "Touches the question, and leaves the user where they were.",
            "3": "Answers a part; the user has to ask again or find out the rest.",
            "4": "Answers the question; a next step that the user will need is missing.",
            "5": "Answers all that was asked and says what to do next, or hands over where only a person can help.",
        },
    ),
)


def criteria_of(rubric: RubricSettings | None) -> list[Criterion]:
    """The criteria of a rubric in `rondo.toml`; without one, the default's."""
    if rubric is None:
        return list(DEFAULT)
    return [Criterion(**criterion.model_dump()) for criterion in rubric.criteria]
