"""The OpenAI Node SDK's Responses work unchanged."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from journeys.running import Running
from journeys.test_openai_node import sdk

__all__ = ["sdk"]

PROGRAM = Path(__file__).with_name("node_responses.mjs")


@pytest.fixture(scope="module")
def seen(sdk: Path, served: Running) -> Any:
    shutil.copy(PROGRAM, sdk / PROGRAM.name)
    done = subprocess.run(
        ["node", PROGRAM.name, served.url, served.key], cwd=sdk, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_create_stream_and_parse(seen: Any) -> None:
    assert (seen["text"], seen["streamed"], seen["completion"]) == ("olleh", "olleh", "olleh")
    assert (seen["types"][0], seen["types"][-1]) == ("response.created", "response.completed")
    assert seen["structured"] == {"city": "Oslo", "degrees": 7}


def test_a_loop_of_tools_over_previous_responses(seen: Any) -> None:
    assert seen["arguments"] == {"city": "Oslo"}
    assert seen["told"] == seen["retrieved"] == "It is sunny."


def test_errors_are_of_their_class(seen: Any) -> None:
    assert seen["errors"] == {
        "previous": ["BadRequestError", "previous_response_not_found"],
        "cut": ["APIError", True],
    }
    assert seen["cut"] == "Hel"
