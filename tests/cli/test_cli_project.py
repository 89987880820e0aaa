"""Making and checking a project folder, and the real server behind the commands."""

from __future__ import annotations

import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from cli_doors import Run


@pytest.fixture
def project(rondo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh project of the app `shop`, which is also the current folder."""
    folder = tmp_path / "shop"
    assert rondo("init", "shop", "--dir", str(folder)).exit_code == 0
    monkeypatch.chdir(folder)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return folder


def change(project: Path, old: str, new: str, file: str = "rondo.toml") -> None:
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new))


def test_init_makes_a_folder_that_checks(rondo: Run, project: Path) -> None:
    assert 'name = "shop"' in (project / "rondo.toml").read_text()
    assert (project / ".gitignore").read_text() == ".rondo/\n", "the data folder holds the admin key"
    result = rondo("check", "--json")
    assert result.exit_code == 0, result.output
    findings = json.loads(result.stdout)["findings"]
    assert {each["state"] for each in findings} == {"ok", "warning"}
    assert [each["what"] for each in findings if each["state"] == "warning"] == ["models.main"]


def test_what_the_template_leaves_switched_off_can_be_switched_on(rondo: Run, project: Path) -> None:
    toml = project / "rondo.toml"
    on, _, off = toml.read_text().partition("# What follows is switched off.")
    part = re.compile(r"^# (\[|[a-z_]+ = )", re.MULTILINE)
    toml.write_text(on + part.sub(r"\1", off.partition("\n")[2]))
    result = rondo("check")
    assert result.exit_code == 0, result.output
    assert "rules: 2, tried in order" in result.stdout
    assert "guards: pii (redact), secrets (redact), injection (block)" in result.stdout
    assert "[cache]\nttl_s" in toml.read_text()


def test_init_leaves_a_full_folder_alone(rondo: Run, project: Path) -> None:
    change(project, "5000", "6000")
    result = rondo("init", "shop", "--dir", str(project))
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert "6000" in (project / "rondo.toml").read_text()
    assert rondo("init", "shop", "--dir", str(project), "--force").exit_code == 0
    assert "5000" in (project / "rondo.toml").read_text()


@pytest.mark.parametrize("name", ["Shop", "", "a b", "../x", 'x"', "-x", "a" * 65])
def test_init_refuses_a_name_that_no_app_can_have(rondo: Run, tmp_path: Path, name: str) -> None:
    assert rondo("init", "--dir", str(tmp_path / "new"), "--", name).exit_code == 2
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[app]", "[app", "not valid TOML"),
        ("top_k = 5", "top_q = 5", "Did you mean 'top_k'?"),
        ('provider = "ollama"', 'provider = "olama"', "Did you mean 'ollama'?"),
        ("prompts/answer.md", "prompts/none.md", "prompts/none.md"),
        ("prompts/answer.md", "../answer.md", "../answer.md"),
        ('["knowledge/handbook"]', '["knowledge/none"]', "knowledge/none"),
        ('provider = "ollama"', 'provider = "azure"', "base_url"),
        ("max_tokens = 400", "max_tokens = nan", "models.main.params.max_tokens: nan cannot be sent as JSON"),
    ],
)
def test_check_says_what_is_wrong(rondo: Run, project: Path, old: str, new: str, says: str) -> None:
    change(project, old, new)
    result = rondo("check")
    assert result.exit_code == 2
    assert says in result.stdout
    assert "rondo.toml: rondo.toml: " not in result.stdout
    (project / ".rondo").mkdir()
    release = rondo("release")
    assert release.exit_code == 2, "a folder that is not sound is not sent"
    assert says in release.stderr


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('kind = "expect"', 'kind = "expct"', "scorers[0].kind: there is no scorer 'expct'. Did you mean 'expect'?"),
        ('kind = "expect"', 'kind = "judge"\njudge = "q"', "scorers[0].judge: no judge is called 'q'"),
        ("questions.jsonl", "none.jsonl", "there is no file 'datasets/none.jsonl'"),
        ("slices = [", "slice = [", "slice"),
    ],
)
def test_check_finds_a_broken_suite(rondo: Run, project: Path, old: str, new: str, says: str) -> None:
    suite = (project / "suites" / "answers.toml").read_text()
    assert old in suite
    (project / "suites" / "more.toml").write_text(suite.replace(old, new))
    result = rondo("check")
    assert result.exit_code == 2
    assert "ok       suites.answers: 4 scorers on datasets/questions.jsonl" in result.stdout
    wrong = next(line for line in result.stdout.splitlines() if line.startswith("wrong"))
    assert "suites.more" in wrong
    assert says in wrong


def test_check_names_a_place_once(rondo: Run, project: Path) -> None:
    toml = project / "rondo.toml"
    toml.write_text(
        toml.read_text() + '[models.rock]\nprovider = "bedrock"\nmodel = "m"\n[[guards]]\ncheck = "length"\n'
    )
    said = rondo("check").stdout
    assert "wrong    guards[0].max_chars: is missing. Set how long." in said
    assert "needs AWS_BEARER_TOKEN_BEDROCK (or AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY)" in said
    assert "4 models, 5 goals" in said


def test_check_finds_a_broken_prompt(rondo: Run, project: Path) -> None:
    change(project, "{{ question }}", "{{ qestion }}", "prompts/answer.md")
    result = rondo("check")
    assert result.exit_code == 2
    assert "'question'" in result.stdout


def test_check_without_a_project_names_the_remedy(rondo: Run, tmp_path: Path) -> None:
    result = rondo("check", "--project", str(tmp_path))
    assert result.exit_code == 2
    assert "rondo init" in result.stdout


def test_up_needs_a_project_or_a_data_folder(rondo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = rondo("up")
    assert result.exit_code == 2
    assert "rondo init" in result.stderr


def test_up_hands_everything_to_the_server(rondo: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rondo.server import main as server

    asked: dict[str, object] = {}

    def up(**wanted: object) -> int:
        asked.update(wanted)
        return 3

    monkeypatch.setattr(server, "up", up)
    assert rondo("up", "--port", "0", "--workers", "2").exit_code == 3
    assert asked == {"project": Path(), "data": Path(".rondo"), "host": "127.0.0.1", "port": 0, "workers": 2}
    monkeypatch.setenv("RONDO_DATA", "kept")
    rondo("up", "--project", str(project))
    assert asked["project"] == project
    assert asked["data"] == Path("kept")


def test_a_release_goes_out_and_comes_back_without_a_running_server(rondo: Run, project: Path) -> None:
    """The whole path through the real application, opened in-process on a new data folder."""
    (project / ".rondo").mkdir()
    first = rondo("release", "-m", "first")
    assert first.exit_code == 0, first.output
    assert first.stdout.startswith("created  shop#1  ")
    assert "serving  stable #1 100%" in first.stdout
    change(project, "friendly and brief", "formal", "prompts/answer.md")
    second = rondo("release", "-m", "formal")
    assert "created  shop#2" in second.stdout
    assert "The suite 'answers' has not been run on shop#2. Run `rondo eval answers --target 2" in second.stdout
    refused = rondo("promote", "2")
    assert refused.exit_code == 1
    assert "shop#2 may not take traffic (inconclusive)" in refused.stderr
    assert rondo("gate", "2").exit_code == 3
    ran = rondo("gate", "2", "--run-suites", "--junit", "gate.xml", "--markdown", "gate.md")
    assert ran.exit_code == 0, ran.output
    assert "Gate: pass for shop" in (project / "gate.md").read_text()
    assert 'name="rondo gate shop#2"' in (project / "gate.xml").read_text()
    again = rondo("release").stdout
    assert again.startswith("unchanged  shop#2")
    assert "next     rondo split shop 2=10%, or rondo promote shop#2" in again
    assert rondo("split", "2=12.5%").stdout == "shop: stable #1 87.5%, #2 12.5%\n"
    assert rondo("split", "--end").stdout == "shop: stable #1 100%\n"
    assert rondo("promote", "2").stdout == "shop: stable #2 100%\n"
    assert rondo("rollback", "--reason", "too stiff").stdout == "shop: stable #1 100%\n"
    listed = json.loads(rondo("releases", "list", "--json").stdout)["releases"]
    assert [(each["number"], each["state"]) for each in listed] == [(2, "retired"), (1, "stable")]
    assert "+    default: formal" in rondo("releases", "diff", "1", "2").stdout
    assert "+    default: formal" in rondo("prompts", "diff", "answer").stdout
    told = rondo("status").stdout
    assert "serving  stable #1 100%" in told
    assert "gate     releases must pass answers" in told
    assert "#2 pass: The gate is passed" in told


def test_reading_commands_against_the_real_server(rondo: Run, project: Path) -> None:
    (project / ".rondo").mkdir()
    assert rondo("release").exit_code == 0
    for words in (
        ("releases", "show", "1"),
        ("prompts", "list"),
        ("prompts", "show", "answer"),
        ("knowledge", "list"),
        ("knowledge", "search", "handbook", "how do I return a bike"),
        ("knowledge", "build"),
        ("models", "list"),
        ("models", "providers"),
        ("keys", "list"),
        ("audit", "list"),
        ("audit", "verify"),
        ("calls", "list"),
        ("feedback", "list"),
        ("doctor",),
    ):
        result = rondo(*words)
        assert result.exit_code == 0, (words, result.output)
        assert result.stdout
    trace = "0" * 32
    assert rondo("feedback", "send", trace, "--name", "thumbs", "--value", "true").exit_code == 0
    assert trace in rondo("feedback", "list").stdout, "what is sent while no server runs is kept"
    missing = rondo("why", trace)
    assert missing.exit_code == 1
    assert missing.stderr.startswith("error: There is no trace")


def test_the_reference_pages_are_written_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_from_file_location("docs_cli", Path(__file__).parents[2] / "scripts" / "docs_cli.py")
    assert spec is not None
    assert spec.loader is not None
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "FOLDER", tmp_path / "reference")
    assert script.run(check=True) == 1
    assert script.run(check=False) == 0
    assert script.run(check=True) == 0
    page = tmp_path / "reference" / "cli.md"
    assert "#### rondo calls tail" in page.read_text()
    page.write_text(page.read_text() + "x")
    assert script.run(check=True) == 1
