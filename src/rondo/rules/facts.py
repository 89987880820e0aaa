"""What rules can know of a request. Each fact is found out when a rule first asks for it, and then kept.

`input` is what the client sent: `text`, `length`, `words` and `language` are of its last question alone, `pii` of all
that would go to the model: every message, and the app variables. Nothing here changes a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from rondo.rules.functions import WEEKDAYS, Value
from rondo.rules.language import ANYTHING, NOW, Known, Path

_BETWEEN = "\x00"
"""Between texts, so that nothing is found that begins in one and ends in the next."""

_DEEPEST = 20
_LONGEST_SHOWN = 200
_SAFE_TABLES = ("class", "budget", "time", "conversation", "tags")


class Conversation(Struct, frozen=True, kw_only=True):
    """All messages of a request: `texts` is every piece of text in them, tool calls and results included."""

    messages: int
    characters: int
    images: int
    texts: tuple[str, ...]


class Sources(Struct, frozen=True, kw_only=True):
    """Where facts come from, besides the request: each is called at most once in a request, if at all.

    `classify` gives (label, confidence) for the name of a classifier and a text; `find_personal` counts what it found,
    by kind; `language` is an ISO 639 code or None; `budget_left` is the smallest share that is left of a budget which
    this call counts against, None where there is none.
    """

    find_personal: Callable[[str], Mapping[str, int]]
    language: Callable[[str], str | None]
    classify: Callable[[str, str], tuple[str | None, float]]
    budget_left: Callable[[], float | None]


class Facts:
    """The facts of one request. `asked` are those that were asked for, in that order."""

    def __init__(
        self,
        *,
        text: str,
        conversation: Callable[[], Conversation],
        inputs: Mapping[str, Any],
        tags: Mapping[str, str],
        user: str | None,
        session: str | None,
        tools: Callable[[], int],
        now_us: int,
        sources: Sources,
    ) -> None:
        self.asked: dict[Path, Value] = {}
        self._text = text
        self._messages = conversation
        self._inputs = inputs
        self._tags = tags
        self._user = user
        self._session = session
        self._tools = tools
        self._now_us = now_us
        self._sources = sources
        self._conversation_found: Conversation | None = None
        self._personal_found: Mapping[str, int] | None = None
        self._classified: dict[str, tuple[str | None, float]] = {}

    def ask(self, path: Path) -> Value:
        """The value of a fact; null where the request has none."""
        if path not in self.asked:
            self.asked[path] = self._find(path)
        return self.asked[path]

    def _find(self, path: Path) -> Value:
        table = path[0]
        if table == "inputs":
            return _within(self._inputs, path[1:])
        if table == "tags":
            return self._tags.get(path[1])
        if table == "class":
            return self._class(path)
        if path[:2] == ("input", "pii"):
            found = self._personal()
            return found.get(path[2], 0) if len(path) == 3 else bool(found)
        finder = _FINDERS.get(".".join(path))
        return None if finder is None else finder(self)

    def _class(self, path: Path) -> Value:
        name = path[1]
        if name not in self._classified:
            self._classified[name] = self._sources.classify(name, self._text)
        label, confidence = self._classified[name]
        return confidence if len(path) == 3 else label

    def _personal(self) -> Mapping[str, int]:
        if self._personal_found is None:
            texts = _BETWEEN.join((*self._conversation().texts, *_texts(self._inputs, 0)))
            self._personal_found = {kind: count for kind, count in self._sources.find_personal(texts).items() if count}
        return self._personal_found

    def _conversation(self) -> Conversation:
        if self._conversation_found is None:
            self._conversation_found = self._messages()
        return self._conversation_found

    def _at(self) -> datetime:
        return datetime.fromtimestamp(self._now_us / 1_000_000, UTC)


_FINDERS: dict[str, Callable[[Facts], Value]] = {
    "input.text": lambda facts: facts._text,
    "input.length": lambda facts: len(facts._text),
    "input.words": lambda facts: len(facts._text.split()),
    "input.language": lambda facts: facts._sources.language(facts._text),
    "input.images": lambda facts: facts._conversation().images,
    "input.tools": lambda facts: facts._tools(),
    "conversation.length": lambda facts: facts._conversation().characters,
    "conversation.messages": lambda facts: facts._conversation().messages,
    "user": lambda facts: facts._user,
    "session": lambda facts: facts._session,
    "time.hour": lambda facts: facts._at().hour,
    "time.weekday": lambda facts: WEEKDAYS[facts._at().weekday()],
    "time.date": lambda facts: facts._at().date().isoformat(),
    "time.now": lambda facts: facts._now_us,
    "budget.left_share": lambda facts: facts._sources.budget_left(),
}


def known(classifiers: Iterable[str], personal_kinds: Iterable[str]) -> Known:
    """The facts that conditions may name, where there are these classifiers and kinds of personal data."""
    facts = dict(_TYPES)
    facts |= {f"input.pii.{kind}": "number" for kind in personal_kinds}
    for name in classifiers:
        facts |= {f"class.{name}": "text", f"class.{name}.confidence": "number"}
    return Known(facts=facts, open={"inputs": ANYTHING, "tags": "text"})


_TYPES = {
    "input.pii": "truth",
    "input.text": "text",
    "input.length": "number",
    "input.words": "number",
    "input.language": "text",
    "input.images": "number",
    "input.tools": "number",
    "conversation.length": "number",
    "conversation.messages": "number",
    "user": "text",
    "session": "text",
    "time.hour": "number",
    "time.weekday": "text",
    "time.date": "text",
    "budget.left_share": "number",
}
"""Every fact but those of `inputs`, `tags`, `input.pii.KIND` and `class.NAME`, and its type."""


def shown(path: Path, value: Value) -> Value:
    """A fact's value for people to read: long text is cut, the moment is a date."""
    if path == NOW and isinstance(value, int):
        return datetime.fromtimestamp(value / 1_000_000, UTC).isoformat(timespec="seconds")
    return value[:_LONGEST_SHOWN] + "…" if isinstance(value, str) and len(value) > _LONGEST_SHOWN else value


def recorded(asked: Mapping[Path, Value]) -> dict[str, Value]:
    """Facts as a record may hold them: what clients wrote is left out, it stands elsewhere as guards left it."""
    told: dict[str, Value] = {}
    for path, value in asked.items():
        is_text = isinstance(value, str | list)
        safe = path[0] in _SAFE_TABLES or path == ("input", "language")
        told[".".join(path)] = shown(path, value) if safe or not is_text else "set" if value else value
    return told


def _within(values: Any, path: Path) -> Value:
    """The value at `path` inside of tables; a table itself counts as true."""
    for name in path:
        if not isinstance(values, dict):
            return None
        values = values.get(name)
    if isinstance(values, dict):
        return True
    if isinstance(values, list):
        return [each for each in values if each is None or isinstance(each, str | int | float)]
    return values if isinstance(values, str | int | float) else None


def _texts(value: Any, depth: int) -> Iterable[str]:
    """Every text in JSON values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list) and depth < _DEEPEST:
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each, depth + 1)
