"""The words of an index: writes and asks tantivy. Everything else of the room is free of it.

Words are lower-cased, freed of accents and stemmed as English, on both sides; words of other languages come out a
little shorter, but the same on both sides. A field beside it keeps them unstemmed, so that an exact match ranks
above a match of stems. Scripts without spaces between words are not taken apart.
"""

from __future__ import annotations

from pathlib import Path

import tantivy

from rondo.knowledge.model import Passage
from rondo.providers.everyday import families, join_phrases
from rondo.providers.sentences import STOPS

MAX_TERMS = 32
MAX_QUERY_CHARS = 20_000

_STEMMED = "rondo_stemmed"
_EXACT = "rondo_exact"

# Headings and titles add to the text; being short, they weigh much already (tuned on paraphrased support questions).
_FIELDS = {"text": 1.0, "heading": 0.5, "title": 0.3}
_EXACT_BOOST = 0.25
_SYNONYM_WEIGHT = 0.4


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    for field in _FIELDS:
        builder.add_text_field(field, tokenizer_name=_STEMMED, index_option="freq")
    builder.add_text_field("exact", tokenizer_name=_EXACT, index_option="freq")
    builder.add_unsigned_field("number", fast=True)
    return builder.build()


def _analyzer(*, stems: bool, stops: bool = False) -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    builder = builder.filter(tantivy.Filter.remove_long(60)).filter(tantivy.Filter.lowercase())
    builder = builder.filter(tantivy.Filter.ascii_fold())
    if stops:
        builder = builder.filter(tantivy.Filter.stopword("english"))
        builder = builder.filter(tantivy.Filter.custom_stopword(sorted(STOPS)))
    if stems:
        builder = builder.filter(tantivy.Filter.stemmer("english"))
    return builder.build()


def _register(index: tantivy.Index) -> None:
    index.register_tokenizer(_STEMMED, _analyzer(stems=True))
    index.register_tokenizer(_EXACT, _analyzer(stems=False))


def write(folder: Path, passages: list[Passage]) -> None:
    """A new index in `folder`. One thread and one segment, so that equal scores keep the order of the chunks."""
    folder.mkdir()
    index = tantivy.Index(_schema(), path=str(folder))
    _register(index)
    writer = index.writer(heap_size=50_000_000, num_threads=1)
    for number, passage in enumerate(passages):
        document = tantivy.Document()
        document.add_text("text", passage.text)
        document.add_text("exact", passage.text)
        if passage.heading:
            document.add_text("heading", passage.heading)
        document.add_text("title", passage.title)
        document.add_unsigned("number", number)
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()


class Searcher:
    """An index, open for any number of threads. It holds no lock and starts no watcher: the folder never changes."""

    def __init__(self, folder: Path) -> None:
        """Raises ValueError where the folder holds no index."""
        index = tantivy.Index.open(str(folder))
        _register(index)
        index.config_reader(reload_policy="manual")
        self._schema = index.schema
        self._searcher = index.searcher()
        self._stemmed = _analyzer(stems=True)
        self._stemmed_without_stops = _analyzer(stems=True, stops=True)
        self._exact_without_stops = _analyzer(stems=False, stops=True)
        self._synonyms = self._stemmed_families()

    def __len__(self) -> int:
        return self._searcher.num_docs

    def search(self, text: str, limit: int) -> list[tuple[int, float]]:
        """(number of the chunk, score), best first. `text` is only words, whatever signs it holds."""
        text = text[:MAX_QUERY_CHARS].encode("utf-8", "replace").decode()  # half a surrogate pair is no character
        text = join_phrases(text.lower().replace("'", "").replace("’", ""))
        terms = set(self._stemmed_without_stops.analyze(text)) or set(self._stemmed.analyze(text))
        if not terms:
            return []
        parts = [
            (tantivy.Occur.Should, tantivy.Query.boost_query(self._term(field, term), boost * weight))
            for term, weight in self._expanded(self._rarest(terms))
            for field, boost in _FIELDS.items()
        ]
        exact = sorted(set(self._exact_without_stops.analyze(text)))[: 2 * MAX_TERMS]
        parts += [
            (tantivy.Occur.Should, tantivy.Query.boost_query(self._term("exact", word), _EXACT_BOOST)) for word in exact
        ]
        found = self._searcher.search(tantivy.Query.boolean_query(parts), limit, count=False).hits
        numbers = self._searcher.fast_field_values("number", [address for _, address in found])
        return [(int(number or 0), float(score)) for number, (score, _) in zip(numbers, found, strict=True)]

    def _stemmed_families(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for family in families():
            stems = sorted({stem for word in family for stem in self._stemmed.analyze(word)})
            for stem in stems:
                found.setdefault(stem, []).extend(other for other in stems if other != stem)
        return found

    def _term(self, field: str, term: str) -> tantivy.Query:
        return tantivy.Query.term_query(self._schema, field, term, index_option="freq")

    def _expanded(self, terms: list[str]) -> list[tuple[str, float]]:
        """The terms, and after them, at less weight, what else they may be called."""
        weights = dict.fromkeys(terms, 1.0)
        for term in terms:
            for other in self._synonyms.get(term, ()):
                weights.setdefault(other, _SYNONYM_WEIGHT)
        return list(weights.items())

    def _rarest(self, terms: set[str]) -> list[str]:
        """The terms that tell most, where a question is too long to ask for all of them."""
        if len(terms) <= MAX_TERMS:
            return sorted(terms)
        known = [(count, term) for term in terms if (count := self._searcher.doc_freq("text", term))]
        return [term for _, term in sorted(known)[:MAX_TERMS]] or sorted(terms)[:MAX_TERMS]
