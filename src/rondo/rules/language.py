"""The language of `when`: conditions over facts of a request, parsed once and compiled to closures. Pure.

    when = 'input.pii or tags.channel in ["web", "app"] and not mentions(input.text, "refund")'

There are facts, text, numbers, true, false, null, lists, comparisons, `in`, `and`, `or`, `not`, brackets and a few
functions; nothing loops, nothing is assigned, nothing of Python can be reached. What is unknown is null: a comparison
with it is false, and so is one between different types. Only facts that the evaluation comes to are asked for.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection
from typing import NamedTuple

from msgspec import Struct

from rondo.rules.functions import FUNCTIONS, Compiled, Value, is_true
from rondo.rules.tokens import MOST_CHARACTERS, ParseError, Token, tokens

Path = tuple[str, ...]
Ask = Callable[[Path], Value]
"""Gives the value of a fact."""

_Node = Callable[[Ask], Value]

ANYTHING = "anything"
NOW: Path = ("time", "now")
"""The moment in microseconds: what functions of time look at. Conditions cannot name it."""

_DEEPEST = 40
_COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")


class Known(Struct, frozen=True, kw_only=True):
    """The facts there are: `facts` by name and type, `open` are the tables whose names are the user's own."""

    facts: dict[str, str]
    open: dict[str, str]

    def type_of(self, path: Path) -> str | None:
        """`truth`, `number`, `text` or `anything`; None where there is no such fact."""
        if path[0] in self.open:
            kind = self.open[path[0]]
            # A variable may hold a table; a tag is always text.
            return kind if len(path) == 2 or (len(path) > 2 and kind == ANYTHING) else None
        return self.facts.get(".".join(path))

    @property
    def names(self) -> list[str]:
        """As an error lists them."""
        kinds = [name for name in self.facts if name.startswith("input.pii.")]
        listed = [name for name in self.facts if name not in kinds]
        return [*listed, *(["input.pii.KIND"] if kinds else []), *(f"{table}.NAME" for table in self.open)]


class Condition(Struct, frozen=True):
    """A condition, ready to be asked. `asks` are all facts in it, in the order they stand there."""

    text: str
    asks: tuple[Path, ...]
    evaluate: _Node

    def holds(self, ask: Ask) -> bool:
        return is_true(self.evaluate(ask))


class _Typed(NamedTuple):
    """A part of a condition; `literal` holds the value where it is written out."""

    node: _Node
    type: str
    at: int
    literal: bool = False
    value: Value = None


def parse(text: str, known: Known) -> Condition:
    """The condition that `text` is. Raises ParseError, which tells the place and what is allowed there."""
    if len(text) > MOST_CHARACTERS:
        raise ParseError(f"a condition has at most {MOST_CHARACTERS} characters, this one has {len(text)}", 0)
    parser = _Parser(tokens(text), known)
    whole = parser.disjunction()
    parser.expect_end()
    return Condition(text, tuple(dict.fromkeys(parser.asks)), whole.node)


