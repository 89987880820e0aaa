"""The template language does what it should, and nothing of what Jinja could do beyond it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.errors import InvalidRequest
from rondo.prompts.language import TemplateError, compile_text
from rondo.prompts.operations import MAX_OUTPUT_CHARS, MAX_TURNS, Budget

NAMES = dict.fromkeys(["a", "b", "items", "customer", "text"])


def render(template: str, **values: Any) -> str:
    write, _ = compile_text(template, NAMES)
    out: list[str] = []
    write({**dict.fromkeys(NAMES), **values}, Budget(), out)
    return "".join(out)


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        ("plain", {}, "plain"),
        ("{{ a }}", {"a": "x"}, "x"),
        ("{{ a }}", {"a": "{{ b }} {% if %}"}, "{{ b }} {% if %}"),
        ("{{ a }}", {"a": 3}, "3"),
        ("{{ a }}", {"a": 2.5}, "2.5"),
        ("{{ a }}", {"a": True}, "true"),
        ("{{ a }}", {"a": None}, "null"),
        ("{{ a }}", {"a": ["é", 1]}, '["é", 1]'),
        ("{{ customer.name }}", {"customer": {"name": "Ada"}}, "Ada"),
        ("{{ customer['name'] }}", {"customer": {"name": "Ada"}}, "Ada"),
        ("{{ customer[a] }}", {"customer": {"k": "v"}, "a": "k"}, "v"),
        ("{{ items[1] }}", {"items": ["x", "y"]}, "y"),
        ("{{ a ~ '-' ~ b }}", {"a": "x", "b": 2}, "x-2"),
        ("{% for i in items %}{{ loop.index }}{{ i }}{% if not loop.last %},{% endif %}{% endfor %}",
         {"items": ["x", "y"]}, "1x,2y"),
        ("{% for i in items %}{{ i }}{% else %}none{% endfor %}", {"items": []}, "none"),
        ("{% for i in items if i > 1 %}{{ loop.length }}{{ i }}{% endfor %}", {"items": [1, 2]}, "12"),
        ("{% for k in customer %}{{ k }}={{ customer[k] }};{% endfor %}", {"customer": {"x": 1, "y": 2}}, "x=1;y=2;"),
        ("{% for i in items %}{% for j in i %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}",
         {"items": [[0, 0], [0]]}, "12112"),
        ("{% if a == 'x' and b in ['p', 'q'] %}1{% elif a %}2{% else %}3{% endif %}", {"a": "x", "b": "q"}, "1"),
        ("{% if a == 'x' and b in ['p', 'q'] %}1{% elif a %}2{% else %}3{% endif %}", {"a": "y"}, "2"),
        ("{% if a == 'x' and b in ['p', 'q'] %}1{% elif a %}2{% else %}3{% endif %}", {}, "3"),
        ("{% if not a or b >= 2 %}y{% endif %}", {"a": 1, "b": 2}, "y"),
        ("{{ 'y' if a else 'n' }}", {"a": 1}, "y"),
        ("{{ 'y' if a }}", {}, ""),
        ("{% if 'x' not in items %}y{% endif %}", {"items": ["z"]}, "y"),
        ("{% if 'ell' in text %}y{% endif %}", {"text": "hello"}, "y"),
        ("{{ customer.name | default('you') }}", {"customer": {}}, "you"),
        ("{{ customer.a.b.c | default('deep') }}", {"customer": {}}, "deep"),
        ("{{ a | default('x', true) }}", {"a": ""}, "x"),
        ("{{ items | join(', ') }}", {"items": ["a", 1]}, "a, 1"),
        ("{{ items | length }}", {"items": [1, 2, 3]}, "3"),
        ("{{ text | trim | upper }}", {"text": " x "}, "X"),
        ("{{ text | lower }}", {"text": "X"}, "x"),
        ("{{ customer | tojson }}", {"customer": {"a": ["ü"]}}, '{"a": ["ü"]}'),
        ("{{ items | first }}{{ items | last }}", {"items": ["a", "b"]}, "ab"),
        ("{{ a | round }} {{ a | round(2) }}", {"a": 2.456}, "2 2.46"),
        ("{% if customer.x is defined %}y{% else %}n{% endif %}", {"customer": {"x": None}}, "y"),
        ("{% if customer.x is not defined %}y{% endif %}", {"customer": {}}, "y"),
        ("{# gone #}{% raw %}{{ a }}{% endraw %}", {}, "{{ a }}"),
        ("a\n{% if b %}\nb\n{% endif %}\nc", {"b": 1}, "a\nb\nc"),
    ],
)  # fmt: skip
def test_what_templates_can(template: str, values: dict[str, Any], expected: str) -> None:
    assert render(template, **values) == expected


SSTI = [
    "{{ a() }}",
    "{{ ''.__class__() }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__ }}",
    "{{ self.__init__ }}",
    "{{ request.application }}",
    "{{ config }}",
    "{{ range(10) }}",
    "{% for x in range(10**9) %}{{ x }}{% endfor %}",
    "{{ 'x' * 10 }}",
    "{{ 10 ** 9 }}",
    "{{ 1 + 1 }}",
    "{{ -a }}",
    "{{ 'a' % b }}",
    "{{ '%s' | format(a) }}",
    "{{ a | attr('__class__') }}",
    "{{ a | map('upper') }}",
    "{{ a | pprint }}",
    "{{ a | join(attribute='x') }}",
    "{{ a | default(*items) }}",
    "{{ a | default }}",
    "{{ a | upper(1) }}",
    "{{ items[0:1] }}",
    "{{ {'a': 1} }}",
    "{{ a is string }}",
    "{% set x = 1 %}",
    "{% set x %}y{% endset %}",
    "{% macro m() %}{% endmacro %}",
    "{% import 'x' as y %}",
    "{% from 'x' import y %}",
    "{% include 'x' %}",
    "{% extends 'x' %}",
    "{% block x %}{% endblock %}",
    "{% filter upper %}x{% endfilter %}",
    "{% call a() %}{% endcall %}",
    "{% with x = 1 %}{{ x }}{% endwith %}",
    "{% autoescape true %}{% endautoescape %}",
    "{% for x in items recursive %}{{ loop(x) }}{% endfor %}",
    "{% for k, v in items %}{% endfor %}",
    "{% for loop in items %}{% endfor %}",
    "{% for i in items %}{{ loop.changed }}{% endfor %}",
    "{{ 1 < a < 3 }}",
    "{{ i }}{% for i in items %}{% endfor %}",
    "{{ loop.index }}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{{ " + "not " * 3000 + "a }}",
    "{{ a" + ".b" * 3000 + " }}",
    "{{ " + "9" * 5000 + " }}",
    "{% if a %}" * 100 + "{% endif %}" * 100,
]


@pytest.mark.parametrize("template", SSTI, ids=range(len(SSTI)))
def test_what_templates_cannot(template: str) -> None:
    with pytest.raises(TemplateError):
        compile_text(template, NAMES)


@pytest.mark.parametrize(
    "path",
    ["__class__", "__init__", "__globals__", "__dict__", "__len__", "format", "join", "keys", "items", "append"],
)
@pytest.mark.parametrize("value", ["text", 1, 2.5, True, None, [1], {"x": 1}], ids=repr)
def test_a_dot_never_reaches_an_attribute(path: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match="not there"):
        render(f"{{{{ a.{path} }}}}", a=value)
    assert render(f"{{{{ a.{path} | default('no') }}}}", a=value) == "no"
    assert render("{{ a[b] | default('no') }}", a=value, b=path) == "no"


def test_a_missing_key_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"customer\.address") as caught:
        render("{{ customer.address.city }}", customer={"address": {}})
    assert caught.value.param == "inputs.customer.address.city"


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("{{ a | length }}", {"a": 1}),
        ("{{ a | upper }}", {"a": 1}),
        ("{{ a | join }}", {"a": "x"}),
        ("{{ a | round }}", {"a": "x"}),
        ("{{ a | round(b) }}", {"a": 1.5, "b": -3}),
        ("{{ a | first }}", {"a": []}),
        ("{{ a | first }}", {"a": 1}),
        ("{% if a < b %}{% endif %}", {"a": 1, "b": "x"}),
        ("{% if a in b %}{% endif %}", {"a": [], "b": "x"}),
        ("{% for x in a %}{% endfor %}", {"a": "text"}),
        ("{% for x in a %}{% endfor %}", {"a": 3}),
    ],
)
def test_values_that_do_not_fit_are_the_callers_mistake(template: str, values: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        render(template, **values)


def test_loops_end() -> None:
    many = [0] * 1000
    with pytest.raises(InvalidRequest, match=r"loop turns|work"):
        render(
            "{% for x in items %}{% for y in items %}{% for z in items %}{% endfor %}{% endfor %}{% endfor %}",
            items=many,
        )
    with pytest.raises(InvalidRequest, match=r"loop turns|work"):
        render("{% for x in items %}.{% endfor %}", items=[0] * (MAX_TURNS + 1))


def test_output_ends() -> None:
    with pytest.raises(InvalidRequest, match="characters"):
        render("{% for x in items %}{{ text }}{% endfor %}", items=[0] * 50, text="x" * (MAX_OUTPUT_CHARS // 10))


@pytest.mark.parametrize(
    "expression",
    ["text ~ text", "[text, text] | join", "text | upper", "[text] | tojson", "text == text", "'é' in text"],
)
def test_work_without_output_ends(expression: str) -> None:
    with pytest.raises(InvalidRequest, match="work"):
        render(
            "{% for x in items %}{% if " + expression + " %}{% endif %}{% endfor %}",
            items=[0] * 500,
            text="x" * 200_000,
        )


def test_doubling_by_nested_concatenation_ends() -> None:
    expression = "text"
    for _ in range(10):
        expression = f"({expression} ~ {expression})"
    with pytest.raises(InvalidRequest, match="work"):
        render("{{ " + expression + " | length }}", text="x" * 100_000)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(value=json_values, other=json_values)
def test_any_value_is_rendered_or_refused(value: Any, other: Any) -> None:
    for template in ("{{ a }}", "{{ a[b] | default('') }}", "{{ a == b }}", "{{ a | tojson }}", "{{ a ~ b }}"):
        assert isinstance(render(template, a=value, b=other), str)
    for template in ("{{ a < b }}", "{{ a in b }}", "{{ a | first }}", "{% for x in a %}{{ x }}{% endfor %}"):
        with suppress(InvalidRequest):
            render(template, a=value, b=other)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="{}%#ab.()[]|~'\" \n=forinendif", max_size=60))
def test_any_text_compiles_or_is_refused(text: str) -> None:
    with suppress(TemplateError):
        compile_text(text, NAMES)
