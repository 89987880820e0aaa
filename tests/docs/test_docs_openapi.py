"""The OpenAPI description is what the code says now: in the documentation, and as the server gives it out."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from rondo.api.app import DOORS
from rondo.gateway.endpoint import Gateway

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts" / "docs_openapi.py"))


def test_the_copies_are_current(script: dict[str, Any]) -> None:
    for path in script["COPIES"]:
        assert json.loads(path.read_bytes()) == json.loads(msgspec.json.encode(script["spec"]()))
    assert script["run"](True) == 0, "run `python scripts/docs_openapi.py`"


def test_every_door_is_in_it(script: dict[str, Any]) -> None:
    told = {(method.upper(), path) for path, item in script["spec"]()["paths"].items() for method in item}
    routes = Gateway(None, None, max_body_bytes=0).routes  # type: ignore[arg-type]
    doors = [(door.method, re.sub(r":\w+}", "}", door.path)) for door in DOORS]
    assert told == {*routes, *doors}


def test_its_parts_hang_together(script: dict[str, Any]) -> None:
    """Every reference leads somewhere, ids differ, each path's parameters are declared, and each schema is one."""
    spec = script["spec"]()
    text = json.dumps(spec)
    for name in re.findall(r'"#/components/schemas/([^"]+)"', text):
        assert name in spec["components"]["schemas"]
    operations = [(path, made) for path, item in spec["paths"].items() for made in item.values()]
    ids = [made["operationId"] for _, made in operations]
    assert len(set(ids)) == len(ids)
    for path, made in operations:
        declared = [each["name"] for each in made["parameters"] if each["in"] == "path"]
        assert declared == re.findall(r"{(\w+)}", path)
    for schema in spec["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_check_tells_of_a_stale_copy(
    script: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tmp_path / "openapi.json"
    stale.write_text("{}")
    script["run"].__globals__.update(COPIES=(stale,), ROOT=tmp_path)
    assert script["run"](True) == 1
    assert "stale: openapi.json" in capsys.readouterr().err
    assert stale.read_text() == "{}"
    assert script["run"](False) == 0
    assert json.loads(stale.read_text())["openapi"] == "3.1.0"
