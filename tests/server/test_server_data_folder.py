"""One server per data folder; its keys and its address are its own."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from journeys.running import make_project
from live_server import live_on
from rondo.errors import Conflict, CorruptData, SettingsError, Unavailable
from rondo.server.app import open_server
from rondo.server.data_folder import DataFolder


async def test_a_second_server_on_one_folder_refuses_and_says_who_has_it(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    async with live_on(project) as live:
        live.server.data.announce("http://127.0.0.1:4000")
        with pytest.raises(Conflict, match=r"in use by process \d+ at http://127.0.0.1:4000"):
            async with open_server(live.data, project):
                pass
        assert (await live.chat()).status_code == 200
    async with live_on(project) as live:  # and the folder is free again
        assert (await live.chat()).status_code == 200


async def test_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    async with live_on(project) as live:
        live.server.data.announce("http://x")
        for name in ("admin.key", "session.key", "server.json", "lock"):
            assert stat.S_IMODE((live.data / name).stat().st_mode) == 0o600, name
        assert stat.S_IMODE(live.data.stat().st_mode) == 0o700


async def test_the_admin_key_is_made_once_and_stays(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    async with live_on(project) as live:
        first = live.admin
        assert live.server.admin_key == first
        assert first not in (live.data / "catalog.db").read_bytes().decode("latin-1")
    async with live_on(project) as live:
        assert live.server.admin_key is None
        assert live.admin == first
        assert (await live.chat()).status_code == 200


async def test_a_wrong_project_leaves_the_folder_free(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    good = (project / "rondo.toml").read_text()
    (project / "rondo.toml").write_text(good.replace("prompt.md", "nowhere.md"))
    with pytest.raises(SettingsError, match=r"nowhere\.md"):
        async with live_on(project):
            pass
    (project / "rondo.toml").write_text(good)
    async with live_on(project) as live:
        assert (await live.chat()).status_code == 200


def test_what_is_left_of_a_killed_server_is_no_running_one(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert folder.running() is None
    (tmp_path / "server.json").write_text("{")
    assert folder.running() is None
    folder.lock()
    with pytest.raises(Conflict, match="another process"):
        DataFolder(tmp_path).lock()
    folder.unlock()
    DataFolder(tmp_path).lock()


async def test_one_folder_serves_without_its_project(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    async with live_on(project):
        pass
    async with open_server(project / ".rondo") as server:
        assert [name for _, name in server.control.gateway.plan.apps] == ["bot"]


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match=r"file/data cannot be used: Not a directory\. Check"):
        async with open_server(tmp_path / "file" / "data"):
            pass


async def test_a_damaged_session_key_is_named_and_leaves_the_folder_free(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    async with live_on(project):
        pass
    key = project / ".rondo" / "session.key"
    key.write_text("\xff not hex")
    with pytest.raises(CorruptData, match=r"session\.key is not what was written. Delete it"):
        async with live_on(project):
            pass
    key.unlink()
    async with live_on(project) as live:
        assert (await live.chat()).status_code == 200


async def test_the_first_release_needs_providers_that_exist(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    settings = (project / "rondo.toml").read_text()
    (project / "rondo.toml").write_text(settings + '\n[models.typo]\nprovider = "opnai"\n')
    with pytest.raises(SettingsError, match=r"models\.typo\.provider: .* Did you mean 'openai'"):
        async with live_on(project):
            pass
    (project / "rondo.toml").write_text(settings)
    async with live_on(project) as live:
        assert (await live.chat()).status_code == 200
