"""How long it takes to import a dataset, split and read it, and how much memory. Prints a Markdown table.

    PYTHONPATH=src python benchmarks/datasets.py [--rows 100000]

The rows are made of the words of the example app's handbook, 6 to 30 a question, and of made-up words; every fiftieth
nearly repeats the one before, every hundredth holds an e-mail address. The catalog is SQLite. Memory is the most that
the process ever held (`ru_maxrss`), less what it held before.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import string
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rondo.catalog.engine import open_catalog, sqlite_url
from rondo.datasets import exporting, store
from rondo.datasets.formats.read import Source
from rondo.datasets.importing import ImportOptions, import_file
from rondo.datasets.splitting import split_version
from rondo.datasets.versions import Division
from rondo.governance import projects

HANDBOOK = Path(__file__).parents[1] / "src/rondo/templates/support-bot/knowledge/handbook"
T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    rows: int = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        source = write_rows(Path(folder) / "rows.jsonl", rows)
        print(f"{rows:,} rows, {source.stat().st_size / 1e6:.1f} MB of JSON lines\n")
        print("| | wall s | CPU s | most memory so far, MB |\n|---|---|---|---|")
        run(Path(folder), source)


def run(folder: Path, source: Path) -> None:
    catalog = open_catalog(sqlite_url(folder / "catalog.db"))
    projects.create(catalog, "p", actor="benchmark")
    before = held_mb()
    done = timed(
        "import, with its report",
        before,
        lambda: import_file(catalog, "p", "d", Source(source, source.name), ImportOptions(), actor="benchmark"),
    )
    report = done.version.report
    timed("split 70/15/15", before, lambda: split_version(catalog, "p", "d", None, Division(), actor="benchmark"))
    with catalog.read() as connection:
        timed("read all examples", before, lambda: store.examples_of(connection, "p", "d", done.version.hash))
    target = folder / "out.parquet"
    timed(
        "export as Parquet", before, lambda: exporting.export_version(catalog, "p", "d", None, target, format="parquet")
    )
    near, found = report["duplicates"]["near"], report["personal"]["found"]
    print(f"\n{near['examples']:,} near-duplicates in {near['clusters']:,} clusters; personal data: {found}")
    catalog.close()


def timed(words: str, before: float, work: Callable[[], T]) -> T:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"| {words} | {wall:.1f} | {cpu:.1f} | {held_mb() - before:.0f} |")
    return result


def held_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_rows(path: Path, rows: int) -> Path:
    draw = random.Random(1)
    known = sorted({word for file in HANDBOOK.glob("*.md") for word in file.read_text().split() if word.isalpha()})
    made = ["".join(draw.choices(string.ascii_lowercase, k=draw.randint(3, 9))) for _ in range(4_000)]
    question = ""
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            if number % 50 == 7:
                question = f"{question[:-2]}?!"
            else:
                words = [draw.choice(known if draw.random() < 0.6 else made) for _ in range(draw.randint(6, 30))]
                question = " ".join(words)
            row = {"id": number, "question": question, "expected": " ".join(draw.choices(known, k=12))}
            row["topic"] = draw.choice("abcdef")
            if number % 100 == 0:
                row["email"] = f"user{number}@shop.example"
            file.write(json.dumps(row) + "\n")
    return path


if __name__ == "__main__":
    main()
