"""Earlier responses, for requests that continue them: from memory while they are recent, else from the records.

What the gateway has just answered may not have reached the record store yet, and a chain goes on at once. So recent
calls of the Responses wire stay here, up to so many bytes, and whoever builds the gateway passes in how older ones are
looked up. Nothing here is a source of truth: a process that forgets asks the records.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from sys import getsizeof
from typing import Protocol

import msgspec

from rondo.errors import InvalidRequest, NotFound
from rondo.gateway.wires.responses_continue import continue_from, fill_in, own_of
from rondo.gateway.wires.responses_request import RESPONSE_ID, ResponsesRequest, previous_not_found
from rondo.governance.model import Grant
from rondo.records import Call

Lookup = Callable[[str, str], Awaitable[Call | None]]
"""A call of a project by its answer's id, from the records, the newest too; None where there is none."""

_DEFAULT_BYTES = 64 * 1024 * 1024


class Recall(Protocol):
    """Where earlier calls come from."""

    async def recall(self, project: str, answer_id: str) -> Call | None: ...


class RecentCalls:
    """The calls that can be continued, the least recently used forgotten first."""

    def __init__(self, lookup: Lookup, *, max_bytes: int = _DEFAULT_BYTES) -> None:
        self._lookup = lookup
        self._max_bytes = max_bytes
        self._bytes = 0
        self._calls: OrderedDict[tuple[str, str], Call] = OrderedDict()

    def keep(self, call: Call) -> None:
        """Remember a call that has been recorded, if it can be continued and is not too large."""
        if call.wire != "responses" or call.arm != "live" or not may_continue(call):
            return
        kept = msgspec.structs.replace(call, rendered="", question="", inputs="{}", chunks=[], spans=[], guards=[])
        size = _size(kept)
        if size > self._max_bytes // 4:
            return
        key = (call.project, call.answer_id)
        self._forget(key)
        self._calls[key] = kept
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._forget(next(iter(self._calls)))

    async def recall(self, project: str, answer_id: str) -> Call | None:
        """Raises what the lookup raises."""
        call = self._calls.get((project, answer_id))
        if call is None:
            return await self._lookup(project, answer_id)
        self._calls.move_to_end((project, answer_id))
        return call

    def _forget(self, key: tuple[str, str]) -> None:
        call = self._calls.pop(key, None)
        if call is not None:
            self._bytes -= _size(call)


async def continued(request: ResponsesRequest, grant: Grant, recall: Recall, *, max_bytes: int) -> ResponsesRequest:
    """The request joined with the earlier responses that it names; as it is where it names none.

    Raises InvalidRequest where one is not there, or is not this key's to read.
    """
    if not request.previous and not request.references:
        return request
    calls = {trace: await _readable(recall, grant, trace) for trace in request.needs}
    previous = calls.get(request.previous or "")
    if request.references:
        request = fill_in(request, (call for call in calls.values() if call is not None))
    if request.previous is None:
        return request
    if previous is None:
        raise previous_not_found(f"resp_{request.previous}")
    if not may_continue(previous):
        raise InvalidRequest(
            f"The response 'resp_{request.previous}' broke off ({previous.error_code}), and cannot be continued.",
            remedy="Ask again, from the response before it.",
            param="previous_response_id",
        )
    return continue_from(request, previous, max_bytes=max_bytes)


async def stored(response_id: str, grant: Grant, recall: Recall) -> Call:
    """The record of a response, for whoever asks for it by its id. Raises NotFound."""
    found = RESPONSE_ID.fullmatch(response_id)
    call = await _readable(recall, grant, found[1]) if found else None
    if call is None:
        raise NotFound(f"Response with id {response_id!r:.100} not found.", param="response_id")
    return call


def may_continue(call: Call) -> bool:
    """Whether an answer was given in full, or as far as its limit of tokens."""
    return call.status == 200 and call.error_code is None and own_of(call).store


async def _readable(recall: Recall, grant: Grant, answer_id: str) -> Call | None:
    """The call, where it is a response that this key may read, and that its client wanted to be kept."""
    call = await recall.recall(grant.project, answer_id)
    if call is None or call.project != grant.project or call.wire != "responses" or call.arm != "live":
        return None
    if grant.apps and call.app not in grant.apps:
        return None
    return call if own_of(call).store else None


def _size(call: Call) -> int:
    texts = call.input, call.output, call.params, call.answer, call.user, call.session
    return 2_000 + sum(map(getsizeof, texts)) + sum(map(getsizeof, (*call.tags, *call.tags.values())))
