"""OpenAI's Responses: requests into the dialect inside, answers and events out of it."""

from __future__ import annotations

from rondo.errors import RondoError
from rondo.gateway.wire import error_body
from rondo.gateway.wires.base import Given, WireStream
from rondo.gateway.wires.inside import completion_of
from rondo.gateway.wires.responses_output import Frame, answer
from rondo.gateway.wires.responses_request import ResponsesRequest, parse_responses
from rondo.gateway.wires.responses_stream import ResponsesStream
from rondo.records import Wire


class Responses:
    """`POST /v1/responses`."""

    name: Wire = "responses"

    def parse(self, body: bytes) -> ResponsesRequest:
        """The request; one that `needs` earlier responses is joined with them by `gateway/recall.py`."""
        return parse_responses(body)

    def answer(self, given: Given, completion: bytes) -> bytes:
        return answer(_frame(given), completion_of(completion))

    def stream(self, given: Given) -> WireStream:
        return ResponsesStream(_frame(given))

    def error(self, error: RondoError) -> bytes:
        return error_body(error)


def _frame(given: Given) -> Frame:
    return Frame(given.trace_id, given.created_at, given.request.model, given.request.echo)
