"""What Rondo adds to the latency of a plain chat request at half of its saturation.

    python benchmarks/latency.py [--seconds 10] [--rounds 3]

First wrk finds how many requests a second Rondo takes at most. Then requests are sent at half that rate, at even
distances whether answers come or not, to the provider directly and by way of Rondo, by turns. A latency counts from
the moment when its request was due, so a stall shows in all requests that it held up. Added latency is the difference
of the two percentiles. Prints Markdown; exits with 1 where the target is missed.
"""

from __future__ import annotations

import argparse
import select
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import load
import processes
import subjects
from load import Address

MOST_ADDED_MS = 3.0
"""At p99."""

_MOST_CONNECTIONS = 512
_LONGEST_WAIT_S = 10.0


class Client:
    """One connection, with one request at a time."""

    def __init__(self, address: Address) -> None:
        parts = urlsplit(address.url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 80))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = self._socket.fileno()
        self._due = 0.0
        self._wants = -1
        self._got = b""

    def ask(self, request: bytes, due: float) -> None:
        self._due, self._got, self._wants = due, b"", -1
        self._socket.sendall(request)

    def read(self) -> float | None:
        """The latency in ms, once the answer is whole. Raises RuntimeError where it is a bad one, or none."""
        data = self._socket.recv(1 << 16)
        self._got += data
        if self._wants < 0 and b"\r\n\r\n" in self._got:
            head, _, _ = self._got.partition(b"\r\n\r\n")
            lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
            self._wants = len(head) + 4 + int(lines[b"content-length"])
            if b" 200 " not in head[:16]:
                raise RuntimeError(f"a bad answer: {head!r}")
        if not data:
            raise RuntimeError("a connection broke")
        if 0 <= self._wants <= len(self._got):
            return (time.perf_counter() - self._due) * 1_000
        return None

    def close(self) -> None:
        self._socket.close()


class Sender:
    """Sends at an even rate, on as many connections as it takes, and sleeps in between.

    Event loops know milliseconds only: they would send in bursts, or spin and take a core from those who are measured.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._request = _request(address)
        self._clients: dict[int, Client] = {}
        self._idle: list[Client] = []
        self._ready = select.epoll()
        self.latencies: list[float] = []

    def send(self, rate: float, seconds: float) -> None:
        """Raises RuntimeError where an answer is bad or does not come, or a connection breaks."""
        for _ in range(32):
            self._idle.append(self._connect())
        began, sent, last = time.perf_counter(), 0, int(rate * seconds)
        while len(self.latencies) < last:
            now = time.perf_counter()
            while sent < last and (due := began + sent / rate) <= now:
                if not self._idle and len(self._clients) >= _MOST_CONNECTIONS:
                    break  # it is due all the same
                (self._idle.pop() if self._idle else self._connect()).ask(self._request, due)
                sent += 1
            room = self._idle or len(self._clients) < _MOST_CONNECTIONS
            wait = began + sent / rate - time.perf_counter() if sent < last and room else _LONGEST_WAIT_S
            self._receive(max(0.0, wait))
        for client in self._clients.values():
            client.close()
        self._ready.close()

    def _receive(self, wait: float) -> None:
        """`epoll` waits for milliseconds, `select` for microseconds."""
        readable, _, _ = select.select([self._ready], [], [], wait)
        if not readable:
            if wait >= _LONGEST_WAIT_S:
                raise RuntimeError("requests without an answer")
            return
        for number, _ in self._ready.poll(0):
            client = self._clients[number]
            if (latency := client.read()) is not None:
                self.latencies.append(latency)
                self._idle.append(client)

    def _connect(self) -> Client:
        client = Client(self._address)
        self._clients[client.number] = client
        self._ready.register(client.number, select.EPOLLIN)
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
    sender.send(rate, seconds)
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
