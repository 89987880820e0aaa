"""How a command reaches Rondo: over the network, or by opening the data folder itself.

With an address, commands talk to that server. With a data folder, they talk to the server that runs on it; where
none runs, they open the very same application in this process, over ASGI. A key is sent to no host but the one it
was given for: the admin key of a data folder goes only to that folder's server, and redirects are not followed.
"""

from __future__ import annotations

import asyncio
import fcntl
import functools
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import click

from rondo.allocator import hold_little
from rondo.cli.client import Api, over_asgi, over_network
from rondo.errors import Conflict, NotFound, SettingsError, Unauthorized, Unavailable
from rondo.settings.environment import DATA, environment

_WAIT_S = 5.0
_LOOK_EVERY_S = 0.05


class Place(NamedTuple):
    """Where Rondo is: an address, or a data folder."""

    url: str | None = None
    data: Path | None = None


def connected(run: Callable[..., Awaitable[None]], *, make_data: bool = False) -> Callable[..., None]:
    """Give a command the options that say where Rondo is, and an open `Api` as its first argument.

    `make_data`: where there is neither an address nor a data folder, one is made in the project folder.
    """

    @click.option("--url", metavar="URL", help="Talk to the server at this address; RONDO_URL by default.")
    @click.option("--key", metavar="KEY", help="Send this key; RONDO_API_KEY by default. It shows in process lists.")
    @click.option(
        "--data",
        metavar="DIR",
        type=click.Path(file_okay=False, path_type=Path),
        help="Use this data folder, with or without a running server; RONDO_DATA or ./.rondo by default.",
    )
    @click.option("--json", "wants_json", is_flag=True, help="Print the API's JSON.")
    @functools.wraps(run)
    def command(
        *args: Any, url: str | None, key: str | None, data: Path | None, wants_json: bool, **kwargs: Any
    ) -> None:
        if url is not None and data is not None:
            raise click.UsageError("Give --url or --data, not both.")
        place = find(url, data, project=kwargs.get("project"), make=make_data)

        async def main() -> None:
            async with reach(place, key, wants_json=wants_json) as api:
                await run(api, *args, **kwargs)

        asyncio.run(main())

    return command


connected_anywhere = functools.partial(connected, make_data=True)
"""As `connected`, also in a fresh clone: a data folder is made where there is none."""


def find(url: str | None, data: Path | None, *, project: Path | None = None, make: bool = False) -> Place:
    """Where Rondo is, from options first, then the environment, then the folder; where nothing says so and it may be
    made, a new data folder in the project folder. Raises SettingsError."""
    if url is not None:
        return Place(url=_checked(url, "--url"))
    if data is None and (address := environment("RONDO_URL")) is not None:
        return Place(url=_checked(address, "RONDO_URL"))
    folder = data or (Path(named) if (named := environment("RONDO_DATA")) else None)
    if folder is not None:
        if make or folder.is_dir():
            return Place(data=folder)
        raise SettingsError(
            "there is no such data folder.", file=str(folder), remedy=f"`rondo up --data {folder}` makes one."
        )
    for near in [project / DATA] if project is not None else [], [Path(DATA)]:
        for candidate in near:
            if candidate.is_dir():
                return Place(data=candidate)
    if make:
        return Place(data=(project or Path()) / DATA)
    raise SettingsError(
        "there is none here, and no address of a server.",
        file=DATA,
        remedy="Start a server with `rondo up`, or say where it is with --url or --data.",
    )


@asynccontextmanager
async def reach(place: Place, key: str | None, *, wants_json: bool) -> AsyncIterator[Api]:
    """An open connection to Rondo. Raises RondoError where there is none to be had."""
    if place.url is not None:
        secret = key or environment("RONDO_API_KEY")
        if secret is None:
            raise Unauthorized(
                f"There is no key for {place.url}.", remedy="Set RONDO_API_KEY, or give --data on the server's machine."
            )
        async with over_network(place.url, secret, wants_json=wants_json) as api:
            yield api
        return
    assert place.data is not None
    async with AsyncExitStack() as stack:
        found = await _server_of(place.data, stack)
        connect = over_network if isinstance(found, str) else over_asgi
        opened = connect(found, key or admin_key(place.data), wants_json=wants_json)
        yield await stack.enter_async_context(opened)


def admin_key(data: Path) -> str:
    """The key that the server left in its data folder. Raises NotFound."""
    path = data / "admin.key"
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        raise NotFound(
            f"{path} cannot be read.", remedy="Give a key with RONDO_API_KEY or --key, or run as the server's user."
        ) from None


async def _server_of(data: Path, stack: AsyncExitStack) -> Any:
    """The address of the server that holds the folder; where nobody holds it, an application of our own.

    Who holds the folder without an address is just starting, or is another command that opened it: both pass soon.
    Raises Unavailable where they do not.
    """
    # By name, because imports point down: this door is the only one that can open the house from outside.
    open_server: Callable[..., AbstractAsyncContextManager[Any]]
    for _ in range(round(_WAIT_S / _LOOK_EVERY_S)):
        if not _is_locked(data / "lock"):
            hold_little()
            open_server = import_module("rondo.server.app").open_server
            try:
                return await stack.enter_async_context(open_server(data, resumes=False))
            except Conflict:
                continue  # another was quicker
        address = _announced(data / "server.json")
        if address is not None:
            return address
        await asyncio.sleep(_LOOK_EVERY_S)
    raise Unavailable(
        f"Another process has the data folder {data} open, and does not say where it answers.",
        remedy="Wait for it to finish and try again.",
    )


def _is_locked(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Unavailable(f"{path} cannot be opened: {error.strerror}.", remedy="Run as the server's user.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _announced(path: Path) -> str | None:
    """The address in `server.json`, unless the process that wrote it is gone."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        address, process = str(said["url"]), int(said["pid"])
        os.kill(process, 0)
    except PermissionError:
        return address  # alive, and another user's
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return address


def _checked(url: str, source: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise SettingsError(f"{url!r} is not an address.", file=source, remedy="Write it like http://127.0.0.1:4000.")
    return url.rstrip("/")
