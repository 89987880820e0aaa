"""Where commands find Rondo, with which key, and what they say when they do not."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from cli_doors import Door, Run
from rondo.cli import connect
from rondo.cli.client import Api
from rondo.cli.connect import find, reach
from rondo.errors import RondoError, SettingsError, Unauthorized, Unavailable


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RONDO_URL", "RONDO_API_KEY", "RONDO_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose lock is held, with an admin key."""
    folder = tmp_path / ".rondo"
    folder.mkdir()
    (folder / "admin.key").write_text("rondo_sk_admin\n")
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield folder
    os.close(lock)


def where(place: connect.Place) -> tuple[str, str]:
    """Address and key of the connection to a place."""

    async def main() -> tuple[str, str]:
        async with reach(place, None, wants_json=False) as api:
            client = api._client
            return str(client.base_url), client.headers["authorization"]

    return asyncio.run(main())


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RONDO_URL", "http://a.test/")
    assert find(None, None).url == "http://a.test"
    assert find("http://b.test", None).url == "http://b.test"
    assert find(None, tmp_path).data == tmp_path


def test_the_folder_here_is_found_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".rondo").mkdir()
    (tmp_path / "shop" / ".rondo").mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    assert find(None, None).data == Path(".rondo")
    assert find(None, None, project=Path("shop")).data == Path("shop/.rondo")
    monkeypatch.setenv("RONDO_DATA", "kept")
    assert find(None, None).data == Path("kept")


def test_nowhere_is_wrong_use_with_a_remedy(rondo: Run) -> None:
    result = rondo("status")
    assert result.exit_code == 2
    assert "rondo up" in result.stderr


def test_a_folder_that_is_not_there_is_not_made(rondo: Run, tmp_path: Path) -> None:
    result = rondo("status", "--data", "typo")
    assert result.exit_code == 2
    assert "typo: there is no such data folder." in result.stderr
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("url", ["localhost:4000", "ftp://a.test", "http://", "http://a:b", "http://a:99999"])
def test_an_address_is_checked(url: str) -> None:
    with pytest.raises(SettingsError, match="is not an address"):
        find(url, None)


def test_url_and_data_together_are_wrong_use(rondo: Run) -> None:
    assert rondo("status", "--url", "http://a.test", "--data", ".").exit_code == 2


def test_an_address_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unauthorized, match="RONDO_API_KEY"):
        where(connect.Place(url="http://a.test"))
    monkeypatch.setenv("RONDO_API_KEY", "rondo_sk_env")
    assert where(connect.Place(url="http://a.test")) == ("http://a.test", "Bearer rondo_sk_env")


def test_a_running_server_is_found_with_the_folders_own_key(held: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONDO_API_KEY", "rondo_sk_meant_for_another_server")
    (held / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:4999", "pid": os.getpid()}))
    assert where(connect.Place(data=held)) == ("http://127.0.0.1:4999", "Bearer rondo_sk_admin")


def test_the_address_of_a_dead_server_is_not_used(held: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (held / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:4999", "pid": dead.pid}))
    monkeypatch.setattr(connect, "_WAIT_S", 0.05)
    with pytest.raises(Unavailable, match="Another process has"):
        where(connect.Place(data=held))


@pytest.mark.parametrize("said", ["", "[]", "{}", '{"url": "http://a.test", "pid": "x"}'])
def test_a_broken_address_is_as_none(held: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    (held / "server.json").write_text(said)
    monkeypatch.setattr(connect, "_WAIT_S", 0.05)
    with pytest.raises(Unavailable):
        where(connect.Place(data=held))


def test_a_refused_connection_says_how_to_start() -> None:
    async def main() -> None:
        async with reach(connect.Place(url="http://127.0.0.1:9"), "k", wants_json=False) as api:
            await api.get("/api/status")

    with pytest.raises(Unavailable, match=r"No server answers at http://127\.0\.0\.1:9.*rondo up"):
        asyncio.run(main())


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, {"error": {"message": "No.", "code": "invalid_request", "param": "k"}}, "invalid_request", 2),
        (400, {"error": {"message": "No.", "code": "invalid_settings", "param": "app"}}, "invalid_request", 2),
        (403, {"error": {"message": "No.", "code": "forbidden"}}, "forbidden", 1),
        (409, {"error": {"message": "No.", "code": "conflict"}}, "conflict", 1),
        (500, {"error": {"message": "No.", "code": "internal_error"}}, "internal_error", 1),
        (502, "<html>", "internal_error", 1),
        (302, None, "unavailable", 1),
    ],
)
def test_errors_of_the_api(ask: Run, door: Door, status: int, body: object, kind: str, code: int) -> None:
    if status == 302:
        response = httpx2.Response(200, text="<html>a login page</html>")
    else:
        response = httpx2.Response(status, json=body)
    door.answers["GET /api/keys"] = response
    result = ask("keys", "list")
    assert result.exit_code == code
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""

    async def main() -> None:
        async with httpx2.AsyncClient(base_url="http://rondo.test", transport=httpx2.MockTransport(door)) as client:
            await Api(client, where="here", wants_json=False).get("/api/keys")

    with pytest.raises(RondoError) as caught:
        asyncio.run(main())
    assert caught.value.code == kind


def test_a_slow_server_is_not_called_absent(ask: Run, door: Door) -> None:
    door.answers["GET /api/keys"] = httpx2.ReadTimeout("slow")
    result = ask("keys", "list")
    assert result.exit_code == 1
    assert "did not answer in time" in result.stderr


def test_a_key_no_header_can_carry_is_refused(rondo: Run) -> None:
    result = rondo("status", "--url", "http://127.0.0.1:9", "--key", "a\nb")
    assert result.exit_code == 2
    assert "characters" in result.stderr
