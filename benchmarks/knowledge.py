"""How fast a knowledge index is built and searched, on real documentation. Prints a Markdown table.

    PYTHONPATH=src python benchmarks/knowledge.py FOLDER [--chunks 10000] [--queries 2000]

FOLDER holds .html, .md or .txt files, e.g. the documentation of PostgreSQL 15, as Debian packs it:

    apt-get download postgresql-doc-15 && dpkg -x postgresql-doc-15_*.deb docs

Questions are made of the documents' own headings, so their words are as common or rare as in the documents. The goal
is a p95 of at most 5 ms at 10,000 chunks.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rondo.knowledge.chunk import chunks_of
from rondo.knowledge.index import build, read_passages
from rondo.knowledge.parse import HTML, MARKDOWN, TEXT, parse
from rondo.knowledge.search import open_index
from rondo.providers.quoting import quotes
from rondo.settings.tables import KnowledgeSettings

T = TypeVar("T")

SETTINGS = KnowledgeSettings(sources=["."])
ASK = ["How do I use {}?", "What is {}?", "{} does not work, what can I do?", "which option changes {}", "{}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=2_000)
    wanted = parser.parse_args()
    documents = read(wanted.folder, wanted.chunks)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        made, build_s, build_cpu = timed(lambda: build(documents, SETTINGS, root, name="docs"))
        _, again_s, again_cpu = timed(lambda: build(documents, SETTINGS, root, name="docs", previous=made.version))
        changed = {**documents, min(documents): b"# Changed\nEverything is new."}
        _, changed_s, changed_cpu = timed(lambda: build(changed, SETTINGS, root, name="docs", previous=made.version))
        before = resident_mb()
        index, open_s, open_cpu = timed(lambda: open_index(root, made.version))
        questions = ask(root / made.version, wanted.queries)
        for question in questions[:100]:
            index.search(question, 5)
        found, searches = [], []
        for question in questions:
            began = time.perf_counter()
            found.append(index.search(question, 5))
            searches.append((time.perf_counter() - began) * 1000)
        answers = []
        for question, chunks in zip(questions, found, strict=True):
            began = time.perf_counter()
            quotes(question, chunks)
            answers.append((time.perf_counter() - began) * 1000)
        print(f"{made.documents:,} documents, {made.bytes / 1e6:.1f} MB, {made.chunks:,} chunks")
        print("\n| | wall | CPU |\n|---|---|---|")
        print(f"| build | {build_s:.2f} s | {build_cpu:.2f} s |")
        print(f"| build again, nothing changed | {again_s:.3f} s | {again_cpu:.3f} s |")
        print(f"| build again, one document changed | {changed_s:.2f} s | {changed_cpu:.2f} s |")
        print(f"| open | {open_s * 1000:.1f} ms | {open_cpu * 1000:.1f} ms |")
        print("\n| | p50 | p95 | p99 | max |\n|---|---|---|---|---|")
        print(row("search, 5 chunks", searches))
        print(row("extractive answer", answers))
        size = sum(path.stat().st_size for path in (root / made.version).rglob("*") if path.is_file())
        print(
            f"\n{len(questions):,} questions. On disk {size / 1e6:.1f} MB; "
            f"opened and used, {resident_mb() - before:.0f} MB more of memory."
        )


def read(folder: Path, chunks: int) -> dict[str, bytes]:
    """Documents in the order of their names, until they make so many chunks."""
    documents: dict[str, bytes] = {}
    count = 0
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix.lower() in HTML | MARKDOWN | TEXT:
            name, data = path.relative_to(folder).as_posix(), path.read_bytes()
            made = chunks_of(parse(name, data), chunk_chars=SETTINGS.chunk_chars, overlap_chars=SETTINGS.overlap_chars)
            documents[name] = data
            count += len(made)
            if count >= chunks:
                return documents
    raise SystemExit(f"{folder} makes only {count:,} chunks; name a folder with more documents, or fewer --chunks")


def ask(folder: Path, count: int) -> list[str]:
    chosen = random.Random(1)
    topics = sorted({passage.heading or passage.title for passage in read_passages(folder)})
    return [chosen.choice(ASK).format(chosen.choice(topics)) for _ in range(count)]


def timed(work: Callable[[], T]) -> tuple[T, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def row(name: str, milliseconds: list[float]) -> str:
    cuts = statistics.quantiles(milliseconds, n=100)
    figures = (cuts[49], cuts[94], cuts[98], max(milliseconds))
    return f"| {name} | " + " | ".join(f"{figure:.2f} ms" for figure in figures) + " |"


def resident_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
