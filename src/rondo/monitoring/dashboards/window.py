"""Which calls a dashboard looks at: a stretch of time in even buckets, and a choice of app, release, model and arm."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from rondo import clock
from rondo.errors import InvalidRequest
from rondo.traces.filter import parse_time, parse_whole

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
_LONGEST_DAYS = 400
_ARMS = ("live", "traced", "shadow", "eval", "all")
_LONGEST = 200


class Window(Struct, frozen=True, kw_only=True):
    """[since, until), microseconds; charts have a bucket every `bucket_us`, from a multiple of it on."""

    name: str
    words: str
    since: int
    until: int
    bucket_us: int

    @property
    def buckets(self) -> list[int]:
        """Where each begins, also those without calls."""
        return list(range(self.since // self.bucket_us * self.bucket_us, self.until, self.bucket_us))


class Chosen(Struct, frozen=True, kw_only=True):
    """`arm` None means all of them together. Where an app is asked for, a release of it may be."""

    app: str | None = None
    release: int | None = None
    model: str | None = None
    arm: str | None = "live"

    def filters(self) -> dict[str, object]:
        """For queries over what is counted by app, release, model and arm."""
        given = {"app": self.app, "release": self.release, "model": self.model, "arm": self.arm}
        return {name: value for name, value in given.items() if value is not None}

    def narrow_filters(self) -> dict[str, object]:
        """For users and tags, which are counted by app and arm alone."""
        return {name: value for name, value in self.filters().items() if name in ("app", "arm")}


_NAMED = {
    "1h": ("the last hour", HOUR_US, 2 * MINUTE_US),
    "24h": ("the last 24 hours", DAY_US, HOUR_US),
    "7d": ("the last 7 days", 7 * DAY_US, 4 * HOUR_US),
    "30d": ("the last 30 days", 30 * DAY_US, DAY_US),
}
NAMES = tuple(_NAMED)


def parse_window(words: Mapping[str, str]) -> Window:
    """`window` (1h, 24h, 7d, 30d), or `since` and `until` as the filters of calls have them. With `until` alone, the
    window ends there. Raises InvalidRequest."""
    now = clock.now_us()
    name = words.get("window") or "24h"
    if name not in _NAMED:
        raise InvalidRequest(
            f"There is no window {name!r:.40}.", remedy=f"Windows: {', '.join(NAMES)}.", param="window"
        )
    said, length, bucket = _NAMED[name]
    if words.get("since") or words.get("until"):
        until = parse_time("until", words["until"]) if words.get("until") else now
        since = parse_time("since", words["since"]) if words.get("since") else max(0, until - length)
        return _between(since, until)
    return Window(name=name, words=said, since=(now - length) // bucket * bucket + bucket, until=now, bucket_us=bucket)


def parse_chosen(words: Mapping[str, str], *, arm: str = "live") -> Chosen:
    """`arm` is for where none is named. Raises InvalidRequest, which names the field."""
    given: dict[str, object] = {"arm": arm}
    for name in ("app", "model", "arm"):
        if word := words.get(name):
            if len(word) > _LONGEST:
                raise InvalidRequest(f"{name!r} is too long (at most {_LONGEST} characters).", param=name)
            given[name] = word
    if given["arm"] not in _ARMS:
        raise InvalidRequest(f"There is no arm {given['arm']!r}.", remedy=f"Arms: {', '.join(_ARMS)}.", param="arm")
    if word := words.get("release"):
        number = word.rpartition("#")[2]
        given["release"] = parse_whole("release", number)
        if "app" not in given:
            raise InvalidRequest("'release' needs 'app' beside it.", remedy="Releases count per app.", param="release")
    if given["arm"] == "all":
        given["arm"] = None
    return Chosen(**given)  # type: ignore[arg-type]


def _between(since: int, until: int) -> Window:
    if not 0 <= since < until:
        raise InvalidRequest("'until' must be after 'since'.", param="until")
    length = until - since
    if length > _LONGEST_DAYS * DAY_US:
        raise InvalidRequest(f"A dashboard looks at most at {_LONGEST_DAYS} days at once.", param="since")
    steps = ((2 * HOUR_US, 2 * MINUTE_US), (2 * DAY_US, HOUR_US), (14 * DAY_US, 4 * HOUR_US))
    bucket = next((width for limit, width in steps if length <= limit), DAY_US)
    words = f"{clock.iso(since)[:16].replace('T', ' ')} to {clock.iso(until)[:16].replace('T', ' ')}"
    return Window(name="custom", words=words, since=since, until=until, bucket_us=bucket)
