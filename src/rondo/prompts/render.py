"""Fills a prompt: checks a request's inputs, then makes the messages for a model. Pure.

Compiled once when a plan is published, used for every request. Values are only ever data: a template is never
made from them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from rondo.errors import InvalidRequest
from rondo.prompts.language import Write, compile_text
from rondo.prompts.model import BUILT_IN, Prompt, Variable, fits
from rondo.prompts.operations import Budget
from rondo.records import Chunk

Message = dict[str, str]


class Template:
    """A compiled prompt. `uses` holds the names of the variables that its parts really use."""

    def __init__(self, prompt: Prompt) -> None:
        """Raises language.TemplateError for a prompt that `source.parse_prompt` would have refused."""
        names = dict.fromkeys(prompt.variables) | BUILT_IN
        self._user, uses_user = compile_text(prompt.user, names)
        self._system: Write | None = None
        uses_system: frozenset[str] = frozenset()
        if prompt.system is not None:
            self._system, uses_system = compile_text(prompt.system, names)
        self.uses = uses_user | uses_system
        self._variables = prompt.variables
        self._examples = [
            message
            for example in prompt.examples
            for message in (
                {"role": "user", "content": example.user},
                {"role": "assistant", "content": example.assistant},
            )
        ]

    def messages(self, variables: Mapping[str, Any]) -> list[Message]:
        """System message, few-shot pairs, user message.

        `variables` may hold `question` (text), `context` (see `context_of`), `history` (messages), `hand_over` (the
        app's sentence for it) and `inputs` (the request's own object, from which the declared variables are taken).
        Raises InvalidRequest naming `inputs.<name>` for a value that is missing or of the wrong type, or when the
        result grows too large.
        """
        scope = self._scope(variables)
        budget = Budget()
        messages: list[Message] = []
        if self._system is not None:
            system = _write(self._system, scope, budget)
            if system:
                messages.append({"role": "system", "content": system})
        messages += [dict(message) for message in self._examples]
        messages.append({"role": "user", "content": _write(self._user, scope, budget)})
        return messages

    def _scope(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        given = variables.get("inputs")
        if given is None:
            given = {}
        if not isinstance(given, dict):
            raise InvalidRequest("`inputs` must be a JSON object.", param="inputs")
        question = variables.get("question") or ""
        inputs = dict(given)
        scope: dict[str, Any] = {}
        for name, variable in self._variables.items():
            if name == "question":  # declared for the sake of its default
                question = question or _value(name, variable, given)
                continue
            scope[name] = inputs[name] = _value(name, variable, given)
        scope["question"] = question
        scope["context"] = variables.get("context") or []
        scope["history"] = variables.get("history") or []
        scope["inputs"] = inputs
        scope["hand_over"] = variables.get("hand_over") or ""
        return scope


def compile(prompt: Prompt) -> Template:
    """The prompt, ready to render many times. Thread-safe."""
    return Template(prompt)


def context_of(chunks: Iterable[Chunk]) -> list[dict[str, Any]]:
    """Retrieved chunks as templates see them."""
    return [
        {
            "number": chunk.number,
            "text": chunk.text,
            "source": chunk.source,
            "title": chunk.title,
            "heading": chunk.heading,
        }
        for chunk in chunks
    ]


def _write(write: Write, scope: dict[str, Any], budget: Budget) -> str:
    out: list[str] = []
    write(scope, budget, out)
    return "".join(out).strip()


def _value(name: str, variable: Variable, given: dict[str, Any]) -> Any:
    """A declared variable's value; JSON null counts as not given."""
    value = given.get(name)
    if value is None:
        if not variable.required:
            return variable.default
        close = difflib.get_close_matches(name, [key for key in given if isinstance(key, str)][:100], n=1, cutoff=0.7)
        meant = f" Is {close[0]!r} meant to be it?" if close else ""
        raise InvalidRequest(
            f"The input `{name}` ({variable.type}) is required.{meant}",
            param=f"inputs.{name}",
            remedy=f'Send it as `"inputs": {{"{name}": ...}}`.',
        )
    if not fits(value, variable.type):
        raise InvalidRequest(
            f"The input `{name}` must be of type {variable.type}, not {_kind(value)}.", param=f"inputs.{name}"
        )
    return value


def _kind(value: Any) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", list: "list", dict: "object"}
    return names.get(type(value), type(value).__name__)
