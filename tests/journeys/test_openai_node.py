"""The OpenAI Node SDK works unchanged."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from journeys.running import Running

VERSION = "7.57.0"
PROGRAM = Path(__file__).with_name("node_client.mjs")
CACHE = Path(__file__).parents[2] / "build" / f"node-openai-{VERSION}"


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
                [*command, f"openai@{VERSION}"], cwd=CACHE, capture_output=True, text=True, timeout=120, check=False
            )
        except subprocess.TimeoutExpired:
            pytest.skip("npm could not install the SDK in time")
        if done.returncode != 0:
            pytest.skip(f"npm could not install the SDK: {done.stderr.strip().splitlines()[-1:]}")
        (CACHE / "ready").touch()
    shutil.copy(PROGRAM, CACHE / PROGRAM.name)
    return CACHE


@pytest.fixture(scope="module")
def seen(sdk: Path, served: Running) -> Any:
    done = subprocess.run(
        ["node", PROGRAM.name, served.url, served.key], cwd=sdk, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_chat_and_streams(seen: Any) -> None:
    assert (seen["chat"], seen["stream"]) == ("olleh", "olleh")
    assert (seen["app"], seen["release"]) == ("You asked: hello", "bot#1")


def test_tools_structured_outputs_embeddings_and_models(seen: Any) -> None:
    assert seen["tool"] == {"city": "Oslo"}
    assert seen["streamedTool"] == '{"city":"Oslo"}'
    assert seen["structured"] == {"city": "Oslo", "degrees": 7}
    assert seen["embedding"] == [4, 0.5]
    assert "bot" in seen["models"]


def test_errors_are_of_their_class(seen: Any) -> None:
    assert seen["errors"] == {
        "nobody": ["NotFoundError", 404],
        "strict": ["BadRequestError", 400],
        "busy": ["RateLimitError", 429],
        "down": ["InternalServerError", 502],
        "key": ["AuthenticationError", 401],
        "cut": ["APIError", True],
    }
    assert seen["cut"] == "Hel"
