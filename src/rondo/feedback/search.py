"""Finding feedback: pages of scores, newest first, with what they judge."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import asdict

from rondo import clock, ids
from rondo.errors import InvalidRequest
from rondo.store.base import ExportFormat, RecordStore

MAX_PAGE = 1000
MAX_TEXT = 1000


class ScoreFilter(Struct, frozen=True, kw_only=True):
    """All that is set must hold. `app` and `release` are of the call that is judged; times are microseconds.

    `negative`: scores against (True: false) or for (False: true) what they judge; numbers and categories are neither.
    """

    name: str | None = None
    kind: str | None = None
    author: str | None = None
    trace_id: str | None = None
    app: str | None = None
    release: int | None = None
    negative: bool | None = None
    since: int | None = None
    until: int | None = None
    text: str | None = None

    def conditions(self) -> dict[str, object]:
        """The filters of the store that this asks for."""
        given: dict[str, object] = {name: value for name, value in asdict(self).items() if value is not None}
        if self.negative is not None:
            del given["negative"]
            given["verdict"] = -1 if self.negative else 1
        return given


EVERYTHING = ScoreFilter()


class ScoreRow(Struct, frozen=True, kw_only=True):
    """A score in a list, with the app, release, question and answer (200 characters) that it judges, where stored.

    `verdict` is 1 for, -1 against, 0 neither.
    """

    id: str
    project: str
    trace_id: str
    name: str
    kind: str
    data_type: str
    value: float | None
    label: str | None
    comment: str | None
    author: str
    key_id: str
    created_at: int
    verdict: int
    app: str | None
    release: int | None
    question: str | None
    answer: str | None


class ScorePage(Struct, frozen=True):
    """Scores, newest first; `before` asks for the page after this one, None where this is the last."""

    items: list[ScoreRow]
    before: str | None


def parse_filter(values: Mapping[str, str]) -> ScoreFilter:
    """A filter from words, as a query string or the command line has them; empty ones are as if not given.

    Times are `24h` (ago) or ISO 8601, `negative` is `true` or `false`. Raises InvalidRequest, which names the field.
    """
    fields = ScoreFilter.__struct_fields__
    given: dict[str, object] = {}
    for name, word in values.items():
        if name not in fields:
            raise InvalidRequest(f"There is no filter {name!r}.", remedy=f"Filters: {', '.join(fields)}.", param=name)
        if len(word) > MAX_TEXT:
            raise InvalidRequest(f"The filter {name!r} is too long (at most {MAX_TEXT}).", param=name)
        if word:
            given[name] = _read(name, word)
    return ScoreFilter(**given)  # type: ignore[arg-type]


def list_scores(
    store: RecordStore,
    project: str,
    filter: ScoreFilter = EVERYTHING,
    *,
    limit: int = 50,
    before: str | None = None,
) -> ScorePage:
    """A page of scores. Raises InvalidRequest for a limit out of range or a `before` that no page gave."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRequest(f"'limit' must be from 1 to {MAX_PAGE}, not {limit}.", param="limit")
    conditions = filter.conditions()
    if before is not None:
        created_at, _, score_id = before.partition(".")
        if not (_is_whole(created_at) and score_id):
            raise InvalidRequest(
                "'before' is not a place in the list.", remedy="Take it from the last page.", param="before"
            )
        conditions["before"] = (int(created_at), score_id)
    rows = store.query("scores_list", {"project": project, "limit": limit + 1}, conditions)
    items = [ScoreRow(**row) for row in rows[:limit]]
    return ScorePage(items, f"{items[-1].created_at}.{items[-1].id}" if len(rows) > limit else None)


def export_scores(
    store: RecordStore,
    project: str,
    filter: ScoreFilter,
    format: ExportFormat,
    target: Path,
) -> int:
    """Write the chosen scores to `target` (JSON lines or Parquet), which appears whole or not at all; how many."""
    return store.export("export_scores", {"project": project}, filter.conditions(), format=format, target=target)


def _read(name: str, word: str) -> object:
    if name in ("since", "until"):
        try:
            return clock.parse_time(word)
        except (ValueError, OverflowError):
            raise InvalidRequest(
                f"{name!r} is not a time: {word!r}.",
                remedy="Write it as 24h, 7d (ago), or 2026-11-21T10:00:00Z.",
                param=name,
            ) from None
    if name == "negative":
        if word not in ("true", "false"):
            raise InvalidRequest(f"'negative' is neither true nor false: {word!r}.", param=name)
        return word == "true"
    if name == "release":
        if not _is_whole(word):
            raise InvalidRequest(f"'release' is not a whole number: {word!r}.", param=name)
        return int(word)
    if name == "trace_id" and not ids.is_trace_id(word):
        raise InvalidRequest(f"{word!r} is no trace id.", remedy="It has 32 hex digits.", param=name)
    return word


def _is_whole(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 19
