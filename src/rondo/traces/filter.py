"""What calls, and what traces, to look at: a filter, and its reading from the words of a query string. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from rondo import clock, ids
from rondo.errors import InvalidRequest

MAX_TEXT = 1000
_LARGEST = 1 << 62  # of a whole number that the store can compare


class CallFilter(Struct, frozen=True, kw_only=True):
    """All that is set must hold. Times are microseconds, durations milliseconds, costs US dollars.

    `model` is any name of it: asked for, configured, or served. `key` is a key's id, `arm` is `live`, `shadow`,
    `traced` or `eval`; evaluations' calls are left out unless an arm, a tag or a trace is asked for. `cache` is `exact`
    or `semantic`. `tag` is (key, value), or (key, None) for any value. `feedback` is the name of a score; `negative`
    asks for calls with a score against them (True) or for them (False), of that name where one is given, else from
    users.
    """

    app: str | None = None
    release: int | None = None
    model: str | None = None
    provider: str | None = None
    user: str | None = None
    session: str | None = None
    trace_id: str | None = None
    tag: tuple[str, str | None] | None = None
    status: int | None = None
    failed: bool | None = None
    error_code: str | None = None
    arm: str | None = None
    key: str | None = None
    cache: str | None = None
    min_cost: float | None = None
    max_cost: float | None = None
    min_ms: float | None = None
    max_ms: float | None = None
    since: int | None = None
    until: int | None = None
    text: str | None = None
    handed_over: bool | None = None
    feedback: str | None = None
    negative: bool | None = None

    def conditions(self) -> dict[str, object]:
        """The filters of the store that this asks for."""
        given = _given(self)
        given.pop("negative", None)
        if self.arm is None and self.tag is None and self.trace_id is None:
            given["other_than"] = "eval"
        if self.negative is not None:
            verdict = -1 if self.negative else 1
            name = given.pop("feedback", None)
            given.update({"verdict": verdict} if name is None else {"feedback_verdict": (name, verdict)})
        return given


class TraceFilter(Struct, frozen=True, kw_only=True):
    """All that is set must hold of a trace.

    `user`, `session` and `tag` are known from any call or span of it. `app`, `text` (a part of its name), `failed` and
    `from_outside` are of one of them, all of the same: what failed in that app. False for these two asks for traces in
    which nothing failed, or of which no other program told. Times are microseconds, of when the first that fits began.
    """

    app: str | None = None
    user: str | None = None
    session: str | None = None
    tag: tuple[str, str | None] | None = None
    failed: bool | None = None
    from_outside: bool | None = None
    text: str | None = None
    since: int | None = None
    until: int | None = None

    def leading(self) -> dict[str, object]:
        """The filters of the store by which traces are found: what a single call or span of them fits."""
        given = _given(self)
        of_the_trace = next(({name: given[name]} for name in _OF_THE_TRACE if name in given), None)
        return of_the_trace or {name: given[name] for name in _OF_ITSELF if given.get(name) not in (None, False)}

    def further(self) -> dict[str, object]:
        """The filters of the store that traces which were found must fit besides."""
        given, leading = _given(self), self.leading()
        found: dict[str, object] = {}
        for name in (*_OF_THE_TRACE, *_OF_ITSELF):
            if given.get(name) is False:
                found[f"no_{name}"] = True
            elif name in given and name not in leading:
                found[f"{'also' if name in _OF_THE_TRACE else 'same'}_{name}"] = given[name]
        return found

    def times(self) -> dict[str, object]:
        """The filters of the store by time."""
        return {name: value for name, value in _given(self).items() if name in _TIMES}


EVERY_TRACE = TraceFilter()
_OF_THE_TRACE = ("session", "user", "tag", "tag_key")  # that which the fewest fit first
_OF_ITSELF = ("failed", "text", "from_outside", "app")

_TEXTS = ("app", "model", "provider", "user", "session", "error_code", "feedback", "arm", "key", "cache")
_AMOUNTS = ("min_cost", "max_cost", "min_ms", "max_ms")
_TIMES = ("since", "until")
_CHOICES = ("handed_over", "negative")
FIELDS = ("app", "release", *_TEXTS[1:], "tag", "status", *_AMOUNTS, *_TIMES, "text", "trace_id", *_CHOICES)
TRACE_FIELDS = ("app", "user", "session", "tag", "status", "from_outside", *_TIMES, "text")


def parse_filter(values: Mapping[str, str]) -> CallFilter:
    """A filter from words, as a query string or the command line has them; empty ones are as if not given.

    `status` is `ok`, `error` or a number; `tag` is `key` or `key=value`; times are `24h` (ago) or ISO 8601. Raises
    InvalidRequest, which names the field.
    """
    return CallFilter(**_parse(values, FIELDS))


def parse_trace_filter(values: Mapping[str, str]) -> TraceFilter:
    """The same of traces; their `status` is `ok` or `error`."""
    if values.get("status") not in (None, "", "ok", "error"):
        raise InvalidRequest(f"'status' is neither ok nor error: {values['status']!r:.60}.", param="status")
    return TraceFilter(**_parse(values, TRACE_FIELDS))


def _given(filter: CallFilter | TraceFilter) -> dict[str, object]:
    """What is set, by the store's names of it."""
    given: dict[str, object] = {name: value for name, value in asdict(filter).items() if value is not None}
    if filter.tag is not None:
        del given["tag"]
        key, value = filter.tag
        given.update({"tag": (key, value)} if value is not None else {"tag_key": key})
    return given


