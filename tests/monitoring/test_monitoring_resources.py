"""What the host and the model servers use: read from files and answers that may hold anything."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live_server import Live
from rondo.monitoring import host, model_servers
from rondo.monitoring.resources import KEPT, Resources

VLLM = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 1.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0"} 0.25
# TYPE vllm:generation_tokens counter
vllm:generation_tokens_total{engine="0"} 1000.0
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{gpu="0"} 50
DCGM_FI_DEV_GPU_UTIL{gpu="1"} 100
# TYPE DCGM_FI_DEV_FB_USED gauge
DCGM_FI_DEV_FB_USED{gpu="0"} 1024
vllm:num_requests_waiting NaN
"""


def test_a_servers_own_numbers() -> None:
    assert model_servers.read(VLLM) == {
        "running": 4.0,
        "kv_cache_share": 0.25,
        "gpu_share": 0.75,
        "gpu_memory_used_bytes": 1024.0 * (1 << 20),
        "generated_tokens": 1000.0,
    }
    assert model_servers.rates({"generated_tokens": 400.0}, {"generated_tokens": 1000.0}, 30) == {
        "generated_tokens_per_s": 20.0
    }
    assert model_servers.rates({"generated_tokens": 4000.0}, {"generated_tokens": 1000.0}, 30) == {}


@given(st.text(max_size=300) | st.just('vllm:num_requests_running{a="b" 1') | st.just("x{} 1 2 3 # {"))
def test_answers_that_are_none(text: str) -> None:
    try:
        found = model_servers.read(text)
    except ValueError:
        return
    assert all(isinstance(value, float) for value in found.values())


def test_the_host_is_read_from_proc(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu  10 0 10 70 10 0 0 0 0 0\ncpu0 1 1\n")
    before = host.ticks(tmp_path)
    (tmp_path / "stat").write_text("cpu  30 0 10 80 20 0 0 0 0 0\n")
    assert host.cpu_share(before, host.ticks(tmp_path)) == pytest.approx(0.5)
    assert host.cpu_share(None, before) is None
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable: 25 kB\n")
    assert host.memory(tmp_path)["memory_share"] == pytest.approx(0.75)
    assert host.disk(tmp_path)["disk_free_bytes"] > 0


@pytest.mark.parametrize("odd", ["", "cpu", "cpu a b c d", "intr 1 2 3 4 5"])
def test_a_host_that_tells_nothing(tmp_path: Path, odd: str) -> None:
    (tmp_path / "stat").write_text(odd)
    assert host.ticks(tmp_path) is None
    assert host.memory(tmp_path) == {}
    assert host.disk(tmp_path / "gone") == {}


class Server:
    """A model server that answers a GET of its metrics."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(VLLM.encode()) + VLLM.encode()
        self.asked: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.answer)
        await writer.drain()
        writer.close()


async def test_a_model_server_is_asked(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    resources = Resources(live.server.catalog, live.server.upstream, live.data)
    monkeypatch.setattr(
        resources,
        "_servers",
        lambda: {("default", "m"): f"http://127.0.0.1:{port}/metrics", ("other", "n"): "nonsense"},
    )
    async with listening:
        await resources.look()
        assert server.asked[0].startswith(b"GET /metrics HTTP/1.1\r\n")
        assert b"authorization" not in server.asked[0].lower()
        server.answer = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
        await resources.look()
    told = resources.usage("default")
    (found,) = told.models
    assert found.samples[0].values["running"] == 4.0
    assert found.error == "it answered 302"
    assert len(told.host) == 2
    assert "memory_share" in told.host[0].values
    assert resources._host.maxlen == KEPT
    assert resources.usage("other").models[0].error is not None
    assert resources.usage("nobody").models == []


async def test_the_door_tells_of_the_host(live: Live) -> None:
    await live.server.control.watching.resources.look()
    told: Any = await live.get("/api/dashboards/resources")
    assert told["host"]
    assert told["models"] == []
