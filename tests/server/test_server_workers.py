"""The local socket between the workers and the control plane: how many it carries, and where it cannot be."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rondo.errors import Unavailable
from rondo.server.data_folder import DataFolder
from rondo.server.passing import ControlSocket
from rondo.server.workers import Workers


async def test_waiting_pages_do_not_hold_up_the_next(tmp_path: Path) -> None:
    many, arrived, enough = 110, 0, asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        arrived += 1
        if arrived == many:
            enough.set()
        await reader.read()
        writer.close()

    path = tmp_path / "s"
    server = await asyncio.start_unix_server(silent, str(path), backlog=256)
    control = ControlSocket(path)
    scope = {"type": "http", "method": "GET", "raw_path": b"/api/calls/tail", "query_string": b"", "headers": []}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None: ...

    asked = [asyncio.create_task(control(scope, receive, send)) for _ in range(many)]
    try:
        await asyncio.wait_for(enough.wait(), 5)
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await control.close()
        server.close()


@pytest.mark.parametrize(("status", "found"), [(404, True), (500, False)])
async def test_records_that_cannot_be_read_are_not_taken_for_missing_ones(
    tmp_path: Path, status: int, found: bool
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d No\r\ncontent-length: 0\r\n\r\n" % status)
        writer.close()
        await writer.wait_closed()

    path = tmp_path / "s"
    server = await asyncio.start_unix_server(answer, str(path))
    control = ControlSocket(path)
    try:
        if found:
            assert await control.call("p", "0" * 32) is None
        else:
            with pytest.raises(Unavailable):
                await control.call("p", "0" * 32)
    finally:
        await control.close()
        server.close()


async def test_a_control_plane_that_never_answers_is_not_waited_for(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    path = tmp_path / "s"
    server = await asyncio.start_unix_server(silent, str(path))
    control = ControlSocket(path, patience_s=0.05)
    try:
        with pytest.raises(Unavailable):
            await control.call("p", "0" * 32)
        await asyncio.wait_for(left.wait(), 5)
    finally:
        await control.close()
        server.close()


async def test_a_path_too_long_for_a_socket_is_named(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / ("d" * 120))
    data.path.mkdir()
    crew = Workers(data, None, host="127.0.0.1", port=0, count=1)

    async def control(scope: Any, receive: Any, send: Any) -> None: ...

    with pytest.raises(Unavailable, match="shorter path"):
        await crew.serve(control, on_ready=lambda: None, on_stop=lambda: None)