def _parse(values: Mapping[str, str], fields: tuple[str, ...]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, word in values.items():
        if name not in fields:
            raise InvalidRequest(f"There is no filter {name!r}.", remedy=f"Filters: {', '.join(fields)}.", param=name)
        if not word:
            continue
        if len(word) > MAX_TEXT:
            raise InvalidRequest(f"The filter {name!r} is too long (at most {MAX_TEXT}).", param=name)
        given.update(_read(name, word))
    return given


def _read(name: str, word: str) -> dict[str, object]:
    reader = _READERS.get(name)
    if reader is not None:
        return {name: reader(name, word)}
    if name == "status":
        if word in ("ok", "error"):
            return {"failed": word == "error"}
        if not word.isdigit():
            raise InvalidRequest(f"'status' is neither ok, error nor a number: {word!r}.", param=name)
        return {name: parse_whole(name, word)}
    if name == "tag":
        key, equals, value = word.partition("=")
        return {name: (key, value if equals else None)}
    if name == "trace_id" and not ids.is_trace_id(word):
        raise InvalidRequest(f"{word!r} is no trace id.", remedy="It has 32 hex digits.", param=name)
    return {name: word}


def parse_time(name: str, word: str) -> int:
    """Microseconds of a time as `clock.parse_time` reads it. Raises InvalidRequest."""
    try:
        return clock.parse_time(word)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{name!r} is not a time: {word!r:.60}.",
            remedy="Write it as 15m, 24h, 7d (ago), or 2026-11-21T10:00:00Z.",
            param=name,
        ) from None


def parse_whole(name: str, word: str) -> int:
    """A whole number from 0 on. Raises InvalidRequest."""
    if not (word.isascii() and word.isdigit() and len(word) < 20 and int(word) < _LARGEST):
        raise InvalidRequest(f"{name!r} is not a whole number: {word!r}.", param=name)
    return int(word)


def parse_choice(name: str, word: str) -> bool:
    """`true` or `false`. Raises InvalidRequest."""
    if word not in ("true", "false"):
        raise InvalidRequest(f"{name!r} is neither true nor false: {word!r}.", param=name)
    return word == "true"


def _amount(name: str, word: str) -> float:
    try:
        amount = float(word)
    except ValueError:
        amount = float("nan")
    if not 0 <= amount < float("inf"):
        raise InvalidRequest(f"{name!r} is not an amount: {word!r}.", param=name)
    return amount


_READERS: dict[str, Callable[[str, str], object]] = {
    "release": parse_whole,
    **dict.fromkeys(_TIMES, parse_time),
    **dict.fromkeys(_AMOUNTS, _amount),
    **dict.fromkeys((*_CHOICES, "from_outside"), parse_choice),
}
