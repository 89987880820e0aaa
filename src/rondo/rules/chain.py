"""The rules of a release, in order: the first whose condition holds names the models that answer.

A manifest has the text of the conditions; they are compiled once, when the release begins to be served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from rondo.errors import CorruptData, Unavailable
from rondo.guards.personal import KINDS, find_personal
from rondo.rules import spoken
from rondo.rules.classify import Classifier, learnt_from
from rondo.rules.facts import Facts, Sources, known, recorded, shown
from rondo.rules.functions import Value
from rondo.rules.language import Condition, Known, Path, parse
from rondo.rules.tokens import ParseError

LANGUAGE: Path = ("input", "language")


class Rule(Struct, frozen=True):
    """`use` are names of models, in the order they are tried."""

    condition: Condition
    use: tuple[str, ...]


class Decision(Struct, frozen=True, kw_only=True):
    """The rule that counts: its place (from 0), its condition, its models, and the facts that were asked for.

    `why` holds the facts as records may hold them, without any text that a client wrote.
    """

    rule: int
    when: str
    use: tuple[str, ...]
    why: dict[str, Value]


class Outcome(Struct, frozen=True, kw_only=True):
    """One rule, explained. `holds` is None where an earlier rule has decided already; `facts` is what it looked at."""

    when: str
    use: tuple[str, ...]
    holds: bool | None
    facts: dict[str, Value]


class Rules:
    """Compiled rules, and the release's classifiers. Immutable; makes no fact that no rule asks for."""

    def __init__(self, rules: Sequence[Rule] = (), classifiers: Mapping[str, Classifier] | None = None) -> None:
        self._rules = tuple(rules)
        self.classifiers = dict(classifiers or {})

    def __bool__(self) -> bool:
        return bool(self._rules)

    @property
    def uses(self) -> set[str]:
        """The models that any rule names."""
        return {name for rule in self._rules for name in rule.use}

    def asks(self, path: Path) -> bool:
        """Whether any rule asks for this fact, or for one below it."""
        return any(each[: len(path)] == path for rule in self._rules for each in rule.condition.asks)

    def prepare(self) -> None:
        """Load what facts need, so that no request waits for it. Takes up to some seconds: not on the event loop.

        Raises Unavailable where this machine lacks a package.
        """
        if self.asks(LANGUAGE):
            if not spoken.is_installed():
                raise Unavailable(
                    "A rule asks for `input.language`, which needs a package that is not installed here.",
                    remedy="pip install 'rondo[language]'",
                )
            spoken.load()
        if self.asks(("input", "pii")):
            find_personal("")

    def sources(self, budget_left: Callable[[], float | None]) -> Sources:
        """Where the facts of a request come from."""
        return Sources(
            find_personal=find_personal,
            language=spoken.language_of,
            classify=lambda name, text: self.classifiers[name].classify(text),
            budget_left=budget_left,
        )

    def decide(self, facts: Facts) -> Decision | None:
        """The first rule that holds; None where none does."""
        for at, rule in enumerate(self._rules):
            if rule.condition.holds(facts.ask):
                return Decision(rule=at, when=rule.condition.text, use=rule.use, why=recorded(facts.asked))
        return None

    def explain(self, facts: Facts) -> list[Outcome]:
        """Every rule with what it looked at, up to the one that holds."""
        outcomes: list[Outcome] = []
        decided = False
        for rule in self._rules:
            asked: dict[Path, Value] = {}

            def ask(path: Path, asked: dict[Path, Value] = asked) -> Value:
                asked[path] = facts.ask(path)
                return asked[path]

            holds = None if decided else rule.condition.holds(ask)
            decided = decided or bool(holds)
            told = {".".join(path): shown(path, value) for path, value in asked.items()}
            outcomes.append(Outcome(when=rule.condition.text, use=rule.use, holds=holds, facts=told))
        return outcomes


NO_RULES = Rules()


def vocabulary(classifiers: Iterable[str]) -> Known:
    """The facts that conditions may name, where there are these classifiers."""
    return known(classifiers, KINDS)


def compiled(rules: Sequence[Mapping[str, Any]], classifiers: Mapping[str, Any]) -> Rules:
    """The rules of a manifest (`[{"when", "use"}]`, and `{name: learnt}`). Raises CorruptData."""
    try:
        learnt = {name: Classifier(learnt_from(values)) for name, values in classifiers.items()}
        names = vocabulary(learnt)
        return Rules([Rule(parse(rule["when"], names), tuple(rule["use"])) for rule in rules], learnt)
    except (ParseError, msgspec.ValidationError, KeyError, TypeError) as error:
        raise CorruptData(
            f"The rules of a release cannot be read: {error}",
            remedy="Start the Rondo that released it, or release it again.",
        ) from None
