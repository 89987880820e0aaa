"""How much CPU time each guard takes per kilobyte of text. Prints Markdown tables.

    PYTHONPATH=src python benchmarks/guards.py [--texts 2000]

The texts are pieces of one kilobyte each of this project's own documents and of the example app's handbook; for the
second table, each has an e-mail address and a telephone number put into it. The goal is 100 µs per KB for `pii`. The
third table looks for the same patterns by other engines: Hyperscan, where it is installed
(`pip install hyperscan`), and Python's own `re`.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rondo.guards.build import build
from rondo.guards.chain import Guards
from rondo.guards.model import Text
from rondo.guards.patterns import Hints
from rondo.guards.personal import PATTERNS
from rondo.guards.windows import Flow, Watch

ROOT = Path(__file__).parents[1]
GOAL_US = 100.0
PII: dict[str, Any] = {"check": "pii"}
SPECS: dict[str, dict[str, Any]] = {
    "`pii`, flag": PII,
    "`pii`, redact": {**PII, "action": "redact"},
    "`pii`, pseudonyms": {**PII, "action": "redact", "pseudonyms": True},
    "`secrets`": {"check": "secrets"},
    "`injection`": {"check": "injection"},
    "`words`, 100 words": {"check": "words", "words": [f"competitor{number}" for number in range(100)]},
    "`words`, 5,000 words": {"check": "words", "words": [f"competitor{number}" for number in range(5_000)]},
    "`length`": {"check": "length", "max_chars": 10_000},
    "`names` (Presidio, the installed spaCy models)": {"check": "names"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=2_000)
    wanted = parser.parse_args()
    clean = pieces(wanted.texts)
    dirty = [text[:500] + " write to anna@shop.example or call +49 170 1234567 " + text[500:] for text in clean]
    print(f"{len(clean):,} texts of 1 KB, Python {sys.version.split()[0]}; CPU-µs per KB\n")
    met = table("as they are", clean)
    table("with an address and a number", dirty)
    streams(clean)
    engines(clean)
    if not met:
        sys.exit(1)


def pieces(number: int) -> list[str]:
    files = [*sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "src/rondo/templates").rglob("*.md"))]
    whole = "\n".join(file.read_text(encoding="utf-8") for file in files)
    chance = random.Random(1)
    starts = [chance.randrange(len(whole) - 1_024) for _ in range(number)]
    return [whole[start : start + 1_024] for start in starts]


def table(title: str, texts: Sequence[str]) -> bool:
    """Whether `pii` meets its goal."""
    print(f"| {title} | p50 | p99 |\n|---|---|---|")
    met = True
    for name, spec in SPECS.items():
        few = texts[:100] if spec["check"] == "names" else texts
        try:
            made = build([spec], hand_over="", project="p", secret=lambda: b"k" * 32)
        except Exception as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        assert made is not None
        times = [asyncio_run(made, text) for text in few]
        p50, p99 = percentiles(times)
        print(f"| {name} | {p50:.1f} | {p99:.1f} |")
        met &= name != "`pii`, flag" or p50 <= GOAL_US
    print()
    return met


def asyncio_run(made: Guards, text: str) -> float:
    """CPU-microseconds for one text; what takes a thread is run to its end."""
    (guard,) = made.input
    texts = (Text("user", text),)
    began = time.process_time_ns()
    if guard.check is not None:
        looked = guard.check.look(texts)
    else:
        assert guard.asking is not None
        looked = asyncio.run(guard.asking.ask(texts, nobody))
    if guard.action == "redact":
        for found in looked.places:
            guard.redacted(text, found, set())
    return (time.process_time_ns() - began) / 1_000


async def nobody(model: str, path: str, body: dict[str, Any]) -> bytes:
    raise NotImplementedError


def streams(texts: Sequence[str]) -> None:
    """`pii` and `secrets`, redacting a stream in pieces of five characters, as models send them."""
    specs = [{"check": check, "on": ["output"], "action": "redact"} for check in ("pii", "secrets")]
    made = build(specs, hand_over="", project="p")
    assert made is not None

    async def stream(text: str) -> None:
        flow = Flow(Watch(made.output, nobody, set()), "assistant")
        for start in range(0, len(text), 5):
            await flow.feed(text[start : start + 5])
        await flow.feed("", last=True)

    async def run() -> list[float]:
        times = []
        for text in texts[:500]:
            began = time.process_time_ns()
            await stream(text)
            times.append((time.process_time_ns() - began) / 1_000)
        return times

    p50, p99 = percentiles(asyncio.run(run()))
    print("| a stream of 205 events of 5 characters | p50 | p99 |\n|---|---|---|")
    print(f"| `pii` and `secrets`, redact, in all | {p50:.0f} | {p99:.0f} |\n")


def engines(texts: Sequence[str]) -> None:
    """Whether any of the patterns of `pii` occurs: the same expressions by each engine."""
    hints = [pattern.hint or pattern.expression for pattern in PATTERNS]
    ways: dict[str, tuple[float, Callable[[bytes], object]]] = {}
    began = time.perf_counter()
    ours = Hints(hints, latin1=True)
    ways["RE2's set, which Rondo uses"] = (time.perf_counter() - began, ours.in_bytes)
    try:
        import hyperscan  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        print("hyperscan is not installed", file=sys.stderr)
    else:
        began = time.perf_counter()
        database = hyperscan.Database()
        database.compile(
            expressions=[hint.encode("latin-1") for hint in hints],
            ids=list(range(len(hints))),
            elements=len(hints),
            flags=hyperscan.HS_FLAG_SINGLEMATCH,
        )
        ways["Hyperscan"] = (
            time.perf_counter() - began,
            lambda data: database.scan(data, match_event_handler=lambda *_: None),
        )
    began = time.perf_counter()
    plain = [re.compile(hint.replace("(?i:bc1", "(?:bc1").encode("latin-1")) for hint in hints]
    ways["Python's `re`, one after the other"] = (
        time.perf_counter() - began,
        lambda data: [one.search(data) for one in plain],
    )
    print("| does any pattern occur | p50 | p99 | to compile |\n|---|---|---|---|")
    for name, (compile_s, look) in ways.items():
        times = []
        for text in texts:
            data = text.encode()
            start = time.process_time_ns()
            look(data)
            times.append((time.process_time_ns() - start) / 1_000)
        p50, p99 = percentiles(times)
        print(f"| {name} | {p50:.1f} | {p99:.1f} | {compile_s * 1_000:.1f} ms |")


def percentiles(times: list[float]) -> tuple[float, float]:
    times.sort()
    return times[len(times) // 2], times[int(len(times) * 0.99)]


if __name__ == "__main__":
    main()
