"""Writes docs/reference/api.md from the tables of routes and the code behind them.

python scripts/docs_api.py           write it
python scripts/docs_api.py --check   write nothing; exit with 1 where it is not as it would be written

Roles, paths and sentences come from the doors; parameters from what a handler reads (`asked.query("q")`,
`asked.body(Split)`), answers from what it is said to return. Only the gateway's routes and the probes have their
sentences here, and a route without one is an error.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from starlette.routing import Route

from rondo.api import probes
from rondo.api.app import DOORS
from rondo.api.door import Door
from rondo.feedback import scores
from rondo.feedback.search import ScoreFilter
from rondo.gateway.endpoint import Gateway
from rondo.gateway.request import AnswerRequest
from rondo.gateway.wire import STATUS
from rondo.traces.filter import FIELDS as CALL_FILTERS
from rondo.traces.filter import TRACE_FIELDS

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "api.md"

GATEWAY = {
    ("POST", "/v1/chat/completions"): "OpenAI's chat completions, plain or streamed, of an app or a model.",
    ("POST", "/v1/responses"): "OpenAI's Responses, plain or streamed, of an app or a model.",
    ("POST", "/v1/messages"): "Anthropic's Messages, plain or streamed, of an app or a model.",
    ("POST", "/v1/messages/count_tokens"): "The tokens of such a request, counted by Anthropic for a model of its own.",
    ("POST", "/v1/completions"): "OpenAI's legacy completions: a prompt for an app or a model.",
    ("POST", "/v1/embeddings"): "OpenAI's embeddings, of a model.",
    ("GET", "/v1/models/{model}"): "One of them.",
    ("GET", "/v1/responses/{id}"): "A response that was given before, from its record.",
    ("GET", "/v1/responses/{id}/input_items"): "What it was asked. Query: `limit`, `order`, `after`.",
    ("GET", "/v1/models"): "The apps and named models that the key may call.",
    ("POST", "/v1/apps/{app}/answer"): "A question in, an answer with its citations out. Body: "
    + ", ".join(f"`{name}`" for name in AnswerRequest.__struct_fields__)
    + ".",
    ("POST", "/v1/feedback"): "A judgement of an answer. Body: "
    + ", ".join(f"`{name}`" for name in scores._FIELDS)
    + ".",
}
PROBES = {
    "/healthz": ("no key", "`ok`: the process answers."),
    "/readyz": (
        "no key",
        "`ok`, or 503 while the server stops, the journal is full, or records do not reach their store.",
    ),
    "/metrics": ("viewer", "Numbers for Prometheus; [Operations](../operations.md#metrics) lists them."),
}
PLAIN_FILTERS = {
    "filter_of": CALL_FILTERS,
    "parse_trace_filter": TRACE_FIELDS,
    "parse_filter": ScoreFilter.__struct_fields__,
}
"""Functions that read a whole query string, and the names they take from it."""


def page() -> str:
    lines = [
        "# API",
        "",
        "<!-- Made by scripts/docs_api.py from the code; change that, not this page. -->",
        "",
        "Send a key as `Authorization: Bearer KEY`. *role* is the lowest role that a route asks of it; each may do "
        "all that the ones before it may: viewer, developer, approver, admin. A key belongs to one project, and sees "
        "nothing of others. Bodies and answers are JSON unless said otherwise; times are microseconds since the epoch.",
        "",
        *gateway_section(),
        *probes_section(),
        "## Control plane",
        "",
        "What the command line calls. `?` marks what a body may leave out; an unknown field or filter is an error.",
        "",
        "| route | role | what it does |",
        "|---|---|---|",
        *(f"| [`{door.method} {door.path}`](#{anchor(door)}) | {role(door)} | {sentence(door)} |" for door in DOORS),
    ]
    for door in DOORS:
        lines += ["", *door_section(door)]
    return "\n".join([*lines, "", *errors_section()]) + "\n"


def gateway_section() -> Iterator[str]:
    routes = Gateway(None, None, max_body_bytes=0).routes  # type: ignore[arg-type]
    require_same(set(routes), set(GATEWAY), "GATEWAY")
    yield from ("## Gateway", "", "Described in [Gateway](../gateway.md).", "")
    yield from ("| route | key | what it does |", "|---|---|---|")
    for method, path in routes:
        who = "any, feedback keys too" if path == "/v1/feedback" else "any secret key"
        yield f"| `{method} {path}` | {who} | {GATEWAY[method, path]} |"
    yield ""


def probes_section() -> Iterator[str]:
    routes: list[Route] = probes.routes(None)  # type: ignore[arg-type]
    require_same({route.path for route in routes}, set(PROBES), "PROBES")
    yield from ("## Probes", "", "| route | role | what it says, as text |", "|---|---|---|")
    for route in routes:
        who, words = PROBES[route.path]
        yield f"| `GET {route.path}` | {who} | {words} |"
    yield ""


def door_section(door: Door) -> Iterator[str]:
    yield from (f"### {door.method} {door.path}", "", f"{sentence(door)} Role: {role(door)}.", "")
    queries, body = parameters(door.handler)
    if queries:
        yield from (f"* Query: {', '.join(f'`{name}`' for name in queries)}.",)
    if body:
        yield f"* Body: {body}."
    yield f"* Answer: {answer(door.handler)}."


def errors_section() -> Iterator[str]:
    yield from ("## Errors", "")
    yield 'Everywhere `{"error": {"message", "type", "param", "code"}}`; the status goes by the code, any other is 500.'
    yield from ("", "| code | status |", "|---|---|")
    for code, status in STATUS.items():
        yield f"| `{code}` | {status} |"


def role(door: Door) -> str:
    return door.role.value if door.role else "any key"


def sentence(door: Door) -> str:
    """The first line of the handler's docstring."""
    text = inspect.getdoc(door.handler)
    if not text:
        sys.exit(f"{door.method} {door.path}: its handler needs a docstring")
    return text.splitlines()[0]


