"""The OpenAPI description of the gateway's wires and the control plane, as scripts/docs_openapi.py has made it."""

from __future__ import annotations

from functools import cache
from importlib import resources

from starlette.responses import Response

from rondo.api.door import Asked, Door
from rondo.governance.model import Role


async def description(asked: Asked) -> Response:
    """This API and the gateway's wires, as OpenAPI 3.1."""
    return Response(_text(), media_type="application/json")


@cache
def _text() -> bytes:
    return resources.files("rondo.api").joinpath("openapi.json").read_bytes()


DOORS = [Door("GET", "/api/openapi.json", Role.VIEWER, description)]
