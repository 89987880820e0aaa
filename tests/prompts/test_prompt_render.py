"""From a prompt and a request's variables to the messages a model gets."""

from __future__ import annotations

from typing import Any

import pytest

from rondo.errors import InvalidRequest
from rondo.prompts import render
from rondo.prompts.source import parse_prompt
from rondo.records import Chunk

SOURCE = """---
variables:
  plan: {type: string, default: free}
  seats: {type: integer}
  tags: {type: list, default: []}
examples:
  - {user: "Hi {{ plan }}", assistant: Hello}
---
# system
Plan {{ plan }}, {{ seats }} seats. {{ inputs.plan }}
{% for c in context %}
[{{ c.number }}] {{ c.title }} > {{ c.heading }} ({{ c.source }}): {{ c.text }}
{% endfor %}
Otherwise: {{ hand_over }}
# user
{{ question }}
"""


def template(source: str = SOURCE) -> render.Template:
    return render.compile(parse_prompt(source, file="a.md"))


def chunk(number: int) -> Chunk:
    return Chunk(number=number, id="x", source="s.md", title="T", heading="H", text="words", score=1.0)


def test_messages() -> None:
    messages = template().messages(
        {
            "question": "How?",
            "context": render.context_of([chunk(1), chunk(2)]),
            "inputs": {"seats": 3, "plan": "pro"},
            "hand_over": "Sorry.",
        }
    )
    assert messages == [
        {
            "role": "system",
            "content": "Plan pro, 3 seats. pro\n[1] T > H (s.md): words\n[2] T > H (s.md): words\nOtherwise: Sorry.",
        },
        {"role": "user", "content": "Hi {{ plan }}"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "How?"},
    ]


def test_which_variables_are_used() -> None:
    assert template().uses == {"plan", "seats", "inputs", "context", "hand_over", "question"}


def test_messages_do_not_share_state() -> None:
    made = template()
    made.messages({"inputs": {"seats": 1}})[1]["content"] = "changed"
    assert made.messages({"inputs": {"seats": 1}})[1]["content"] == "Hi {{ plan }}"


@pytest.mark.parametrize(
    ("inputs", "param", "says"),
    [
        ({}, "inputs.seats", "required"),
        ({"seats": None}, "inputs.seats", "required"),
        ({"seat": 3}, "inputs.seats", "Is 'seat' meant"),
        ({"seats": "3"}, "inputs.seats", "must be of type integer, not string"),
        ({"seats": True}, "inputs.seats", "not boolean"),
        ({"seats": 3.0}, "inputs.seats", "not number"),
        ({"seats": 3, "plan": ["x"]}, "inputs.plan", "must be of type string, not list"),
        ({"seats": 3, "tags": {}}, "inputs.tags", "must be of type list, not object"),
        ([1], "inputs", "JSON object"),
        ("x", "inputs", "JSON object"),
    ],
)
def test_wrong_inputs_are_named(inputs: Any, param: str, says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        template().messages({"question": "x", "inputs": inputs})
    assert caught.value.param == param
    assert says in caught.value.message


def test_undeclared_inputs_do_no_harm() -> None:
    """A client may send what only the next release declares."""
    made = template("---\nvariables: {a: {default: x}}\n---\n# user\n{{ a }}{{ inputs }}")
    assert made.messages({"inputs": {"new": 1}})[0]["content"] == 'x{"new": 1, "a": "x"}'


def test_a_question_may_have_a_default() -> None:
    made = template('---\nvariables: {question: {default: "Hello?"}}\n---\n# user\n{{ question }}')
    assert made.messages({"question": ""})[0]["content"] == "Hello?"
    assert made.messages({"question": "Hi"})[0]["content"] == "Hi"


def test_a_required_question() -> None:
    made = template("---\nvariables: {question: {}}\n---\n# user\n{{ question }}")
    with pytest.raises(InvalidRequest, match="required"):
        made.messages({})


def test_a_system_message_that_comes_out_empty_is_left_out() -> None:
    made = template("# system\n{% if context %}x{% endif %}\n# user\n{{ question }}")
    assert [message["role"] for message in made.messages({"question": "x"})] == ["user"]


def test_history() -> None:
    made = template("# user\n{% for m in history %}{{ m.role }}: {{ m.content }}\n{% endfor %}{{ question }}")
    history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert made.messages({"question": "c", "history": history})[0]["content"] == "user: a\nassistant: b\nc"
