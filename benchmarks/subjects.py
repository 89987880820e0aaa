"""The gateways and floors that are compared: how each is started, where it answers, and what it must prove.

Everything runs on this machine against one instant provider, each with one process, as its documentation starts it.
Peers are looked for in the folder $RONDO_PEERS (build/peers by default), where `peers.sh` puts them.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import load
from load import Address

PEERS = Path(os.environ.get("RONDO_PEERS", Path(__file__).parents[1] / "build" / "peers")).absolute()
RONDO = (sys.executable, "-c", "from rondo.cli.main import main; main()")
"""The `rondo` command of this Python's environment."""
COMPILED = Path(os.environ.get("RONDO_COMPILED", Path(__file__).parents[1] / "build" / "compiled")).absolute()
"""Where `pip install --target` has put a compiled Rondo."""

_MODEL = "gpt-4o-mini"

_RONDO_TOML = """
[app]
name = "bench"
prompt = "prompt.md"
route = ["mini"]

[models.mini]
provider = "openai"
base_url = "{base_url}"
model = "gpt-4o-mini"
price = {{ input = 0.15, output = 0.6 }}
"""

_LIMIT = {
    "scope": "project",
    "requests_per_minute": 10**9,
    "tokens_per_minute": 10**12,
    "usd_per_day": "100000",
    "usd_per_month": "1000000",
}
"""Out of reach, but counted."""

_PROMPT = """---
description: Answers a customer of a small online shop.
---
# system
You are the support assistant of a small online shop. Answer briefly and politely.

# user
{{ question }}
"""

_LITELLM_YAML = """
model_list:
  - model_name: gpt-4o-mini
    litellm_params: {{model: openai/gpt-4o-mini, api_base: "{base_url}", api_key: unused}}
general_settings: {{master_key: "{key}"}}
"""

_TENSORZERO_TOML = """
[models.mini]
routing = ["instant"]

[models.mini.providers.instant]
type = "openai"
model_name = "gpt-4o-mini"
api_base = "{base_url}/"
api_key_location = "none"
"""

_TENSORZERO_MAIN = """
import sys, time, tensorzero
gateway = tensorzero._start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False)
print("URL", gateway.base_url, flush=True)
time.sleep(1e6)
"""


@dataclass(frozen=True)
class Running:
    """A started subject. `stored` counts the calls in its record store, None where it keeps none."""

    process: subprocess.Popen[bytes]
    address: Address
    stored: Callable[[], int] | None = None


@dataclass(frozen=True)
class Subject:
    """`start` gets an empty folder and the provider's base URL; `records` says what is kept of each request."""

    name: str
    records: str
    start: Callable[[Path, str], Running]
    missing: Callable[[], bool] = lambda: False


def rondo(
    folder: Path,
    base_url: str,
    *,
    model: str = "mini",
    workers: int = 1,
    limits: bool = True,
    more: Mapping[str, str] | None = None,
    source: Path | None = None,
) -> Running:
    """A fresh project with one model, on a fresh data folder; `limits` sets some, and a budget.

    `more` are further models: their names and base URLs. `source` has a Rondo other than the environment's.
    """
    rondo_project(folder, base_url, more=more)
    data, port = folder / ".rondo", load.free_port()
    command = [*RONDO, "up", "--project", str(folder), "--data", str(data), "--port", str(port)]
    python = {} if source is None else {"PYTHONPATH": str(source)}
    process = _spawn([*command, "--workers", str(workers)] if workers > 1 else command, folder, **python)
    key_file = data / "admin.key"
    deadline = time.monotonic() + 60
    while not (key_file.exists() and (data / "server.json").exists()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"rondo did not start: {_tail(folder)}")
        time.sleep(0.01)
    key = key_file.read_text().strip()
    address = Address(f"http://127.0.0.1:{port}", model, key)
    if limits and workers == 1:  # several processes would need Redis to count together
        load.until_it_answers(address, process)
        _limit(address)
    return Running(process, address, lambda: _stored(address))


def rondo_project(folder: Path, base_url: str, *, more: Mapping[str, str] | None = None) -> None:
    """The files of a project with one model, and `more` of them."""
    text = _RONDO_TOML.format(base_url=base_url)
    for name, url in (more or {}).items():
        text += f'\n[models.{name}]\nprovider = "openai"\nbase_url = "{url}"\nmodel = "gpt-4o-mini"\n'
        text += "price = { input = 0.15, output = 0.6 }\n"
    (folder / "rondo.toml").write_text(text)
    (folder / "prompt.md").write_text(_PROMPT)


