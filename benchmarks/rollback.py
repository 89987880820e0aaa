"""How long a bad candidate serves: from its first bad answer until no caller gets it any more.

    python benchmarks/rollback.py [--rounds 5] [--rate 200] [--workers 1 2]

A server with a rollout at 50 % gets requests of ever new users at an even rate. The candidate's provider answers well
for some seconds and then fails every request (or, in the second half of the rounds, fails from the rollout's first
moment). Measured is what clients see: from the first failed answer to the last one. The gateway's breaker hardly opens,
or a model that failed in one round would be left alone at the start of the next. Prints Markdown; exits with 1 where
the slowest round is above the target.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

MOST_S = 2.0
_HEALTHY_S = 6.0
_AFTERWARDS_S = 2.0
_LONGEST_S = 30.0

TOML = """
[app]
name = "bot"
prompt = "prompt.md"
route = ["old"]
[models.old]
provider = "openai"
model = "old"
base_url = "{upstream}"
retries = 0
[models.new]
provider = "openai"
model = "new"
base_url = "{upstream}"
retries = 0
[rollout]
steps = ["50% 1h", "100%"]
on_release = "wait"
[gateway]
breaker_open_s = 0.1
"""
ANSWER = json.dumps(
    {
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
).encode()  # fmt: skip
FAILURE = b'{"error":{"message":"broken","type":"server_error","code":null}}'


class Provider:
    """Answers everybody, but for the model `new` while `broken`."""

    def __init__(self) -> None:
        self.broken = False
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = [line.split(b":", 1) for line in head.lower().split(b"\r\n")[1:] if line]
                body = await reader.readexactly(int(dict(lines).get(b"content-length", b"0")))
                fails = self.broken and b'"new"' in body
                status, answer = (b"500 Broken", FAILURE) if fails else (b"200 OK", ANSWER)
                writer.write(
                    b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                    % (status, len(answer), answer)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


class Server:
    """`rondo up` on a project of its own."""

    def __init__(self, folder: Path, upstream: str, workers: int) -> None:
        self.folder = folder
        (folder / "rondo.toml").write_text(TOML.format(upstream=upstream))
        self.write_prompt("first")
        self.log = (folder / "log").open("w")
        self.process = subprocess.Popen(
            [*_RONDO, "up", "--port", "0", "--workers", str(workers)],
            cwd=folder, stdout=subprocess.PIPE, stderr=self.log, text=True,
            env={**os.environ, "OPENAI_API_KEY": "sk-x", "RONDO_KEY_HOSTS": "OPENAI_API_KEY=127.0.0.1"},
        )  # fmt: skip
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        if words[:1] != ["ready"]:
            raise SystemExit((folder / "log").read_text())
        self.url = words[1]
        self.headers = {"authorization": f"Bearer {(folder / '.rondo' / 'admin.key').read_text().strip()}"}

    def write_prompt(self, name: str) -> None:
        (self.folder / "prompt.md").write_text(f"# system\nYou are {name}.\n\n# user\n{{{{ question }}}}\n")

    def release(self, name: str) -> int:
        """A release that the model `new` answers."""
        toml = self.folder / "rondo.toml"
        toml.write_text(toml.read_text().replace('route = ["old"]', 'route = ["new"]'))
        self.write_prompt(name)
        done = subprocess.run(
            [*_RONDO, "release", "--json"], cwd=self.folder, capture_output=True, text=True, check=True
        )
        number: int = json.loads(done.stdout)["release"]["number"]
        return number

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()


_RONDO = [sys.executable, "-m", "rondo.cli.main"]


@asynccontextmanager
async def asked(server: Server, rate: float) -> AsyncIterator[list[tuple[float, int]]]:
    """Requests at an even rate, each of a new user; when each answer came, and its status."""
    answers: list[tuple[float, int]] = []
    under_way: set[asyncio.Task[None]] = set()
    connector = aiohttp.TCPConnector(limit=64)
    async with aiohttp.ClientSession(server.url, connector=connector, headers=server.headers) as session:

        async def ask(user: int) -> None:
            body = {"model": "bot", "messages": [{"role": "user", "content": "hello"}], "user": f"user-{user}"}
            async with session.post("/v1/chat/completions", json=body) as response:
                await response.read()
                answers.append((time.perf_counter(), response.status))

        async def send() -> None:
            began, sent = time.perf_counter(), 0
            while True:
                for _ in range(int((time.perf_counter() - began) * rate) - sent):
                    sent += 1
                    task = asyncio.create_task(ask(sent))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                await asyncio.sleep(0.005)

        sending = asyncio.create_task(send())
        try:
            yield answers
        finally:
            sending.cancel()
            await asyncio.gather(sending, *under_way, return_exceptions=True)


async def one_round(server: Server, provider: Provider, number: int, *, healthy_s: float, rate: float) -> float:
    """Seconds from the first bad answer to the last one."""
    provider.broken = not healthy_s
    async with asked(server, rate) as answers, aiohttp.ClientSession(server.url, headers=server.headers) as session:
        await asyncio.sleep(0.5)
        async with session.post("/api/apps/bot/rollout", json={"release": number}) as response:
            if response.status != 200:
                raise SystemExit(await response.text())
        await asyncio.sleep(healthy_s)
        provider.broken = True
        deadline = time.perf_counter() + _LONGEST_S
        while True:
            async with session.get("/api/apps/bot/rollout") as response:
                rollout = (await response.json())["rollout"]
            if rollout["status"] != "running":
                break
            if time.perf_counter() > deadline:
                raise SystemExit("the candidate was not rolled back")
            await asyncio.sleep(0.1)
        if rollout["status"] != "rolled_back":
            raise SystemExit(f"the rollout is {rollout['status']}: {rollout['why']}")
        await asyncio.sleep(_AFTERWARDS_S)
    bad = [at for at, status in answers if status >= 500]
    return max(bad) - min(bad)


async def measured(workers: int, rounds: int, rate: float) -> list[tuple[float, list[float]]]:
    """For a candidate that turns bad, and for one that always was: the seconds of each round."""
    provider = Provider()
    upstream = await provider.start()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        server = await asyncio.to_thread(Server, Path(folder), upstream, workers)
        try:
            for healthy_s in (_HEALTHY_S, 0.0):
                seconds = []
                for each in range(rounds):
                    number = await asyncio.to_thread(server.release, f"candidate {healthy_s:g}-{each}")
                    seconds.append(await one_round(server, provider, number, healthy_s=healthy_s, rate=rate))
                found.append((healthy_s, seconds))
        finally:
            await asyncio.to_thread(server.stop)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    slowest = 0.0
    print("| processes | the candidate | from the first bad answer to the last, s | least–most |")
    print("|---|---|---|---|")
    for workers in given.workers:
        for healthy_s, seconds in asyncio.run(measured(workers, given.rounds, given.rate)):
            slowest = max(slowest, *seconds)
            what = f"turns bad after {healthy_s:g} s" if healthy_s else "is bad from the start"
            median = statistics.median(seconds)
            print(f"| {workers} | {what} | {median:.2f} | {min(seconds):.2f}–{max(seconds):.2f} |", flush=True)
    met = slowest <= MOST_S
    print(f"\nMedian of {given.rounds} rounds at {given.rate:g} requests a second, half of them the candidate's.")
    print(f"\n- the slowest round: {slowest:.2f} s (at most {MOST_S:g} s: {'met' if met else 'MISSED'})")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
