"""Who stands before a door of the gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from rondo.gateway.plan import Plan
from rondo.gateway.reply import Headers, Reply
from rondo.governance.model import Grant


class Visitor(Struct, frozen=True):
    """Who has been let in, and the plan that holds for this request. `tags` are put beside the request's own."""

    plan: Plan
    grant: Grant
    headers: Headers
    query: bytes
    tags: dict[str, str] = {}


Door = Callable[[Visitor, bytes], Awaitable[Reply]]
