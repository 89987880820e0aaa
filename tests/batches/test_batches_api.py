"""Files and batches over the API: who sees what, what is refused, and that nothing is half-kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from journeys.running import make_project
from live_server import Live, live_on
from rondo.errors import Unavailable


def line(number: int, model: str = "bot", **body: Any) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": f"q{number}"}], **body}
    request = {"custom_id": f"r{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(request).encode() + b"\n"


async def send(live: Live, content: bytes, *, key: str | None = "admin", name: str = "in.jsonl") -> httpx2.Response:
    return await live.ask("POST", "/v1/files", key=key, files={"file": (name, content)}, data={"purpose": "batch"})


async def begin(live: Live, content: bytes, *, key: str | None = "admin") -> str:
    sent = await send(live, content, key=key)
    assert sent.status_code == 200, sent.text
    body = {
        "input_file_id": sent.json()["id"],
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }
    batch: str = (await live.post("/v1/batches", body, key=key))["id"]
    return batch


async def ended(live: Live, batch: str) -> Any:
    async with asyncio.timeout(15):
        while True:
            found = await live.get(f"/v1/batches/{batch}")
            if found["status"] in ("completed", "failed", "expired", "cancelled"):
                return found
            await asyncio.sleep(0.02)


async def tags(live: Live) -> list[dict[str, str]]:
    """Of every recorded call."""
    await live.drained()
    items = (await live.get("/api/calls"))["items"]
    return [(await live.get(f"/api/calls/{each['trace_id']}"))["calls"][0]["tags"] for each in items]


def kept(live: Live) -> list[Path]:
    return [path for path in (live.data / "files").rglob("*") if path.is_file() and path.name != "folder.id"]


async def test_a_key_sees_its_own_and_a_role_sees_all(live: Live) -> None:
    _, mine = await live.key("mine")
    _, other = await live.key("other")
    _, viewer = await live.key("viewer", role="viewer")
    file = (await send(live, line(1), key=mine)).json()["id"]
    batch = await begin(live, line(1), key=mine)
    await ended(live, batch)
    for path in (f"/v1/files/{file}", f"/v1/files/{file}/content", f"/v1/batches/{batch}"):
        assert (await live.ask("GET", path, key=mine)).status_code == 200
        assert (await live.ask("GET", path, key=viewer)).status_code == 200
        assert (await live.ask("GET", path, key=other)).status_code == 404
    for path in ("/v1/files", "/v1/batches"):
        assert (await live.ask("GET", path, key=other)).json()["data"] == []
        assert (await live.ask("GET", path, key=viewer)).json()["data"] != []
    assert (await live.ask("DELETE", f"/v1/files/{file}", key=other)).status_code == 404
    assert (await live.ask("DELETE", f"/v1/files/{file}", key=viewer)).status_code == 403
    assert (await live.ask("POST", f"/v1/batches/{batch}/cancel", key=viewer)).status_code == 403
    body = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    assert (await live.ask("POST", "/v1/batches", key=other, json=body)).status_code == 400
    assert (await live.ask("DELETE", f"/v1/files/{file}", key=mine)).json()["deleted"]
    actions = [entry["action"] for entry in (await live.get("/api/audit"))["entries"]]
    assert {"file.create", "file.delete", "batch.create"} <= set(actions)


async def test_other_headers_and_other_keys(live: Live) -> None:
    _, feedback = await live.key("web", kind="feedback")
    for method, path in (("GET", "/v1/files"), ("GET", "/v1/batches"), ("GET", "/v1/files/file-x")):
        assert (await live.ask(method, path, key=None)).status_code == 401
        assert (await live.ask(method, path, key=feedback)).status_code == 403
        assert (await live.ask(method, path, key=None, headers={"x-api-key": live.admin})).status_code in (200, 404)
    assert (await send(live, line(1), key=feedback)).status_code == 403
    assert not (live.data / "files").exists()


async def test_a_key_for_one_app_stays_so(live: Live) -> None:
    _, narrow = await live.key("narrow", apps=["bot"])
    done = await ended(live, await begin(live, line(1) + line(2, "parrot"), key=narrow))
    assert done["request_counts"] == {"total": 2, "completed": 1, "failed": 1}
    errors = await live.ask("GET", f"/v1/files/{done['error_file_id']}/content", key=narrow)
    assert json.loads(errors.content)["response"]["status_code"] == 403


async def test_records_tell_of_the_batch(live: Live) -> None:
    done = await ended(live, await begin(live, line(1, metadata={"batch": "my own"}) + line(2)))
    found = {each["custom_id"]: each["batch"] for each in await tags(live)}
    assert found == {"r1": "my own", "r2": done["id"]}


@pytest.mark.parametrize("endpoint", ["/v1/responses", "/v1/embeddings", "/v1/completions", "/v1/messages"])
async def test_every_endpoint(live: Live, endpoint: str) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "/v1/responses": {"model": "bot", "input": "hello"},
        "/v1/embeddings": {"model": "parrot", "input": "hello"},
        "/v1/completions": {"model": "parrot", "prompt": "hello"},
        "/v1/messages": {
            "model": "bot",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "hello"}],
        },
    }
    request = {"custom_id": "a", "method": "POST", "url": endpoint, "body": bodies[endpoint]}
    sent = (await send(live, json.dumps(request).encode())).json()
    body = {"input_file_id": sent["id"], "endpoint": endpoint, "completion_window": "24h"}
    done = await ended(live, (await live.post("/v1/batches", body))["id"])
    assert done["request_counts"] == {"total": 1, "completed": 1, "failed": 0}
    assert await tags(live) == [{"batch": done["id"], "custom_id": "a"}]


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"endpoint": "/v1/feedback"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"input_file_id": "file-none"}, "input_file_id"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
        ({"metadata": {"a": "x" * 513}}, "metadata.a"),
        ({"metadata": {"a": "\0"}}, "metadata.a"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 3600}}, None),
    ],
    ids=lambda each: str(each)[:30],
)
async def test_a_wrong_batch_is_refused(live: Live, changed: dict[str, Any], param: str | None) -> None:
    sent = (await send(live, line(1))).json()
    body = {"input_file_id": sent["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h", **changed}
    refused = await live.ask("POST", "/v1/batches", json=body)
    assert refused.status_code == 400, refused.text
    assert refused.json()["error"]["param"] == param
    assert (await live.get("/v1/batches"))["data"] == []


async def test_results_are_no_input(live: Live) -> None:
    done = await ended(live, await begin(live, line(1)))
    body = {
        "input_file_id": done["output_file_id"],
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }
    refused = await live.ask("POST", "/v1/batches", json=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input_file_id")


async def test_a_file_in_use_stays(live: Live) -> None:
    batch = await begin(live, b"".join(line(number, "slow") for number in range(500)))
    file = (await live.get(f"/v1/batches/{batch}"))["input_file_id"]
    assert (await live.ask("DELETE", f"/v1/files/{file}")).status_code == 409
    assert (await live.ask("POST", f"/v1/batches/{batch}/cancel")).status_code == 200
    assert (await live.ask("POST", f"/v1/batches/{batch}/cancel")).status_code == 200  # again changes nothing
    assert (await ended(live, batch))["status"] == "cancelled"
    assert (await live.ask("DELETE", f"/v1/files/{file}")).status_code == 200


async def test_pages(live: Live) -> None:
    ids = [(await send(live, line(number))).json()["id"] for number in range(5)]
    first = await live.get("/v1/files", limit=2)
    assert ([each["id"] for each in first["data"]], first["has_more"]) == (ids[:2:-1], True)
    rest = await live.get("/v1/files", limit=3, after=first["last_id"])
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (ids[2::-1], False)
    upwards = await live.get("/v1/files", order="asc", after=ids[2])
    assert [each["id"] for each in upwards["data"]] == ids[3:]
    assert (await live.get("/v1/files", purpose="batch_output"))["data"] == []
    for wrong in ({"limit": 0}, {"limit": "x"}, {"order": "up"}):
        assert (await live.ask("GET", "/v1/files", params=wrong)).status_code == 400
    assert (await live.ask("GET", "/v1/files", params={"after": "file-x"})).status_code == 404
    assert (await live.ask("GET", "/v1/batches", params={"after": "batch_x"})).status_code == 404


async def test_a_file_is_kept_as_it_came_and_privately(live: Live) -> None:
    content = bytes(range(256)) * 10_000
    made = (await send(live, content, name="../../etc/passwd")).json()
    assert (made["bytes"], made["filename"], made["object"]) == (len(content), "../../etc/passwd", "file")
    (path,) = kept(live)
    assert path.name == made["id"]
    assert path.stat().st_mode & 0o777 == 0o600
    answer = await live.ask("GET", f"/v1/files/{made['id']}/content")
    assert answer.content == content
    assert (await live.ask("GET", "/v1/files/..%2f..%2fadmin.key/content")).status_code == 404


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"files": {"file": ("a", b"x")}}, "purpose"),
        ({"files": {"file": ("a", b"x")}, "data": {"purpose": "vision"}}, "purpose"),
        ({"files": {"other": ("a", b"x")}, "data": {"purpose": "batch"}}, "file"),
        ({"files": [("file", ("a", b"x")), ("file", ("b", b"y"))], "data": {"purpose": "batch"}}, "file"),
        ({"files": {"file": ("a", b"x")}, "data": {"purpose": "batch", "expires_after": "9"}}, "expires_after"),
        ({"files": {"file": ("n" * 256, b"x")}, "data": {"purpose": "batch"}}, "filename"),
        ({"json": {"file": "x", "purpose": "batch"}}, "file"),
        ({"content": b"--b\r\n", "headers": {"content-type": "multipart/form-data; boundary=b"}}, "file"),
        ({"content": b"garbage", "headers": {"content-type": "multipart/form-data; boundary=b"}}, "file"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, "file"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=" + "b" * 500}}, "file"),
    ],
    ids=lambda each: str(each)[:50],
)
async def test_a_wrong_form_is_refused_and_leaves_nothing(live: Live, form: dict[str, Any], param: str) -> None:
    refused = await live.ask("POST", "/v1/files", **form)
    assert refused.status_code == 400, refused.text
    assert refused.json()["error"]["param"] == param
    assert kept(live) == []


async def test_a_file_that_is_too_large_is_refused_while_it_comes(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live.server.control.batches.files, "max_bytes", 3 << 20)
    assert (await send(live, b"x" * (3 << 20))).status_code == 200
    (first,) = kept(live)
    told = await send(live, b"x" * (5 << 20))
    assert (told.status_code, told.json()["error"]["code"]) == (413, "too_large")

    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n'
        while sent < 1 << 30:
            sent += 1 << 16
            yield b"x" * (1 << 16)

    headers = {"content-type": "multipart/form-data; boundary=b"}
    untold = await live.ask("POST", "/v1/files", headers=headers, content=endless())
    assert untold.status_code == 413
    assert kept(live) == [first]


async def test_a_full_disk_keeps_nothing(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rondo.batches.folder.os.fsync", full)
    refused = await send(live, line(1))
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
    monkeypatch.undo()
    assert (await live.get("/v1/files"))["data"] == []
    assert kept(live) == []


async def test_bytes_in_another_data_folder(live: Live) -> None:
    made = (await send(live, line(1))).json()
    (path,) = kept(live)
    path.unlink()
    assert (await live.ask("GET", f"/v1/files/{made['id']}")).status_code == 200
    missing = await live.ask("GET", f"/v1/files/{made['id']}/content")
    assert missing.status_code == 404
    assert "data folder" in missing.json()["error"]["message"]


async def test_a_limit_slows_a_batch_and_fails_nothing(live: Live) -> None:
    await live.post("/api/limits", {"scope": "project", "concurrent": 3})
    done = await ended(live, await begin(live, b"".join(line(number, "slow") for number in range(9))))
    assert done["request_counts"] == {"total": 9, "completed": 9, "failed": 0}
    await live.drained()
    refused = (await live.get("/api/calls", status="429"))["items"]
    assert refused  # the limit was met, and waited out


async def test_a_batch_goes_on_after_a_stop(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    async with live_on(project) as live:
        batch = await begin(live, b"".join(line(number, "slow") for number in range(60)))
        async with asyncio.timeout(10):
            while not any(path.suffix == ".partial" and path.stat().st_size for path in kept(live)):
                await asyncio.sleep(0.02)
    async with live_on(project) as live:
        done = await ended(live, batch)
        assert (done["status"], done["request_counts"]["completed"]) == ("completed", 60)
        results = (await live.ask("GET", f"/v1/files/{done['output_file_id']}/content")).content.splitlines()
        assert len({json.loads(each)["custom_id"] for each in results}) == len(results) == 60
        await live.drained()
        assert (
            len((await live.get("/api/calls", limit=200))["items"]) == 60
        )  # those under way could end: none was doubled


async def test_a_batch_that_cannot_begin_has_failed(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(kind: str, subject: str) -> None:
        raise Unavailable("The database of the jobs cannot be opened.")

    monkeypatch.setattr(live.server.jobs, "submit", away)
    sent = (await send(live, line(1))).json()
    body = {"input_file_id": sent["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    assert (await live.ask("POST", "/v1/batches", json=body)).status_code == 503
    (batch,) = (await live.get("/v1/batches"))["data"]
    assert (batch["status"], batch["errors"]["data"][0]["code"]) == ("failed", "not_started")


async def test_a_client_that_leaves_in_the_midst_leaves_nothing(live: Live) -> None:
    part = b'--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n' + b"x" * (3 << 20)
    incoming = [
        {"type": "http.request", "body": part, "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return incoming.pop(0)

    async def tell(message: Any) -> None:
        sent.append(message)

    headers = [
        (b"authorization", f"Bearer {live.admin}".encode()),
        (b"content-type", b"multipart/form-data; boundary=b"),
    ]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/files",
        "raw_path": b"/v1/files",
        "query_string": b"",
        "headers": headers,
    }
    await live.server(scope, receive, tell)
    assert sent[0]["status"] == 400
    assert kept(live) == []
