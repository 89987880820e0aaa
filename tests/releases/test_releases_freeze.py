"""Freezing: a bundle becomes a release, once; nothing is written where anything is wrong."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from release_projects import PROMPT, TOML, project_files
from rondo.catalog.engine import Catalog, open_catalog
from rondo.catalog.revision import current
from rondo.catalog.schema import releases
from rondo.catalog.tables import ALL
from rondo.errors import Conflict, CorruptData, InvalidRequest, NotFound, RondoError, SettingsError
from rondo.governance import audit, projects
from rondo.knowledge import store as knowledge_store
from rondo.prompts import store as prompt_store
from rondo.providers.base import ModelSpec
from rondo.releases import manifest as manifests
from rondo.releases import store, traffic
from rondo.releases.diff import Change, diff
from rondo.releases.freeze import freeze
from rondo.releases.model import Bundle, Frozen, Release


@pytest.fixture
def ready(catalog: Catalog) -> Catalog:
    projects.create(catalog, "p", actor="tests")
    return catalog


def frozen(catalog: Catalog, root: Path, *, message: str = "", project: str = "p", **replaced: str) -> Frozen:
    bundle = Bundle(project_files(**replaced))
    return freeze(catalog, root / "knowledge", project, bundle, actor="tests", message=message)


def counts(catalog: Catalog) -> dict[str, int]:
    with catalog.read() as connection:
        found = {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in ALL.tables.items()
        }
        return {**found, "revision": current(connection)}


def test_a_first_release_is_whole_and_serves_at_once(ready: Catalog, tmp_path: Path) -> None:
    made = frozen(ready, tmp_path, message="hello")
    release = made.release
    assert made.created
    assert (release.label, release.message, release.created_by) == ("bot#1", "hello", "tests")
    assert made.knowledge is not None
    assert (made.knowledge.documents, made.knowledge.reused) == (2, 0)
    assert (tmp_path / "knowledge" / made.knowledge.version).is_dir()
    with ready.read() as connection:
        assert store.get_release(connection, "p", "bot", 1) == release
        assert store.list_releases(connection, "p", "bot") == [release]
        now = store.current_traffic(connection, "p", "bot")
        assert now is not None
        assert (now.action, now.sequence, now.traffic.stable, now.traffic.arms) == ("release", 1, 1, ())
        assert prompt_store.get(connection, "p", "answer", release.manifest["prompt"]["version"]).source == PROMPT
        assert knowledge_store.latest(connection, "p", "handbook").version == made.knowledge.version
        assert [row.name for row in store.list_models(connection, "p")] == ["baseline", "main"]
        assert store.list_models(connection, "p")[1].definition["price"]["output"] == 2.0
        app = store.get_app(connection, "p", "bot")
        goal = {"metric": "latency.p95_ms", "at_least": None, "at_most": 2000.0, "margin": None, "guarded": True}
        assert release.terms["goals"] == [goal]
        assert [goal.items() <= each.items() for each in app.settings["goals"]] == [True]
        assert app.settings["use_case"]["summary"] == "Help"
        actions = [entry.action for entry in audit.entries(connection, "p")][::-1]
        assert actions == [
            "project.create", "app.update", "model.update", "model.update", "release.create", "traffic.release",
        ]  # fmt: skip
        audit.verify(connection, "p")


def test_the_manifest_says_all_that_decides_an_answer(ready: Catalog, tmp_path: Path) -> None:
    release = frozen(ready, tmp_path).release
    manifest = release.manifest
    assert list(manifest) == sorted(["format", "app", "prompt", "route", "params", "knowledge", "hand_over"])
    assert manifest["format"] == 1
    assert manifest["params"] == {"seed": 1}
    assert manifest["knowledge"]["name"] == "handbook"
    assert manifest["knowledge"]["top_k"] == 3
    main, baseline = manifests.route(manifest)
    assert main == ModelSpec(name="main", provider="openai", model="gpt-4o-mini", params={"temperature": 0.2})
    assert baseline == ModelSpec(name="baseline", provider="extractive")
    assert "price" not in str(manifest)
    with ready.read() as connection:
        row = connection.execute(select(releases)).one()
    assert row.hash == release.hash == sha256(row.manifest.encode()).hexdigest()
    assert json.loads(row.manifest) == manifest
    assert " " not in row.manifest.replace(manifest["hand_over"], "")


def test_an_unchanged_tree_is_the_release_there_is(ready: Catalog, tmp_path: Path) -> None:
    first = frozen(ready, tmp_path)
    before = counts(ready)
    again = frozen(ready, tmp_path, message="again")
    assert not again.created
    assert again.release == first.release
    assert counts(ready) == before
    spaced = frozen(ready, tmp_path, toml=TOML + "\n# a remark\n", prompt=PROMPT + "\n")
    assert spaced.release == first.release
    assert counts(ready) == before


def test_what_decides_no_answer_is_taken_over_without_a_new_release(ready: Catalog, tmp_path: Path) -> None:
    first = frozen(ready, tmp_path)
    before = counts(ready)
    changed = frozen(ready, tmp_path, toml=TOML.replace("2000", "900").replace("output = 2.0", "output = 3.0"))
    assert not changed.created
    assert changed.release == first.release
    after = counts(ready)
    assert (after["releases"], after["revision"]) == (1, before["revision"] + 1)
    assert after["audit_entries"] == before["audit_entries"] + 2
    with ready.read() as connection:
        assert store.get_app(connection, "p", "bot").settings["goals"][0]["at_most"] == 900
        assert store.list_models(connection, "p")[1].definition["price"]["output"] == 3.0


def test_a_change_is_the_next_release_and_waits_for_traffic(ready: Catalog, tmp_path: Path) -> None:
    first = frozen(ready, tmp_path)
    second = frozen(ready, tmp_path, prompt=PROMPT.replace("Answer from", "Answer briefly from"))
    assert second.created
    assert second.release.number == 2
    assert second.release.hash != first.release.hash
    assert second.knowledge is not None
    assert second.knowledge.reused == 2
    with ready.read() as connection:
        now = store.current_traffic(connection, "p", "bot")
        assert now is not None
        assert now.traffic.stable == 1
        assert [each.number for each in store.list_releases(connection, "p", "bot", before=2)] == [1]
    assert frozen(ready, tmp_path).release.number == 1


def test_two_apps_and_two_projects_do_not_mix(ready: Catalog, tmp_path: Path) -> None:
    projects.create(ready, "q", actor="tests")
    frozen(ready, tmp_path)
    other = frozen(ready, tmp_path, toml=TOML.replace('"bot"', '"bot2"'))
    elsewhere = frozen(ready, tmp_path, project="q")
    assert (other.release.label, elsewhere.release.label) == ("bot2#1", "bot#1")
    with ready.read() as connection:
        assert [app.name for app in store.list_apps(connection, "p")] == ["bot", "bot2"]
        assert [app.name for app in store.list_apps(connection, "q")] == ["bot"]
        with pytest.raises(NotFound):
            store.get_release(connection, "q", "bot2", 1)
        assert store.find_release(connection, "q", "bot2", other.release.hash) is None
        assert store.current_traffic(connection, "q", "bot2") is None


def test_an_app_without_knowledge(ready: Catalog, tmp_path: Path) -> None:
    made = frozen(ready, tmp_path, toml=TOML.replace('knowledge = "handbook"', ""))
    assert made.knowledge is None
    assert made.release.manifest["knowledge"] is None
    assert not (tmp_path / "knowledge").exists()


@pytest.mark.parametrize(
    ("replaced", "error", "says"),
    [
        ({"toml": "["}, SettingsError, "rondo.toml"),
        ({"toml": TOML.replace("seed = 1", "seed = 2020-01-01")}, SettingsError, "app.params.seed"),
        ({"toml": TOML.replace("seed = 1", "seed = [1, nan]")}, SettingsError, r"app.params.seed\[1\]"),
        ({"toml": TOML.replace("temperature = 0.2", "t = { x = inf }")}, SettingsError, "models.main.params.t.x"),
        ({"toml": TOML.replace('"docs"', '"ghost"')}, SettingsError, "ghost"),
        ({"prompt": "no parts"}, SettingsError, "answer.md"),
        ({"prompt": "# user\n{{ undeclared }}"}, SettingsError, "undeclared"),
        ({"message": "x" * 2001}, InvalidRequest, "message"),
        ({"message": "\x00"}, InvalidRequest, "message"),
        ({"project": "ghost"}, NotFound, "ghost"),
    ],
)
def test_nothing_is_written_where_anything_is_wrong(
    ready: Catalog, tmp_path: Path, replaced: dict[str, Any], error: type[RondoError], says: str
) -> None:
    before = counts(ready)
    with pytest.raises(error, match=says):
        frozen(ready, tmp_path, **replaced)
    assert counts(ready) == before


def test_models_that_no_provider_takes_are_refused(ready: Catalog, tmp_path: Path) -> None:
    before = counts(ready)
    seen: list[str] = []

    def check(spec: ModelSpec) -> None:
        seen.append(spec.name)
        if spec.name == "baseline":
            raise SettingsError("no such provider.", file="rondo.toml", param="models.baseline.provider")

    with pytest.raises(SettingsError, match="no such provider"):
        freeze(ready, tmp_path, "p", Bundle(project_files()), actor="tests", message="", check_model=check)
    assert seen == ["main", "baseline"]
    assert counts(ready) == before


def test_a_release_that_was_changed_in_the_database_is_not_served(ready: Catalog, tmp_path: Path) -> None:
    frozen(ready, tmp_path)
    with ready.begin() as connection:
        text = connection.execute(select(releases.c.manifest)).scalar_one()
        connection.execute(update(releases).values(manifest=text.replace("gpt-4o-mini", "gpt-4o-evil")))
    with ready.read() as connection, pytest.raises(CorruptData):
        store.get_release(connection, "p", "bot", 1)


def test_manifests_of_another_format_are_refused() -> None:
    text, hash_ = manifests.text_and_hash({"format": 2})
    with pytest.raises(CorruptData, match="format 2"):
        manifests.parse(text, hash_)


@pytest.mark.parametrize("number", [0, -1, 2, 2**31, 10**30])
def test_releases_that_are_not_there_are_not_found(ready: Catalog, tmp_path: Path, number: int) -> None:
    frozen(ready, tmp_path)
    with ready.read() as connection:
        with pytest.raises(NotFound, match="newest is 1"):
            store.get_release(connection, "p", "bot", number)
        with pytest.raises(NotFound, match="no app"):
            store.get_release(connection, "p", "ghost", number)


def test_freezing_at_once_gives_consecutive_numbers_and_one_of_each(catalog_url: str, tmp_path: Path) -> None:
    catalogs = [open_catalog(catalog_url) for _ in range(4)]
    projects.create(catalogs[0], "p", actor="tests")
    start = threading.Barrier(4)

    def freeze_two(position: int) -> list[Frozen]:
        start.wait()
        prompts = [PROMPT, PROMPT.replace("Answer", f"Answer {position % 2}")]
        return [frozen(catalogs[position], tmp_path, prompt=prompt) for prompt in prompts]

    with ThreadPoolExecutor(4) as pool:
        made = [each for pair in pool.map(freeze_two, range(4)) for each in pair]
    assert sorted(each.release.number for each in made if each.created) == [1, 2, 3]
    assert len({(each.release.number, each.release.hash) for each in made}) == 3
    with catalogs[0].read() as connection:
        assert len(store.traffic_history(connection, "p", "bot")) == 1
        audit.verify(connection, "p")
    for catalog in catalogs:
        catalog.close()


def release_of(number: int, manifest: dict[str, Any]) -> Release:
    return Release(
        project="p", app="bot", number=number, hash="", manifest=manifest, message="", created_by="t", created_at=0
    )


def test_diff_names_each_field(ready: Catalog, tmp_path: Path) -> None:
    first = frozen(ready, tmp_path).release
    toml = (
        TOML.replace("temperature = 0.2", "top_p = 0.5")
        .replace('route = ["main", "baseline"]', 'route = ["baseline", "main"]')
        .replace("top_k = 3", "top_k = 4")
    )
    second = frozen(ready, tmp_path, toml=toml, prompt=PROMPT.replace("Answer from", "Answer briefly from")).release
    versions = [each.manifest["prompt"]["version"] for each in (first, second)]
    sources = dict(zip(versions, [PROMPT, PROMPT.replace("Answer from", "Answer briefly from")], strict=True))
    changes = {change.field: change for change in diff(first, second, sources)}
    assert set(changes) == {
        "prompt.version", "prompt.text", "route", "route.main.params.temperature", "route.main.params.top_p",
        "knowledge.top_k",
    }  # fmt: skip
    assert changes["route"].before == ["main", "baseline"]
    assert changes["route.main.params.temperature"] == Change(field="route.main.params.temperature", before=0.2)
    assert changes["route.main.params.top_p"].after == 0.5
    text = changes["prompt.text"].text
    assert text is not None
    assert text.startswith("--- answer (bot#1)\n+++ answer (bot#2)\n@@")
    assert "+Answer briefly from" in text
    assert diff(first, first, sources) == []
    assert "prompt.text" not in {change.field for change in diff(first, second, {})}


def test_diff_shows_what_came_and_went() -> None:
    base = {"format": 1, "app": "bot", "prompt": {"name": "a", "version": "1"}, "route": [], "params": {}}
    a = release_of(1, {**base, "knowledge": None, "hand_over": "x"})
    b = release_of(2, {**base, "knowledge": {"name": "k", "version": "v", "top_k": 5}, "hand_over": "x"})
    gone = [(change.field, change.before, change.after) for change in diff(b, a, {})]
    assert gone == [("knowledge.name", "k", None), ("knowledge.version", "v", None), ("knowledge.top_k", 5, None)]
    assert [change.after for change in diff(a, b, {})] == ["k", "v", 5]


def test_conflicts_are_not_swallowed(ready: Catalog, tmp_path: Path) -> None:
    frozen(ready, tmp_path)
    with pytest.raises(Conflict):
        traffic.rollback(ready, "p", "bot", actor="tests")
