"""A release keeps the terms it was made under: its goals, its gate, the gate's suites to the last example."""

from __future__ import annotations

from pathlib import Path

import pytest

from release_projects import TOML, project_files, write_project
from rondo.catalog.engine import Catalog
from rondo.cli.eval_targets import chosen_suite
from rondo.datasets.formats.read import Source
from rondo.datasets.importing import ImportOptions, import_file
from rondo.errors import InvalidRequest, SettingsError
from rondo.evals.suites import suite_hash
from rondo.governance import audit, projects
from rondo.releases import bundle, gate_terms, gate_view, store
from rondo.releases.freeze import freeze
from rondo.releases.gate_draft import of_bundle
from rondo.releases.gate_suites import hash_of_file
from rondo.releases.model import Bundle, Frozen
from rondo.settings.evaluating import SuiteSettings

GATED = TOML + '\n[gate]\nsuites = ["answers"]\n'
SUITE = 'dataset = "datasets/questions.jsonl"\n[[scorers]]\nkind = "contains"\n'
QUESTIONS = b'{"question": "How long?", "expected": "30 days"}\n{"question": "May?", "expected": "May"}\n'


def gated(*, toml: str = GATED, suite: str = SUITE, questions: bytes = QUESTIONS) -> Bundle:
    files = project_files(toml=toml)
    return Bundle({**files, "suites/answers.toml": suite.encode(), "datasets/questions.jsonl": questions})


@pytest.fixture
def ready(catalog: Catalog) -> Catalog:
    projects.create(catalog, "p", actor="tests")
    return catalog


def frozen(catalog: Catalog, folder: Path, made: Bundle | None = None) -> Frozen:
    return freeze(catalog, folder / "index", "p", made or gated(), actor="dev")


