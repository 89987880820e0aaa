"""What streams cost at Rondo: CPU per chunk, the wait for the first one, and a thousand of them at once.

    python benchmarks/streams.py [--seconds 8] [--streams 1000] [--asks 400]

The provider is `streamer.py`. Chunks are counted as the client reads them; CPU time is that of Rondo's process tree
until it is quiet, so the records of the streams count too. Time to first token is compared with asking the provider
directly, by turns, on connections that are open already. Prints Markdown; exits with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import urlsplit

import load
import processes
import subjects
import uvloop
from load import Address
from subjects import Running

LEAST_CHUNKS = 20_000
"""Chunks that a second of one core must bring."""

MOST_FIRST_MS = 1.0
"""Added to the time to first token, p50."""

MOST_MB = 250.0
PACED, PACED_MS = 50, 10
FLAT, FLAT_CHUNKS = 32, 5_000
MANY_CHUNKS, MANY_MS = 20, 1_000
_LONGEST_SILENCE_S = 3 * MANY_MS / 1_000


class Heard(NamedTuple):
    """One stream as its client saw it: chunks, seconds to the first, and the longest wait for one."""

    chunks: int
    first_s: float
    silence_s: float
    whole: bool


class Client(asyncio.Protocol):
    """One connection, with one stream at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._done: asyncio.Future[Heard] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def ask(self, request: bytes) -> asyncio.Future[Heard]:
        self._done = asyncio.get_running_loop().create_future()
        self._tail = b""
        self._chunks = 0
        self._first = self._silence = 0.0
        self._began = self._last = time.perf_counter()
        self._transport.write(request)
        return self._done

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        seen = self._tail + data
        count = seen.count(b'"delta":{')
        if count:
            if not self._chunks:
                self._first = now - self._began
            else:
                self._silence = max(self._silence, now - self._last)
            self._last = now
            self._chunks += count
        self._tail = seen[-8:]  # shorter than the mark, so that none is counted twice
        if seen.endswith(b"0\r\n\r\n"):
            self._end(whole=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(whole=False)

    def close(self) -> None:
        self._transport.close()

    def _end(self, *, whole: bool) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(Heard(self._chunks, self._first, self._silence, whole))


async def connect(address: Address) -> Client:
    parts = urlsplit(address.url)
    _, client = await asyncio.get_running_loop().create_connection(Client, parts.hostname or "", parts.port or 80)
    return client


def request(address: Address) -> bytes:
    body = {
        "model": address.model,
        "messages": [{"role": "user", "content": "Where is my order? " * 40}],
        "max_tokens": 5_000,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    encoded = json.dumps(body).encode()
    head = (
        f"POST {address.path} HTTP/1.1\r\nhost: {urlsplit(address.url).netloc}\r\nauthorization: Bearer {address.key}"
        f"\r\ncontent-type: application/json\r\ncontent-length: {len(encoded)}\r\n\r\n"
    )
    return head.encode() + encoded


async def at_once(address: Address, count: int) -> list[Heard]:
    """So many streams at the same time, each on a connection of its own."""
    clients = [await connect(address) for _ in range(count)]
    heard = await asyncio.gather(*(client.ask(request(address)) for client in clients))
    for client in clients:
        client.close()
    return list(heard)


async def by_turns(direct: Address, through: Address, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds to the first chunk: of the provider itself, and by way of Rondo."""
    clients = [(await connect(direct), request(direct)), (await connect(through), request(through))]
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(count + 20):
        for (client, asked), times in zip(clients, found, strict=True):
            heard = await client.ask(asked)
            if not heard.whole:
                raise RuntimeError("a stream broke off")
            if number >= 20:
                times.append(heard.first_s * 1_000)
    for client, _ in clients:
        client.close()
    return found


async def watched(address: Address, count: int, root: int) -> tuple[list[Heard], float]:
    """So many streams at once, and the most memory that the tree had meanwhile, in MiB."""
    running = asyncio.ensure_future(at_once(address, count))
    most = 0.0
    while not running.done():
        most = max(most, (await asyncio.to_thread(processes.memory, root)).rss)
        await asyncio.wait([running], timeout=1)
    return running.result(), most


def cost(address: Address, root: int, count: int, chunks: int) -> tuple[float, float]:
    """CPU-µs per chunk of so many streams, and chunks per second as they came."""
    processes.settle(root)
    before, began = processes.cpu_ms(root), time.perf_counter()
    heard = uvloop.run(at_once(address, count))
    took = time.perf_counter() - began
    processes.settle(root, least_s=3.0)
    got = sum(each.chunks for each in heard)
    if not all(each.whole for each in heard) or got < count * chunks:
        raise RuntimeError(f"{got:,} chunks came of {count * chunks:,}")
    return (processes.cpu_ms(root) - before) * 1_000 / got, got / took


@contextmanager
def streamer(folder: Path) -> Iterator[str]:
    """The provider's address."""
    port = load.free_port()
    command = [sys.executable, str(Path(__file__).with_name("streamer.py")), str(port)]
    with open(folder / "streamer.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        load.until_it_answers(Address(url, "any", path="/1/0/v1/chat/completions"), process)
        yield url
    finally:
        processes.stop(process)


def measure(running: Running, url: str, seconds: int, streams: int, asks: int) -> list[tuple[bool, str, str, str]]:
    """(met, what, figure, target) for each."""
    root, address = running.process.pid, running.address

    def at(model: str) -> Address:
        return Address(address.url, model, address.key)

    rows = []
    cost(at("short"), root, 20, 5)  # warm
    for label, model, count, chunks in (
        (f"{PACED} streams, a chunk every {PACED_MS} ms each", "paced", PACED, seconds * 1_000 // PACED_MS),
        (f"{FLAT} streams, as fast as they go", "flat", FLAT, FLAT_CHUNKS),
    ):
        us, rate = cost(at(model), root, count, chunks)
        met = 1e6 / us >= LEAST_CHUNKS
        figure = f"{us:.1f} CPU-µs per chunk: {1e6 / us:,.0f} chunks per second of a core ({rate:,.0f}/s came)"
        rows.append((met, label, figure, f"at least {LEAST_CHUNKS:,} per core"))
    direct, through = uvloop.run(by_turns(Address(url, "any", path="/5/0/v1/chat/completions"), at("short"), asks))
    added = [_percentile(through, share) - _percentile(direct, share) for share in (0.5, 0.99)]
    figure = f"p50 {added[0]:.2f} ms, p99 {added[1]:.2f} ms (directly {statistics.median(direct):.2f} ms)"
    rows.append((added[0] <= MOST_FIRST_MS, "added time to first token", figure, f"p50 at most {MOST_FIRST_MS:g} ms"))
    heard, memory = uvloop.run(watched(at("many"), streams, root))
    whole = sum(each.whole and each.chunks >= MANY_CHUNKS for each in heard)
    silence = max(each.silence_s for each in heard)
    rows.append(
        (memory <= MOST_MB, f"{streams:,} streams at once, memory", f"{memory:.0f} MB", f"at most {MOST_MB:.0f}")
    )
    fed = whole == streams and silence <= _LONGEST_SILENCE_S
    figure = f"{whole:,} whole, longest wait for a chunk {silence:.2f} s (one was sent every {MANY_MS / 1_000:g} s)"
    rows.append((fed, f"{streams:,} streams at once, none starved", figure, f"all, {_LONGEST_SILENCE_S:g} s"))
    return rows


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=8, help="of the paced streams")
    parser.add_argument("--streams", type=int, default=1_000, help="how many at once")
    parser.add_argument("--asks", type=int, default=400, help="for the time to first token")
    asked = parser.parse_args()
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < asked.streams + 100:
        resource.setrlimit(resource.RLIMIT_NOFILE, (asked.streams + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with tempfile.TemporaryDirectory(prefix="rondo-bench-") as name, streamer(Path(name)) as url:
        paths = {
            "short": "5/0",
            "paced": f"{asked.seconds * 1_000 // PACED_MS}/{PACED_MS}",
            "flat": f"{FLAT_CHUNKS}/0",
            "many": f"{MANY_CHUNKS}/{MANY_MS}",
        }
        folder = Path(name) / "project"
        folder.mkdir()
        models = {model: f"{url}/{path}/v1" for model, path in paths.items()}
        running = subjects.rondo(folder, models["short"], model="short", more=models, limits=False)
        try:
            load.until_it_answers(running.address, running.process)
            rows = measure(running, url, asked.seconds, asked.streams, asked.asks)
        finally:
            processes.stop(running.process)
    print("| | | target |\n|---|---|---|")
    for met, what, figure, target in rows:
        print(f"| {what} | {figure} | {target}: {'met' if met else 'MISSED'} |")
    sys.exit(0 if all(met for met, *_ in rows) else 1)


if __name__ == "__main__":
    main()
