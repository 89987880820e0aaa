"""Anthropic's TypeScript SDK works unchanged, whether Anthropic answers or somebody else."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from journeys.anthropic_upstream import CALLS, SIGNATURE, messages_served
from journeys.running import Running

__all__ = ["messages_served"]

VERSION = "1.12.0"
PROGRAM = Path(__file__).with_name("anthropic_node_client.mjs")
CACHE = Path(__file__).parents[2] / "build" / f"node-anthropic-{VERSION}"
BOTH = ["claude", "gpt"]


@pytest.fixture(scope="module")
def sdk() -> Path:
    """A folder with the SDK in it, installed once; skips where there is no Node, or no way to the registry."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node and npm are not installed")
    if not (CACHE / "ready").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        (CACHE / "package.json").write_text('{"private": true}')
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"]
        try:
            done = subprocess.run(
                [*command, f"@anthropic-ai/sdk@{VERSION}"],
                cwd=CACHE,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pytest.skip("npm could not install the SDK in time")
        if done.returncode != 0:
            pytest.skip(f"npm could not install the SDK: {done.stderr.strip().splitlines()[-1:]}")
        (CACHE / "ready").touch()
    shutil.copy(PROGRAM, CACHE / PROGRAM.name)
    return CACHE


@pytest.fixture(scope="module")
def seen(sdk: Path, messages_served: Running) -> Any:
    done = subprocess.run(
        ["node", PROGRAM.name, messages_served.url, messages_served.key],
        cwd=sdk,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("who", BOTH)
def test_messages_and_streams(seen: Any, who: str) -> None:
    assert seen["message"][who] == ["olleh", "end_turn", True]
    assert seen["stream"][who] == ["olleh", "end_turn", True, True]
    assert seen["structured"][who] == {"city": "Oslo", "degrees": 7}


@pytest.mark.parametrize("who", BOTH)
def test_parallel_calls_and_their_results(seen: Any, who: str) -> None:
    expected = [[call, "weather", given] for call, given in CALLS]
    assert seen["calls"][who] == seen["streamedCalls"][who] == expected
    assert seen["results"][who] == "Oslo 7; Rome 7"


def test_thoughts_come_and_go_back(seen: Any) -> None:
    assert seen["thinking"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE},
        {"type": "text", "text": "Yes."},
    ]
    assert seen["thoughtAgain"] == "Yes."


def test_an_app_and_the_models(seen: Any) -> None:
    assert seen["app"] == ["You asked: hello", "bot#1"]
    assert {"bot", "claude-chat"} <= set(seen["models"])


def test_errors_are_of_their_class(seen: Any) -> None:
    expected = {"key": ["AuthenticationError", 401, "authentication_error"], "cut": True}
    for who in BOTH:
        expected |= {
            f"{who}-busy": ["RateLimitError", 429, "rate_limit_error"],
            f"{who}-strict": ["BadRequestError", 400, "invalid_request_error"],
            f"{who}-down": ["InternalServerError", 502, "api_error"],
            f"{who}-nobody": ["NotFoundError", 404, "not_found_error"],
        }
    assert seen["errors"] == expected
    assert seen["cut"] == "Hel"
