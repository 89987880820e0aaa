"""Feedback as it has come in. (Sending it is the gateway's: `POST /v1/feedback`.)"""

from __future__ import annotations

import asyncio

from rondo.api.door import Asked, Door
from rondo.feedback.search import MAX_PAGE, ScorePage, list_scores, parse_filter
from rondo.governance.model import Role


async def list_feedback(asked: Asked) -> ScorePage:
    """A page of judgements, newest first, with the question and answer they judge."""
    given = {name: value for name, value in asked.request.query_params.items() if name not in ("limit", "before")}
    return await asyncio.to_thread(
        list_scores,
        asked.control.records,
        asked.project,
        parse_filter(given),
        limit=asked.query_number("limit", 50, most=MAX_PAGE),
        before=asked.query("before"),
    )


DOORS = [Door("GET", "/api/feedback", Role.VIEWER, list_feedback)]
