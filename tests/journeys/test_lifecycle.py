"""`rondo up` as a script sees it: the ready line, the admin key, a second server, a graceful end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from journeys.running import Running

Serve = Callable[..., Running]
HELLO = [{"role": "user", "content": "hello"}]


def get(url: str, key: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def processes_of(group: int) -> list[int]:
    """The processes of a group that are still there (zombies do not count)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[2]) == group and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def wait_until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def up(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A server that should not come up."""
    return subprocess.run(
        [sys.executable, "-m", "rondo.cli.main", "up", "--port", "0", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_first_start_prints_its_address_and_its_key_once(project: Path, serve: Serve) -> None:
    server = serve()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", server.url)
    assert server.log.count(server.key) == 1
    key_file = server.data / "admin.key"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert get(f"{server.url}/healthz") == (200, "ok\n")
    assert get(f"{server.url}/readyz")[0] == 200
    assert get(f"{server.url}/metrics")[0] == 401
    assert get(f"{server.url}/metrics", server.key)[0] == 200
    assert server.stop() == 0
    assert server.process.stdout is not None
    assert server.process.stdout.read() == ""  # the ready line was all
    again = serve()
    assert again.key == server.key
    assert again.log.count(server.key) == 1
    assert not (project / "server.json").exists()


def test_a_second_server_on_the_folder_ends_with_1_and_says_why(project: Path, serve: Serve) -> None:
    server = serve()
    second = up(project)
    assert second.returncode == 1
    assert str(server.process.pid) in second.stderr
    assert server.url in second.stderr
    assert "--data" in second.stderr
    assert second.stdout == ""
    assert get(f"{server.url}/v1/models", server.key)[0] == 200


def test_a_port_in_use_ends_with_1_and_says_so(project: Path, tmp_path: Path, serve: Serve) -> None:
    server = serve()
    port = server.url.rpartition(":")[2]
    for workers in ("1", "2"):
        second = up(project, "--data", str(tmp_path / "other"), "--port", port, "--workers", workers)
        assert second.returncode == 1
        assert port in second.stderr


def test_a_wrong_project_ends_with_2_and_names_the_key(project: Path) -> None:
    settings = project / "rondo.toml"
    settings.write_text(settings.read_text().replace("hand_over", "hand_ovr"))
    wrong = up(project)
    assert wrong.returncode == 2
    assert "hand_ovr" in wrong.stderr
    assert "hand_over" in wrong.stderr
    assert wrong.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "number", "to_all"),
    [
        ((), signal.SIGTERM, False),
        (("--workers", "2"), signal.SIGTERM, False),
        (("--workers", "2"), signal.SIGINT, True),  # as Ctrl-C does
    ],
    ids=["one process", "workers", "workers, all signalled"],
)
async def test_a_stop_lets_a_running_stream_finish(
    serve: Serve, arguments: tuple[str, ...], number: signal.Signals, to_all: bool
) -> None:
    server = await asyncio.to_thread(serve, *arguments)
    body = {"model": "slow", "stream": True, "messages": HELLO}
    async with (
        aiohttp.ClientSession(headers=server.headers) as session,
        session.post(f"{server.url}/v1/chat/completions", json=body) as response,
    ):
        first = await response.content.readany()
        (os.killpg if to_all else os.kill)(server.process.pid, number)
        rest = await response.content.read()
    assert (first + rest).endswith(b"data: [DONE]\n\n")
    assert b"eight" in first + rest
    assert await asyncio.to_thread(server.process.wait, 30) == 0
    assert processes_of(server.process.pid) == []
    status = await asyncio.to_thread(server.rondo, "calls", "list")
    (call,) = status["items"]
    assert (call["trace_id"], call["status"]) == (response.headers["x-rondo-trace-id"], 200)


async def test_after_a_stop_signal_nobody_new_comes_in(serve: Serve) -> None:
    server = await asyncio.to_thread(serve)
    async with aiohttp.ClientSession(headers=server.headers) as session:
        body = {"model": "slow", "stream": True, "messages": HELLO}
        async with session.post(f"{server.url}/v1/chat/completions", json=body) as response:
            await response.content.readany()
            server.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
            with pytest.raises(aiohttp.ClientError):
                async with aiohttp.ClientSession() as other:
                    await other.get(f"{server.url}/healthz")
            await response.read()


def test_a_client_that_leaves_is_recorded_as_gone(serve: Serve) -> None:
    import http.client

    server = serve()
    host, _, port = server.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port))
    body = json.dumps({"model": "slow", "stream": True, "messages": HELLO})
    connection.request("POST", "/v1/chat/completions", body, server.headers)
    response = connection.getresponse()
    response.read1(10)
    response.close()
    connection.close()

    def gone() -> bool:
        return [call["status"] for call in server.rondo("calls", "list")["items"]] == [499]

    wait_until(gone)


def test_a_lock_of_a_killed_server_does_not_stay(project: Path, serve: Serve) -> None:
    serve().kill()
    assert get(f"{serve().url}/healthz")[0] == 200


def test_keys_as_a_script_makes_them(serve: Serve) -> None:
    server = serve()
    made = server.rondo("keys", "create", "--name", "shop")
    assert get(f"{server.url}/v1/models", made["secret"])[0] == 200
    server.rondo("keys", "revoke", made["key"]["id"])
    began = time.monotonic()
    wait_until(lambda: get(f"{server.url}/v1/models", made["secret"])[0] == 401, 1.0)
    assert time.monotonic() - began < 1.0


# --- workers


def test_a_killed_worker_is_started_again(serve: Serve) -> None:
    server = serve("--workers", "2")

    def is_worker(pid: int) -> bool:
        try:
            return b"rondo.server.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return False

    def workers() -> list[int]:
        return [pid for pid in processes_of(server.process.pid) if is_worker(pid)]

    first, second = workers()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: len(workers()) == 2 and first not in workers())
    assert second in workers()
    for _ in range(10):
        assert get(f"{server.url}/v1/models", server.key)[0] == 200


def test_workers_end_when_the_control_plane_is_killed(serve: Serve) -> None:
    server = serve("--workers", "2")
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    wait_until(lambda: processes_of(server.process.pid) == [])
    again = serve("--workers", "2")
    assert get(f"{again.url}/v1/models", again.key)[0] == 200


def test_with_workers_everything_else_answers_on_the_same_port(serve: Serve) -> None:
    server = serve("--workers", "2")
    assert get(f"{server.url}/healthz") == (200, "ok\n")
    assert get(f"{server.url}/api/apps", server.key)[0] == 200
    assert get(f"{server.url}/api/apps")[0] == 401
    assert get(f"{server.url}/api/nothing", server.key)[0] == 404
    status, page = get(f"{server.url}/login")
    assert (status, "<form" in page) == (200, True)
    with urllib.request.urlopen(f"{server.url}/login") as response:
        assert len(response.headers.get_all("date")) == 1
        assert "content-security-policy" in response.headers
    for _ in range(20):
        body = json.dumps({"model": "bot", "messages": HELLO}).encode()
        request = urllib.request.Request(f"{server.url}/v1/chat/completions", body, server.headers)
        with urllib.request.urlopen(request) as response:
            assert response.headers["x-rondo-release"] == "bot#1"
    wait_until(lambda: len(server.rondo("calls", "list")["items"]) == 20)


def test_a_workers_last_streams_finish_when_the_control_plane_is_killed(serve: Serve) -> None:
    server = serve("--workers", "2")
    body = json.dumps({"model": "slow", "stream": True, "messages": HELLO}).encode()
    request = urllib.request.Request(f"{server.url}/v1/chat/completions", body, server.headers)
    with urllib.request.urlopen(request) as response:
        killing = threading.Timer(0.1, os.kill, (server.process.pid, signal.SIGKILL))
        killing.start()
        whole = response.read()
        killing.join()
    assert whole.endswith(b"data: [DONE]\n\n")
    server.process.wait()
    wait_until(lambda: processes_of(server.process.pid) == [])
    again = serve()
    wait_until(lambda: [call["status"] for call in again.rondo("calls", "list")["items"]] == [200])
