"""From a row of whatever shape to an example: which column is what, by the caller's word or by its name. Pure.

A row that has the fields of an Example is one. Other rows are read by the names that datasets use (`question`, `input`,
`prompt`, `answer`, `ideal`, ...). What has no place of its own is kept in `metadata`: nothing is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from rondo.datasets.conversation import is_conversation, messages_of, tool_calls_of
from rondo.datasets.model import SPLITS, Example, Provenance, Split, text_of


class Unfit(Exception):
    """A row that cannot be an example; `param` is its field."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class Columns(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which column is what, where its name does not say. `variables` become inputs of the prompt."""

    input: str | None = None
    expected: str | None = None
    system: str | None = None
    context: str | None = None
    sources: str | None = None
    hand_over: str | None = None
    group: str | None = None
    split: str | None = None
    id: str | None = None
    must_pass: str | None = None
    tags: list[str] = []
    variables: list[str] = []

    def named(self) -> list[str]:
        """All columns that are named here."""
        single = (getattr(self, name) for name in self.__struct_fields__ if name not in ("tags", "variables"))
        return [name for name in (*single, *self.tags, *self.variables) if name is not None]


NO_COLUMNS = Columns()

INPUT = tuple("question input prompt query instruction text utterance user_input user problem message".split())
EXPECTED = tuple(
    "expected expected_output expected_answer ideal answer reference_answer reference ground_truth gold target output"
    " response completion label answers solution".split()
)
_CONVERSATIONS = ("conversations", "conversation")
_ALIASES: dict[str, tuple[str, ...]] = {
    "system": ("system", "system_prompt"),
    "context": ("context", "contexts", "retrieved_contexts", "reference_contexts", "passages"),
    "sources": ("sources", "source"),
    "group": ("group", "conversation_id", "session_id", "session", "thread_id", *_CONVERSATIONS),
    "split": ("split",),
    "id": ("id",),
    "must_pass": ("must_pass",),
}
_PARAMS = ("tools", "tool_choice", "parallel_tool_calls", "functions", "response_format")
_TAGS = tuple("topic category language lang difficulty intent type".split())
_OWN = frozenset(Example.__struct_fields__)
_SPLITS: dict[str, Split] = {
    **{name: name for name in SPLITS},
    **dict.fromkeys(("training",), "train"),
    **dict.fromkeys(("valid", "val", "dev"), "validation"),
    **dict.fromkeys(("testing", "eval", "evaluation"), "test"),
}
_TRUE, _FALSE = frozenset(("true", "yes", "1", "y")), frozenset(("false", "no", "0", "n"))
_JSON_FIELDS = (
    "messages",
    "expect",
    "sources",
    "context",
    "tool_calls",
    "inputs",
    "params",
    "persona",
    "follow_ups",
    "tags",
)
_LONGEST_TAG = 200


def example_of(fields: Mapping[str, Any], columns: Columns, provenance: Provenance) -> Example:
    """The example that a row is, without an id. Raises Unfit, which names the field."""
    row = Taken(fields)
    is_bare = columns == NO_COLUMNS
    if is_bare and _is_own(fields):
        return own_example(fields, provenance)
    for name in () if is_bare else columns.named():
        if name not in fields:
            raise Unfit(f"There is no column {name!r:.80}; there are {_listed(fields)}.", name)
    messages, expected, tool_calls = _conversation(row, columns)
    tags = _tags(row, columns)
    inputs = {name: row.take(name) for name in columns.variables}
    example: dict[str, Any] = {
        "messages": messages,
        "expected": expected,
        "tool_calls": row.json("tool_calls") or tool_calls,
        "params": {**_object(row.take("params"), "params"), **row.present(_PARAMS)},
        "hand_over": _hand_over(row, columns),
        "context": _context(row.named("context", columns.context)),
        "sources": _sources(row, columns.sources),
        "tags": tags,
        "inputs": {**_object(row.take("inputs"), "inputs"), **inputs},
        "group": _text(row.named("group", columns.group)),
        "split": split_of(row.named("split", columns.split)),
        "must_pass": _flag(row.named("must_pass", columns.must_pass), "must_pass") or False,
    }
    example |= {name: value for name in ("expect", "persona", "follow_ups") if (value := row.json(name))}
    known_id = row.named("id", columns.id)
    metadata = _object(row.take("metadata"), "metadata")
    example["metadata"] = {**metadata, **({"id": known_id} if known_id is not None else {}), **row.left()}
    return _converted({name: value for name, value in example.items() if value is not None}, provenance)


