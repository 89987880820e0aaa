"""What is to be run, and what is wrong with it: told before anything is asked, and paid for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct, field
from sqlalchemy import Connection

from rondo.datasets import store as datasets
from rondo.errors import InvalidRequest, NotFound, SettingsError
from rondo.evals.judges.model import Judge
from rondo.evals.model import Target
from rondo.evals.selection import Selection
from rondo.evals.suites import used
from rondo.evals.targets import MOST_TARGETS, Subject, Subjects
from rondo.gateway.plan import ServedModel, ServedRelease
from rondo.settings.evaluating import SuiteSettings
from rondo.settings.project import goal_settings, suite_settings


class Wish(Struct, frozen=True, kw_only=True):
    """What a run is to be, whoever asks for it. `targets` and `against` are words as `targets.py` has them; `against`
    None compares with nothing. `goals`, `guarded_slices` and `least_slice` are those of `rondo.toml`. `fresh` asks anew
    what has been answered. `selection` says what counts when one of the targets is to be chosen."""

    app: str
    name: str
    targets: list[str] = field(default_factory=lambda: ["production"])
    dataset_hash: str | None = None
    against: str | None = None
    goals: list[dict[str, Any]] = []
    guarded_slices: list[str] = []
    least_slice: int | None = None
    fresh: bool = False
    selection: Selection | None = None


class NewRun(Wish, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run as it is asked for: `suite` is the suite's table; without `dataset`, the suite's own."""

    suite: dict[str, Any]
    dataset: str | None = None


class Order(Wish, frozen=True, kw_only=True):
    """A run that can be begun. `dataset` is `name` or `name@3`, or, with `dataset_hash`, a name."""

    suite: SuiteSettings
    dataset: str


def order_of(wanted: NewRun) -> Order:
    """Raises SettingsError for a suite or a goal that is wrong."""
    suite = suite_settings(wanted.suite, file=f"suites/{wanted.name[:64]}.toml")
    goals = [goal.model_dump(mode="json") for goal in goal_settings(wanted.goals)]
    wish = {name: getattr(wanted, name) for name in Wish.__struct_fields__}
    return Order(**{**wish, "goals": goals}, suite=suite, dataset=wanted.dataset or suite.dataset)


def targets_of(subjects: Subjects, project: str, order: Order) -> tuple[list[Target], int | None]:
    """The targets, the baseline among them, and its place. A baseline that is the only target compares nothing.

    Raises NotFound, InvalidRequest.
    """
    if not 1 <= len(order.targets) <= MOST_TARGETS:
        raise InvalidRequest(f"Name 1 to {MOST_TARGETS} targets, not {len(order.targets)}.", param="targets")
    found: list[Target] = []
    for word in dict.fromkeys(order.targets):
        target = subjects.resolve(project, order.app, word)
        if not any(_is_same(target, other) for other in found):
            found.append(target)
    if order.against is None:
        return found, None
    against = subjects.resolve(project, order.app, order.against)
    same = next((at for at, target in enumerate(found) if _is_same(target, against)), None)
    if same is None:
        return [*found, against], len(found)
    return found, same if len(found) > 1 else None


def judges_of(subjects: Sequence[Subject]) -> dict[str, Judge]:
    """Those of the first target that has any: of what is being evaluated, before what it is compared with."""
    return next((subject.judges for subject in subjects if subject.judges), {})


def require_keys(every: Subjects, project: str, order: Order, subjects: Sequence[Subject]) -> None:
    """Each target, judge and played user must be able to answer. Of a route, the first model is meant to: a run whose
    answers all came from its fallback would show what nobody asked for. Where one of the targets is to be chosen, one
    that cannot answer is not in the way: it comes last. Raises InvalidRequest."""
    for whose, model in _meant_to_answer(every, project, order, subjects):
        missing = model.missing_key
        if missing is not None:
            raise InvalidRequest(
                f"The model {model.spec.name!r} of {whose} has no key: {missing} is not set.",
                remedy=f"Set {missing} in the server's environment and restart it, or evaluate another model.",
                param="targets",
            )


def _meant_to_answer(
    every: Subjects, project: str, order: Order, subjects: Sequence[Subject]
) -> Iterator[tuple[str, ServedModel]]:
    suite = order.suite
    for subject in subjects if order.selection is None else ():
        served = subject.served
        route = served.route if isinstance(served, ServedRelease) else served
        yield subject.target.label, route[0]
    beside = next((subject for subject in subjects if subject.judges), subjects[0])
    named = [(f"the judge {name}", judge.model.name) for name, judge in used(suite, judges_of(subjects)).items()]
    named += [("the played user", suite.user.model)] if suite.user is not None else []
    for whose, name in named:
        with suppress(NotFound):  # the run says so, with what it was to do
            model = every.model(project, name, beside).served
            assert not isinstance(model, ServedRelease)
            yield whose, model[0]


def dataset_of(connection: Connection, project: str, order: Order) -> tuple[str, str]:
    """Name and hash of the dataset's version. Raises NotFound, SettingsError, both with the suite's file."""
    name, at, number = order.dataset.partition("@")
    wanted: int | str | None = order.dataset_hash
    if at:
        if not number.isascii() or not number.isdigit():
            raise SettingsError(
                f"{order.dataset!r:.100} names no version.",
                file=_file(order.name),
                param="dataset",
                remedy="Write name@3, or only the name.",
            )
        wanted = int(number)
    try:
        version = datasets.get_version(connection, project, name, wanted)
    except NotFound as error:
        raise NotFound(
            f"{_file(order.name)}: dataset: {error.message}", remedy=error.remedy, param=error.param
        ) from None
    return name, version.hash


def _file(suite: str) -> str:
    """Where people have the suite."""
    return f"suites/{suite}.toml"


def no_example(order: Order) -> SettingsError:
    """The error for a suite that would ask nothing."""
    return SettingsError(
        f"the suite asks for no example of {order.dataset}.",
        file=_file(order.name),
        param="dataset",
        remedy="Check `split` and `tags`, and that the dataset is not empty.",
    )


def _is_same(one: Target, other: Target) -> bool:
    return one.hash == other.hash if one.hash is not None else one.model is not None and one.model == other.model
