"""Writes the OpenAPI 3.1 description of the gateway's wires and the control plane from the code behind them.

python scripts/docs_openapi.py           write docs/reference/openapi.json, and the copy that the server gives out
python scripts/docs_openapi.py --check   write nothing; exit with 1 where one is not as it would be written

Paths, roles, sentences and query parameters come as in scripts/docs_api.py; bodies and answers from the structs that
are read and returned. Vendors' bodies are described as far as Rondo looks at them: other fields are the provider's.
"""

from __future__ import annotations

import ast
import inspect
import re
import runpy
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from rondo.api.app import DOORS
from rondo.api.door import Door
from rondo.errors import RondoError
from rondo.gateway.endpoint import Gateway
from rondo.gateway.request import AnswerRequest
from rondo.gateway.wire import MOST_MODELS, error_body
from rondo.gateway.wires.messages_answer import error_fields
from rondo.gateway.wires.messages_blocks import Body as MessagesBody

ROOT = Path(__file__).parent.parent
COPIES = (ROOT / "docs" / "reference" / "openapi.json", ROOT / "src" / "rondo" / "api" / "openapi.json")
PAGES = runpy.run_path(str(Path(__file__).with_name("docs_api.py")))
GATEWAY: dict[tuple[str, str], str] = PAGES["GATEWAY"]

Json = dict[str, Any]
TEXT: Json = {"type": "string"}
ANY_OBJECT: Json = {"type": "object"}
_OWN: Json = {
    "models": {"type": "array", "items": TEXT, "maxItems": MOST_MODELS, "description": "Tried in this order."},
    "inputs": {"type": "object", "description": "Variables of the app's prompt."},
    "session": {"type": "string", "description": "The conversation that the call belongs to."},
    "stream": {"type": ["boolean", "null"]},
}
_TURN: Json = {"type": "object", "required": ["role"], "properties": {"role": TEXT, "content": {}}}
_TURNS: Json = {"type": "array", "items": _TURN, "minItems": 1}


def _vendors(required: list[str], more: bool = True, /, **properties: Any) -> Json:
    fields = {"model": {"type": "string", "description": "An app, a model, or provider/model."}, **properties}
    return {"type": "object", "required": ["model", *required], "properties": fields, "additionalProperties": more}


def _messages() -> Json:
    """Every field of Anthropic's wire by its name; unknown ones are refused."""
    known: Json = {field.encode_name: {} for field in msgspec.structs.fields(MessagesBody)}
    known |= {"messages": _TURNS, "max_tokens": {"type": "integer", "minimum": 1}, "stream": _OWN["stream"]}
    known |= {name: _OWN[name] for name in ("inputs", "session")}
    return _vendors(["messages", "max_tokens"], False, **known)


BODIES: dict[str, Json] = {
    "/v1/chat/completions": _vendors(["messages"], messages=_TURNS, **_OWN),
    "/v1/responses": _vendors([], input={"type": ["string", "array"]}, previous_response_id=TEXT, **_OWN),
    "/v1/messages": _messages(),
    "/v1/messages/count_tokens": {**_messages(), "required": ["model", "messages"]},
    "/v1/completions": _vendors(["prompt"], prompt={"type": ["string", "array"]}, **_OWN),
    "/v1/embeddings": _vendors(["input"], input={"type": ["string", "array"]}),
    "/v1/feedback": {
        "type": "object",
        "required": ["trace_id", "name", "value"],
        "properties": {
            "trace_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "name": {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"},
            "value": {"type": ["boolean", "number", "string"]},
            "comment": TEXT,
            "user": TEXT,
            "id": TEXT,
        },
        "additionalProperties": False,
    },
}
ANSWERS: dict[str, str] = {
    "/v1/chat/completions": "A chat completion, or its events.",
    "/v1/responses": "A response, or its events.",
    "/v1/messages": "A Message, or its events.",
    "/v1/completions": "A text completion, or its events.",
}
STREAMS = frozenset(ANSWERS)
LIST_QUERY = {"/v1/responses/{id}/input_items": ["limit", "order", "after"]}


