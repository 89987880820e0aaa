"""The two ends of a gateway benchmark: an instant provider (nginx), and a load generator (wrk).

nginx answers every chat completion from memory, so it is never the bottleneck (about 30,000 a second on one core).
wrk keeps 32 connections busy. Both are programs of the system: Debian has them as `nginx-light` and `wrk`.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import processes

CONNECTIONS = 32
BODY_BYTES = 1024
_SCRIPT = Path(__file__).with_name("load.lua")
_SENTENCE = "Your order left our warehouse this morning and should reach you within two working days. "


class Sent(NamedTuple):
    """What wrk saw. Latencies in ms; `bad` counts answers that are no 2xx and broken connections."""

    requests: int
    rps: float
    p50: float
    p99: float
    bad: int


@dataclass(frozen=True)
class Address:
    """Where a gateway answers chat completions, and how to ask it."""

    url: str
    model: str
    key: str = "unused"
    path: str = "/v1/chat/completions"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Provider:
    """A running instant provider: its OpenAI-style base URL, and its process."""

    base_url: str
    pid: int


def need(program: str, package: str) -> str:
    """The program's path; ends with a remedy where it is missing."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        sys.exit(f"{program} is needed: install the system package {package!r}.")
    return path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def instant_provider(folder: Path) -> Iterator[Provider]:
    """nginx, as one process, answering `POST /v1/chat/completions` with 1 KB."""
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(_nginx(folder, port))
    folder.chmod(0o711)  # nginx's worker may run as another user
    command = [need("nginx", "nginx-light"), "-c", str(config), "-e", str(folder / "nginx.log")]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        address = Address(f"http://127.0.0.1:{port}", "gpt-4o-mini")
        until_it_answers(address, process)
        yield Provider(f"{address.url}/v1", process.pid)
    finally:
        processes.stop(process)


def until_it_answers(address: Address, process: subprocess.Popen[bytes], *, within_s: float = 120.0) -> None:
    """Wait for the first answer. Raises RuntimeError where the process ends or the time is over."""
    deadline = time.monotonic() + within_s
    last = "no answer"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with status {process.returncode}")
        try:
            ask(address)
        except urllib.error.HTTPError as error:
            last = f"{error.code} {error.read()[:300]!r}"
        except OSError as error:
            last = str(error)
        else:
            return
        time.sleep(0.02)
    raise RuntimeError(f"{address.url} was not ready in {within_s:.0f} s: {last}")


def ask(address: Address) -> bytes:
    """One chat completion. Raises OSError."""
    body = {"model": address.model, "messages": [{"role": "user", "content": "Where is my order?"}]}
    headers = {"content-type": "application/json", "authorization": f"Bearer {address.key}", **address.headers}
    request = urllib.request.Request(address.url + address.path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        answer: bytes = response.read()
        return answer


def send(address: Address, seconds: int) -> Sent:
    """Load for some seconds: 1 KB requests over 32 connections."""
    environment = {
        **os.environ,
        "LOAD_PATH": address.path,
        "LOAD_MODEL": address.model,
        "LOAD_BYTES": str(BODY_BYTES),
        "LOAD_HEADERS": "\n".join(
            f"{name}: {value}" for name, value in {"authorization": f"Bearer {address.key}", **address.headers}.items()
        ),
    }
    command = [need("wrk", "wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(_SCRIPT), address.url]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return Sent(**json.loads(output.splitlines()[-1]))


def _nginx(folder: Path, port: int) -> str:
    reply = json.dumps(_completion(), separators=(",", ":"))
    temporary = "".join(
        f"  {kind}_temp_path {folder}/nginx_{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""daemon off;
master_process off;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off;
{temporary}  client_body_buffer_size 64k;
  keepalive_time 24h;
  keepalive_timeout 3600s;
  keepalive_requests 1000000000;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location = /v1/chat/completions {{ default_type application/json; return 200 '{reply}'; }}
    location / {{ return 404; }}
  }}
}}
"""


def _completion() -> dict[str, object]:
    """A chat completion with every field that OpenAI sends, as long as BODY_BYTES."""

    def of_length(length: int) -> dict[str, object]:
        text = (_SENTENCE * (length // len(_SENTENCE) + 1))[:length]
        message: dict[str, object] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
        return {
            "id": "chatcmpl-Benchmark00000000000000000001",
            "object": "chat.completion",
            "created": 1760000000,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": 212,
                "completion_tokens": 64,
                "total_tokens": 276,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            },
            "service_tier": "default",
            "system_fingerprint": "fp_benchmark00",
        }

    return of_length(BODY_BYTES - len(json.dumps(of_length(0), separators=(",", ":"))))
