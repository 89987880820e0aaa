"""Reading prompt files: what is kept, what the version depends on, and every way a file can be wrong."""

from __future__ import annotations

import pytest

from rondo.errors import SettingsError
from rondo.prompts.model import Variable
from rondo.prompts.source import parse_prompt

WHOLE = """---
description: Answers from the handbook.
variables:
  plan: {type: string, default: free, description: The plan.}
  seats: {type: integer}
examples:
  - {user: "How do I log in?", assistant: "Choose Sign in. [1]"}
output_schema:
  type: object
  properties: {answer: {type: string}}
---

# system

You help customers on the {{ plan }} plan.

```sh
# user
echo "a comment in code is no part"
```

# user

{{ question }} for {{ seats }}
"""


def parse(text: str) -> object:
    return parse_prompt(text, file="prompts/answer.md")


def test_a_whole_file() -> None:
    prompt = parse_prompt(WHOLE, file="prompts/answer.md")
    assert prompt.name == "answer"
    assert prompt.description == "Answers from the handbook."
    assert prompt.variables["plan"] == Variable(type="string", required=False, default="free", description="The plan.")
    assert prompt.variables["seats"].required
    assert prompt.examples[0].assistant == "Choose Sign in. [1]"
    assert prompt.output_schema is not None
    assert prompt.system is not None
    assert prompt.system.startswith("You help")
    assert "# user\necho" in prompt.system
    assert prompt.user == "{{ question }} for {{ seats }}"
    assert prompt.source == WHOLE
    assert len(prompt.version) == 64


def test_only_the_user_part_is_needed() -> None:
    prompt = parse_prompt("# user\n{{ question }}\n", file="q.md")
    assert (prompt.system, prompt.user, prompt.variables) == (None, "{{ question }}", {})


def test_the_version_ignores_spacing_line_ends_and_the_order_of_keys() -> None:
    first = parse_prompt("---\nvariables: {a: {}, b: {}}\ndescription: x\n---\n# user\nHi {{ a }}\n", file="a.md")
    second = parse_prompt(
        "\ufeff---\r\ndescription: 'x'\r\nvariables:\r\n  b:\r\n  a:\r\n---\r\n\r\n# user\r\n\r\nHi {{ a }}\r\n\r\n",
        file="b.md",
    )
    assert first.version == second.version


@pytest.mark.parametrize(
    "changed",
    [
        WHOLE.replace("default: free", "default: pro"),
        WHOLE.replace("Choose Sign in", "Press Sign in"),
        WHOLE.replace("type: integer", "type: number"),
        WHOLE.replace("You help", "You advise"),
        WHOLE.replace("Answers from", "Replies from"),
        WHOLE.replace("answer: {type", "reply: {type"),
    ],
)
def test_the_version_depends_on_everything_said(changed: str) -> None:
    assert parse_prompt(changed, file="a.md").version != parse_prompt(WHOLE, file="a.md").version


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("# user", "user", "is empty"),
        ("# system\nhello", "user", "no part `# user`"),
        ("hello\n# user\nx", None, "line 1: text before the first part"),
        ("# User\nx", None, "Did you mean 'user'"),
        ("# user\nx\n# user\ny", None, "line 3: there is more than one"),
        ("---\ndescription: x\n# user\nx", None, "front matter has no end"),
        ("---\n- a\n---\n# user\nx", None, "must be keys and values"),
        ("---\na: [\n---\n# user\nx", None, "not valid YAML on line"),
        ("---\ndescripton: x\n---\n# user\nx", "descripton", "Did you mean 'description'"),
        ("---\ndescription: 3\n---\n# user\nx", "description", "must be text"),
        ("---\nvariables: {a: {typ: string}}\n---\n# user\nx", "variables.a.typ", "Did you mean 'type'"),
        ("---\nvariables: {a: {type: strng}}\n---\n# user\nx", "variables.a.type", "Did you mean 'string'"),
        ("---\nvariables: {a: {type: [x]}}\n---\n# user\nx", "variables.a.type", "is not a type"),
        ("---\nvariables: {a: {type: integer, default: x}}\n---\n# user\nx", "variables.a.default", "type integer"),
        ("---\nvariables: {a: {type: number, default: true}}\n---\n# user\nx", "variables.a.default", "type number"),
        ("---\nvariables: {a: {type: number, default: .nan}}\n---\n# user\nx", None, "what JSON cannot"),
        ("---\nvariables: {a-b: {}}\n---\n# user\nx", "variables.a-b", "letters, digits"),
        ("---\nvariables: {context: {}}\n---\n# user\nx", "variables.context", "is taken"),
        ("---\nvariables: {loop: {}}\n---\n# user\nx", "variables.loop", "is taken"),
        ("---\nvariables: {question: {type: list}}\n---\n# user\nx", "variables.question.type", "Allowed: string"),
        ("---\nvariables: [a]\n---\n# user\nx", "variables", "keys and values"),
        ("---\nexamples: x\n---\n# user\nx", "examples", "must be a list"),
        ("---\nexamples: [{user: a}]\n---\n# user\nx", "examples.0.assistant", "required"),
        ("---\nexamples: [{usr: a}]\n---\n# user\nx", "examples.0.usr", "Did you mean 'user'"),
        ("---\noutput_schema: {type: objekt}\n---\n# user\nx", "output_schema.type", "not a valid JSON Schema"),
        ("---\noutput_schema: {$ref: 'http://evil/x'}\n---\n# user\nx", "output_schema", "leads out of the schema"),
        ("---\noutput_schema: {$ref: 'file:///etc/passwd'}\n---\n# user\nx", "output_schema", "leads out"),
        ("---\ndescription: a\ndescription: b\n---\n# user\nx", None, "'description' appears twice, on line 3"),
        ("---\n1: a\n---\n# user\nx", None, "is not text"),
        ("---\na: &x [1]\nb: *x\n---\n# user\nx", None, "aliases"),
        ("---\ndescription: !!python/object/apply:os.system [ls]\n---\n# user\nx", None, "not valid YAML"),
        ("---\ndescription: " + "[" * 1500 + "\n---\n# user\nx", None, "not valid YAML"),
        ("---\nvariables: {a: {type: integer, default: " + "9" * 5000 + "}}\n---\n# user\nx", None, "not valid YAML"),
        ('---\ndescription: "\\uD800"\n---\n# user\nx', None, "half a character"),
        ("# user\nx\0y", None, "NUL"),
        ("# user\n" + "x" * 600_000, None, "at most 500,000 characters"),
        ("# user\n\nHi {{ nme }}", "user", "line 3: the variable `nme` is not declared"),
        ("---\nvariables: {name: {}}\n---\n# system\n{{ nme }}\n# user\nx", "system", "Did you mean 'name'"),
        ("# user\n{{ inputs.plan }}", "user", "`plan` is not declared"),
        ("# user\n{% for c in context %}{{ c.txt }}{% endfor %}", "user", "has no `txt`"),
        ("# user\n{% if question %}", "user", "line 2"),
        ("# user\n{{ 'open", "user", "line 2"),
    ],
)
def test_what_is_wrong_is_named(text: str, key: str | None, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text)
    assert caught.value.file == "prompts/answer.md"
    assert caught.value.param == key
    assert says in str(caught.value)


def test_an_empty_system_part_is_none() -> None:
    assert parse_prompt("# system\n\n# user\nx", file="a.md").system is None


def test_headings_of_the_parts_own_text_stay() -> None:
    prompt = parse_prompt("# system\n# Rules\n## user\n# user\n# Question\nx", file="a.md")
    assert prompt.system == "# Rules\n## user"
    assert prompt.user == "# Question\nx"
