"""The scorer `retrieval`: whether the passages before the model come from the documents with the answer. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator

from rondo.evals.model import Case, Metric, Scored
from rondo.evals.scorers.model import Kind, NoReference, Options, Say, Tools, measured, several
from rondo.records import Chunk


class RetrievalOptions(Options):
    k: int | list[int] = Field(5, description="How many of the first passages are looked at; several are possible.")
    no_reference: Literal["error", "skip"] = Field(
        "skip", description="What an example is that names no `sources`: an `error`, or left out (`skip`)."
    )

    @field_validator("k")
    @classmethod
    def k_counts(cls, value: int | list[int]) -> int | list[int]:
        cuts = [value] if isinstance(value, int) else value
        if not cuts or any(each < 1 for each in cuts) or len(set(cuts)) != len(cuts):
            raise ValueError("`k` must be one or more different numbers, each at least 1")
        return value

    @property
    def cuts(self) -> list[int]:
        return [self.k] if isinstance(self.k, int) else self.k


def retrieval(options: RetrievalOptions, tools: Tools) -> Say:
    def say(case: Case) -> Scored:
        sources = {_path(each) for each in case.example.sources}
        if not sources:
            raise NoReference("The example names no `sources`.")
        ranked = [_document(chunk, sources) for chunk in sorted(case.answer.chunks, key=lambda chunk: chunk.number)]
        details = {"mrr": reciprocal_rank(ranked, sources)}
        for k in options.cuts:
            details |= {
                f"recall@{k}": recall(ranked, sources, k),
                f"precision@{k}": precision(ranked, sources, k),
                f"ndcg@{k}": ndcg(ranked, sources, k),
            }
        missed = sorted(sources - set(ranked))
        reason = f"Not found: {', '.join(missed[:3])}." if missed else ""
        return measured(details[f"recall@{options.cuts[0]}"], reason, **details)

    return say


def recall(ranked: Sequence[str], relevant: set[str], k: int) -> float:
    """The share of the relevant documents that the first `k` passages come from."""
    return len(relevant & set(ranked[:k])) / len(relevant)


def precision(ranked: Sequence[str], relevant: set[str], k: int) -> float:
    """The share of the first `k` passages, or of as many as there are, that come from relevant documents."""
    first = ranked[:k]
    return sum(each in relevant for each in first) / len(first) if first else 0.0


def reciprocal_rank(ranked: Sequence[str], relevant: set[str]) -> float:
    """1 / the place of the first passage that comes from a relevant document; 0 where none does."""
    return next((1 / place for place, each in enumerate(ranked, 1) if each in relevant), 0.0)


def ndcg(ranked: Sequence[str], relevant: set[str], k: int) -> float:
    """Gain 1 for each relevant document at its first passage, discounted by log₂(place + 1), over the best possible.

    Places count documents: a document's further passages take none.
    """
    documents = list(dict.fromkeys(ranked[:k]))
    gained = sum(1 / math.log2(place + 1) for place, each in enumerate(documents, 1) if each in relevant)
    return gained / sum(1 / math.log2(place + 1) for place in range(1, min(len(relevant), k) + 1))


def _document(chunk: Chunk, sources: set[str]) -> str:
    """What the passage counts as: a source may be named by its document, or by the passage's own id."""
    return chunk.id if chunk.id in sources else _path(chunk.source)


def _path(source: str) -> str:
    return source.removeprefix("./")


def _metrics(name: str, options: RetrievalOptions) -> tuple[Metric, ...]:
    parts = [f"{part}@{k}" for k in options.cuts for part in ("recall", "precision", "ndcg")]
    return several([(part, f"mean:{part}") for part in [*parts, "mrr"]])(name, options)


KINDS = (
    Kind(
        name="retrieval",
        summary="Whether the passages before the model come from the example's `sources`.",
        definition="`.recall@k`: share of the sources that the first k passages come from. `.precision@k`: share of the"
        " first k passages (or of as many as there are) that come from a source. `.mrr`: 1 / place of the first that"
        " does."
        " `.ndcg@k`: Σ 1/log₂(place + 1) over the documents found, by the best possible sum. No passages at all: 0.",
        source="Manning, Raghavan and Schütze 2008, chapter 8; Voorhees 1999 (MRR); Järvelin and Kekäläinen 2002"
        " (nDCG).",
        options=RetrievalOptions,
        make=retrieval,
        metrics=_metrics,
    ),
)
