"""A server that starts over a `rondo.toml` that is not right: what is released serves, and it says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from journeys.running import make_project
from live_server import live_on
from rondo.errors import SettingsError
from rondo.server.data_folder import DataFolder
from rondo.server.settled import settle
from rondo.settings.project import read

HALF = '[app]\nname = "bot"\nprompt = '


async def test_what_is_released_serves_over_a_half_edited_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    project = make_project(tmp_path / "project", more='durability = "power"\n[gateway]\nmax_body_mb = 3\n')
    async with live_on(project) as live:
        assert (await live.get("/api/status"))["settings_fault"] is None
    (project / "rondo.toml").write_text(HALF)
    async with live_on(project) as live:
        assert (await live.chat()).status_code == 200
        assert live.server.control.gateway.max_body_bytes == 3 << 20  # as it was, not as it is by default
        assert live.server.settings is not None
        assert read(live.server.settings).journal.durability == "power"
        fault = (await live.get("/api/status"))["settings_fault"]
        assert "rondo.toml" in fault
        assert "not valid TOML" in fault
        (wrong,) = [check for check in (await live.get("/api/doctor"))["checks"] if not check["ok"]]
        assert (wrong["name"], wrong["detail"]) == ("rondo.toml", fault)
    assert "rondo.toml needs mending" in caplog.text


async def test_a_secret_in_the_wrong_place_is_told_to_nobody(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    async with live_on(project):
        pass
    file = project / "rondo.toml"
    file.write_text(file.read_text() + '\n[gateway]\nmax_body_mb = "sk-live-123456"\n')
    async with live_on(project) as live:
        fault = (await live.get("/api/status"))["settings_fault"]
    assert "gateway.max_body_mb: this value is wrong" in fault
    assert "sk-live" not in fault


async def test_the_first_release_of_another_app_may_fail_beside_one_that_serves(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    async with live_on(project):
        pass
    file = project / "rondo.toml"
    file.write_text(file.read_text().replace('name = "bot"', 'name = "next"').replace("prompt.md", "gone.md"))
    async with live_on(project) as live:
        assert (await live.chat()).status_code == 200
        assert "gone.md" in (await live.get("/api/status"))["settings_fault"]


async def test_a_first_release_that_fails_is_told_where_nothing_serves(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    file = project / "rondo.toml"
    file.write_text(file.read_text().replace("prompt.md", "gone.md"))
    with pytest.raises(SettingsError, match=r"gone\.md"):
        async with live_on(project):
            pass


def test_a_wrong_file_is_refused_where_none_was_right_before(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / "data")
    (tmp_path / "rondo.toml").write_text(HALF)
    with pytest.raises(SettingsError, match="not valid TOML"):
        settle(data, tmp_path)
    assert not data.path.exists()


def test_a_project_without_a_file_is_a_mistake_whatever_was_kept(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / "data")
    data.path.mkdir()
    data.keep_settings("[app]\n")
    with pytest.raises(SettingsError, match="no such file"):
        settle(data, tmp_path)