class _Parser:
    """One pass over the tokens, by precedence: or, and, not, comparison, operand."""

    def __init__(self, found: list[Token], known: Known) -> None:
        self._tokens = found
        self._known = known
        self._position = 0
        self._depth = 0
        self.asks: list[Path] = []

    def disjunction(self) -> _Typed:
        return self._joined("or", self._conjunction, _either)

    def _conjunction(self) -> _Typed:
        return self._joined("and", self._negation, _both)

    def _joined(self, word: str, part: Callable[[], _Typed], join: Callable[[list[_Node]], _Node]) -> _Typed:
        first = part()
        nodes = [first.node]
        while self._take(word):
            nodes.append(part().node)
        return first if len(nodes) == 1 else _Typed(join(nodes), "truth", first.at)

    def _negation(self) -> _Typed:
        at = self._now.at
        negations = 0
        while self._take("not"):
            negations += 1
        inner = self._comparison()
        if not negations:
            return inner
        node, wanted = inner.node, negations % 2 == 0
        return _Typed(lambda ask: is_true(node(ask)) is wanted, "truth", at)

    def _comparison(self) -> _Typed:
        left = self._operand()
        token = self._now
        if token.kind == "sign" and token.text in _COMPARISONS:
            self._position += 1
            made = self._compared(left, token, self._operand())
        elif self._take("in"):
            made = self._member(left, self._operand(), wanted=True)
        elif self._is("not") and self._is("in", ahead=1):
            self._position += 2
            made = self._member(left, self._operand(), wanted=False)
        else:
            return left
        if self._now.text in (*_COMPARISONS, "in") and self._now.kind in ("sign", "word"):
            raise ParseError("comparisons do not chain: join them with `and`", self._now.at)
        return made

    def _compared(self, left: _Typed, token: Token, right: _Typed) -> _Typed:
        one, other, sign = left.node, right.node, token.text
        for side, against in ((left, right), (right, left)):
            if side.literal and side.value is None:
                if sign not in ("==", "!="):
                    raise ParseError(f"null has no order: `{sign}` cannot be used with it", token.at)
                return _Typed(_is_null(against.node, sign == "=="), "truth", left.at)
        for side in (left, right):
            if side.type == "list":
                raise ParseError("a list can only stand behind `in`", side.at)
            if side.type == "truth" and sign not in ("==", "!="):
                raise ParseError(f"true and false have no order: `{sign}` cannot be used with them", token.at)
        if ANYTHING not in (left.type, right.type) and left.type != right.type:
            raise ParseError(f"{_a(left.type)} is never `{sign}` {_a(right.type)}", token.at)
        compare = _ORDERS[sign]

        def node(ask: Ask) -> Value:
            first, second = one(ask), other(ask)
            return _comparable(first, second) and compare(first, second)

        return _Typed(node, "truth", left.at)

    def _member(self, left: _Typed, right: _Typed, *, wanted: bool) -> _Typed:
        if right.type not in ("list", ANYTHING):
            hint = "; use contains(text, ...)" if right.type == "text" else ""
            raise ParseError(f"behind `in` stands a list, not {_a(right.type)}{hint}", right.at)
        if left.type == "list":
            raise ParseError("a list cannot be in a list", left.at)
        if right.literal and isinstance(right.value, list) and left.type != ANYTHING:
            for value in right.value:
                if value is not None and _type_of(value) != left.type:
                    raise ParseError(f"{_a(left.type)} is never {_shown(value)}", right.at)
        one, other = left.node, right.node

        def node(ask: Ask) -> Value:
            value, all_of_them = one(ask), other(ask)
            if value is None or not isinstance(all_of_them, list):
                return False
            return any(_comparable(value, each) and value == each for each in all_of_them) is wanted

        return _Typed(node, "truth", left.at)

    def _operand(self) -> _Typed:
        token = self._now
        if token.kind in ("text", "number"):
            self._position += 1
            assert token.value is not None
            return _literal(token.value, token.at)
        if token.kind == "sign" and token.text == "(":
            return self._bracket(token)
        if token.kind == "sign" and token.text == "[":
            return self._list(token)
        if token.kind == "word":
            return self._named(token)
        raise ParseError(f"{token.shown} stands where a fact or a value is expected", token.at)

    def _bracket(self, opening: Token) -> _Typed:
        self._deeper(opening)
        self._position += 1
        inner = self.disjunction()
        self._close(")", opening)
        self._depth -= 1
        return inner

    def _list(self, opening: Token) -> _Typed:
        self._deeper(opening)
        self._position += 1
        values: list[Value] = []
        while not self._is_sign("]"):
            each = self._operand()
            if not each.literal or each.type == "list":
                raise ParseError("a list holds text, numbers, true and false", each.at)
            values.append(each.value)
            if not self._is_sign(","):
                break
            self._position += 1
        self._close("]", opening)
        self._depth -= 1
        return _Typed(lambda ask: values, "list", opening.at, literal=True, value=values)

    def _named(self, token: Token) -> _Typed:
        self._position += 1
        if token.text in _CONSTANTS:
            return _literal(_CONSTANTS[token.text], token.at)
        if token.text in ("and", "or", "not", "in"):
            raise ParseError(f"`{token.text}` stands where a fact or a value is expected", token.at)
        if self._is_sign("("):
            return self._call(token)
        return self._fact(token)

    def _fact(self, token: Token) -> _Typed:
        path = tuple(token.text.split("."))
        if self._is_sign("[") and path[0] in self._known.open:
            opening = self._now
            self._position += 1
            name = self._now
            if name.kind != "text" or not isinstance(name.value, str):
                raise ParseError('a name in quotes stands here, as in tags["my tag"]', name.at)
            self._position += 1
            self._close("]", opening)
            path = (*path, name.value)
        kind = self._known.type_of(path)
        if kind is None:
            raise ParseError(f"there is no fact called `{'.'.join(path)}`{_nearest(path, self._known)}", token.at)
        self.asks.append(path)
        return _Typed(lambda ask: ask(path), kind, token.at)

    def _call(self, token: Token) -> _Typed:
        function = FUNCTIONS.get(token.text)
        if function is None:
            meant = _close(token.text, FUNCTIONS)
            raise ParseError(f"there is no function called `{token.text}`{meant}", token.at)
        self._deeper(token)
        opening = self._now
        self._position += 1
        given: list[_Typed] = []
        while not self._is_sign(")"):
            given.append(self.disjunction())
            if not self._is_sign(","):
                break
            self._position += 1
        self._close(")", opening)
        self._depth -= 1
        return _Typed(self._bound(token, given, function.bind, function.takes_text), function.gives, token.at)

    def _bound(
        self, token: Token, given: list[_Typed], bind: Callable[[list[str]], Compiled], takes_text: bool
    ) -> _Node:
        """The function with its written-out arguments bound: patterns are compiled here, once."""
        first = given.pop(0) if takes_text and given else None
        if takes_text and (first is None or first.type not in ("text", ANYTHING)):
            raise ParseError(f"`{token.text}` looks into a text, e.g. input.text", first.at if first else token.at)
        words: list[str] = []
        for each in given:
            if not each.literal or not isinstance(each.value, str):
                raise ParseError(f"`{token.text}` takes text in quotes here", each.at)
            words.append(each.value)
        try:
            compiled = bind(words)
        except ValueError as error:
            raise ParseError(f"{token.text}: {error}", given[0].at if given else token.at) from None
        if first is None:
            self.asks.append(NOW)
            return lambda ask: compiled(ask(NOW))
        where = first.node
        return lambda ask: compiled(where(ask))

    def expect_end(self) -> None:
        if self._now.kind != "end":
            raise ParseError(f"{self._now.shown} is too much here; join conditions with `and` or `or`", self._now.at)

    @property
    def _now(self) -> Token:
        return self._tokens[self._position]

    def _is(self, word: str, *, ahead: int = 0) -> bool:
        at = self._position + ahead
        return at < len(self._tokens) and self._tokens[at].kind == "word" and self._tokens[at].text == word

    def _is_sign(self, sign: str) -> bool:
        return self._now.kind == "sign" and self._now.text == sign

    def _take(self, word: str) -> bool:
        taken = self._is(word)
        self._position += taken
        return taken

    def _close(self, sign: str, opening: Token) -> None:
        if not self._is_sign(sign):
            raise ParseError(f"`{sign}` is missing for the `{opening.text}` at {opening.at + 1}", self._now.at)
        self._position += 1

    def _deeper(self, token: Token) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ParseError(f"brackets are nested more than {_DEEPEST} deep", token.at)


