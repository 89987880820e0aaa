"""How well the baseline answers the template's questions about the template's handbook.

Its few weights were chosen on these questions, so the figures flatter it a little; the floors leave room.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import rondo
from rondo.knowledge.index import build
from rondo.knowledge.search import open_index
from rondo.providers.quoting import quotes
from rondo.settings.project import parse as parse_settings

TEMPLATE = Path(rondo.__file__).parent / "templates" / "support-bot"


def measure(root: Path) -> dict[str, float]:
    """Shares of the answerable and the unanswerable questions that are dealt with rightly."""
    knowledge = parse_settings((TEMPLATE / "rondo.toml").read_text("utf-8")).knowledge["handbook"]
    files = sorted(path for path in (TEMPLATE / "knowledge").rglob("*") if path.is_file())
    documents = {path.relative_to(TEMPLATE).as_posix(): path.read_bytes() for path in files}
    index = open_index(root, build(documents, knowledge, root, name="handbook").version)
    lines = (TEMPLATE / "datasets" / "questions.jsonl").read_text("utf-8").splitlines()
    right: dict[bool, list[bool]] = {True: [], False: []}
    held = []
    for question in map(json.loads, lines):
        chunks = index.search(question["question"], knowledge.top_k)
        found = quotes(question["question"], chunks)
        text = " ".join(quote.text for quote in found)
        answerable = question["answerable"]
        right[answerable].append(question["expected"] in text if answerable else not found)
        if answerable:
            held.append(any(question["expected"] in chunk.text for chunk in chunks))
    return {
        "retrieved": sum(held) / len(held),
        "answered": sum(right[True]) / len(right[True]),
        "handed_over": sum(right[False]) / len(right[False]),
    }


@pytest.mark.skipif(not TEMPLATE.is_dir(), reason="the template is not installed")
def test_the_baseline_answers_most_questions_and_knows_when_not_to(tmp_path: Path) -> None:
    shares = measure(tmp_path)
    assert shares["retrieved"] >= 0.80
    assert shares["answered"] >= 0.60
    assert shares["handed_over"] >= 0.75
