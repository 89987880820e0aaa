"""What Rondo adds to the latency of a plain chat request at half of its saturation.

    python benchmarks/latency.py [--seconds 10] [--rounds 3]

First wrk finds how many requests a second Rondo takes at most. Then requests are sent at half that rate, at even
distances whether answers come or not, to the provider directly and by way of Rondo, by turns. A latency counts from
the moment when its request was due, so a stall shows in all requests that it held up. Added latency is the difference
of the two percentiles. Prints Markdown; exits with 1 where the target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import load
import processes
import subjects
import uvloop
from load import Address

MOST_ADDED_MS = 3.0
"""At p99."""

_TICK_S = 0.0005
_MOST_CONNECTIONS = 512


class Client(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._transport: asyncio.Transport
        self._due = 0.0
        self._wants = -1
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def ask(self, request: bytes, due: float) -> None:
        self._due, self._got, self._wants = due, b"", -1
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._wants < 0 and b"\r\n\r\n" in self._got:
            head, _, _ = self._got.partition(b"\r\n\r\n")
            lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
            self._wants = len(head) + 4 + int(lines[b"content-length"])
            if b" 200 " not in head[:16]:
                self._sender.bad += 1
        if self._wants >= 0 and len(self._got) >= self._wants:
            self._sender.answered(self, (time.perf_counter() - self._due) * 1_000)

    def connection_lost(self, exc: Exception | None) -> None:
        self._sender.lost()

    def close(self) -> None:
        self._transport.close()


class Sender:
    """Sends at an even rate, on as many connections as it takes."""

    def __init__(self, address: Address) -> None:
        self._parts = urlsplit(address.url)
        self._request = _request(address)
        self._idle: list[Client] = []
        self._open = self._waiting = 0
        self._closing = False
        self.latencies: list[float] = []
        self.bad = 0

    async def send(self, rate: float, seconds: float) -> None:
        """Raises RuntimeError where a connection breaks, or answers do not come."""
        for _ in range(32):
            self._idle.append(await self._connect())
        began, sent = time.perf_counter(), 0
        while sent < rate * seconds:
            now = time.perf_counter()
            while (due := began + sent / rate) <= now and sent < rate * seconds:
                if not self._idle and self._open >= _MOST_CONNECTIONS:
                    break  # it is due all the same
                client = self._idle.pop() if self._idle else await self._connect()
                client.ask(self._request, due)
                self._waiting += 1
                sent += 1
            await asyncio.sleep(_TICK_S)
        deadline = time.perf_counter() + 10
        while self._waiting and time.perf_counter() < deadline:
            await asyncio.sleep(0.01)
        if self._waiting or self.bad:
            raise RuntimeError(f"{self._waiting} requests without an answer, {self.bad} bad ones")
        self._closing = True
        for client in self._idle:
            client.close()

    def answered(self, client: Client, latency_ms: float) -> None:
        self.latencies.append(latency_ms)
        self._waiting -= 1
        self._idle.append(client)

    def lost(self) -> None:
        if not self._closing:
            self.bad += 1

    async def _connect(self) -> Client:
        self._open += 1
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(
            lambda: Client(self), self._parts.hostname or "", self._parts.port or 80
        )
        return client


def _request(address: Address) -> bytes:
    body = b'{"model":"%b","messages":[{"role":"user","content":"%b"}],"temperature":0.2,"max_tokens":128}' % (
        address.model.encode(),
        b"Where is my order? " * 48,
    )
    head = (
        f"POST {address.path} HTTP/1.1\r\nhost: {urlsplit(address.url).netloc}\r\nauthorization: Bearer {address.key}"
        f"\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def sample(address: Address, rate: float, seconds: float) -> list[float]:
    """Latencies in ms, least first."""
    sender = Sender(address)
    uvloop.run(sender.send(rate, seconds))
    return sorted(sender.latencies)


def percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=10, help="of each turn")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    rounds: list[tuple[list[float], list[float]]] = []
    with tempfile.TemporaryDirectory(prefix="rondo-bench-") as name, load.instant_provider(Path(name)) as provider:
        folder = Path(name) / "project"
        folder.mkdir()
        running = subjects.rondo(folder, provider.base_url)
        direct = Address(provider.base_url.removesuffix("/v1"), "gpt-4o-mini")
        try:
            load.send(running.address, 2)
            most = load.send(running.address, asked.seconds).rps
            processes.settle(running.process.pid)
            for _ in range(asked.rounds):
                rounds.append(
                    (sample(direct, most / 2, asked.seconds), sample(running.address, most / 2, asked.seconds))
                )
                processes.settle(running.process.pid)
        finally:
            processes.stop(running.process)
    print(f"{most:,.0f} requests/s at most; {most / 2:,.0f} were sent, {asked.rounds} rounds of {asked.seconds} s\n")
    print("| | directly ms | by way of Rondo ms | added ms |\n|---|---|---|---|")
    for title, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        near = statistics.median(percentile(values, share) for values, _ in rounds)
        far = statistics.median(percentile(values, share) for _, values in rounds)
        print(f"| {title} | {near:.2f} | {far:.2f} | {far - near:.2f} |")
    added = statistics.median(percentile(far, 0.99) - percentile(near, 0.99) for near, far in rounds)
    met = added <= MOST_ADDED_MS
    print(f"\n- added at p99: {added:.2f} ms (at most {MOST_ADDED_MS:g}: {'met' if met else 'MISSED'})")
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
