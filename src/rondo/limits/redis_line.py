"""The line to Redis or Valkey: scripts go out in batches, as many at a time as have come together.

While one batch is under way the next one gathers, so a busy process pays for a round trip once in many calls. An answer
that does not come in time counts as no answer. A line can be held to one start of the server: another server, or the
same one after a restart, does not have the memory that we know, and is asked nothing.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha1
from typing import TYPE_CHECKING, Any, NamedTuple

from rondo import clock
from rondo.errors import SettingsError

if TYPE_CHECKING:
    from redis.asyncio import Redis

VARIABLE = "RONDO_REDIS_URL"
_BATCH = 128  # calls: a full batch is answered well within the time, also by a busy server
_LOOKS = 20
_RUN = re.compile(rb"run_id:(\w+)")

Value = str | int

_log = logging.getLogger("rondo.limits")


class _Call(NamedTuple):
    answer: asyncio.Future[Any]
    script: str
    words: list[Value]
    timed: bool


class Away(Exception):
    """There was no good answer; what was asked may have been done all the same."""


class Line:
    """`run` identifies the server's own start, as far as it tells; `only`, where set, is the one to ask."""

    def __init__(self, url: str, scripts: Sequence[str], *, timeout_s: float) -> None:
        """Raises SettingsError for an address that is none, or where the client library is not installed."""
        self.run = ""
        self.only: str | None = None
        self.offset_us = 0
        """The server's clock, less our own that does not jump."""
        self.timeout_s = timeout_s
        self._shas = {script: sha1(script.encode(), usedforsecurity=False).hexdigest() for script in scripts}
        self._client = _client(url, timeout_s, self._connected)
        self._waiting: list[_Call] = []
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def call(
        self, script: str, keys: Sequence[str], arguments: Sequence[Value], *, timed: bool = False
    ) -> asyncio.Future[Any]:
        """Run a script with the next batch; in the order of the calls. The future raises Away.

        `timed`: its last argument is to be the time, by the server's clock, from which we no longer wait for it.
        """
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(answer, script, [len(keys), *keys, *arguments], timed))
        self._news.set()
        return answer

    async def command(self, *words: Value) -> Any:
        """Any other command. Raises Away."""
        return await self._safe(self._client.execute_command(*words))  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        """Give up what is still waiting."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for waiting in self._waiting:
            waiting.answer.cancel()
        self._waiting.clear()
        await self._client.aclose()

    async def _work(self) -> None:
        while True:
            await self._news.wait()
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            if not self._waiting:
                self._news.clear()
            try:
                replies = await self._safe(self._send(batch))
            except Away as error:
                replies = [error] * len(batch)
            except asyncio.CancelledError:
                for call in batch:
                    call.answer.cancel()
                raise
            except Exception as error:  # whatever it is, the line must outlive it
                _log.exception("unexpected error on the line to Redis")
                replies = [error] * len(batch)
            for call, reply in zip(batch, replies, strict=True):
                if call.answer.done():
                    continue
                if isinstance(reply, Exception):
                    call.answer.set_exception(Away(str(reply)))
                    call.answer.exception()  # whoever has stopped waiting need not be told
                else:
                    call.answer.set_result(reply)

    async def _send(self, batch: Sequence[_Call]) -> list[Any]:
        from redis.exceptions import NoScriptError

        replies = await self._pipe(batch)
        unknown = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:  # a server that is new, or has been told to forget them
            for script in self._shas:
                await self._client.script_load(script)
            for place, reply in zip(unknown, await self._pipe([batch[place] for place in unknown]), strict=True):
                replies[place] = reply
        return replies

    async def _pipe(self, batch: Sequence[_Call]) -> list[Any]:
        pipe = self._client.pipeline(transaction=False)
        deadline = round((clock.monotonic() + self.timeout_s) * 1e6) + self.offset_us
        for call in batch:
            words = [*call.words, deadline] if call.timed else call.words
            pipe.execute_command("EVALSHA", self._shas[call.script], *words)
        replies: list[Any] = await pipe.execute(raise_on_error=False)
        return replies

    async def _safe(self, work: Any) -> Any:
        from redis.exceptions import RedisError

        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, though we may have left
        try:
            await asyncio.wait({task}, timeout=self.timeout_s)
            for _ in range(_LOOKS):
                if task.done():
                    return task.result()
                await asyncio.sleep(0)  # it may be we who are late: take what has come meanwhile
            raise Away("it does not answer in time")
        except (RedisError, OSError) as error:
            raise Away(str(error) or type(error).__name__) from None
        finally:
            task.cancel()

    async def _connected(self, connection: Any) -> None:
        """A new connection: where does it lead? Raises ConnectionError where that is not where the last one led."""
        from redis.exceptions import ConnectionError as Broken
        from redis.exceptions import ResponseError

        await connection.on_connect()
        try:
            await connection.send_command("INFO", "server")
            told = await connection.read_response()
        except ResponseError:  # not allowed, or a proxy that knows no such thing
            return
        found = _RUN.search(told if isinstance(told, bytes) else str(told).encode())
        self.run = found[1].decode() if found else ""
        if self.only is not None and self.run != self.only:
            raise Broken("it has been restarted")


def _client(url: str, timeout_s: float, connected: Any) -> Redis:
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError:
        raise SettingsError(
            "the client of Redis is not installed.", file=VARIABLE, remedy="pip install 'rondo[redis]'"
        ) from None
    try:
        return Redis.from_url(
            url,
            socket_timeout=10 * timeout_s,  # the line has its own, which knows when we are the ones who are late
            socket_connect_timeout=10 * timeout_s,
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=connected,
        )
    except ValueError:  # the address may hold a password: it is not repeated
        raise SettingsError(
            "this is not the address of a Redis or Valkey server.", file=VARIABLE, remedy="Use redis://HOST:6379/0."
        ) from None