_CONSTANTS: dict[str, Value] = {"true": True, "false": False, "null": None}
_ORDERS: dict[str, Callable[[Value, Value], bool]] = {
    "==": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
    "<": lambda one, other: one < other,  # type: ignore[operator]
    "<=": lambda one, other: one <= other,  # type: ignore[operator]
    ">": lambda one, other: one > other,  # type: ignore[operator]
    ">=": lambda one, other: one >= other,  # type: ignore[operator]
}


def _either(nodes: list[_Node]) -> _Node:
    return lambda ask: any(is_true(node(ask)) for node in nodes)


def _both(nodes: list[_Node]) -> _Node:
    return lambda ask: all(is_true(node(ask)) for node in nodes)


def _is_null(node: _Node, wanted: bool) -> _Node:
    return lambda ask: (node(ask) is None) is wanted


def _literal(value: Value, at: int) -> _Typed:
    return _Typed(lambda ask: value, _type_of(value), at, literal=True, value=value)


def _type_of(value: Value) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "list" if isinstance(value, list) else ANYTHING


def _comparable(one: Value, other: Value) -> bool:
    """Whether both are text, both numbers or both truths. Values from outside may be of any type."""
    kind = _type_of(one)
    return kind == _type_of(other) and kind not in ("list", ANYTHING)


def _a(kind: str) -> str:
    return {"truth": "true or false", "number": "a number", "text": "text", "list": "a list"}.get(kind, "a value")


def _shown(value: Value) -> str:
    return f"{value!r:.40}" if isinstance(value, str) else str(value).lower()


def _nearest(path: Path, known: Known) -> str:
    """The closest fact, and where they are listed."""
    name = ".".join(path)
    meant = _close(name, known.facts)
    if path[0] == "class" and len(path) > 1 and "class" not in meant:
        return f". It comes with a table `[classifiers.{path[1]}]`"
    if path[0] in known.open:
        return f': write `{path[0]}.NAME` or `{path[0]}["NAME"]`'
    if name.lower() in _CONSTANTS:
        return f": write `{name.lower()}`"
    return f"{meant or '.'} Allowed: {', '.join(known.names)}"


def _close(name: str, allowed: Collection[str]) -> str:
    found = difflib.get_close_matches(name[:64], list(allowed), n=1, cutoff=0.5)
    return f"; did you mean `{found[0]}`?" if found else ""