def spec() -> Json:
    structs = Structs()
    paths: dict[str, Json] = {}
    for method, path in Gateway(None, None, max_body_bytes=0).routes:  # type: ignore[arg-type]
        paths.setdefault(path, {})[method.lower()] = gateway_operation(method, path, structs)
    for door in DOORS:
        path = re.sub(r"{(\w+):\w+}", r"{\1}", door.path)
        paths.setdefault(path, {})[door.method.lower()] = operation(door, structs)
    schemas = {**structs.schemas(), "Error": shape_of(error_body(RondoError("x"))), "MessagesError": messages_error()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rondo",
            "version": "1",
            "description": "The gateway's wires under /v1 and the control plane under /api. A key comes as a bearer "
            "token; x-role is the lowest role that an operation asks of it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"bearer": []}, {"x-api-key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


class Structs:
    """The structs that are named along the way; each becomes one schema."""

    def __init__(self) -> None:
        self._found: list[type[msgspec.Struct]] = []

    def ref(self, kind: type[msgspec.Struct]) -> Json:
        """Raises TypeError for a struct that has raw JSON in it."""
        schema: Json = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")[0][0]
        if kind not in self._found:
            self._found.append(kind)
        return schema

    def schemas(self) -> Json:
        made: Json = msgspec.json.schema_components(self._found, ref_template="#/components/schemas/{name}")[1]
        return made


def gateway_operation(method: str, path: str, structs: Structs) -> Json:
    body = structs.ref(AnswerRequest) if path == "/v1/apps/{app}/answer" else BODIES.get(path)
    content: Json = {"application/json": {"schema": ANY_OBJECT}}
    if path in STREAMS:
        content["text/event-stream"] = {"schema": TEXT}
    made: Json = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_"),
        "summary": GATEWAY[method, path].split(" Body: ")[0].split(" Query: ")[0],
        "tags": ["gateway"],
        "parameters": _parameters(path, LIST_QUERY.get(path, [])),
        "responses": {
            "200": {"description": ANSWERS.get(path, "The answer."), "content": content},
            "default": _failed("MessagesError" if path.startswith("/v1/messages") else "Error"),
        },
    }
    if body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return made


def operation(door: Door, structs: Structs) -> Json:
    queries, _ = PAGES["parameters"](door.handler)
    made: Json = {
        "operationId": f"{door.handler.__module__.rpartition('.')[2]}_{door.handler.__name__}",
        "summary": PAGES["sentence"](door),
        "tags": [door.handler.__module__.rpartition(".")[2]],
        "parameters": _parameters(door.path, queries),
        "responses": {
            "200": {"description": "The answer.", "content": _content(door.handler, structs)},
            "default": _failed("Error"),
        },
    }
    if door.role is not None:
        made["x-role"] = door.role.value
    if (body := _body(door.handler, structs)) is not None:
        made["requestBody"] = body
    return made


def _parameters(path: str, queries: list[str]) -> list[Json]:
    inside = [
        {"name": name, "in": "path", "required": True, "schema": {**TEXT, "minLength": 1}}
        for name in re.findall(r"{(\w+)(?::\w+)?}", path)
    ]
    return inside + [{"name": name, "in": "query", "required": False, "schema": TEXT} for name in queries]


def _body(handler: Callable[..., Any], structs: Structs) -> Json | None:
    """What the handler reads of the request's body."""
    names = {name: call for call in PAGES["calls_of"](handler) if (name := _name_of(call)) is not None}
    if "body" in names and names["body"].args and isinstance(names["body"].args[0], ast.Name):
        kind = vars(inspect.getmodule(handler))[names["body"].args[0].id]
        return {"required": True, "content": {"application/json": {"schema": structs.ref(kind)}}}
    if "bundle_body" in names:
        return {"required": True, "content": {"application/zip": {"schema": {**TEXT, "format": "binary"}}}}
    if "body_of_at_most" in names:
        return {"required": True, "content": {"application/json": {"schema": ANY_OBJECT}}}
    return None


def _name_of(call: ast.Call) -> str | None:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", None)


def _content(handler: Callable[..., Any], structs: Structs) -> Json:
    kind = typing.get_type_hints(handler)["return"]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        try:
            return {"application/json": {"schema": structs.ref(kind)}}
        except TypeError:  # what is raw in it has no schema
            pass
    if getattr(kind, "__name__", "") == "FileResponse":
        return {"application/octet-stream": {"schema": {**TEXT, "format": "binary"}}}
    return {"application/json": {"schema": ANY_OBJECT}}


def _failed(schema: str) -> Json:
    ref = {"$ref": f"#/components/schemas/{schema}"}
    return {"description": "What is wrong, and what to do.", "content": {"application/json": {"schema": ref}}}


def shape_of(body: bytes) -> Json:
    """A schema for an error as it is really written."""
    fields: Json = {name: {} for name in msgspec.json.decode(body)["error"]} | {
        "message": TEXT,
        "type": TEXT,
        "code": TEXT,
    }
    inside = {"type": "object", "required": list(fields), "properties": fields}
    return {"type": "object", "required": ["error"], "properties": {"error": inside}}


def messages_error() -> Json:
    inside = {"type": "object", "required": ["type", "message"], "properties": {"type": TEXT, "message": TEXT}}
    fields = {name: {} for name in error_fields(RondoError("x"))} | {"type": {"const": "error"}, "error": inside}
    return {"type": "object", "required": list(fields), "properties": fields}


def run(check: bool) -> int:
    text = msgspec.json.format(msgspec.json.encode(spec()), indent=1) + b"\n"
    stale = [path for path in COPIES if not path.exists() or path.read_bytes() != text]
    if check:
        for path in stale:
            print(f"stale: {path.relative_to(ROOT)}; run `python scripts/docs_openapi.py`", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.write_bytes(text)
    return 0


if __name__ == "__main__":
    sys.exit(run("--check" in sys.argv[1:]))