def anchor(door: Door) -> str:
    """What mkdocs makes of the heading."""
    return re.sub(r"[^a-z0-9_ -]", "", f"{door.method} {door.path}".lower()).strip().replace(" ", "-")


def parameters(handler: Callable[..., Any]) -> tuple[list[str], str]:
    """Names in the query string, and what the body is, from what the handler and its helpers read."""
    queries: list[str] = []
    body = ""
    for call in calls_of(handler):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in ("query", "query_number") and call.args and isinstance(call.args[0], ast.Constant):
            queries.append(str(call.args[0].value))
        elif name in PLAIN_FILTERS:
            queries += PLAIN_FILTERS[name]
        elif name == "body" and call.args and isinstance(call.args[0], ast.Name):
            body = struct_text(vars(inspect.getmodule(handler))[call.args[0].id], mark="?")
        elif name == "bundle_body":
            body = "a zip of the project folder: `rondo.toml`, the prompt, the documents"
    return list(dict.fromkeys(queries)), body


def calls_of(handler: Callable[..., Any], *, deep: bool = True) -> Iterator[ast.Call]:
    """Calls in a handler's source, and in the functions of its own module that it gives `asked` to."""
    for node in ast.walk(tree_of(handler)):
        if not isinstance(node, ast.Call):
            continue
        yield node
        given = [each.id for each in node.args if isinstance(each, ast.Name)]
        helper = helper_of(handler, node)
        if deep and "asked" in given and helper is not None and helper.__name__ not in PLAIN_FILTERS:
            yield from calls_of(helper, deep=False)


def helper_of(handler: Callable[..., Any], call: ast.Call) -> Callable[..., Any] | None:
    """The function that is called, where it stands in, or is imported into, the handler's module."""
    found = vars(inspect.getmodule(handler)).get(call.func.id) if isinstance(call.func, ast.Name) else None
    return found if inspect.isfunction(found) else None


def answer(handler: Callable[..., Any]) -> str:
    """What comes back: the fields of a struct, or the keys of the object that the handler, or its helper, makes."""
    kind = typing.get_type_hints(handler)["return"]
    kind = next((each for each in typing.get_args(kind) if is_struct(each)), kind)  # the other one is a file
    if is_struct(kind):
        return struct_text(kind)
    if getattr(kind, "__name__", "") in ("FileResponse", "Response"):
        return "a file"
    for function in [handler, *helpers_of(handler)]:
        for node in ast.walk(tree_of(function)):
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict):
                keys = [key.value for key in node.value.keys if isinstance(key, ast.Constant)]
                return "`{" + ", ".join(f'"{key!s}"' for key in keys) + "}`"
    sys.exit(f"{handler.__module__}.{handler.__name__}: say what it returns")


def is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def helpers_of(handler: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """The functions that the handler calls, or has called for it (`asyncio.to_thread(made, ...)`)."""
    for call in calls_of(handler):
        for named in (call.func, *call.args):
            found = vars(inspect.getmodule(handler)).get(named.id) if isinstance(named, ast.Name) else None
            if inspect.isfunction(found):
                yield found


def struct_text(kind: type[msgspec.Struct], *, mark: str = "") -> str:
    """Its fields; `mark` stands behind those that may be left out."""
    fields = msgspec.structs.fields(kind)
    return "`{" + ", ".join(f'"{each.encode_name}"' + ("" if each.required else mark) for each in fields) + "}`"


def tree_of(function: Callable[..., Any]) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


def require_same(routes: set[Any], told: set[Any], table: str) -> None:
    if routes != told:
        sys.exit(f"scripts/docs_api.py: {table} does not fit the routes: {sorted(routes ^ told)}")


def run(check: bool) -> int:
    text = page()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    if check:
        print("stale: api.md; run `python scripts/docs_api.py`", file=sys.stderr)
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(run("--check" in sys.argv[1:]))
