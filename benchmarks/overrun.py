"""Can 10,000 requests at the same time, over two gateway processes, spend more than the budget?

Starts a Redis, a provider that bills, and `rondo up --workers 2`; sets a budget; sends all requests at once, and those
that were refused again, wave after wave, until nothing more is let through. What counts is the provider's bill.
`--kill-redis` kills Redis in the middle of the first wave and starts it again, empty. With `--judge`, a guard asks a
model about each question and each answer, for money; with `--faults 0.1`, a tenth of what is billed breaks off.

Needs `redis-server` or `valkey-server`. Exits with status 1 where the bill is above the budget.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import aiohttp
from aiohttp import web

INPUT, OUTPUT = 1_000, 10_000  # nano-dollars per token: 1 and 10 dollars per million
MAX_TOKENS = 100
SETTINGS = """
[app]
name = "bot"
prompt = "prompt.md"
route = ["paid"]

[models.paid]
provider = "vllm"
model = "paid"
base_url = "{url}"
price = {{ input = 1.0, output = 10.0 }}
max_concurrent = 4000
queue = 100000
queue_timeout_s = 300.0
"""
JUDGE = """
[[guards]]
check = "judge"
on = ["input", "output"]
action = "block"
model = "paid"
question = "Is it rude?"
"""


class Provider:
    """Answers with a random number of tokens, after a random time, and keeps the bill."""

    def __init__(self, delay_s: float, faults: float) -> None:
        self.calls = 0
        self.bill = 0
        self._delay_s = delay_s
        self._faults = faults

    async def answer(self, request: web.Request) -> web.Response:
        asked = await request.json()
        prompt, completion = random.randint(5, 20), random.randint(0, asked["max_tokens"])
        self.calls += 1
        self.bill += prompt * INPUT + completion * OUTPUT
        await asyncio.sleep(random.random() * self._delay_s)
        if random.random() < self._faults and request.transport is not None:
            request.transport.abort()
        message = {"role": "assistant", "content": "no"}
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response(
            {"id": "1", "object": "chat.completion", "created": 1, "model": "paid", "choices": [choice], "usage": usage}
        )


class Redis:
    """A server of our own, without a disk."""

    def __init__(self) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            sys.exit("There is no redis-server or valkey-server on this machine.")
        self.port = free_port()
        self._words = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._words, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_rondo(project: Path, redis: Redis, workers: int) -> tuple[subprocess.Popen[str], str, str]:
    """The process, its address, and the admin key."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rondo.cli.main", "up", "--port", "0", "--workers", str(workers)],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=(project / "server.log").open("w"),
        text=True,
        start_new_session=True,
        env={**os.environ, "RONDO_REDIS_URL": f"redis://127.0.0.1:{redis.port}/0"},
    )
    assert process.stdout is not None
    words = process.stdout.readline().split()
    if words[:1] != ["ready"]:
        sys.exit((project / "server.log").read_text())
    return process, words[1], (project / ".rondo" / "admin.key").read_text().strip()


async def wave(session: aiohttp.ClientSession, model: str, count: int, outcomes: Counter[str]) -> int:
    """Send so many at once; how many were answered."""
    body = {"model": model, "messages": [{"role": "user", "content": "is it?"}], "max_tokens": MAX_TOKENS}

    async def ask() -> bool:
        try:
            async with session.post("/v1/chat/completions", json=body) as response:
                told = await response.json()
                outcomes["answered" if response.status == 200 else told["error"]["code"]] += 1
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError) as error:
            outcomes[type(error).__name__] += 1
            return False

    return sum(await asyncio.gather(*(ask() for _ in range(count))))


async def run(arguments: argparse.Namespace) -> int:
    provider, redis = Provider(arguments.delay, arguments.faults), Redis()
    model, settings = ("bot", SETTINGS + JUDGE) if arguments.judge else ("paid", SETTINGS)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", provider.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=8_192).start()
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "rondo.toml").write_text(settings.format(url=f"http://127.0.0.1:{port}/v1"))
        (project / "prompt.md").write_text("# user\n{{ question }}\n")
        process, url, key = await asyncio.to_thread(start_rondo, project, redis, arguments.workers)
        try:
            async with aiohttp.ClientSession(
                url,
                headers={"authorization": f"Bearer {key}"},
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=300),
            ) as session:
                limit = {"scope": "project", "usd_per_day": str(arguments.budget)}
                async with session.post("/api/limits", json=limit) as response:
                    assert response.status == 200, await response.text()
                await asyncio.sleep(1)
                began = time.monotonic()
                first = asyncio.create_task(wave(session, model, arguments.requests, outcomes))
                if arguments.kill_redis:
                    await asyncio.sleep(arguments.kill_redis)
                    redis.kill()
                    await asyncio.sleep(0.5)
                    redis.start()
                waves, answered = 1, await first
                while waves < 200:
                    if arguments.kill_redis and waves == 1:
                        await asyncio.sleep(5)
                    elif not answered:
                        break
                    waves += 1
                    answered = await wave(session, model, max(50, min(arguments.requests, 1_000)), outcomes)
                took = time.monotonic() - began
                async with session.get("/api/limits/status") as response:
                    (use,) = (await response.json())["uses"]
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            await asyncio.to_thread(process.wait, 60)
            redis.kill()
            await runner.cleanup()
    return report(arguments, provider, use["budgets"][0], outcomes, waves=waves, took=took)


def report(
    arguments: argparse.Namespace,
    provider: Provider,
    told: dict[str, float],
    outcomes: Counter[str],
    *,
    waves: int,
    took: float,
) -> int:
    budget = round(arguments.budget * 1e9)
    overrun = max(0, provider.bill - budget)
    rows = [
        ("gateway processes", f"{arguments.workers}"),
        ("requests at once, first wave", f"{arguments.requests:,}"),
        ("requests in all", f"{outcomes.total():,} in {waves} waves, {took:.1f} s"),
        ("answers to them", ", ".join(f"{name} {count:,}" for name, count in outcomes.most_common())),
        ("Redis killed and restarted empty", "yes" if arguments.kill_redis else "no"),
        ("a judge of questions and answers", "yes" if arguments.judge else "no"),
        ("billed, and broken off", f"{arguments.faults:.0%}"),
        ("budget", f"${budget / 1e9:.9f}"),
        ("billed by the provider", f"${provider.bill / 1e9:.9f} for {provider.calls:,} calls"),
        ("spent, by the ledger", f"${told['spent_usd']:.9f} (+ ${told['reserved_usd']:.9f} held)"),
        ("left over", f"${max(0, budget - provider.bill) / 1e9:.9f}"),
        ("**overrun**", f"**${overrun / 1e9:.9f}**"),
    ]
    print("| | |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")
    return 1 if overrun else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000, help="requests at the same time")
    parser.add_argument("--workers", type=int, default=2, help="gateway processes")
    parser.add_argument("--budget", type=float, default=3.0, help="dollars")
    parser.add_argument("--delay", type=float, default=0.5, help="longest time an answer takes, seconds")
    parser.add_argument("--kill-redis", type=float, metavar="SECONDS", help="kill Redis so long after the start")
    parser.add_argument("--judge", action="store_true", help="a model looks at each question and answer")
    parser.add_argument(
        "--faults", type=float, default=0.0, metavar="SHARE", help="of calls that break off, though billed"
    )
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.exit(asyncio.run(run(arguments)))


if __name__ == "__main__":
    main()
