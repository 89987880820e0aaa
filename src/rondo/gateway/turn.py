"""One request on its way: what is known so far, and how it becomes the Call that is recorded."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Raw, structs

from rondo import clock, ids
from rondo.cache.model import Hit
from rondo.errors import RondoError, unexpected
from rondo.gateway.completion import Said
from rondo.gateway.evaluated import Evaluated
from rondo.gateway.plan import Plan, ServedApp, ServedModel, ServedRelease
from rondo.gateway.request import ChatRequest, ClientRequest
from rondo.gateway.shadows import Copied
from rondo.gateway.traceparent import Caller
from rondo.gateway.wire import status_of
from rondo.gateway.wires.base import Given
from rondo.governance.model import Grant
from rondo.limits.model import Matched
from rondo.records import Call, Chunk, Span, Usage, Verdict, Wire, WrittenCall
from rondo.traces.cost import cost_usd, is_counted, usage_from

_log = logging.getLogger("rondo.gateway")
NOTHING_SAID = Said()
_NOTHING_USED = Usage()
_encode = msgspec.json.Encoder().encode
SpanKind = Literal["retrieve", "render", "model", "rule", "cache", "errand"]
CLIENT_CLOSED = 499
"""Status of a call whose client left before the end (nginx's number for it)."""

_NOT_PARAMS = frozenset(("model", "messages", "input", "stream", "inputs", "session", "user", "metadata"))


class Turn:
    """Filled in step by step by the pipeline; `call` makes the record."""

    # What most requests have none of stands here, and is set where there is any.
    app: ServedApp | None = None
    release: ServedRelease | None = None
    model: ServedModel | None = None
    attempts = 0
    context: Sequence[Chunk] | None = None
    rendered: bytes = b""
    first_token_ms: float | None = None
    chunks: Sequence[Chunk] = ()
    verdicts: Sequence[Verdict] = ()
    blocked: str | None = None
    """What a guard answers in the place of a model."""
    rule: str | None = None
    rerouted = False
    """Whether a rule or a guard has put other models in the place of the route."""
    hit: Hit | None = None
    matched: Matched | None = None
    hold: Any = None
    """What is reserved at the ledger, until it is settled."""
    extended: tuple[Any, ...] = ()
    """What is reserved besides, for further tries."""
    make_room: Callable[[Turn], Awaitable[None]] | None = None
    """Reserves for one more try, where others may be on a bill; None where no budget applies."""
    unsure: tuple[ServedModel, ...] = ()
    """The model of each try that may be on a provider's bill, also of the one that answered."""
    errands: tuple[Turn, ...] = ()
    """What the request has reserved for errands of its own, until it is settled."""
    side_usd = 0.0
    """What guards and the cache have spent on models, and what an answer that had to be mended has cost."""
    side_tokens = 0
    """Tokens of an answer that had to be mended."""
    recorded: Call | None = None
    shadow_of: str | None = None
    evaluated: Evaluated | None = None
    parent_span_id: str | None = None
    """The caller's span, where the call hangs in a trace of the caller's own."""

    def __init__(
        self,
        plan: Plan,
        grant: Grant,
        wire: Wire,
        request: ClientRequest,
        pinned: Copied | Evaluated | None = None,
    ) -> None:
        self.plan = plan
        self.grant = grant
        self.wire = wire
        self.request = request
        self.started_at = clock.now_us()
        self.trace_id, self.span_id = ids.new_ids(self.started_at)
        self.spans: list[Span] = []
        self.said = NOTHING_SAID
        self.issued: set[str] = set()
        """Tokens that stand for values of this request."""
        if pinned is not None:
            self.release = pinned.release
            if isinstance(pinned, Copied):
                self.shadow_of = pinned.trace_id
            else:
                self.evaluated = pinned
        self._began = clock.monotonic()

    @property
    def chat(self) -> ChatRequest:
        """The request of a turn that chats."""
        assert isinstance(self.request, ChatRequest)
        return self.request

    def given(self) -> Given:
        """What the client's wire may know."""
        return Given(trace_id=self.answer_id, created_at=self.started_at, request=self.chat)

    @property
    def answer_id(self) -> str:
        """As `Call.answer_id`."""
        return self.trace_id if self.parent_span_id is None else ids.answer_id(self.started_at, self.span_id)

    def hang_in(self, caller: Caller) -> None:
        """Become part of the caller's trace. Before anything else is known of the turn."""
        self.trace_id, self.parent_span_id = caller
        # The answer's id, which is made of it, is a UUID.
        self.span_id = ids.answer_id(self.started_at, self.span_id)[16:]

    def elapsed_ms(self) -> float:
        return (clock.monotonic() - self._began) * 1_000

    def add_span(
        self,
        kind: SpanKind,
        name: str,
        since_ms: float,
        *,
        error: RondoError | None = None,
        **attributes: object,
    ) -> None:
        """A step that began `since_ms` into the turn and ends now."""
        self.keep_span(kind, name, since_ms, _encode(attributes).decode(), error)

    def keep_span(
        self, kind: SpanKind, name: str, since_ms: float, attributes: str, error: RondoError | None = None
    ) -> None:
        """As `add_span`; `attributes` are JSON already."""
        self.spans.append(
            Span(
                span_id=ids.next_span_id(self.span_id, len(self.spans) + 1),
                parent_span_id=self.span_id,
                name=name,
                kind=kind,
                started_at=self.started_at + round(since_ms * 1_000),
                duration_ms=self.elapsed_ms() - since_ms,
                status="error" if error else "ok",
                error=str(error) if error else None,
                attributes=attributes,
            )
        )

    @property
    def handed_over(self) -> bool | None:
        """Whether the app passed the customer on to a person; None for calls that are not an app's."""
        if self.release is None or not self.said.text:
            return None
        return self.said.text.strip() == self.release.hand_over.strip()

    def bill(self) -> tuple[Usage | None, float | None]:
        """Tokens and US dollars, as far as they are known."""
        if self.hit is not None or self.blocked is not None:
            return _NOTHING_USED, self.side_usd
        usage = self.said.usage
        if usage is None or not is_counted(usage):
            return None, self.side_usd if self.attempts == 0 else None  # what asked nobody cost nothing
        counted = usage_from(usage)
        price = self.model.price if self.model is not None else None
        return counted, None if price is None else cost_usd(counted, price) + self.side_usd

    @property
    def lost(self) -> tuple[ServedModel, ...]:
        """Of the tries that may be on a bill, those that brought no answer."""
        assert self.model is not None
        return _without(self.unsure, self.model)

    def not_billed(self, model: ServedModel) -> None:
        """A try at this model is on no bill."""
        self.unsure = _without(self.unsure, model)

    def put_aside(self) -> None:
        """Another answer is asked for in the place of this one, which is paid all the same."""
        usage, cost = self.bill()
        self.side_usd = cost or self.side_usd
        if usage is not None:
            self.side_tokens += usage.total
            if cost is not None:
                self.unsure = self.lost
        self.said = structs.replace(self.said, usage=None)

    def call(
        self,
        usage: Usage | None,
        cost: float | None,
        charged: float | None,
        *,
        error: RondoError | None = None,
        client_closed: bool = False,
    ) -> Call:
        """The record, as things stand now. What most calls have none of is only looked at where there is any."""
        request, model, said = self.request, self.model, self.said
        more: dict[str, Any] = {} if self.release is None else self._of_app(self.release)
        if self.evaluated is not None:
            more["arm"] = "eval"
        if self.parent_span_id is not None:
            more["parent_span_id"] = self.parent_span_id
        if error is not None:
            more.update(error_code=error.code, error_message=str(error))
        if client_closed:
            more["error_code"] = "client_closed"
        if model is not None:
            more.update(model=model.spec.name, provider=model.spec.provider, price_version=model.price_version)
        if request.inputs:
            more["inputs"] = _encode(request.inputs).decode()
        return WrittenCall(
            trace_id=self.trace_id,
            span_id=self.span_id,
            project=self.grant.project,
            key_id=self.grant.key_id,
            wire=self.wire,
            started_at=self.started_at,
            duration_ms=self.elapsed_ms(),
            first_token_ms=self.first_token_ms,
            status=CLIENT_CLOSED if client_closed else 200 if error is None else status_of(error),
            finish_reason=said.finish_reason,
            stream=request.stream,
            requested_model=request.model,
            served_model=said.served_model,
            attempts=self.attempts,
            user=request.user,
            session=request.session,
            tags=request.tags,
            question=request.question,
            answer=said.text,
            input=_text(request.fields.get("input" if self.wire == "embeddings" else "messages")),
            output=said.output.decode("utf-8", "replace"),
            params=_params(request.fields),
            input_tokens=None if usage is None else usage.input,
            cache_read_tokens=None if usage is None else usage.cache_read,
            cache_write_tokens=None if usage is None else usage.cache_write,
            output_tokens=None if usage is None else usage.output,
            reasoning_tokens=None if usage is None else usage.reasoning,
            cost_usd=cost,
            charged_usd=charged,
            spans=self.spans,
            **more,
        )

    def _of_app(self, release: ServedRelease) -> dict[str, Any]:
        """The fields that only an app's calls have."""
        hit = {}
        if self.hit is not None:
            kept = self.hit.kept
            hit = {
                "cache": self.hit.found_by,
                "model": kept.model,
                "provider": kept.provider,
                "saved_usd": kept.cost_usd,
            }
        return {
            "app": release.app,
            "release": release.number or None,  # a draft has none
            "release_hash": release.hash,
            "prompt": release.prompt,
            "prompt_version": release.prompt_version,
            "knowledge": release.knowledge,
            "knowledge_version": release.knowledge_version,
            "handed_over": self.handed_over,
            "rendered": self.rendered.decode(),
            "chunks": list(self.chunks),
            "arm": "live" if self.shadow_of is None else "shadow",
            "shadow_of": self.shadow_of,
            "rollout": release.rollout,
            "variant": release.variant,
            "rule": self.rule,
            "guards": list(self.verdicts),
            **hit,
        }


def fault_of(error: Exception) -> RondoError:
    """What the client and the record are told; the log has the rest."""
    if isinstance(error, RondoError):
        return error
    _log.error("unexpected error in a call", exc_info=error)
    return unexpected()


def _without(tries: tuple[ServedModel, ...], model: ServedModel) -> tuple[ServedModel, ...]:
    """But for one try at this model, at whichever of its addresses."""
    for position, each in enumerate(tries):
        if each.spec.name == model.spec.name:
            return (*tries[:position], *tries[position + 1 :])
    return tries


def _text(raw: Raw | None) -> str:
    return "" if raw is None else bytes(raw).decode("utf-8", "replace")


def _params(fields: dict[str, Raw]) -> str:
    return _encode({name: value for name, value in fields.items() if name not in _NOT_PARAMS}).decode()
