"""What a judge is shown of a case: conversation, passages, expected answer, answer; as data between marks. Pure.

A mark carries a hash of everything that stands between all the marks. A text would have to hold its own hash to close
its section and speak as somebody else, so no escaping is needed, nothing is altered, and the same case always reads
the same.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

from msgspec import Struct

from rondo.catalog.text import canonical_json
from rondo.datasets.model import text_of
from rondo.evals.model import Answer, Case


class Material(Struct, frozen=True, kw_only=True):
    """`sections` are (name, text) in the order they are read; `mark` is a hash of them."""

    sections: list[tuple[str, str]]
    mark: str

    @property
    def text(self) -> str:
        """All sections between their marks."""
        return "\n\n".join(f"<{name} {self.mark}>\n{text}\n</{name} {self.mark}>" for name, text in self.sections)


def material(case: Case) -> Material:
    """For judges of one answer."""
    return marked([*_before(case), ("answer", _said(case.answer))])


def pair(case: Case, *, swapped: bool) -> Material:
    """For judges of two: the case's answer is `answer_1`, or `answer_2` where they are swapped."""
    assert case.other is not None
    one, two = (case.other, case.answer) if swapped else (case.answer, case.other)
    return marked([*_before(case), ("answer_1", _said(one)), ("answer_2", _said(two))])


def marked(sections: list[tuple[str, str]]) -> Material:
    """(name, text) of each section, with the mark that is theirs."""
    mark = blake2b(_safe(canonical_json(sections)), digest_size=8).hexdigest()
    return Material(sections=sections, mark=mark)


def _before(case: Case) -> list[tuple[str, str]]:
    example, answer = case.example, case.answer
    sections = [("conversation", _conversation(answer.turns[:-1] if answer.turns else example.messages))]
    passages = [chunk.text for chunk in answer.chunks] or [_passage(each) for each in example.context]
    if passages:
        sections.append(("passages", "\n\n".join(f"[{number}] {text}" for number, text in enumerate(passages, 1))))
    if example.expected is not None:
        sections.append(("expected", _text(example.expected)))
    return sections


def _conversation(messages: list[dict[str, Any]]) -> str:
    return "\n".join(f"{message.get('role', 'user')}: {_content(message)}" for message in messages)


def _content(message: dict[str, Any]) -> str:
    calls = message.get("tool_calls")
    return text_of(message) + (f"\n(tool calls) {_text(calls)}" if calls else "")


def _said(answer: Answer) -> str:
    calls = "".join(f"\n(tool call) {_text(call)}" for call in answer.tool_calls)
    return (answer.text + calls).strip() or "(nothing)"


def _passage(passage: dict[str, Any]) -> str:
    text = passage.get("text")
    return text if isinstance(text, str) else _text(passage)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _safe(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
