"""Which app a command means where none is named: the project folder's, else the only one."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_doors import Door, Run

PROJECT = '[app]\nname = "shop"\nprompt = "prompts/answer.md"\nroute = ["main"]\n'
TRAFFIC = {"stable": 3, "shares": {"3": 100}}


@pytest.fixture
def several(door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Door:
    """A server with the apps `bot` and `shop`, in a folder without a project."""
    monkeypatch.chdir(tmp_path)
    door.answers["GET /api/apps"] = {"apps": [{"name": "bot"}, {"name": "shop"}]}
    for name in ("bot", "shop"):
        for verb in ("promote", "rollback"):
            door.answers[f"POST /api/apps/{name}/{verb}"] = TRAFFIC
    return door


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (["rollback"], "/api/apps/shop/rollback"),
        (["promote", "3"], "/api/apps/shop/promote"),
        (["split", "3=10%"], "/api/apps/shop/split"),
        (["shadow", "3=10%"], "/api/apps/shop/shadow"),
        (["rollout", "start", "3"], "/api/apps/shop/rollout"),
        (["rollout", "abort"], "/api/apps/shop/rollout/abort"),
        (["rollout", "history"], "/api/apps/shop/rollouts"),
        (["releases", "show", "3"], "/api/apps/shop/releases/3"),
        (["drift", "list"], "/api/apps/shop/drift/reports"),
        (["gate", "3"], "/api/apps/shop/releases/3/gate"),
        (["route", "explain", "Where?"], "/api/apps/shop/route/explain"),
        (["alerts", "test", "team"], "/api/apps/shop/alerts/channels/team/test"),
    ],
)
def test_the_app_of_the_folder_is_meant(ask: Run, several: Door, words: list[str], path: str) -> None:
    Path("rondo.toml").write_text(PROJECT)
    ask(*words)
    assert several.last.url.path == path


def test_a_named_app_is_meant_and_not_the_folders(ask: Run, several: Door) -> None:
    Path("rondo.toml").write_text(PROJECT)
    assert ask("promote", "bot#3").exit_code == 0
    assert several.last.url.path == "/api/apps/bot/promote"


def test_a_folder_that_needs_mending_tells_its_app_all_the_same(ask: Run, several: Door) -> None:
    Path("rondo.toml").write_text(f'{PROJECT}[rolout]\nsteps = ["5%"]\n')
    assert ask("rollback").exit_code == 0
    assert several.last.url.path == "/api/apps/shop/rollback"


@pytest.mark.parametrize("text", ["[app\n", 'app = "shop"\n', "[app]\nname = 3\n", "", None])
def test_of_several_apps_one_must_be_named_where_no_folder_says_which(
    ask: Run, several: Door, text: str | None
) -> None:
    if text is not None:
        Path("rondo.toml").write_text(text)
    told = ask("rollback")
    assert told.exit_code == 2
    assert "name one of bot, shop" in told.stderr


def test_a_folder_whose_app_is_not_there_moves_no_other(ask: Run, several: Door) -> None:
    Path("rondo.toml").write_text(PROJECT)
    several.answers["GET /api/apps"] = {"apps": [{"name": "bot"}]}
    told = ask("rollback")
    assert told.exit_code == 1
    assert "'shop', is not there yet" in told.stderr
    assert "name another: bot" in told.stderr
    assert [request.method for request in several.requests] == ["GET"]


def test_status_can_be_of_one_app(ask: Run, door: Door) -> None:
    ask("status", "shop")
    assert door.query == {"app": "shop"}
    ask("status")
    assert door.query == {}