def _limit(address: Address) -> None:
    """Set the limits, and see that they count."""
    headers = {"authorization": f"Bearer {address.key}", "content-type": "application/json"}
    asked = urllib.request.Request(f"{address.url}/api/limits", json.dumps(_LIMIT).encode(), headers)
    with urllib.request.urlopen(asked, timeout=30):
        pass
    load.ask(address)
    status = urllib.request.Request(f"{address.url}/api/limits/status", headers=headers)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with urllib.request.urlopen(status, timeout=30) as response:
            if any(use["requests"] for use in json.load(response)["uses"]):
                return
        load.ask(address)
        time.sleep(0.2)
    raise RuntimeError("the limits do not count")


def drain_status(address: Address) -> dict[str, Any]:
    """Rondo's counters of the way from the journal to the record store: accepted, stored, queued, ..."""
    request = urllib.request.Request(
        f"{address.url}/api/status?since=1s", headers={"authorization": f"Bearer {address.key}"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        drain: dict[str, Any] = json.load(response)["drain"]
        return drain


def _stored(address: Address) -> int:
    """Records in the store. Waits for those on their way; raises RuntimeError where some do not arrive."""
    deadline = time.monotonic() + 30
    while (drain := drain_status(address))["queued"] and time.monotonic() < deadline:
        time.sleep(1)
    if drain["queued"] or drain["quarantined"] or drain["stored"] != drain["accepted"]:
        raise RuntimeError(f"not every accepted record is in the store: {drain}")
    return int(drain["stored"])


def _litellm(folder: Path, base_url: str) -> Running:
    key, port = f"sk-{secrets.token_hex(24)}", load.free_port()
    (folder / "litellm.yaml").write_text(_LITELLM_YAML.format(base_url=base_url, key=key))
    command = [str(PEERS / "litellm/bin/litellm"), "--config", str(folder / "litellm.yaml")]
    command += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    return Running(_spawn(command, folder, LITELLM_LOG="ERROR"), Address(f"http://127.0.0.1:{port}", _MODEL, key))


def _portkey(folder: Path, base_url: str) -> Running:
    port = load.free_port()
    command = ["node", str(_portkey_main()), f"--port={port}", "--headless"]
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": base_url}
    return Running(
        _spawn(command, folder, NODE_ENV="production"),
        Address(f"http://127.0.0.1:{port}", _MODEL, headers=headers),
    )


def _portkey_main() -> Path:
    return PEERS / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"


def _tensorzero(folder: Path, base_url: str) -> Running:
    (folder / "tensorzero.toml").write_text(_TENSORZERO_TOML.format(base_url=base_url))
    python = str(PEERS / "tensorzero/bin/python")
    process = _spawn([python, "-c", _TENSORZERO_MAIN, str(folder / "tensorzero.toml")], folder)
    deadline = time.monotonic() + 60
    while not (lines := [line for line in _log(folder).splitlines() if line.startswith("URL ")]):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"TensorZero did not start: {_tail(folder)}")
        time.sleep(0.01)
    origin = "/".join(lines[0].removeprefix("URL ").split("/")[:3])
    return Running(process, Address(origin, "tensorzero::model_name::mini", path="/openai/v1/chat/completions"))


def _floor(name: str) -> Callable[[Path, str], Running]:
    def start(folder: Path, base_url: str) -> Running:
        port = load.free_port()
        floors = str(Path(__file__).with_name("floors.py"))
        url = f"{base_url}/chat/completions"
        process = _spawn([sys.executable, floors, name, str(port), url, str(folder / "appended")], folder)
        return Running(process, Address(f"http://127.0.0.1:{port}", _MODEL))

    return start


SUBJECTS: Sequence[Subject] = (
    Subject("Rondo", "all of it", rondo),
    Subject(
        "Rondo, compiled",
        "all of it",
        lambda folder, base_url: rondo(folder, base_url, source=COMPILED),
        lambda: not any(COMPILED.glob("rondo__mypyc.*")),
    ),
    Subject("Portkey", "nothing", _portkey, lambda: not _portkey_main().exists() or shutil.which("node") is None),
    Subject("LiteLLM", "nothing", _litellm, lambda: not (PEERS / "litellm/bin/litellm").exists()),
    Subject("TensorZero", "nothing", _tensorzero, lambda: not (PEERS / "tensorzero/bin/python").exists()),
    Subject("floor: lean", "one append", _floor("lean")),
    Subject("floor: aiohttp", "nothing", _floor("aiohttp")),
    Subject("floor: bare", "nothing", _floor("bare")),
)


def _spawn(command: list[str], folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    with open(folder / "log", "wb") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _log(folder: Path) -> str:
    return (folder / "log").read_text(errors="replace")


def _tail(folder: Path) -> str:
    return _log(folder)[-2_000:]
