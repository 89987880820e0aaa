"""The scorer `embedding_similarity`: how near the answer's meaning is to the expected one's, by a named model. Pure."""

from __future__ import annotations

from pydantic import Field

from rondo.evals.model import Case, Scored
from rondo.evals.scorers.asking import Asker
from rondo.evals.scorers.model import Kind, Referring, Say, Tools, one
from rondo.evals.scorers.rag import cosine
from rondo.evals.scorers.reference import wanted_texts


class SimilarityOptions(Referring):
    model: str = Field(description="The model that embeds texts.")


def embedding_similarity(options: SimilarityOptions, tools: Tools) -> Say:
    asker = Asker(tools, options.kind, options.model, {})

    async def say(case: Case) -> Scored:
        references = wanted_texts(case, options)
        if not case.answer.text.strip():
            return Scored(value=0.0, reason="The answer is empty.")
        asked = asker.about()
        given, *right = await asked.embed(options.model, [case.answer.text, *references])
        return Scored(value=max(cosine(given, each) for each in right), cost_usd=asked.cost_usd)

    return say


KINDS = (
    Kind(
        name="embedding_similarity",
        summary="How near the answer's meaning is to the expected one's.",
        definition="Cosine similarity of the embeddings of answer and reference, −1 to 1; of several references, the"
        " best."
        " It depends on the model: compare only values of the same one. An empty answer has 0.",
        source="Reimers and Gurevych 2019 (Sentence-BERT).",
        options=SimilarityOptions,
        make=embedding_similarity,
        metrics=one("score"),
        asks=True,
    ),
)