def test_a_bundle_takes_along_what_the_gate_asks(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", dict(gated().files))
    (project / "suites" / "other.toml").write_text("of no interest")
    read = bundle.read_folder(project)
    assert read.files["suites/answers.toml"] == SUITE.encode()
    assert read.files["datasets/questions.jsonl"] == QUESTIONS
    assert "suites/other.toml" not in read.files
    assert bundle.from_zip(bundle.to_zip(read)) == read


def test_files_of_examples_are_no_documents(tmp_path: Path) -> None:
    whole = GATED.replace('sources = ["docs"]', 'sources = ["docs", "datasets"]')
    made = gated(toml=whole)
    made = Bundle({**made.files, "datasets/about.md": b"# About\n"})
    settings = bundle.settings_of(made)
    assert set(bundle.documents(made, settings)) == {"docs/returns.md", "docs/deep/repairs.html", "datasets/about.md"}


def test_a_stored_dataset_needs_no_file(tmp_path: Path) -> None:
    made = gated(suite=SUITE.replace("datasets/questions.jsonl", "questions"))
    files = {name: data for name, data in made.files.items() if not name.startswith("datasets/")}
    assert "datasets/questions.jsonl" not in bundle.read_folder(write_project(tmp_path, files)).files


WRONG = {
    "no such suite": (GATED.replace("answers", "replies"), SUITE, QUESTIONS, "suites/replies.toml"),
    "a suite that is wrong": (GATED, SUITE.replace("dataset", "datasets"), QUESTIONS, "Did you mean 'dataset'"),
    "no TOML": (GATED, "[", QUESTIONS, "not valid TOML"),
    "examples that cannot be read": (GATED, SUITE, b"{\n", "datasets/questions.jsonl: line 2"),
    "no examples": (GATED, SUITE, b"", "The file is empty"),
    "outside of the project": (GATED, SUITE.replace("datasets/", "../"), QUESTIONS, "not a path within the project"),
}


@pytest.mark.parametrize(("toml", "suite", "questions", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_before_anything_is_written(
    ready: Catalog, tmp_path: Path, toml: str, suite: str, questions: bytes, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        frozen(ready, tmp_path, gated(toml=toml, suite=suite, questions=questions))
    with ready.read() as connection:
        assert store.list_apps(connection, "p") == []


def test_the_hash_of_a_file_is_that_of_the_version_that_is_imported_from_it(ready: Catalog, tmp_path: Path) -> None:
    twice = QUESTIONS + QUESTIONS + b'{"question": "x", "must_pass": true, "tags": {"a": "b"}, "split": "test"}\n'
    path = tmp_path / "questions.jsonl"
    for data in (QUESTIONS, twice):
        path.write_bytes(data)
        imported = import_file(ready, "p", "questions", Source(path, path.name), ImportOptions(), actor="dev")
        assert hash_of_file(data, "datasets/questions.jsonl") == imported.version.hash


def test_the_terms_are_kept_with_the_app_and_with_the_release(ready: Catalog, tmp_path: Path) -> None:
    made = frozen(ready, tmp_path)
    with ready.read() as connection:
        gate = store.get_app(connection, "p", "bot").settings["gate"]
        release = store.get_release(connection, "p", "bot", 1)
        (entry,) = [each for each in audit.entries(connection, "p") if each.action == "app.update"]
    assert release.terms == made.release.terms
    assert release.terms["gate"] == gate == entry.details["gate"]
    assert gate["suites"]["answers"]["dataset"] == "datasets/questions.jsonl"
    assert gate["dataset_hashes"] == {"answers": hash_of_file(QUESTIONS, "questions.jsonl")}
    assert "gate" not in made.release.manifest  # it changes no answer


def test_another_example_changes_the_terms_and_not_the_release(ready: Catalog, tmp_path: Path) -> None:
    first = frozen(ready, tmp_path)
    again = frozen(ready, tmp_path, gated(questions=QUESTIONS + b'{"question": "Who?", "expected": "me"}\n'))
    assert (again.created, again.release.hash) == (False, first.release.hash)
    with ready.read() as connection:
        gate = store.get_app(connection, "p", "bot").settings["gate"]
        assert gate["dataset_hashes"] != store.get_release(connection, "p", "bot", 1).terms["gate"]["dataset_hashes"]
        decision = gate_view.of_number(connection, "p", "bot", 1).decision
    assert decision.changes == ["suite answers has other examples"]


def test_a_scorer_of_the_projects_own_is_part_of_its_suite(ready: Catalog, tmp_path: Path) -> None:
    suite = SUITE + '[[scorers]]\nkind = "python"\nfile = "scorers/tone.py"\n'

    def hash_with(source: bytes) -> str:
        made = Bundle({**gated(suite=suite).files, "scorers/tone.py": source})
        project = write_project(tmp_path / "project", dict(made.files))
        assert bundle.read_folder(project).files["scorers/tone.py"] == source
        frozen(ready, tmp_path, made)
        with ready.read() as connection:
            gate = gate_terms.of_app(store.get_app(connection, "p", "bot").settings).gate
        assert gate is not None
        (settings,) = gate.suites.values()
        sent = chosen_suite(project, "answers")  # as `rondo eval` does
        assert suite_hash(sent, {}) == suite_hash(SuiteSettings.model_validate(settings), {})
        return suite_hash(sent, {})

    assert hash_with(b"def score(answer): return 1") != hash_with(b"def score(answer): return 0")
    with pytest.raises(SettingsError, match=r"no file 'scorers/tone\.py'"):
        frozen(ready, tmp_path, gated(suite=suite))


def test_what_a_scorer_imports_is_part_of_its_suite(ready: Catalog, tmp_path: Path) -> None:
    suite = SUITE + '[[scorers]]\nkind = "python"\nfile = "scorers/tone.py"\n'
    scorer = b"from words import BAD\n\ndef score(answer): return not any(word in answer for word in BAD)\n"
    toml = GATED.replace('sources = ["docs"]', 'sources = ["docs", "scorers"]')

    def hash_with(words: bytes) -> str:
        own = {"scorers/tone.py": scorer, "scorers/words.py": words, "scorers/about.md": b"# About\n"}
        made = Bundle({**gated(toml=toml, suite=suite).files, **own})
        project = write_project(tmp_path / "project", dict(made.files))
        read = bundle.read_folder(project)
        assert read.files["scorers/words.py"] == words
        assert "scorers/words.py" not in bundle.documents(read, bundle.settings_of(read))
        frozen(ready, tmp_path, read)
        with ready.read() as connection:
            gate = gate_terms.of_app(store.get_app(connection, "p", "bot").settings).gate
        assert gate is not None
        sent = chosen_suite(project, "answers")
        assert suite_hash(sent, {}) == suite_hash(SuiteSettings.model_validate(gate.suites["answers"]), {})
        return suite_hash(sent, {})

    assert hash_with(b"BAD = ['no']\n") != hash_with(b"BAD = ['never']\n")


def test_a_working_tree_is_held_to_its_own_terms(ready: Catalog, tmp_path: Path) -> None:
    frozen(ready, tmp_path)
    lower = GATED.replace("at_most = 2000", "at_most = 9000").replace("seed = 1", "seed = 2")
    view = of_bundle(ready, tmp_path / "index", "p", gated(toml=lower), actor="dev")
    assert view.decision.release.number is None
    assert view.decision.verdict == "inconclusive"
    assert view.decision.missing[0].remedy == "Run `rondo eval answers --against production`."
    assert view.decision.changes == ["goal latency.p95_ms: at most 2000 → at most 9000: weaker"]
    with ready.read() as connection:
        assert store.get_app(connection, "p", "bot").settings["goals"][0]["at_most"] == 2000
        assert gate_view.of_hash(connection, "p", "bot", view.decision.release.hash[:8]).decision.changes == []


def test_a_released_tree_is_found_as_its_release(ready: Catalog, tmp_path: Path) -> None:
    frozen(ready, tmp_path)
    assert of_bundle(ready, tmp_path / "index", "p", gated(), actor="dev").decision.label == "bot#1"


def test_a_bundle_that_is_too_large_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    project = write_project(tmp_path, dict(gated().files))
    monkeypatch.setattr(bundle, "MAX_BYTES", 100)
    with pytest.raises(InvalidRequest, match="larger than"):
        bundle.read_folder(project)
