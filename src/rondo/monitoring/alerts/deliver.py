"""Delivery: what the outbox holds reaches its channels, in order within each, and no channel waits for another.

A notice is taken before it is sent and noted after, so it is sent at least once, and by one server at a time. One that
fails is tried again for a day, each time after about twice as long; then it is given up, and health says so. Tries are
counted, not hours, so no jump of the clock gives one up. What a receiver refuses for its content is given up sooner:
the next notice waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct, structs

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import InvalidRequest, NotFound, RondoError
from rondo.governance import projects
from rondo.monitoring.alerts import mail, notice, slack, store, webhook
from rondo.monitoring.alerts.changes import new_notice
from rondo.monitoring.alerts.declared import settings_of
from rondo.monitoring.alerts.mail import Mailer
from rondo.monitoring.alerts.model import Notice
from rondo.monitoring.alerts.post import Poster
from rondo.releases import store as releases
from rondo.settings.alerting import ChannelSettings

_POLL_S = 2.0
_LEASE_US = 60_000_000
_FIRST_S = 5.0
_LONGEST_S = 3_600.0
_MOST_TRIES = 32  # what a day holds, at these intervals
_MOST_REFUSED = 8  # ten minutes
_REFUSED = (400, 413, 422)
_AT_ONCE = 32
_log = logging.getLogger("rondo.alerts")

Channel = tuple[str, str, str]


class Tried(Struct, frozen=True, kw_only=True):
    """How it went. `but` is what is missing where it arrived, `wait_s` how long the receiver asks to be left alone;
    after `most` tries it is given up."""

    error: str | None = None
    but: str | None = None
    wait_s: int | None = None
    most: int = _MOST_TRIES


class Courier:
    """Sends what waits. `secret` reads a variable of the environment, `console` is the address that people reach."""

    def __init__(
        self,
        catalog: Catalog,
        poster: Poster,
        mailer: Mailer,
        *,
        secret: Callable[[str], str | None],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._catalog = catalog
        self._poster = poster
        self._mailer = mailer
        self._secret = secret
        self._chance = chance
        self._busy: dict[Channel, asyncio.Task[None]] = {}
        self._woken: asyncio.Event | None = None

    async def run(self, ended: asyncio.Event) -> None:
        """Until `ended` is set; what is under way then is sent again by whoever comes next."""
        self._woken = asyncio.Event()
        stop = asyncio.create_task(ended.wait())
        failing = False
        try:
            while not ended.is_set():
                self._woken.clear()
                try:
                    await self.send_due()
                    failing = False
                except Exception as error:
                    if not failing:
                        _log.warning("notices wait: %s", error, exc_info=not isinstance(error, RondoError))
                    failing = True
                woken = asyncio.create_task(self._woken.wait())
                await asyncio.wait({stop, woken}, timeout=_POLL_S, return_when=asyncio.FIRST_COMPLETED)
                woken.cancel()
        finally:
            stop.cancel()
            await self._stop()

    def wake(self) -> None:
        """There may be something to send."""
        if self._woken is not None:
            self._woken.set()

    async def send_due(self) -> None:
        """Begin to send the first notice of every channel that has one due and is not busy."""
        now = clock.now_us()
        for each in await asyncio.to_thread(self._heads):
            channel = (each.project, each.app, each.channel)
            # One that is due in a far future was put there by a clock that was wrong.
            is_due = each.due_at <= now or each.due_at > now + int(2 * _LONGEST_S * 1_000_000)
            if is_due and channel not in self._busy and len(self._busy) < _AT_ONCE:
                task = asyncio.create_task(self._deliver(each))
                self._busy[channel] = task
                task.add_done_callback(lambda _, channel=channel: self._done(channel))  # type: ignore[misc]

    async def settled(self) -> None:
        """Wait for what is under way."""
        while self._busy:
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def trial(self, project: str, app: str, channel: str) -> Tried:
        """Send a test to a channel now. Raises NotFound for an app or a channel that there is not."""
        settings = await asyncio.to_thread(self._channel, project, app, channel)
        if settings is None:
            raise NotFound(
                f"{app!r:.80} has no channel {channel!r:.80}.",
                remedy="Declare it as [alerts.channels.NAME] and release.",
            )
        now = clock.now_us()
        content = notice.trial(project, app, channel, now)
        return await self._send(new_notice(project, app, channel, "test", content, now, alert=None), settings)

    def _heads(self) -> list[Notice]:
        with self._catalog.read() as connection:
            return store.heads(connection, projects.names(connection))

    def _done(self, channel: Channel) -> None:
        self._busy.pop(channel, None)
        self.wake()

    async def _deliver(self, waiting: Notice) -> None:
        try:
            if not await asyncio.to_thread(self._take, waiting):
                return
            taken = structs.replace(waiting, attempts=waiting.attempts + 1)
            settings = await asyncio.to_thread(self._channel, taken.project, taken.app, taken.channel)
            if settings is None:
                tried = Tried(error="The app has no such channel any more.", most=1)
            else:
                tried = await self._send(taken, settings)
            await asyncio.to_thread(self._note, self._after(taken, tried))
        except RondoError as error:  # the catalog is away: the lease ends, and it is tried again
            _log.warning("a notice to %s of %s waits: %s", waiting.channel, waiting.app, error)
        except Exception:
            _log.exception("a notice to %s of %s cannot be sent", waiting.channel, waiting.app)

    async def _send(self, each: Notice, settings: ChannelSettings) -> Tried:
        """Never raises."""
        try:
            content = notice.with_address(each.payload, (self._secret("RONDO_PUBLIC_URL") or "").rstrip("/") or None)
            if settings.kind == "email":
                server = mail.mail_server(self._secret("RONDO_SMTP_URL"), self._secret("RONDO_SMTP_FROM"))
                letter = mail.message(each.id, content, server.sender, settings.to)
                return Tried(but=await self._mailer.send(server, letter))
            return await self._post(each, content, settings)
        except RondoError as error:
            return Tried(error=str(error))
        except Exception as error:
            _log.exception("a notice to %s of %s cannot be sent", each.channel, each.app)
            return Tried(error=f"It could not be written ({type(error).__name__}).")

    async def _post(self, each: Notice, content: dict[str, object], settings: ChannelSettings) -> Tried:
        url = settings.url or self._variable(settings.url_env)
        if settings.kind == "slack":
            answered = await self._poster.post(url, webhook.body(slack.message(content)), {})
        else:
            body = webhook.body(content)
            key = None if settings.secret_env is None else self._variable(settings.secret_env)
            try:
                headers = webhook.headers(each.id, clock.now_us(), body, key)
            except ValueError as error:
                return Tried(error=f"{settings.secret_env}: {error}.")
            answered = await self._poster.post(url, body, headers)
        if 200 <= answered.status < 300:
            return Tried()
        if 300 <= answered.status < 400:
            return Tried(error=f"It answered {answered.status}, a redirect; those are not followed.")
        said = f": {answered.words}" if answered.words else ""
        most = 1 if answered.status == 410 else _MOST_REFUSED if answered.status in _REFUSED else _MOST_TRIES
        return Tried(error=f"It answered {answered.status}{said}", wait_s=answered.wait_s, most=most)

    def _variable(self, name: str | None) -> str:
        """Raises InvalidRequest where it is not set."""
        value = self._secret(name or "")
        if not value:
            raise InvalidRequest(
                f"{name} is not set.", remedy="Set it in the server's environment and restart the server."
            )
        return value.strip()

    def _after(self, taken: Notice, tried: Tried) -> Notice:
        """Sent, given up, or due again."""
        now = clock.now_us()
        if tried.error is None:
            return structs.replace(taken, status="sent", error=tried.but, ended_at=now)
        if taken.attempts >= tried.most:
            _log.warning("a notice to %s of %s is given up: %s", taken.channel, taken.app, tried.error)
            return structs.replace(taken, status="dead", error=tried.error[:500], ended_at=now)
        wait_s = max(backoff_s(taken.attempts) * (0.5 + self._chance()), float(tried.wait_s or 0))
        return structs.replace(taken, error=tried.error[:500], due_at=now + int(wait_s * 1_000_000))

    def _take(self, waiting: Notice) -> bool:
        with self._catalog.begin() as connection:
            return store.take_notice(connection, waiting, clock.now_us() + _LEASE_US)

    def _note(self, after: Notice) -> None:
        with self._catalog.begin() as connection:
            store.save_notice(connection, after)

    def _channel(self, project: str, app: str, channel: str) -> ChannelSettings | None:
        """As the app's latest release has it. Raises NotFound for an app that there is not."""
        with self._catalog.read() as connection:
            return settings_of(releases.get_app(connection, project, app).settings).channels.get(channel)

    async def _stop(self) -> None:
        under_way = list(self._busy.values())
        for task in under_way:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*under_way, return_exceptions=True)
        self._mailer.close()


def backoff_s(attempts: int) -> float:
    """How long to wait after so many tries, on average."""
    return float(min(_FIRST_S * 2 ** min(attempts - 1, 20), _LONGEST_S))
