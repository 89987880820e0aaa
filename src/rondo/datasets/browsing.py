"""Looking at a version's examples: pages, in their order, of those that match."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from rondo.datasets import store
from rondo.datasets.model import DatasetVersion, Example, Member, Split
from rondo.errors import InvalidRequest

MOST_SHOWN = 1_000


class ExamplePage(Struct, frozen=True, kw_only=True):
    """Examples of a version. `after` asks for what comes next, None where nothing does."""

    version: DatasetVersion
    items: list[Example]
    after: int | None


class Wanted(Struct, frozen=True, kw_only=True):
    """Which examples: those that hold a text (in any field, whatever its case), of a split, with a tag, that must pass.

    `tag` is (name, value), or (name, None) for any value.
    """

    text: str | None = None
    split: Split | None = None
    tag: tuple[str, str | None] | None = None
    must_pass: bool | None = None


EVERYTHING = Wanted()


def page_of(
    connection: Connection,
    project: str,
    dataset: str,
    version: int | str | None,
    *,
    wanted: Wanted = EVERYTHING,
    after: int = 0,
    limit: int = 50,
) -> ExamplePage:
    """A page of a version's examples, from place `after` on. Raises NotFound, InvalidRequest."""
    if not 1 <= limit <= MOST_SHOWN:
        raise InvalidRequest(f"`limit` must be between 1 and {MOST_SHOWN}, not {limit}.", param="limit")
    found = store.get_version(connection, project, dataset, version)
    members = store.members_of(connection, project, dataset, found.hash)[after:]
    items: list[Example] = []
    for place, example in _matching(connection, project, members, wanted):
        if len(items) == limit:
            return ExamplePage(version=found, items=items, after=after + place)
        items.append(example)
    return ExamplePage(version=found, items=items, after=None)


def _matching(
    connection: Connection, project: str, members: list[Member], wanted: Wanted
) -> Iterator[tuple[int, Example]]:
    places = [place for place, member in enumerate(members) if wanted.split in (None, member[1])]
    examples = store.read_examples(connection, project, [members[place] for place in places])
    for place, example in zip(places, examples, strict=True):
        if _matches(example, wanted):
            yield place, example


def _matches(example: Example, wanted: Wanted) -> bool:
    if wanted.must_pass is not None and example.must_pass != wanted.must_pass:
        return False
    if wanted.tag is not None:
        name, value = wanted.tag
        if name not in example.tags or (value is not None and example.tags[name] != value):
            return False
    return wanted.text is None or _holds(msgspec.to_builtins(example), wanted.text.casefold())


def _holds(value: object, text: str) -> bool:
    if isinstance(value, str):
        return text in value.casefold()
    if isinstance(value, dict):
        return any(_holds(each, text) for each in value.values())
    return isinstance(value, list) and any(_holds(each, text) for each in value)
