"""Every operation of the OpenAPI description, asked what its schema allows and what it does not: never a server error.

RONDO_TEST_FUZZ_EXAMPLES sets how many requests each operation gets.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from journeys.running import Running

EXAMPLES = int(os.environ.get("RONDO_TEST_FUZZ_EXAMPLES", "6"))
FEW = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="RONDO_TEST_FUZZ_EXAMPLES" not in os.environ,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
)
schemathesis.serializer.alias("application/zip", "application/octet-stream")
WAITS = {"/api/calls/tail"}
"""Those that answer when something happens."""
OTLP = {"/v1/traces", "/v1/logs"}
"""Those whose errors are a google.rpc.Status, as OTLP has it."""


@pytest.fixture
def described(serve: Callable[..., Running]) -> tuple[Running, Any]:
    running = serve()
    schema = schemathesis.openapi.from_url(f"{running.url}/api/openapi.json", headers=running.headers)
    return running, schema


def test_no_operation_fails_inside(described: tuple[Running, Any]) -> None:
    running, schema = described
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 50
    for operation in operations:
        if operation.path not in WAITS:
            ask(running, operation)
    assert "Traceback" not in running.log, running.log
    assert running.log.count(running.key) <= 1, "once, where the first start shows it"


def ask(running: Running, operation: Any) -> None:
    """What the operation's schema allows, and what it does not."""
    allowed, others = (operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode)

    @FEW
    @given(case=allowed | others)
    def ask_once(case: Any) -> None:
        response = case.call(base_url=running.url, headers=running.headers, timeout=20)
        assert response.status_code not in (500, 502, 504), (case.as_curl_command(), response.text)
        if response.status_code >= 400 and response.content:
            body = response.json()
            assert (body if operation.path in OTLP else body["error"])["message"]
        assert running.key not in response.text

    ask_once()
