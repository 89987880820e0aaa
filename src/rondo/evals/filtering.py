"""Looking through a run's results: by target, what failed, a slice, a scorer that found fault. A page at a time."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from rondo.errors import InvalidRequest
from rondo.evals.model import Result
from rondo.evals.runs import Row, Runs
from rondo.evals.store import Place

_AT_ONCE = 500


class Wanted(Struct, frozen=True, kw_only=True):
    """All that is set must hold. `failed`: there is no answer, or some scorer draws a line that it is not beyond."""

    failed: bool | None = None
    slice: tuple[str, str] | None = None
    scorer: str | None = None
    must_pass: bool = False

    @classmethod
    def parse(cls, words: Mapping[str, str | None]) -> Wanted:
        """From words, as a query string has them. Raises InvalidRequest."""
        tag, equals, value = (words.get("slice") or "").partition("=")
        if tag and not equals:
            raise InvalidRequest("`slice` is written tag=value.", param="slice")
        return cls(
            failed=_choice("failed", words.get("failed")),
            slice=(tag, value) if tag else None,
            scorer=words.get("scorer"),
            must_pass=bool(_choice("must_pass", words.get("must_pass"))),
        )

    def has(self, row: Row) -> bool:
        result, example = row.result, row.example
        if self.must_pass and not example.must_pass:
            return False
        if self.slice is not None and example.tags.get(self.slice[0]) != self.slice[1]:
            return False
        if self.scorer is not None:
            scored = result.scores.get(self.scorer)
            if scored is None or (scored.passed is not False and scored.error is None):
                return False
        return self.failed is None or failed(result) is self.failed


def failed(result: Result) -> bool:
    """Whether anything about it is wrong: no answer, a line not reached, a score that could not be had."""
    if result.answer is None:
        return True
    return any(scored.passed is False or scored.error is not None for scored in result.scores.values())


async def matching(
    runs: Runs, project: str, run_id: str, wanted: Wanted, *, target: int | None, after: Place | None, limit: int
) -> tuple[list[Row], bool]:
    """So many results that are as wanted, and whether there may be more. Raises NotFound."""
    found: list[Row] = []
    doubtful = wanted.failed is True or wanted.scorer is not None
    while rows := await runs.rows(project, run_id, target=target, after=after, limit=_AT_ONCE, doubtful=doubtful):
        for row in rows:
            if wanted.has(row):
                if len(found) == limit:
                    return found, True
                found.append(row)
        after = place_of(rows[-1].result)
    return found, False


def place_of(result: Result) -> Place:
    return Place(result.target, result.example, result.repeat)


def next_place(rows: list[Row]) -> str | None:
    """Where the next page begins, as a word."""
    if not rows:
        return None
    place = place_of(rows[-1].result)
    return f"{place.target}.{place.repeat}.{place.example}"


def parse_place(word: str) -> Place:
    """Raises InvalidRequest."""
    target, _, rest = word.partition(".")
    repeat, _, example = rest.partition(".")
    if not (target.isdigit() and repeat.isdigit() and example and len(target) < 6 and len(repeat) < 6):
        raise InvalidRequest("`after` is not a place in the list.", remedy="Take it from the last page.", param="after")
    return Place(int(target), example, int(repeat))


def _choice(name: str, word: str | None) -> bool | None:
    if word is None:
        return None
    if word not in ("true", "false"):
        raise InvalidRequest(f"`{name}` is true or false, not {word!r:.40}.", param=name)
    return word == "true"
