"""How many spans a second are acknowledged over OTLP/HTTP, and how many are kept after `kill -9`: beside Phoenix and
MLflow, from one sender.

    python benchmarks/otlp.py [--spans 5000] [--batch 500] [--only rondo,phoenix,mlflow]

benchmarks/peers.sh installs the peers into $RONDO_PEERS. Each system gets the same requests, one after the other on one
connection, with spans of about 2 KB, as many in a request as exporters send by default. A second one is killed as soon
as the last request is answered, and what it kept is counted. Phoenix answers before it keeps anything, so beside the
answers there is the time until all spans can be read. Also measured: CPU time of the process tree until then, and how
long Rondo takes to show a trace of all the spans. Prints a Markdown table; ends with status 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import processes
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

PEERS = Path(os.environ.get("RONDO_PEERS", "build/peers")).absolute()
TRACE = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
_PATIENCE_S = 120
_LONGEST_S = 900
_TEXT = "The parcel was left with a neighbour at number seven, who is away until Monday. " * 10


class System(NamedTuple):
    """A program that takes OTLP, on a port of its own, in a folder of its own."""

    name: str
    command: list[str]
    port: int
    headers: dict[str, str]
    environment: dict[str, str]
    ready: str
    kept: Callable[[Path], int]


class Measured(NamedTuple):
    """`acknowledged_s` until the last answer, `visible_s` until all spans can be read; `page_ms` is the slowest of five
    times to show the trace, None where it is not measured. `kept` of those acknowledged are there after `kill -9`."""

    acknowledged_s: float
    visible_s: float
    cpu_ms: float
    kept: int
    page_ms: float | None


def requests(spans: int, batch: int, *, trace: bytes = TRACE) -> list[bytes]:
    """Bodies with `batch` spans each: one trace, a fifth of it calls of a model."""
    ids = [os.urandom(8) for _ in range(spans)]
    begun = time.time_ns() - 60_000_000_000
    made = []
    for first in range(0, spans, batch):
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        _put(group.resource.attributes, {"service.name": "shop"})
        scoped = group.scope_spans.add()
        for number in range(first, min(first + batch, spans)):
            span = scoped.spans.add(trace_id=trace, span_id=ids[number], name=f"step {number}")
            span.parent_span_id = ids[(number - 1) // 4] if number else b""
            span.start_time_unix_nano = begun + number * 1_000_000
            span.end_time_unix_nano = span.start_time_unix_nano + 900_000_000
            span.status.code = Status.STATUS_CODE_OK
            _put(span.attributes, _chat() if number % 5 == 1 else _tool())
        made.append(request.SerializeToString())
    return made


def _chat() -> dict[str, str | int]:
    asked = [{"role": "user", "parts": [{"type": "text", "content": _TEXT}]}]
    said = [{"role": "assistant", "parts": [{"type": "text", "content": _TEXT}], "finish_reason": "stop"}]
    return {
        "openinference.span.kind": "LLM",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 180,
        "gen_ai.usage.output_tokens": 180,
        "gen_ai.input.messages": json.dumps(asked),
        "gen_ai.output.messages": json.dumps(said),
    }


def _tool() -> dict[str, str | int]:
    return {"openinference.span.kind": "TOOL", "tool.name": "look", "input.value": _TEXT, "output.value": _TEXT}


def _put(pairs: object, values: dict[str, str | int]) -> None:
    for name, value in values.items():
        pair = pairs.add(key=name)  # type: ignore[attr-defined]
        if isinstance(value, int):
            pair.value.int_value = value
        else:
            pair.value.string_value = value


def rondo(folder: Path) -> System:
    project = folder / "shop"
    subprocess.run(
        [sys.executable, "-m", "rondo.cli.main", "init", "shop", "--dir", str(project)], check=True, capture_output=True
    )
    key = "rondo_sk_" + "0123456789abcdef" * 4
    return System(
        "Rondo",
        [sys.executable, "-m", "rondo.cli.main", "up", "--project", str(project), "--data", str(folder / "data"),
         "--port", "14000"],
        14000,
        {"authorization": f"Bearer {key}"},
        {"RONDO_ADMIN_KEY": key},
        "/healthz",
        lambda _: -1,
    )  # fmt: skip


def phoenix(folder: Path) -> System:
    environment = {
        "PHOENIX_WORKING_DIR": str(folder), "PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": "16006",
        "PHOENIX_GRPC_PORT": "14317", "PHOENIX_TELEMETRY_ENABLED": "false", "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    }  # fmt: skip
    command = [str(PEERS / "phoenix/bin/phoenix"), "serve"]
    return System("Phoenix", command, 16006, {}, environment, "/healthz", lambda at: _rows(at / "phoenix.db"))


def mlflow(folder: Path) -> System:
    store = folder / "mlflow.db"
    command = [
        str(PEERS / "mlflow/bin/mlflow"), "server", "--host", "127.0.0.1", "--port", "15000", "--workers", "1",
        "--backend-store-uri", f"sqlite:///{store}", "--default-artifact-root", str(folder / "artifacts"),
    ]  # fmt: skip
    headers = {"x-mlflow-experiment-id": "0"}
    environment = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{PEERS / 'mlflow/bin'}:{os.environ['PATH']}",  # its server starts uvicorn by name
    }
    return System("MLflow", command, 15000, headers, environment, "/health", lambda _: _rows(store))


SYSTEMS: dict[str, Callable[[Path], System]] = {"rondo": rondo, "phoenix": phoenix, "mlflow": mlflow}


def measure(make: Callable[[Path], System], folder: Path, bodies: list[bytes], spans: int) -> Measured:
    """Send everything and wait until it can be read; then send it again to a new one, kill that at once, and count."""
    (folder / "seen").mkdir(parents=True)
    (folder / "killed").mkdir()
    system = make(folder / "seen")
    process = _start(system, folder / "seen")
    try:
        before = processes.cpu_ms(process.pid)
        began = time.perf_counter()
        acknowledged = _send(system, bodies)
        for _ in _tries(_LONGEST_S):
            if _count(system, folder / "seen") >= spans:
                break
        visible = time.perf_counter() - began
        cpu = processes.cpu_ms(process.pid) - before
        page = max(_look(system) for _ in range(5)) if system.name == "Rondo" else None
    finally:
        _kill(process)
    system = make(folder / "killed")
    process = _start(system, folder / "killed")
    try:
        _send(system, bodies)
    finally:
        _kill(process)
    if system.name == "Rondo":  # what is in its journal gets into the store when it is started again
        process = _start(system, folder / "killed", warm=False)
        try:
            for _ in _tries():
                if not json.loads(_get(system, "/api/status"))["drain"]["queued"]:
                    break
            return Measured(acknowledged, visible, cpu, _count(system, folder / "killed"), page)
        finally:
            _kill(process)
    return Measured(acknowledged, visible, cpu, _count(system, folder / "killed"), page)


def _kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _count(system: System, folder: Path) -> int:
    """How many spans of the trace there are."""
    if system.name != "Rondo":
        return system.kept(folder)
    try:
        spans: int = json.loads(_get(system, f"/api/traces/{TRACE.hex()}?limit=1"))["spans"]
    except urllib.error.HTTPError:
        return 0
    return spans


def _start(system: System, folder: Path, *, warm: bool = True) -> subprocess.Popen[bytes]:
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            system.command, cwd=folder, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, **system.environment},
        )  # fmt: skip
    for _ in _tries():
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{system.port}{system.ready}", timeout=2) as answer:
                if answer.status == 200:
                    if warm:  # what is loaded with the first request is no figure
                        _send(system, requests(1, 1, trace=bytes(15) + b"\1"))
                    return process
        except (urllib.error.URLError, OSError):
            continue
    raise SystemExit(f"{system.name} does not start:\n{(folder / 'server.log').read_text()[-3000:]}")


def _send(system: System, bodies: list[bytes]) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", system.port, timeout=_PATIENCE_S)
    headers = {"content-type": "application/x-protobuf", **system.headers}
    began = time.perf_counter()
    for body in bodies:
        connection.request("POST", "/v1/traces", body=body, headers=headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200 or (said and system.name == "Rondo"):
            raise SystemExit(f"{system.name} answered {answer.status}: {said[:500]!r}")
    return time.perf_counter() - began


def _look(system: System) -> float:
    began = time.perf_counter()
    _get(system, f"/api/traces/{TRACE.hex()}?limit=500")
    return (time.perf_counter() - began) * 1_000


def _get(system: System, path: str) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{system.port}{path}", headers=system.headers)
    with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer:
        body: bytes = answer.read()
    return body


def _rows(database: Path) -> int:
    with sqlite3.connect(database) as connection:
        count: int = connection.execute("SELECT count(*) FROM spans").fetchone()[0]
    return max(0, count - 1)  # but for the one to warm up with


def _tries(patience_s: float = _PATIENCE_S) -> Iterator[None]:
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        yield
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=5_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--only", default="rondo,phoenix,mlflow")
    given = parser.parse_args()
    bodies = requests(given.spans, given.batch)
    each = sum(map(len, bodies)) / given.spans
    print(f"{given.spans:,} spans of {each:,.0f} bytes, {given.batch} in a request, one connection\n")
    print("| | acknowledged spans/s | spans/s until visible | CPU per span | kept after kill -9 | trace page |")
    print("|---|---|---|---|---|---|", flush=True)
    safe: dict[str, float] = {}
    lost = 0
    for name in given.only.split(","):
        folder = Path(tempfile.mkdtemp(prefix=f"otlp-{name}-"))
        try:
            if name != "rondo" and not (PEERS / name).exists():
                print(f"| {name} | not installed: benchmarks/peers.sh | | | | |")
                continue
            found = measure(SYSTEMS[name], folder, bodies, given.spans)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        # An answer that promises nothing is no acknowledgement: what counts then is when a kill loses none.
        safe[name] = given.spans / (found.acknowledged_s if found.kept >= given.spans else found.visible_s)
        lost += given.spans - found.kept if name == "rondo" else 0
        page = "–" if found.page_ms is None else f"{found.page_ms:.0f} ms"
        print(
            f"| {name} | {given.spans / found.acknowledged_s:,.0f} | {given.spans / found.visible_s:,.0f}"
            f" | {found.cpu_ms / given.spans * 1_000:,.0f} µs | {found.kept:,} of {given.spans:,} | {page} |",
            flush=True,
        )
    sys.exit(_missed(safe, lost))


def _missed(safe: dict[str, float], lost: int) -> int:
    """1 where a target is missed: nothing lost, and twenty times each peer's rate of spans that are safe."""
    ours = safe.pop("rondo", None)
    if ours is None:
        return 0
    for name, rate in safe.items():
        print(f"\nSpans that are safe: {ours / rate:,.0f} times {name}'s rate.")
    return int(lost > 0 or any(ours < 20 * rate for rate in safe.values()))


if __name__ == "__main__":
    main()
