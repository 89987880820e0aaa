"""The template language: Jinja's syntax, of which only a small, harmless part is understood. Pure.

    {{ name }}  {{ customer.plan }}  {{ items[0] }}  {{ a ~ b }}  {{ name | default("you") | upper }}
    {% for chunk in context %}[{{ chunk.number }}] {{ chunk.text }}{% endfor %}
    {% if plan == "pro" and not trial %} ... {% elif ... %} ... {% else %} ... {% endif %}

Jinja's parser reads the text; each node is then turned into a small Python function, and a node that is not in
the tables below is an error. So there is no call, no attribute of a Python object (a dot is a look-up of a key in
a JSON object), no arithmetic, no import, no macro, and no generated code. Values are JSON values. What is not text
prints as JSON. `Budget` bounds the text made, the loop turns and the work of every rendering.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes

from rondo.errors import InvalidRequest
from rondo.prompts.operations import (
    COMPARISONS,
    FILTERS,
    MISSING,
    Arity,
    Budget,
    Missing,
    compare,
    look_up,
    text_of,
    truth,
)

MAX_DEPTH = 40  # nested expressions and blocks
RESERVED = frozenset({"loop", "true", "false", "none", "True", "False", "None"})

Scope = dict[str, Any]
Evaluate = Callable[[Scope, Budget], Any]
Write = Callable[[Scope, Budget, list[str]], None]
Keys = Mapping[str, frozenset[str] | None]

_ENVIRONMENT = Environment(autoescape=False, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)  # noqa: S701 - makes text for models, not HTML
_LOOP_KEYS = frozenset({"index", "index0", "first", "last", "length"})


class TemplateError(Exception):
    """A template is not in the language. `line` counts from 1 within the template."""

    def __init__(self, message: str, line: int, *, name: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.name = name  # an undeclared variable's name, so that the reader of the file can offer the nearest


def compile_text(text: str, declared: Keys) -> tuple[Write, frozenset[str]]:
    """A writer for the template `text`, and the names of the variables it uses.

    `declared` holds all names that may be used, each with the keys of its items (for lists of known shape) or None.
    Raises TemplateError.
    """
    try:
        tree = _ENVIRONMENT.parse(text)
        compiler = _Compiler(declared)
        return compiler.block(tree.body, dict(declared), {}, 0), frozenset(compiler.used)
    except TemplateSyntaxError as error:
        raise TemplateError(error.message or "syntax error", error.lineno) from None
    except RecursionError:
        raise TemplateError("nested too deeply", 1) from None
    except ValueError as error:  # a number with thousands of digits
        raise TemplateError(str(error), 1) from None


class _Compiler:
    """Turns nodes into functions. `scope` holds the names in sight, `items` the keys that loop variables have."""

    def __init__(self, declared: Keys) -> None:
        self.declared = declared
        self.used: set[str] = set()
        self.size = 0  # nodes so far

    def enter(self, node: nodes.Node, depth: int) -> None:
        self.size += 1
        if depth > MAX_DEPTH:
            raise TemplateError(f"nested more than {MAX_DEPTH} deep", node.lineno)

    # -- statements ------------------------------------------------------------------------------------------------

    def block(
        self, body: list[nodes.Node], scope: dict[str, Any], items: dict[str, frozenset[str]], depth: int
    ) -> Write:
        writers = [self.statement(node, scope, items, depth + 1) for node in body]

        def write(values: Scope, budget: Budget, out: list[str]) -> None:
            for writer in writers:
                writer(values, budget, out)

        return writers[0] if len(writers) == 1 else write

    def statement(self, node: nodes.Node, scope: dict[str, Any], items: dict[str, frozenset[str]], depth: int) -> Write:
        self.enter(node, depth)
        if isinstance(node, nodes.Output):
            return self.output(node, scope, items, depth)
        if isinstance(node, nodes.If):
            return self.choice(node, scope, items, depth)
        if isinstance(node, nodes.For):
            return self.loop(node, scope, items, depth)
        raise TemplateError(f"`{_plain(node)}` is not part of the template language", node.lineno)

    def output(self, node: nodes.Output, scope: dict[str, Any], items: dict[str, frozenset[str]], depth: int) -> Write:
        parts: list[str | Evaluate] = []
        for part in node.nodes:
            if isinstance(part, nodes.TemplateData):
                parts.append(part.data)
            else:
                parts.append(self.expression(part, scope, items, depth + 1))

        def write(values: Scope, budget: Budget, out: list[str]) -> None:
            for part in parts:
                text = part if type(part) is str else text_of(part(values, budget), budget)  # type: ignore[operator]
                budget.write(len(text))
                out.append(text)

        return write

    def choice(self, node: nodes.If, scope: dict[str, Any], items: dict[str, frozenset[str]], depth: int) -> Write:
        branches = [
            (self.expression(branch.test, scope, items, depth + 1), self.block(branch.body, scope, items, depth))
            for branch in (node, *node.elif_)
        ]
        otherwise = self.block(node.else_, scope, items, depth)

        def write(values: Scope, budget: Budget, out: list[str]) -> None:
            for test, then in branches:
                if truth(test(values, budget)):
                    return then(values, budget, out)
            return otherwise(values, budget, out)

        return write

    def loop(self, node: nodes.For, scope: dict[str, Any], items: dict[str, frozenset[str]], depth: int) -> Write:
        if node.recursive or not isinstance(node.target, nodes.Name):
            raise TemplateError("a loop has one variable: `{% for item in list %}`", node.lineno)
        target = node.target.name
        if target in RESERVED:
            raise TemplateError(f"`{target}` cannot be a loop variable", node.lineno)
        listed = self.expression(node.iter, scope, items, depth + 1)
        inner_items = {name: keys for name, keys in items.items() if name not in (target, "loop")}
        inner_items["loop"] = _LOOP_KEYS
        if isinstance(node.iter, nodes.Name) and scope.get(node.iter.name):
            inner_items[target] = scope[node.iter.name]
        before = self.size
        body = self.block(node.body, {**scope, target: None, "loop": None}, inner_items, depth)
        test = self.expression(node.test, {**scope, target: None}, inner_items, depth + 1) if node.test else None
        weight = 16 * (self.size - before)  # a node costs about as much time as so many characters
        counts = any(name.name == "loop" for part in node.body for name in part.find_all(nodes.Name))
        otherwise = self.block(node.else_, scope, items, depth)

        def write(values: Scope, budget: Budget, out: list[str]) -> None:
            turns = _turns(listed(values, budget), budget)
            mine = dict(values)
            budget.turn(len(turns), weight)
            if test is not None:
                turns = [turn for turn in turns if truth(test(_with(mine, target, turn), budget))]
            last = len(turns)
            for index, turn in enumerate(turns, 1):
                mine[target] = turn
                if counts:
                    mine["loop"] = {
                        "index": index, "index0": index - 1, "first": index == 1, "last": index == last, "length": last
                    }  # fmt: skip
                body(mine, budget, out)
            if not turns:
                otherwise(values, budget, out)

        return write

    # -- expressions -----------------------------------------------------------------------------------------------

    def expression(
        self, node: nodes.Node, scope: dict[str, Any], items: dict[str, frozenset[str]], depth: int
    ) -> Evaluate:
        self.enter(node, depth)
        if isinstance(node, nodes.Const):
            constant = node.value
            if not (constant is None or isinstance(constant, str | int | float)):
                raise TemplateError("only text, numbers and booleans can be written as constants", node.lineno)
            return lambda values, budget: constant
        if isinstance(node, nodes.Name):
            return self.name(node, scope)
        makers: dict[type[nodes.Node], Callable[..., Evaluate]] = {
            nodes.Getattr: self.key,
            nodes.Getitem: self.key,
            nodes.And: self.logic,
            nodes.Or: self.logic,
            nodes.Not: self.negation,
            nodes.Compare: self.comparison,
            nodes.Concat: self.concatenation,
            nodes.CondExpr: self.conditional,
            nodes.List: self.listing,
            nodes.Tuple: self.listing,
            nodes.Filter: self.filter,
            nodes.Test: self.test,
        }
        make = makers.get(type(node))
        if make is None:
            raise TemplateError(f"`{_plain(node)}` is not part of the template language", node.lineno)
        return make(node, lambda child: self.expression(child, scope, items, depth + 1), items)

    def name(self, node: nodes.Name, scope: dict[str, Any]) -> Evaluate:
        name = node.name
        if node.ctx != "load" or name not in scope:
            raise TemplateError(f"the variable `{name}` is not declared", node.lineno, name=name)
        if name in self.declared:
            self.used.add(name)
        return lambda values, budget: values[name]

    def key(self, node: nodes.Getattr | nodes.Getitem, sub: _Sub, items: dict[str, frozenset[str]]) -> Evaluate:
        whole = sub(node.node)
        path = _path(node.node)
        if isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Const):
            if isinstance(node.arg, nodes.Slice):
                raise TemplateError("slices are not part of the template language", node.lineno)
            wanted = sub(node.arg)
            return lambda values, budget: look_up(whole(values, budget), wanted(values, budget), path)
        key: Any = node.attr if isinstance(node, nodes.Getattr) else node.arg.value  # type: ignore[attr-defined]
        if isinstance(node.node, nodes.Name):
            known = items.get(node.node.name)
            if known is not None and key not in known:
                raise TemplateError(f"`{path}` has no `{key}`; it has {', '.join(sorted(known))}", node.lineno)
            if node.node.name == "inputs" and key not in self.declared:
                raise TemplateError(f"the variable `{key}` is not declared", node.lineno, name=str(key))

        def get(values: Scope, budget: Budget) -> Any:
            value = whole(values, budget)
            if type(value) is dict:  # the usual case, spared a call
                found = value.get(key, MISSING)
                if found is not MISSING:
                    return found
            return look_up(value, key, path)

        return get

    def logic(self, node: nodes.And | nodes.Or, sub: _Sub, _: object) -> Evaluate:
        left, right = sub(node.left), sub(node.right)
        if isinstance(node, nodes.And):
            return lambda values, budget: right(values, budget) if truth(a := left(values, budget)) else a
        return lambda values, budget: a if truth(a := left(values, budget)) else right(values, budget)

    def negation(self, node: nodes.Not, sub: _Sub, _: object) -> Evaluate:
        inner = sub(node.node)
        return lambda values, budget: not truth(inner(values, budget))

    def comparison(self, node: nodes.Compare, sub: _Sub, _: object) -> Evaluate:
        if len(node.ops) != 1:
            raise TemplateError("compare two values at a time, joined by `and`", node.lineno)
        operator = node.ops[0].op
        if operator not in COMPARISONS:
            raise TemplateError(f"the comparison `{operator}` is not part of the template language", node.lineno)
        left, right = sub(node.expr), sub(node.ops[0].expr)
        return lambda values, budget: compare(operator, left(values, budget), right(values, budget), budget)

    def concatenation(self, node: nodes.Concat, sub: _Sub, _: object) -> Evaluate:
        parts = [sub(part) for part in node.nodes]

        def join(values: Scope, budget: Budget) -> str:
            texts: list[str] = []
            for part in parts:
                texts.append(text := text_of(part(values, budget), budget))
                budget.work(len(text))
            return "".join(texts)

        return join

    def conditional(self, node: nodes.CondExpr, sub: _Sub, _: object) -> Evaluate:
        test, then = sub(node.test), sub(node.expr1)
        otherwise: Evaluate = sub(node.expr2) if node.expr2 else lambda values, budget: ""
        return lambda values, budget: (then if truth(test(values, budget)) else otherwise)(values, budget)

    def listing(self, node: nodes.List | nodes.Tuple, sub: _Sub, _: object) -> Evaluate:
        members = [sub(member) for member in node.items]
        return lambda values, budget: [member(values, budget) for member in members]

    def filter(self, node: nodes.Filter, sub: _Sub, _: object) -> Evaluate:
        if node.name not in FILTERS:
            raise TemplateError(
                f"there is no filter `{node.name}`; there are {', '.join(sorted(FILTERS))}", node.lineno
            )
        if node.node is None or node.kwargs or node.dyn_args or node.dyn_kwargs:
            raise TemplateError(f"the filter `{node.name}` takes only plain arguments", node.lineno)
        apply, arity = FILTERS[node.name]
        if not arity[0] <= len(node.args) <= arity[1]:
            raise TemplateError(f"the filter `{node.name}` takes {_arguments(arity)}", node.lineno)
        inner, arguments = sub(node.node), [sub(argument) for argument in node.args]
        return lambda values, budget: apply(
            inner(values, budget), [argument(values, budget) for argument in arguments], budget
        )

    def test(self, node: nodes.Test, sub: _Sub, _: object) -> Evaluate:
        if node.name != "defined" or node.args or node.kwargs:
            raise TemplateError(f"the test `is {node.name}` is not part of the template language", node.lineno)
        inner = sub(node.node)
        return lambda values, budget: not isinstance(inner(values, budget), Missing)


_Sub = Callable[[nodes.Node], Evaluate]


def _with(values: Scope, name: str, value: Any) -> Scope:
    values[name] = value
    return values


def _turns(value: Any, budget: Budget) -> list[Any]:
    """What a loop goes over: the items of a list or the keys of an object; nothing, where there is nothing."""
    if isinstance(value, list):
        found = value
    elif isinstance(value, dict):
        found = list(value)
    elif value is None or isinstance(value, Missing):
        return []
    else:
        raise InvalidRequest(
            f"The prompt's template loops over a value that is no list: {text_of(value, budget)[:80]!r}."
        )
    budget.work(len(found))
    return found


def _path(node: nodes.Node) -> str:
    """How a value is written in the template, for errors."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{_path(node.node)}.{node.attr}"
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return f"{_path(node.node)}[{node.arg.value!r}]"
    return "the value"


def _plain(node: nodes.Node) -> str:
    return {
        "Call": "a call",
        "Add": "+",
        "Sub": "-",
        "Mul": "*",
        "Div": "/",
        "FloorDiv": "//",
        "Mod": "%",
        "Pow": "**",
        "Neg": "-",
        "Pos": "+",
        "Assign": "set",
        "AssignBlock": "set",
        "FromImport": "from",
        "CallBlock": "call",
    }.get(type(node).__name__, type(node).__name__.lower())


def _arguments(arity: Arity) -> str:
    least, most = arity
    return f"{most} argument{'s' if most != 1 else ''}" if least == most else f"{least} to {most} arguments"
