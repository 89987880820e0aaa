"""The cases of a run in the order of its dataset, a few hundred in memory at a time: what is to be asked, and what is
known of it already.

A unit is one repeat of one example, for all targets together: they are asked at about the same time, and a judge that
compares two answers has both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection

from rondo.catalog.engine import Catalog
from rondo.datasets import regressions
from rondo.datasets import store as datasets
from rondo.datasets.model import Example, Member
from rondo.errors import InvalidRequest, RondoError
from rondo.evals import store
from rondo.evals.model import Answer, Run
from rondo.evals.requests import answer_key, played
from rondo.evals.store import Place
from rondo.evals.targets import Subject
from rondo.gateway.plan import ServedRelease
from rondo.settings.evaluating import SuiteSettings

AT_ONCE = 256
"""Examples in memory."""


class Unit(Struct, frozen=True, kw_only=True):
    """One repeat of an example: for each target that has no result yet, the key of its answer and the answer itself
    where an earlier run paid for it. `unfit` says why it cannot be asked at all.

    `position` counts units, so that the targets take turns in being first.
    """

    example: Example
    repeat: int
    position: int
    keys: dict[int, str]
    known: dict[int, Answer]
    unfit: RondoError | None = None


class Cases:
    """Of one run. `next_units` reads the catalog: call it off the event loop, one call at a time."""

    def __init__(
        self, catalog: Catalog, run: Run, suite: SuiteSettings, subjects: Sequence[Subject], user: Subject | None
    ) -> None:
        self._catalog = catalog
        self._run = run
        self._suite = suite
        self._subjects = subjects
        self._user = None if user is None or suite.user is None else (user.identity, played(suite.user))
        self._members: Iterator[Member] = iter(())
        self._position = 0

    def begin(self) -> int:
        """Start from the first example; how many results the run will have."""
        self._position = 0
        with self._catalog.read() as connection:
            members = chosen(connection, self._run, self._suite)
        self._members = iter(members)
        return len(members) * self._suite.repeats * len(self._subjects)

    def next_units(self) -> list[Unit]:
        """The next units that lack a result; empty at the end. Raises CorruptData, Unavailable."""
        while some := list(islice(self._members, AT_ONCE)):
            with self._catalog.read() as connection:
                units = self._units(connection, list(datasets.read_examples(connection, self._run.project, some)))
            if units:
                return units
        return []

    def _units(self, connection: Connection, examples: Sequence[Example]) -> list[Unit]:
        project, run = self._run.project, self._run.id
        there = store.places(connection, project, run, [example.id for example in examples], len(self._subjects))
        units = [
            unit
            for example in examples
            for repeat in range(self._suite.repeats)
            if (unit := self._unit(example, repeat, there)) is not None
        ]
        if self._run.suite.get("fresh"):
            return units
        keys = list({key for unit in units for key in unit.keys.values()})
        known = store.answers(connection, project, keys)
        for unit in units:
            unit.known.update({target: known[key] for target, key in unit.keys.items() if key in known})
        return units

    def _unit(self, example: Example, repeat: int, there: set[Place]) -> Unit | None:
        self._position += 1
        left = [at for at in range(len(self._subjects)) if Place(at, example.id, repeat) not in there]
        if not left:
            return None
        try:
            keys = {at: self._key(self._subjects[at], example, repeat) for at in left}
        except RondoError as error:
            keys = dict.fromkeys(left, "")
            return Unit(example=example, repeat=repeat, position=self._position, keys=keys, known={}, unfit=error)
        return Unit(example=example, repeat=repeat, position=self._position, keys=keys, known={})

    def _key(self, subject: Subject, example: Example, repeat: int) -> str:
        if example.persona is not None and self._user is None:
            raise InvalidRequest(
                "The example has a persona, and the suite nobody who plays it.",
                remedy="Give the suite a table `[user]` with a model.",
                param="user",
            )
        user = self._user if example.persona is not None else None
        app = isinstance(subject.served, ServedRelease)
        return answer_key(subject.identity, example, repeat, app=app, user=user)


def chosen(connection: Connection, run: Run, suite: SuiteSettings) -> list[Member]:
    """The examples of the dataset's version that the suite asks for, each once. Raises NotFound."""
    members = list(dict.fromkeys(datasets.members_of(connection, run.project, run.dataset, run.dataset_hash)))
    if suite.regressions:
        wrong = regressions.of_app(connection, run.project, run.app)
        members = [member for member in members if member[0] in wrong]
    if suite.split is not None:
        members = [member for member in members if member[1] == suite.split]
    if suite.tags:
        examples = datasets.read_examples(connection, run.project, members)
        members = [member for member, example in zip(members, examples, strict=True) if _has(example.tags, suite.tags)]
    return members


def _has(tags: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    return all(tags.get(name) == value for name, value in wanted.items())
