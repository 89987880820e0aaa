"""How fast records move from the journal into the store, and how fast the store answers lists and overviews.

    python benchmarks/drain.py [calls] [folder]

Prints a Markdown table. 1,000,000 calls with texts of ~400 bytes need about 6 GB of disk in the folder.
"""

from __future__ import annotations

import asyncio
import platform
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rondo import clock, ids
from rondo.journal.append import Journal
from rondo.records import Call, Kind, Score, Span, to_json
from rondo.store.duckdb import DuckDBStore
from rondo.traces.drain import Drain

START = 1_763_700_000_000_000
STEP_US = 2_000_000  # a call every two seconds: a million are 23 days
WORDS = [
    "order",
    "refund",
    "parcel",
    "invoice",
    "address",
    "password",
    "delivery",
    "voucher",
    "return",
    "warranty",
    "size",
    "colour",
    "change",
]


def call(number: int, rng: random.Random) -> Call:
    at = START + number * STEP_US
    question = " ".join(rng.choices(WORDS, k=55))
    answer = " ".join(rng.choices(WORDS, k=55))
    failed = rng.random() < 0.01
    with clock.at(at):
        trace_id, span_id = ids.new_trace_id(), ids.new_span_id()
    span = Span(
        span_id=ids.new_span_id(), parent_span_id=span_id, name="main", kind="model", started_at=at, duration_ms=800.0
    )
    return Call(
        trace_id=trace_id,
        span_id=span_id,
        project="default",
        key_id="k1",
        wire="chat",
        started_at=at,
        duration_ms=rng.lognormvariate(6.5, 0.6),
        first_token_ms=rng.lognormvariate(5.5, 0.4),
        status=502 if failed else 200,
        error_code="upstream_error" if failed else None,
        app=f"app-{rng.randrange(4)}",
        release=1 + number * 9 // 1_000_000 + rng.randrange(2),
        requested_model="support-bot",
        model=rng.choice(["main", "cheap"]),
        provider="openai",
        served_model="gpt-4o",
        attempts=1,
        user=f"u{rng.randrange(20_000)}",
        session=f"s{rng.randrange(100_000)}",
        tags={"channel": rng.choice(["web", "mail"])},
        question=question,
        answer=answer,
        handed_over=rng.random() < 0.2,
        input=f'[{{"role":"user","content":"{question}"}}]',
        output=f'{{"role":"assistant","content":"{answer}"}}',
        input_tokens=300,
        output_tokens=100,
        cost_usd=None if rng.random() < 0.05 else rng.random() / 100,
        spans=[span],
    )


def score(number: int, of: Call) -> Score:
    return Score(
        id=f"{number:032x}",
        project="default",
        trace_id=of.trace_id,
        name="thumbs",
        data_type="boolean",
        value=float(number % 3 > 0),
        author=of.user or "",
        key_id="k1",
        created_at=of.started_at + 30_000_000,
    )


async def fill(journal: Journal, numbers: range, rng: random.Random) -> tuple[float, int]:
    """Seconds that the appends took, and how many there were."""
    spent, count = 0.0, 0
    for number in numbers:
        made = call(number, rng)
        records = [(Kind.CALL, to_json(made))]
        if number % 20 == 0:
            records.append((Kind.SCORE, to_json(score(number, made))))
        for kind, payload in records:
            before = time.perf_counter()
            await journal.write(kind, payload)
            spent += time.perf_counter() - before
            count += 1
    return spent, count


def median_ms(ask: Callable[[], object], times: int = 7) -> float:
    ask()
    taken = []
    for _ in range(times):
        before = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - before) * 1e3)
    return statistics.median(taken)


def queries(store: DuckDBStore, calls: int) -> list[tuple[str, float]]:
    whole = {"project": "default", "since": START, "until": START + calls * STEP_US}
    day = {**whole, "since": whole["until"] - 86_400_000_000}  # type: ignore[operator]
    some = store.query("calls_list", {"project": "default", "limit": 1}, {"until": START + calls * STEP_US // 2})[0]
    page = {"project": "default", "limit": 50}
    trace = {"project": "default", "trace_id": some["trace_id"]}
    after = (some["started_at"], some["trace_id"], some["span_id"])
    asked: list[tuple[str, str, dict[str, object], dict[str, object]]] = [
        ("overview, all", "overview_apps", whole, {}),
        ("overview, last day", "overview_apps", day, {}),
        ("traffic, 100 buckets", "traffic_series", {**whole, "bucket_us": calls * STEP_US // 100, "app": None}, {}),
        ("goals of an app", "goal_metrics", {**whole, "app": "app-1", "release": None}, {}),
        ("totals", "totals", whole, {}),
        ("facets", "facets", whole, {}),
        ("list, newest 50", "calls_list", page, {}),
        ("list, page from the middle", "calls_list", page, {"before": after}),
        ("list, errors", "calls_list", page, {"failed": True}),
        ("list, one user", "calls_list", page, {"user": "u77"}),
        ("list, a tag and a cost", "calls_list", page, {"tag": ("channel", "web"), "min_cost": 0.009}),
        ("list, negative feedback", "calls_list", page, {"verdict": -1}),
        ("list, text that is nowhere", "calls_list", page, {"text": "xylophone"}),
        ("tail", "calls_tail", {**page, "after": calls - 100}, {}),
        ("scores, newest 50", "scores_list", page, {}),
        ("one trace", "calls_by_trace", trace, {}),
        ("its spans", "spans_by_trace", trace, {}),
    ]
    return [(label, median_ms(lambda n=n, p=p, f=f: store.query(n, p, f))) for label, n, p, f in asked]  # type: ignore[misc]


def main(calls: int, folder: Path) -> None:
    rng = random.Random(1)
    journal = Journal(folder / "journal" / "main")
    store = DuckDBStore(folder / "records.duckdb")
    drain = Drain(folder / "journal", store)
    write_s = drain_s = drain_cpu = 0.0
    records = 0
    for begin in range(0, calls, 100_000):
        spent, count = asyncio.run(fill(journal, range(begin, min(begin + 100_000, calls)), rng))
        write_s, records = write_s + spent, records + count
        before, cpu = time.perf_counter(), time.process_time()
        while drain.step():
            pass
        drain_s, drain_cpu = drain_s + time.perf_counter() - before, drain_cpu + time.process_time() - cpu
    status = drain.status()
    if not status.accepted == status.stored == records:
        raise SystemExit(f"lost records: {status}")
    before = time.perf_counter()
    asyncio.run(fill(journal, range(calls, calls + 50), rng))
    drain.step()
    small_ms = (time.perf_counter() - before) * 1e3
    print(f"\n{calls:,} calls, {platform.machine()}, Python {platform.python_version()}\n")
    print("| | |\n|---|---|")
    print(f"| journal append | {write_s / records * 1e6:.1f} µs |")
    print(f"| drain | {records / drain_s:,.0f} records/s, {drain_cpu / records * 1e6:.0f} CPU-µs each |")
    print(f"| 50 calls, append and drain | {small_ms:.0f} ms |")
    for label, milliseconds in queries(store, calls):
        print(f"| {label} | {milliseconds:.0f} ms |")
    store.close()
    journal.close()
    print(f"| store on disk | {(folder / 'records.duckdb').stat().st_size >> 20:,} MiB |")


if __name__ == "__main__":
    amount = int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else 1_000_000
    place = Path(tempfile.mkdtemp(prefix="rondo-drain-", dir=sys.argv[2] if len(sys.argv) > 2 else None))
    try:
        main(amount, place)
    finally:
        shutil.rmtree(place)
