"""Plans with what cannot be served: a candidate or a shadow is never the app's fault, and what serves goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from release_projects import TOML, project_files
from rondo.catalog.engine import Catalog
from rondo.governance import projects
from rondo.providers.registry import Providers
from rondo.providers.upstream import Upstream
from rondo.releases import traffic
from rondo.releases.freeze import freeze
from rondo.releases.model import Bundle
from rondo.releases.publish import Publisher
from rondo.releases.state import Trial, take_step


@pytest.fixture
def publisher(catalog: Catalog, tmp_path: Path) -> Publisher:
    """Releases 1, which serves, and 2, with an index of its own."""
    projects.create(catalog, "p", actor="tests")
    files = project_files()
    first = freeze(catalog, tmp_path, "p", Bundle(files), actor="tests")
    changed = {**files, "docs/returns.md": b"# Returns\n\nYou may return a bike within a year.\n"}
    second = freeze(catalog, tmp_path, "p", Bundle(changed), actor="tests")
    assert first.knowledge is not None
    assert second.knowledge is not None
    assert first.knowledge.version != second.knowledge.version
    return Publisher(catalog, tmp_path, Providers(Upstream(), secret=lambda name: "x"), secret=bytes)


def lose_index(root: Path) -> None:
    """Lose the index of release 2, which is the newer one."""
    folders = sorted((each for each in root.rglob("*") if each.is_dir()), key=lambda each: each.stat().st_mtime_ns)
    assert len(folders) >= 2
    shutil.rmtree(folders[-1])


def test_a_shadow_is_served_beside_the_app(catalog: Catalog, publisher: Publisher) -> None:
    traffic.shadow(catalog, "p", "bot", {"2": 50, "main": 10}, actor="tests")
    app = publisher.plan().apps["p", "bot"]
    assert [(release.number, share) for release, share in app.shadows] == [(2, 5_000), (1, 1_000)]
    assert [model.spec.name for model in app.shadows[1][0].route] == ["main"]
    assert app.stable.number == 1


def test_a_shadow_that_cannot_be_served_takes_nothing_from_the_app(
    catalog: Catalog, publisher: Publisher, tmp_path: Path
) -> None:
    lose_index(tmp_path)
    traffic.shadow(catalog, "p", "bot", {"2": 50, "main": 10}, actor="tests")
    plan = publisher.plan()
    assert not plan.faults
    assert set(plan.unserved) == {("p", "bot", "2")}
    assert [(release.number, share) for release, share in plan.apps["p", "bot"].shadows] == [(1, 1_000)]


def test_an_arm_that_cannot_be_served_leaves_its_callers_to_the_stable_release(
    catalog: Catalog, publisher: Publisher, tmp_path: Path
) -> None:
    files = project_files(toml=TOML.replace("seed = 1", "seed = 3"))
    freeze(catalog, tmp_path, "p", Bundle(files), actor="tests")
    lose_index(tmp_path)
    traffic.split(catalog, "p", "bot", {2: 5, 3: 20}, actor="tests")
    plan = publisher.plan()
    assert not plan.faults
    assert "index" in (plan.why_unserved("p", "bot", 2) or "")
    app = plan.apps["p", "bot"]
    assert [(release.number, places) for release, places in app.arms] == [(1, 500), (3, 2_000)]


def test_an_app_that_cannot_be_served_as_released_stays_as_it_was(
    catalog: Catalog, publisher: Publisher, tmp_path: Path
) -> None:
    served = publisher.plan().apps["p", "bot"]
    lose_index(tmp_path)
    traffic.promote(catalog, "p", "bot", 2, actor="tests")
    for _ in range(2):
        plan = publisher.plan()
        assert "index" in plan.faults["p", "bot"]
        assert plan.apps["p", "bot"] == served
    again = Publisher(catalog, tmp_path, Providers(Upstream(), secret=lambda name: "x"), secret=bytes).plan()
    assert set(again.faults) == {("p", "bot")}
    assert not again.apps  # nothing served before
    traffic.rollback(catalog, "p", "bot", actor="tests")
    assert not publisher.plan().faults


def test_what_the_traffic_names_no_more_gets_nothing_where_the_stable_release_cannot_be_served(
    catalog: Catalog, publisher: Publisher, tmp_path: Path
) -> None:
    """Release 1 serves, 3 and a shadow are tried; the way back is to 2, whose index is lost here."""
    traffic.promote(catalog, "p", "bot", 2, actor="tests")
    traffic.promote(catalog, "p", "bot", 1, actor="tests")
    files = project_files(toml=TOML.replace("seed = 1", "seed = 3"))
    freeze(catalog, tmp_path, "p", Bundle(files), actor="tests")
    traffic.shadow(catalog, "p", "bot", {"main": 10, "3": 10}, actor="tests")
    traffic.split(catalog, "p", "bot", {3: 20}, actor="tests")
    app = publisher.plan().apps["p", "bot"]
    assert [(release.number, places) for release, places in app.arms] == [(3, 2_000)]
    lose_index(tmp_path)
    traffic.rollback(catalog, "p", "bot", to=2, actor="tests")
    traffic.shadow(catalog, "p", "bot", {"main": 10}, actor="tests")
    plan = publisher.plan()
    app = plan.apps["p", "bot"]
    assert "index" in plan.faults["p", "bot"]
    assert (app.stable.number, app.arms) == (1, ())
    assert [share for _, share in app.shadows] == [1_000]


def test_a_change_of_prices_takes_no_app_away_whose_index_is_gone(
    catalog: Catalog, publisher: Publisher, tmp_path: Path
) -> None:
    traffic.promote(catalog, "p", "bot", 2, actor="tests")
    publisher.plan()
    lose_index(tmp_path)
    files = project_files(toml=TOML.replace("output = 2.0", "output = 3.0"))
    freeze(catalog, tmp_path, "p", Bundle(files), actor="tests")
    plan = publisher.plan()
    assert not plan.faults
    (main, _) = plan.apps["p", "bot"].stable.route
    assert main.price is not None
    assert main.price.output == 3.0


def test_a_rollouts_candidate_that_cannot_be_served_leaves_everyone_to_the_stable_release(
    catalog: Catalog, publisher: Publisher, tmp_path: Path
) -> None:
    trial = Trial(rollout="r", candidate=2)
    step = traffic.Move("p", "bot", "split", "tests", "")
    with catalog.begin() as connection:
        traffic.move(connection, step, lambda now: take_step(now, trial, share_bp=500, baseline_bp=500, salt="s"))
    variants = [release.variant for release, _ in publisher.plan().apps["p", "bot"].arms]
    assert variants == ["candidate", "baseline"]
    lose_index(tmp_path)
    again = Publisher(catalog, tmp_path, Providers(Upstream(), secret=lambda name: "x"), secret=bytes)
    plan = again.plan()
    app = plan.apps["p", "bot"]
    assert "index" in (plan.why_unserved("p", "bot", 2) or "")
    assert plan.why_unserved("p", "bot", 1) is None
    assert (app.arms, app.stable.number, app.stable.variant) == ((), 1, None)


def test_the_stable_release_may_stand_between_arms(catalog: Catalog, publisher: Publisher, tmp_path: Path) -> None:
    files = project_files(toml=TOML.replace("seed = 1", "seed = 3"))
    freeze(catalog, tmp_path, "p", Bundle(files), actor="tests")
    traffic.split(catalog, "p", "bot", {2: 20, 3: 20}, actor="tests")
    traffic.split(catalog, "p", "bot", {2: 5, 3: 20}, actor="tests")
    app = publisher.plan().apps["p", "bot"]
    assert [(release.number, places) for release, places in app.arms] == [(2, 500), (1, 1_500), (3, 2_000)]