def own_example(fields: Mapping[str, Any], provenance: Provenance) -> Example:
    """An Example as JSON, as `datasets export` writes it. Its own provenance stands; an id is made anew."""
    given = {name: value for name, value in fields.items() if name not in ("id", "expected_json") and value is not None}
    for name in (*_JSON_FIELDS, "metadata", "provenance"):
        if isinstance(given.get(name), str):
            given[name] = _opened(given[name])
    if fields.get("expected_json") is not None:
        given["expected"] = _opened(fields["expected_json"])
    if messages_of(given.get("messages")) is None or isinstance(given["messages"], str):
        raise Unfit("`messages` is no list of messages, each with a role.", "messages")
    for name in ("must_pass", "hand_over"):
        if isinstance(given.get(name), str):
            given[name] = _flag(given[name], name)
    own = given.pop("provenance", None)
    if own is not None:
        try:
            provenance = msgspec.convert(own, Provenance)
        except msgspec.ValidationError as error:
            raise Unfit(f"`provenance` cannot be read: {error}.", "provenance") from None
    return _converted(given, provenance)


def _is_own(fields: Mapping[str, Any]) -> bool:
    """Whether a row is an Example, rather than a conversation with its answer."""
    if "messages" not in fields or not set(fields) <= _OWN | {"expected_json"}:
        return False
    messages = fields["messages"]
    last = messages[-1] if isinstance(messages, list) and messages else None
    answered = isinstance(last, dict) and last.get("role") == "assistant"
    return not answered or fields.get("expected") is not None or fields.get("tool_calls") is not None


def split_of(value: Any) -> Split | None:
    """`train`, `validation` or `test`, by any of their usual names. Raises Unfit."""
    if value is None or value == "":
        return None
    found = _SPLITS.get(str(value).strip().lower())
    if found is None:
        raise Unfit(f"{value!r:.40} is no split; there are train, validation and test.", "split")
    return found


class Taken:
    """A row whose fields are taken out one by one, so that what is left is known."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = dict(fields)

    def take(self, name: str | None) -> Any:
        return None if name is None else self._fields.pop(name, None)

    def first(self, names: Iterable[str]) -> Any:
        """The first of these fields that says something."""
        fields = self._fields
        for name in names:
            if name in fields and fields[name] is not None and fields[name] != "":
                return fields.pop(name)
        return None

    def named(self, what: str, column: str | None) -> Any:
        """The column that the caller named, else the first by an alias."""
        return self.take(column) if column is not None else self.first(_ALIASES[what])

    def holds_conversation(self, name: str) -> bool:
        """Whether a field is a list of messages, or one as text."""
        value = self._fields.get(name)
        return is_conversation(_maybe_json(value) if isinstance(value, str) else value)

    def json(self, name: str) -> Any:
        """A field that is JSON, or JSON as text."""
        value = self.take(name)
        return _opened(value) if isinstance(value, str) and name in _JSON_FIELDS else value

    def present(self, names: Iterable[str]) -> dict[str, Any]:
        """Those of these fields that are there."""
        return {name: self.take(name) for name in names if name in self._fields and self._fields[name] is not None}

    def put_back(self, name: str, value: Any) -> None:
        self._fields[name] = value

    def left(self) -> dict[str, Any]:
        return {name: value for name, value in self._fields.items() if value is not None}


def _conversation(row: Taken, columns: Columns) -> tuple[list[dict[str, Any]], Any, list[dict[str, Any]] | None]:
    """The messages, the answer that is expected, and the tool calls that are."""
    messages = messages_of(_question(row, columns))
    if messages is None:
        raise Unfit("The question is neither text nor a list of messages.", columns.input or "input")
    expected = row.take(columns.expected) if columns.expected is not None else row.first(EXPECTED)
    calls = None
    if messages[-1]["role"] == "assistant" and expected is None:
        *messages, answer = messages
        expected, calls = text_of(answer), tool_calls_of(answer)
    system = _text(row.named("system", columns.system))
    if system:
        messages = [{"role": "system", "content": system}, *messages]
    if not messages:
        raise Unfit("The conversation has no question.", "messages")
    return messages, _expected(expected), calls


def _question(row: Taken, columns: Columns) -> Any:
    given = row.take(columns.input) if columns.input is not None else None
    if given is None and columns.input is None:
        given = row.json("messages") or row.first(name for name in _CONVERSATIONS if row.holds_conversation(name))
        if given is None and (instruction := row.take("instruction")):
            more = row.take("input")  # as in Alpaca's format
            given = f"{instruction}\n\n{more}" if more else instruction
        if given is None:
            given = row.first((*INPUT, *_CONVERSATIONS))  # beside a question, the name of a conversation is its group
    if isinstance(given, str) and given.lstrip().startswith("[{"):
        opened = _maybe_json(given)
        given = opened if is_conversation(opened) else given
    if given is None or given in ("", []):
        where = f"The column {columns.input!r} is empty." if columns.input else "No column holds the question."
        raise Unfit(f"{where} {'' if columns.input else 'Name it with --input.'}".strip(), columns.input or "input")
    return given


def _expected(value: Any) -> Any:
    """A message or a list of one is its text; SQuAD's `{"text": [...]}` is its texts; an empty text is nothing."""
    if isinstance(value, dict) and isinstance(value.get("text"), list):
        value = value["text"]
    if is_conversation(value):
        value = "\n".join(text_of(message) for message in value)
    if isinstance(value, dict) and "role" in value and "content" in value:
        value = text_of(value)
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        value = list(dict.fromkeys(value))
        return value[0] if len(value) == 1 else value
    return None if value in ("", [], None) else value


