"""The workflow that `rondo init` writes, run as GitHub would: each `run` of it, in order, in its own repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
import yaml

from journeys.running import Running, rondo, serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]

SCRIPTS = {
    "rondo": f'#!/bin/sh\nexec "{sys.executable}" -m rondo.cli.main "$@"\n',
    "python": f'#!/bin/sh\nexec "{sys.executable}" "$@"\n',
    "pip": '#!/bin/sh\ntest "$*" = "install rondo"\n',  # it is installed
}


class Repository:
    """A repository with the template in it, and what GitHub knows of a push or a pull request."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "shop"
        self.scripts, self.temporary = folder / "bin", folder / "runner"
        for made in (self.scripts, self.temporary):
            made.mkdir()
        for name, text in SCRIPTS.items():
            (self.scripts / name).write_text(text)
            (self.scripts / name).chmod(0o755)
        rondo("init", "shop", "--dir", str(self.folder), "--json", cwd=folder)
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("The template")
        self.workflow = yaml.safe_load((self.folder / ".github" / "workflows" / "rondo.yml").read_text())

    def git(self, *words: str) -> str:
        who = ("-c", "user.name=Dev", "-c", "user.email=dev@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *who, *words], cwd=self.folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def change(self, old: str, new: str) -> str:
        """A commit that changes rondo.toml."""
        path = self.folder / "rondo.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return self.commit(f"{new} in the place of {old}")

    def run(self, job: str, known: dict[str, str]) -> dict[str, int]:
        """The exit codes of the job's steps by name, as far as they ran; `known` is what expressions stand for."""
        shutil.rmtree(self.temporary)  # each job has a machine of its own
        self.temporary.mkdir()
        self.git("worktree", "prune")
        told = self.workflow["jobs"][job]
        environment = {
            **os.environ,
            "PATH": f"{self.scripts}{os.pathsep}{os.environ['PATH']}",
            "RUNNER_TEMP": str(self.temporary),
            "GITHUB_STEP_SUMMARY": str(self.temporary / "summary.md"),
            **{name: _filled(str(value), known) for name, value in told["env"].items()},
        }
        codes: dict[str, int] = {}
        for step in told["steps"]:
            if "run" not in step:
                assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
                continue
            if not _applies(step.get("if"), environment, failed=any(codes.values())):
                continue
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", _filled(step["run"], known)],
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            codes[step["name"]] = done.returncode
            print(f"== {step['name']}: {done.returncode}\n{done.stdout}{done.stderr}")
        return codes

    @property
    def summary(self) -> str:
        return (self.temporary / "summary.md").read_text()


def _applies(condition: str | None, environment: dict[str, str], *, failed: bool) -> bool:
    """The conditions that the workflow has; another one needs a line here."""
    if condition is None:
        return not failed
    if condition == "${{ !cancelled() }}":
        return True
    assert condition == "env.RONDO_URL != ''"
    return not failed and environment["RONDO_URL"] != ""


def _filled(text: str, known: dict[str, str]) -> str:
    """The text with its expressions replaced. Raises KeyError for one that nobody thought of."""
    return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: known[found[1]], text)


def before(commit: str) -> dict[str, str]:
    return {"github.event.pull_request.base.sha || github.event.before": commit}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    for name in ("RONDO_URL", "RONDO_API_KEY", "RONDO_DATA"):
        monkeypatch.delenv(name, raising=False)
    return Repository(tmp_path)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    with serving(tmp_path) as begin:
        yield begin


def test_a_good_change_passes_and_a_bad_one_is_stopped_with_its_reasons(repository: Repository) -> None:
    main = repository.git("rev-parse", "HEAD")
    good = repository.change("top_k = 5", "top_k = 4")
    codes = repository.run("evaluate", before(main))
    assert codes == {
        "Install Rondo": 0, "Test the project": 0, "What serves now": 0, "Evaluate": 0, "Gate": 0, "Summary": 0,
    }  # fmt: skip
    assert "Gate: pass" in repository.summary
    suites = Xml.parse(repository.folder / "gate.xml").getroot()
    assert (suites.attrib["failures"], suites.attrib["errors"]) == ("0", "0")
    assert rondo("status", "--json", cwd=repository.folder)["overview"]["apps"][0]["gate"]["suites"] == ["answers"]

    repository.change("top_k = 4", "top_k = 1")
    codes = repository.run("evaluate", before(good))  # the data folder is there, as from the cache
    assert (codes["What serves now"], codes["Evaluate"], codes["Gate"], codes["Summary"]) == (0, 0, 1, 0)
    assert "Gate: fail" in repository.summary
    assert "worse than production" in repository.summary
    assert int(Xml.parse(repository.folder / "gate.xml").getroot().attrib["failures"]) > 0


def test_the_first_push_has_nothing_to_compare_with(repository: Repository) -> None:
    codes = repository.run("evaluate", before("0" * 40))
    assert set(codes.values()) == {0}
    assert "Gate: pass" in repository.summary


def test_on_main_a_release_is_made_on_the_teams_server(
    repository: Repository, serve: Callable[..., Running], tmp_path: Path
) -> None:
    team = tmp_path / "team"
    shutil.copytree(repository.folder, team, ignore=shutil.ignore_patterns(".git"))
    server = serve(project=team)
    key = server.rondo("keys", "create", "ci", "--role", "developer")["secret"]
    repository.change("top_k = 5", "top_k = 4")
    codes = repository.run("release", {"secrets.RONDO_URL": server.url, "secrets.RONDO_API_KEY": key})
    assert set(codes.values()) == {0}
    assert list(codes)[1:4] == ["Evaluate against production", "Gate", "Release"]
    newest = server.rondo("releases", "list", "shop")["releases"][0]
    assert (newest["number"], newest["created_by"], newest["state"]) == (2, "ci", "ready")
    assert newest["message"] == "top_k = 4 in the place of top_k = 5"
    assert server.rondo("gate", "2")["decision"]["verdict"] == "pass"
    assert server.rondo("promote", "2")["traffic"]["stable"] == 2


def test_without_secrets_nothing_is_released(repository: Repository) -> None:
    codes = repository.run("release", {"secrets.RONDO_URL": "", "secrets.RONDO_API_KEY": ""})
    assert codes == {"Install Rondo": 0, "Summary": 0}


def test_the_workflow_says_when_and_how_little_it_may_do(repository: Repository) -> None:
    told = repository.workflow
    assert told[True] == {"pull_request": None, "push": {"branches": ["main"]}}  # YAML 1.1 reads `on` as true
    assert told["permissions"] == {"contents": "read"}
    assert told["jobs"]["release"]["needs"] == "evaluate"
    steps: list[Any] = [step for job in told["jobs"].values() for step in job["steps"]]
    assert not [step for step in steps if "run" in step and "secrets." in step["run"]]
    assert "RONDO_URL" not in told["jobs"]["evaluate"]["env"]
