"""From `[[guards]]` to what a release freezes, and from that to guards that are ready.

All that can be wrong is found here.
An error names the guard by its place in the file and the key: `guards[2].use`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import structs

from rondo.errors import SettingsError
from rondo.guards import names, personal, secrets
from rondo.guards.chain import Guard, Guards
from rondo.guards.classifier import Classified, Classify
from rondo.guards.injection import Injection
from rondo.guards.judge import Judge
from rondo.guards.length import Length
from rondo.guards.model import Check, GuardSpec
from rondo.guards.moderation import Moderation
from rondo.guards.personal import Personal
from rondo.guards.pseudonyms import Pseudonyms
from rondo.guards.schema import Schema
from rondo.guards.secrets import Secrets
from rondo.guards.words import Words
from rondo.settings.table import nearest
from rondo.settings.tables import GuardSettings

FILE = "rondo.toml"
T = TypeVar("T")

_OWN_KEYS: dict[str, frozenset[str]] = {
    "pii": frozenset(("kinds", "pseudonyms")),
    "names": frozenset(("kinds", "pseudonyms", "at_least")),
    "secrets": frozenset(("kinds", "pseudonyms")),
    "injection": frozenset(("at_least",)),
    "words": frozenset(("words", "words_file", "patterns")),
    "length": frozenset(("max_chars",)),
    "schema": frozenset(("json_schema", "repair")),
    "moderation": frozenset(("model", "at_least")),
    "classifier": frozenset(("classifier", "labels", "at_least")),
    "judge": frozenset(("model", "question")),
}
_ACTION_KEYS = {"answer": "block", "use": "route", "pseudonyms": "redact"}
_KINDS: dict[str, tuple[str, ...]] = {
    "pii": personal.KINDS,
    "secrets": secrets.KINDS,
    "names": tuple(names.KINDS.values()),
}
_PLACING = frozenset(("pii", "names", "secrets", "words"))
_WHOLE = frozenset(("schema", "judge"))
_GENERAL = frozenset(("check", "on", "action", "answer", "use"))


def freeze(guards: Sequence[GuardSettings], read_words: Callable[[str, str], str]) -> list[dict[str, Any]]:
    """What a release's manifest says of its guards: the keys that are set, with the words of files among the others.

    `read_words(path, key)` is the text of a file of the project. Raises SettingsError.
    """
    frozen = []
    for number, guard in enumerate(guards):
        _check_keys(guard, f"guards[{number}]")
        values = guard.model_dump(mode="json", exclude_defaults=True, exclude={"words_file"})
        if guard.words_file is not None:
            lines = read_words(guard.words_file, f"guards[{number}].words_file").splitlines()
            listed = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
            values["words"] = [*values.get("words", ()), *listed]
        if isinstance(values.get("use"), str):
            values["use"] = [values["use"]]
        frozen.append(values)
    return frozen


def _check_keys(guard: GuardSettings, at: str) -> None:
    """Keys that say nothing for this check or action are mistakes."""
    given = guard.model_fields_set - _GENERAL
    for key in sorted(given - _OWN_KEYS[guard.check]):
        owners = ", ".join(f"`{check}`" for check, keys in _OWN_KEYS.items() if key in keys)
        raise _wrong(f"{at}.{key}", f"is not for `{guard.check}`, but for {owners}.", "Leave it out.")
    for key, action in _ACTION_KEYS.items():
        if key in guard.model_fields_set and guard.action != action:
            raise _wrong(f"{at}.{key}", f"is for the action `{action}`, not `{guard.action}`.", "Leave it out.")


def build(
    frozen: Sequence[Mapping[str, Any]],
    *,
    hand_over: str,
    project: str,
    secret: Callable[[], bytes] | None = None,
    output_schema: Mapping[str, Any] | None = None,
    classifiers: Mapping[str, Classify] | None = None,
) -> Guards | None:
    """Guards as a release froze them, ready to run; None where there are none.

    `secret` gives the key for pseudonyms, where a guard makes them; without it they are only checked.
    `output_schema` is the prompt's. Raises SettingsError.
    """
    if not frozen:
        return None
    builder = _Builder(hand_over, project, secret, output_schema, classifiers or {})
    made = [(spec, builder.guard(number, spec)) for number, spec in enumerate(map(_spec, range(len(frozen)), frozen))]
    return Guards(
        input=tuple(guard for spec, guard in made if "input" in spec.on),
        output=tuple(guard for spec, guard in made if "output" in spec.on),
        pseudonyms=next((guard.pseudonyms for _, guard in made if guard.pseudonyms), None),
        models=tuple(dict.fromkeys(name for spec, _ in made for name in (*spec.use, spec.model) if name is not None)),
    )


def _spec(number: int, frozen: Mapping[str, Any]) -> GuardSpec:
    try:
        return msgspec.convert(frozen, GuardSpec)
    except msgspec.ValidationError as error:
        raise SettingsError(str(error), file=FILE, param=f"guards[{number}]") from None


class _Builder:
    def __init__(
        self,
        hand_over: str,
        project: str,
        secret: Callable[[], bytes] | None,
        output_schema: Mapping[str, Any] | None,
        classifiers: Mapping[str, Classify],
    ) -> None:
        self._hand_over = hand_over
        self._project = project
        self._secret = secret
        self._output_schema = output_schema
        self._classifiers = classifiers
        self._seen: dict[str, int] = {}
        self._pseudonyms: Pseudonyms | None = None

    def guard(self, number: int, spec: GuardSpec) -> Guard:
        at = f"guards[{number}]"
        _check_action(spec, at)
        guard = self._checked(spec, at)
        times = self._seen[spec.check] = self._seen.get(spec.check, 0) + 1
        return structs.replace(
            guard,
            name=spec.check if times == 1 else f"{spec.check}#{times}",
            answer=spec.answer if spec.answer is not None else self._hand_over,
            use=spec.use,
            pseudonyms=self._tokens() if spec.pseudonyms else None,
            repair=spec.check == "schema" and spec.repair,
            whole=spec.check in _WHOLE,
        )

    def _tokens(self) -> Pseudonyms | None:
        if self._pseudonyms is None and self._secret is not None:
            self._pseudonyms = Pseudonyms(self._secret(), self._project)
        return self._pseudonyms

    def _checked(self, spec: GuardSpec, at: str) -> Guard:
        """The guard with its check made."""
        plain = Guard(name="", action=spec.action)
        if spec.check in _PLACING:
            return self._placing(plain, spec, at)
        if spec.check in ("moderation", "judge"):
            model = _needed(spec.model, f"{at}.model", "the model to ask")
            if spec.check == "moderation":
                return structs.replace(plain, asking=Moderation(model, spec.at_least))
            question = _needed(spec.question, f"{at}.question", "a question to which yes is a finding")
            return structs.replace(plain, asking=Judge(model, question))
        check: Check
        match spec.check:
            case "injection":
                check = Injection(spec.at_least)
            case "length":
                check = Length(_needed(spec.max_chars, f"{at}.max_chars", "how long"))
            case "schema":
                check = self._schema(spec, at)
            case "classifier":
                check = self._classified(spec, at)
            case _:
                raise _wrong(f"{at}.check", f"there is no check {spec.check!r}.{nearest(spec.check, list(_OWN_KEYS))}")
        return structs.replace(plain, check=check)

    def _placing(self, plain: Guard, spec: GuardSpec, at: str) -> Guard:
        if spec.check == "names":
            return self._names(plain, spec, at)
        found: Personal | Secrets | Words
        if spec.check == "words":
            found = _words(spec, at)
        else:
            found = Personal(_kinds(spec, at)) if spec.check == "pii" else Secrets(_kinds(spec, at))
        return structs.replace(plain, check=found, placing=found)

    def _names(self, plain: Guard, spec: GuardSpec, at: str) -> Guard:
        try:
            check = names.Names(_kinds(spec, at), spec.at_least)
        except names.NamesMissing as error:
            raise _wrong(f"{at}.check", f"`names` {error}") from None
        return structs.replace(plain, asking=check, placing=check)

    def _schema(self, spec: GuardSpec, at: str) -> Schema:
        schema = spec.json_schema if spec.json_schema is not None else self._output_schema
        if schema is None:
            raise _wrong(f"{at}.json_schema", "is missing, and the prompt has no output schema.", "Set one of the two.")
        try:
            return Schema(schema)
        except ValueError as error:
            raise _wrong(f"{at}.json_schema", f"{error}.") from None

    def _classified(self, spec: GuardSpec, at: str) -> Classified:
        name = _needed(spec.classifier, f"{at}.classifier", "the name of a table `[classifiers.NAME]`")
        if not spec.labels:
            raise _wrong(f"{at}.labels", "is missing.", "Set the labels that are findings.")
        classify = self._classifiers.get(name)
        if classify is None:
            raise _wrong(f"{at}.classifier", f"no classifier is called {name!r}.{nearest(name, self._classifiers)}")
        return Classified(classify, spec.labels, spec.at_least)


def _check_action(spec: GuardSpec, at: str) -> None:
    """Whether the action fits the check and the stage."""
    if spec.action == "redact" and spec.check not in _PLACING:
        can = ", ".join(f"`{check}`" for check in _OWN_KEYS if check in _PLACING)
        raise _wrong(f"{at}.action", f"`{spec.check}` cannot redact: it finds no places.", f"These can: {can}.")
    if spec.action == "route":
        if "output" in spec.on:
            raise _wrong(f"{at}.on", "`route` chooses who answers, so it is for `input` only.", 'Set `on = ["input"]`.')
        if not spec.use:
            raise _wrong(f"{at}.use", "is missing.", "Name the model, or models, that answer in this case.")
    if spec.check == "schema" and spec.on != ("output",):
        raise _wrong(f"{at}.on", "`schema` checks answers.", 'Set `on = ["output"]`.')


def _kinds(spec: GuardSpec, at: str) -> tuple[str, ...] | None:
    allowed = _KINDS[spec.check]
    for kind in spec.kinds or ():
        if kind not in allowed:
            raise _wrong(f"{at}.kinds", f"there is no kind {kind!r}.{nearest(kind, list(allowed))}")
    if spec.kinds == ():
        raise _wrong(f"{at}.kinds", "is empty.", "Leave it out to look for all of them.")
    return spec.kinds


def _words(spec: GuardSpec, at: str) -> Words:
    if not any(word.strip() for word in spec.words) and not spec.patterns:
        raise _wrong(f"{at}.words", "there is nothing to look for.", "Set `words`, `words_file` or `patterns`.")
    for number, pattern in enumerate(spec.patterns):
        try:
            Words((), (pattern,))
        except ValueError as error:
            raise _wrong(f"{at}.patterns[{number}]", f"RE2 does not take it: {error}.") from None
    return Words(spec.words, spec.patterns)


def _needed(value: T | None, key: str, what: str) -> T:
    if value is None:
        raise _wrong(key, "is missing.", f"Set {what}.")
    return value


def _wrong(key: str, message: str, remedy: str | None = None) -> SettingsError:
    return SettingsError(message, file=FILE, param=key, remedy=remedy)
