"""The programs that run evaluations and are compared: how each is set up, what is run, and what it must prove.

All ask the same instant model the same questions, 32 at a time, and look for one word in each answer. Peers are looked
for in the folder $RONDO_PEERS (build/peers by default), where `peers.sh` puts them.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import load
import subjects

CONCURRENCY = 32
_SYSTEM = "You are the support assistant of a small online shop. Answer briefly and politely."
_EXPECTED = "warehouse"
_WORDS = """
    address amount answer back bank basket bill black blue booking box bread broken button call cancel card
    change charge chair city code collect colour complaint confirm contact copy cost country courier credit
    customer damage date day deliver delivery discount door email empty error exchange fast fault find form free
    friend garden gift green guest hand help holiday home hour house invoice item kettle key kitchen label lamp
    late letter light line link list login lost mail message missing model money month morning name new night
    notice number offer office open order package pay payment parcel password phone photo piece place plug point
    post present price print problem product proof question receipt red refund reminder repair reply reset
    return safe sale screen screw send service shelf shop sign size small sofa spare spring stock street summer
    table tax team test ticket time today tomorrow tool track transfer travel tyre update van visit voucher wall
    want warranty watch week wheel white window winter wood word work wrong year
""".split()

_PROMPTFOO_YAML = """
prompts: [file://prompt.json]
providers:
  - id: openai:chat:gpt-4o-mini
    config: {{apiBaseUrl: "{base_url}", apiKey: unused}}
defaultTest:
  assert: [{{type: contains, value: "{{{{expected}}}}"}}]
tests: file://cases.jsonl
"""

_DEEPEVAL_MAIN = """
import asyncio, json, sys
from deepeval import evaluate
from deepeval.evaluate import AsyncConfig, CacheConfig, DisplayConfig
from deepeval.metrics import BaseMetric
from deepeval.test_case import LLMTestCase
from openai import AsyncOpenAI, DefaultAioHttpClient

base_url, concurrency, system = sys.argv[1], int(sys.argv[2]), sys.argv[3]

class Contains(BaseMetric):
    threshold, async_mode, reason = 1.0, False, None
    __name__ = "Contains"

    def measure(self, test_case):
        self.score = float(test_case.expected_output in test_case.actual_output)
        self.success = self.score >= self.threshold
        return self.score

    async def a_measure(self, test_case, *args, **kwargs):
        return self.measure(test_case)

    def is_successful(self):
        return self.success

async def ask(client, room, row):
    messages = [{"role": "system", "content": system}, {"role": "user", "content": row["question"]}]
    async with room:
        completion = await client.chat.completions.create(model="gpt-4o-mini", messages=messages)
    return LLMTestCase(
        input=row["question"], actual_output=completion.choices[0].message.content, expected_output=row["expected"])

async def ask_all(rows):
    room = asyncio.Semaphore(concurrency)
    async with AsyncOpenAI(base_url=base_url, api_key="unused", http_client=DefaultAioHttpClient()) as client:
        return await asyncio.gather(*(ask(client, room, row) for row in rows))

with open("cases.jsonl") as file:
    rows = [json.loads(line) for line in file]
found = evaluate(
    asyncio.run(ask_all(rows)),
    [Contains()],
    async_config=AsyncConfig(run_async=False),
    display_config=DisplayConfig(show_indicator=False, print_results=False, inspect_after_run=False),
    cache_config=CacheConfig(write_cache=False),
)
print(sum(result.success for result in found.test_results), "passed")
"""

_SUITE = f"""
dataset = "cases.jsonl"
max_concurrency = {CONCURRENCY}

[[scorers]]
kind = "contains"
"""


@dataclass(frozen=True)
class Evaluator:
    """`prepare` fills an empty folder, given the model's base URL, and starts the server where there is one.

    `command` then evaluates the folder's cases.jsonl, which has a line of the shape `case` for each question; `passed`
    says how many passed, by what the command printed. `keeps` is what can be looked up afterwards.
    """

    name: str
    keeps: str
    prepare: Callable[[Path, str], subprocess.Popen[bytes] | None]
    command: Callable[[str], Sequence[str]]
    passed: re.Pattern[str]
    case: Callable[[str], object] = lambda question: {"question": question, "expected": _EXPECTED}
    environment: Mapping[str, str] = field(default_factory=dict)
    missing: Callable[[], bool] = lambda: False

    def write_cases(self, folder: Path, count: int, seed: int) -> None:
        """So many questions that are not alike, into cases.jsonl."""
        rng = random.Random(seed)
        with open(folder / "cases.jsonl", "w", encoding="utf-8") as file:
            for number in range(count):
                question = f"{number}: {' '.join(rng.choices(_WORDS, k=20))}?"
                file.write(json.dumps(self.case(question)) + "\n")

    def count_passed(self, printed: str) -> int:
        """Raises RuntimeError where the output does not say."""
        found = self.passed.search(printed)
        if found is None:
            raise RuntimeError(f"{self.name} does not say how many passed: {printed[-2_000:]}")
        return int(found[1].replace(",", ""))


def _rondo(folder: Path, base_url: str) -> None:
    subjects.rondo_project(folder, base_url)
    (folder / "suites").mkdir()
    (folder / "suites/bench.toml").write_text(_SUITE)


def _rondo_up(folder: Path, base_url: str) -> subprocess.Popen[bytes]:
    _rondo(folder, base_url)
    running = subjects.rondo(folder, base_url, limits=False)
    load.until_it_answers(running.address, running.process)
    return running.process


def _promptfoo(folder: Path, base_url: str) -> None:
    (folder / "promptfooconfig.yaml").write_text(_PROMPTFOO_YAML.format(base_url=base_url))
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": "{{question}}"}]
    (folder / "prompt.json").write_text(json.dumps(messages))


def _promptfoo_command(base_url: str) -> Sequence[str]:
    options = "--no-cache --no-table --no-write --no-share --no-progress-bar".split()
    return [str(_PROMPTFOO / "promptfoo"), "eval", "-j", str(CONCURRENCY), *options]


def _deepeval(folder: Path, base_url: str) -> None:
    (folder / "main.py").write_text(_DEEPEVAL_MAIN)


_PROMPTFOO = subjects.PEERS / "promptfoo/node_modules/.bin"
_DEEPEVAL = subjects.PEERS / "deepeval/bin/python"
_RONDO_EVAL = (*subjects.RONDO, "eval", "bench", "--fresh", "--yes", "--against", "none")
_RONDO_PASSED = re.compile(r"^contains +100\.0 % .* ([\d,]+)$", re.MULTILINE)

EVALUATORS: Sequence[Evaluator] = (
    Evaluator("Rondo", "results and calls", _rondo_up, lambda _: _RONDO_EVAL, _RONDO_PASSED),
    Evaluator("Rondo, no server running", "results and calls", _rondo, lambda _: _RONDO_EVAL, _RONDO_PASSED),
    Evaluator(
        "promptfoo",
        "nothing",
        _promptfoo,
        _promptfoo_command,
        re.compile(r"([\d,]+) passed"),
        case=lambda question: {"vars": {"question": question, "expected": _EXPECTED}},
        environment={
            "PATH": f"{_PROMPTFOO}{os.pathsep}{os.environ['PATH']}",
            "PROMPTFOO_CONFIG_DIR": "state",
            "PROMPTFOO_DISABLE_TELEMETRY": "1",
            "PROMPTFOO_DISABLE_UPDATE": "1",
            "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
        },
        missing=lambda: not (_PROMPTFOO / "promptfoo").exists(),
    ),
    Evaluator(
        "DeepEval",
        "nothing",
        _deepeval,
        lambda base_url: [str(_DEEPEVAL), "main.py", base_url, str(CONCURRENCY), _SYSTEM],
        re.compile(r"([\d,]+) passed"),
        environment={"DEEPEVAL_TELEMETRY_OPT_OUT": "YES", "DEEPEVAL_NO_INSPECT_PROMPT": "1"},
        missing=lambda: not _DEEPEVAL.exists(),
    ),
)