def _tags(row: Taken, columns: Columns) -> dict[str, str]:
    """Tags by name. Of a mere list the first is the topic; the others are there or not."""
    given = row.take("tags")
    if isinstance(given, str):
        opened = _maybe_json(given) if given.lstrip()[:1] in ("{", "[") else None
        given = opened if isinstance(opened, dict | list) else [part.strip() for part in given.split(",")]
    tags: dict[str, str] = {}
    if isinstance(given, dict):
        tags = {str(name): _tag(value, str(name)) for name, value in given.items() if value is not None}
    elif isinstance(given, list):
        words = [_tag(each, "tags") for each in given if each not in (None, "")]
        tags = {"topic": words[0], **dict.fromkeys(words[1:], "yes")} if words else {}
    elif given is not None:
        raise Unfit("`tags` is neither an object nor a list.", "tags")
    named = [*columns.tags, *(name for name in _TAGS if name not in columns.tags)]
    for name in named:
        value = row.take(name)
        if value is not None and value != "":
            if name in columns.tags or isinstance(value, str | bool | int):
                tags[name] = _tag(value, name)
            else:
                row.put_back(name, value)
    return tags


def _tag(value: Any, name: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) or (isinstance(value, str) and len(value) <= _LONGEST_TAG):
        return f"{value:g}" if isinstance(value, float) else str(value)
    raise Unfit(f"The tag {name!r:.60} is no text of at most {_LONGEST_TAG} characters.", name)


def _hand_over(row: Taken, columns: Columns) -> bool | None:
    if columns.hand_over is not None:
        return _flag(row.take(columns.hand_over), columns.hand_over)
    given = _flag(row.take("hand_over"), "hand_over")
    answerable = _flag(row.take("answerable"), "answerable")
    return given if given is not None or answerable is None else not answerable


def _flag(value: Any, name: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    if not word:
        return None
    raise Unfit(f"`{name}` is neither true nor false: {value!r:.40}.", name)


def _context(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        value = _maybe_json(value) or value
    passages = [value] if isinstance(value, str | dict) else value or []
    if not isinstance(passages, list) or not all(isinstance(each, str | dict) for each in passages):
        raise Unfit("`context` is neither text nor a list of passages.", "context")
    return [{"text": each} if isinstance(each, str) else each for each in passages if each]


def _sources(row: Taken, column: str | None) -> list[str]:
    """Documents that hold the answer. A mere `source` is one only where it looks like a path."""
    value = row.take(column or "sources")
    if value is None and column is None:
        value = row.take("source")
        if isinstance(value, str) and "/" not in value and "." not in value:
            row.put_back("source", value)
            return []
    if isinstance(value, str):
        value = _maybe_json(value) if value.lstrip()[:1] == "[" else [value]
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise Unfit("`sources` is no list of names of documents.", "sources")
    return value


def _object(value: Any, name: str) -> dict[str, Any]:
    if isinstance(value, str):
        value = _opened(value)
    if value is None:
        return {}
    if not isinstance(value, dict):
        return {name: value} if name == "metadata" else _not_an_object(name)
    return value


def _not_an_object(name: str) -> dict[str, Any]:
    raise Unfit(f"`{name}` is no object.", name)


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _opened(value: Any) -> Any:
    """JSON as text, opened; what is no text stays as it is. Raises Unfit."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise Unfit(f"This is not JSON: {value!r:.80}.") from None


def _maybe_json(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _converted(given: dict[str, Any], provenance: Provenance) -> Example:
    try:
        return msgspec.structs.replace(msgspec.convert(given, Example), provenance=provenance)
    except msgspec.ValidationError as error:
        raise Unfit(f"It does not fit: {error}.") from None


def _listed(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{name:.40}" for name in list(fields)[:12]) + (", ..." if len(fields) > 12 else "")
