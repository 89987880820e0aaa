"""A server in processes of its own, on a small project; what the journeys start, kill and ask."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SETTINGS = """
[app]
name = "bot"
prompt = "prompt.md"
route = ["parrot"]
knowledge = "facts"
hand_over = "A colleague takes over."

[models.parrot]
provider = "scripted"
params = {{ script = ["You asked: {{question}}"] }}

[models.slow]
provider = "scripted"
params = {{ script = [{{ text = "one two three four five six seven eight", delay_s = 0.1 }}] }}

[models.quoter]
provider = "extractive"

[knowledge.facts]
sources = ["facts"]

[journal]
min_free_mb = 1
segment_mb = 1
{more}
"""
PROMPT = "# system\nBe kind.\n\n# user\n{{ question }}\n"
FACTS = "# Returns\n\nYou can return a bike within 30 days of delivery.\n\n# Delivery\n\nDelivery costs 29 pounds.\n"


@dataclass
class Running:
    """A server in processes of its own, which form one process group."""

    url: str
    key: str
    data: Path
    project: Path
    process: subprocess.Popen[str]

    def kill(self) -> None:
        """`kill -9` of the whole group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    @property
    def log(self) -> str:
        return (self.project / "server.log").read_text()

    def rondo(self, *arguments: str) -> Any:
        """A command against this server's data folder; its JSON."""
        return rondo(*arguments, "--data", str(self.data), "--json", cwd=self.project)


def rondo(*arguments: str, cwd: Path) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "rondo.cli.main", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr or done.stdout
    return json.loads(done.stdout) if done.stdout.strip() else None


def make_project(folder: Path, *, more: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "facts").mkdir(exist_ok=True)
    (folder / "rondo.toml").write_text(SETTINGS.format(more=more))
    (folder / "prompt.md").write_text(PROMPT)
    (folder / "facts" / "facts.md").write_text(FACTS)
    return folder


def start(
    project: Path, *arguments: str, data: Path | None = None, environment: dict[str, str] | None = None
) -> Running:
    data = data or project / ".rondo"
    log = (project / "server.log").open("a")
    process = subprocess.Popen(
        [sys.executable, "-m", "rondo.cli.main", "up", "--data", str(data), "--port", "0", *arguments],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
        env={**os.environ, **(environment or {})},
    )
    log.close()
    assert process.stdout is not None
    words = process.stdout.readline().split()
    if words[:1] != ["ready"]:
        process.wait(10)
        raise AssertionError((project / "server.log").read_text())
    return Running(words[1], (data / "admin.key").read_text().strip(), data, project, process)


@contextmanager
def serving(project: Path) -> Iterator[Callable[..., Running]]:
    """Starts servers of this project, or of another one that is given; those still running at the end are killed."""
    started: list[Running] = []

    def begin(*arguments: str, **options: Any) -> Running:
        running = start(options.pop("project", project), *arguments, **options)
        started.append(running)
        return running

    try:
        yield begin
    finally:
        for running in started:
            if running.process.poll() is None:
                running.kill()
            if running.process.stdout is not None:
                running.process.stdout.close()
