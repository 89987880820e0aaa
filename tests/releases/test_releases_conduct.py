"""Rules, classifiers, guards and the cache: from a project's files into a release, and back into what serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from release_projects import TOML, project_files, write_project
from rondo.catalog.engine import Catalog
from rondo.errors import SettingsError
from rondo.gateway.plan import ServedRelease
from rondo.governance import projects
from rondo.guards.model import Text
from rondo.providers.registry import Providers
from rondo.providers.upstream import Upstream
from rondo.releases import bundle
from rondo.releases.freeze import freeze
from rondo.releases.manifest import text_and_hash
from rondo.releases.model import Bundle, Frozen
from rondo.releases.publish import Publisher
from rondo.rules.classify import Classifier, Learnt

RULES = """
[models.private]
provider = "ollama"
model = "llama3.1:8b"
[models.watch]
provider = "openai"
model = "omni-moderation-latest"

[[rules]]
when = "input.pii or class.topic == 'billing'"
use = "private"

[classifiers.topic]
examples = "datasets/topics.csv"

[[guards]]
check = "pii"
on = ["input", "output"]
action = "redact"
pseudonyms = true
[[guards]]
check = "words"
action = "block"
words = ["bomb"]
words_file = "guards/words.txt"
[[guards]]
check = "moderation"
model = "watch"

[cache]
ttl_s = 60
"""
TOPICS = "text,label\n" + "".join(
    f"{text} {number},{label}\n"
    for number in range(5)
    for text, label in (("my invoice is wrong", "billing"), ("the parcel is late", "delivery"))
)
FILES = {"datasets/topics.csv": TOPICS.encode(), "guards/words.txt": b"# a list\ngun\n\nknife\n"}


def conducted(more: str = RULES) -> dict[str, bytes]:
    return {**project_files(toml=TOML + more), **FILES}


def released(catalog: Catalog, root: Path, files: dict[str, bytes]) -> Frozen:
    return freeze(catalog, root / "knowledge", "p", Bundle(files), actor="tests")


def served(catalog: Catalog, root: Path) -> ServedRelease:
    def secret(name: str) -> str:
        return "x"

    publisher = Publisher(catalog, root / "knowledge", Providers(Upstream(), secret=secret), secret=lambda: b"k" * 32)
    return publisher.plan().apps["p", "bot"].stable


@pytest.fixture
def ready(catalog: Catalog) -> Catalog:
    projects.create(catalog, "p", actor="tests")
    return catalog


def test_a_folder_takes_along_what_guards_and_classifiers_name(tmp_path: Path) -> None:
    found = bundle.read_folder(write_project(tmp_path, conducted()))
    assert found.files["guards/words.txt"] == FILES["guards/words.txt"]
    assert "datasets/topics.csv" in bundle.from_zip(bundle.to_zip(found)).files


def test_a_release_holds_all_of_it_and_serves_it(ready: Catalog, tmp_path: Path) -> None:
    frozen = released(ready, tmp_path, conducted())
    manifest = frozen.release.manifest
    assert manifest["rules"] == [{"when": "input.pii or class.topic == 'billing'", "use": ["private"]}]
    assert manifest["guards"][1]["words"] == ["bomb", "gun", "knife"]
    assert [model["name"] for model in manifest["models"]] == ["private", "watch"]
    assert manifest["cache"]["ttl_s"] == 60
    assert frozen.classifiers["topic"].startswith("10 examples, 2 labels")
    release = served(ready, tmp_path)
    assert release.rules.uses == {"private"}
    assert release.guards is not None
    assert [guard.name for guard in release.guards.input] == ["pii", "words", "moderation"]
    assert release.guards.pseudonyms is not None
    assert release.cache is not None
    assert set(release.models) == {"main", "baseline", "private", "watch"}


@pytest.mark.parametrize("with_rules", [True, False])
def test_a_classifier_is_made_once_for_rules_and_guards(
    ready: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_rules: bool
) -> None:
    toml = RULES if with_rules else RULES.replace("[[rules]]\nwhen", "# when").replace('use = "private"', "")
    guard = '[[guards]]\ncheck = "classifier"\nclassifier = "topic"\nlabels = ["billing"]\n'
    released(ready, tmp_path, conducted(toml + guard))
    made: list[Learnt] = []
    first = Classifier.__init__

    def counted(self: Classifier, learnt: Learnt) -> None:
        made.append(learnt)
        first(self, learnt)

    monkeypatch.setattr(Classifier, "__init__", counted)
    release = served(ready, tmp_path)
    assert len(made) == 1
    assert bool(release.rules) == with_rules
    assert release.guards is not None
    check = release.guards.input[-1].check
    assert check is not None
    assert check.look([Text("user", "my invoice is wrong")]).found


def test_the_same_files_are_the_same_release(ready: Catalog, tmp_path: Path) -> None:
    first = released(ready, tmp_path, conducted())
    again = released(ready, tmp_path, conducted())
    assert (again.created, again.release.number) == (False, first.release.number)
    other = {**conducted(), "guards/words.txt": b"gun\n"}
    assert released(ready, tmp_path, other).created


def test_a_project_without_any_of_it_keeps_its_hash(ready: Catalog, tmp_path: Path) -> None:
    manifest = released(ready, tmp_path, project_files()).release.manifest
    assert list(manifest) == ["app", "format", "hand_over", "knowledge", "params", "prompt", "route"]
    assert sorted(manifest["route"][0]) == sorted(
        "name provider model base_url api_key_env api_key_header headers query params timeout_s".split()
    )
    assert text_and_hash(manifest)[1] == released(ready, tmp_path, project_files()).release.hash


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("input.pii or", "input.pi or", "rules[0].when"),
        ('use = "private"', 'use = "nobody"', None),
        ("datasets/topics.csv", "datasets/none.csv", "classifiers.topic.examples"),
        ("guards/words.txt", "../words.txt", "guards[1].words_file"),
        ('model = "watch"', 'model = "baseline"', "guards[2].model"),
        ("pseudonyms = true", 'pseudonyms = true\nkinds = ["emial"]', "guards[0].kinds"),
        ('action = "block"', 'action = "redact"\nanswer = "no"', "guards[1].answer"),
    ],
)
def test_what_is_wrong_is_found_before_anything_is_written(
    ready: Catalog, tmp_path: Path, before: str, after: str, key: str | None
) -> None:
    assert before in RULES
    with pytest.raises(SettingsError) as caught:
        released(ready, tmp_path, conducted(RULES.replace(before, after)))
    assert key is None or caught.value.param == key
    assert not (tmp_path / "knowledge").exists()
