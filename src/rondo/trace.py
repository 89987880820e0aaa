"""For programs that use Rondo: their own steps in the trace of a call, by OpenTelemetry's SDK (`rondo[trace]`).

    from rondo import trace

    trace.start(service="shop")                              # RONDO_URL and RONDO_API_KEY say where to
    with trace.step("answer a ticket", kind="agent", user="u1", session="s7") as answering:
        answering.given(question)
        reply = client.chat.completions.create(..., user="u1", extra_headers=trace.headers())
        answering.gave(reply.choices[0].message.content)

`@trace.step("find orders", keep=True)` over a function keeps what it was given and gave back.

What the gateway does hangs under the step whose `headers()` came with the request; its user is the request's own.
Spans of other instrumentation in the program are sent too. Until `start`, all of it does nothing. Nothing here is used
by the server.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from rondo import kept
from rondo.errors import SettingsError
from rondo.settings.environment import environment

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span

Kind = Literal["step", "workflow", "agent", "tool", "retrieval", "rerank", "guard", "evaluation", "prompt"]
F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_KINDS: dict[str, str] = {
    "workflow": "CHAIN",
    "agent": "AGENT",
    "tool": "TOOL",
    "retrieval": "RETRIEVER",
    "rerank": "RERANKER",
    "guard": "GUARDRAIL",
    "evaluation": "EVALUATOR",
    "prompt": "PROMPT",
}
_INHERITED = ("user.id", "session.id", "rondo.app")
_sending: SpanProcessor | None = None


def start(
    *,
    url: str | None = None,
    key: str | None = None,
    service: str = "app",
    app: str | None = None,
    at_once: bool = False,
) -> None:
    """Send spans to Rondo from now on, in the background; `at_once` sends each as it ends, which scripts may prefer.

    `url` and `key` are RONDO_URL's and RONDO_API_KEY's by default. A tracer provider that the program has already set
    stays, and gets Rondo as one more place to send to. Raises SettingsError.
    """
    global _sending  # noqa: PLW0603
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
    except ImportError:
        raise SettingsError(
            "OpenTelemetry's SDK is missing.", file="rondo.trace", remedy="pip install 'rondo[trace]'"
        ) from None
    base, secret = url or environment("RONDO_URL"), key or environment("RONDO_API_KEY")
    if not base or not secret:
        raise SettingsError(
            "where to send traces is not known.", file="rondo.trace", remedy="Set RONDO_URL and RONDO_API_KEY."
        )
    stop()
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        about = {"service.name": service} | ({"rondo.app": app} if app is not None else {})
        provider = TracerProvider(resource=Resource.create(about))
        trace.set_tracer_provider(provider)
    headers = {"authorization": f"Bearer {secret}"}
    exporter = OTLPSpanExporter(endpoint=f"{base.rstrip('/')}/v1/traces", headers=headers)
    provider.add_span_processor(_inheritance())
    _sending = SimpleSpanProcessor(exporter) if at_once else BatchSpanProcessor(exporter)
    provider.add_span_processor(_sending)


def flush() -> None:
    """Wait until all that has ended is sent."""
    if _sending is not None:
        _sending.force_flush()


def stop() -> None:
    """Send what is left, and nothing more. Programs that end need not call it: the SDK does as much at exit."""
    global _sending
    before, _sending = _sending, None
    if before is not None:
        before.shutdown()


def headers() -> dict[str, str]:
    """What a request to the gateway bears so that it hangs under the present step."""
    from opentelemetry.propagate import inject

    carrier: dict[str, str] = {}
    inject(carrier)
    return carrier


def add_headers(request: Any) -> None:
    """A request hook of httpx, for clients made once: `httpx.Client(event_hooks={"request": [trace.add_headers]})`."""
    request.headers.update(headers())


async def add_headers_async(request: Any) -> None:
    """The same for `httpx.AsyncClient`."""
    request.headers.update(headers())


class step(AbstractContextManager["step"]):  # noqa: N801 - it reads as a verb where it is used
    """A step of one's own, as a context or as a decorator, also of coroutines and generators. An exception marks it as
    failed.

    A generator's step lasts from its first value until it is exhausted or closed; what reads it is not part of it.

    `keep` has a decorated function's arguments and result kept, as `given` and `gave` would: bounded, plain values,
    without what is named like a secret (`kept.py`). Of a generator the result is what it yielded: texts as one.
    """

    def __init__(
        self,
        name: str,
        *,
        kind: Kind = "step",
        user: str | None = None,
        session: str | None = None,
        tags: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> None:
        self._name = name
        self._keep = keep
        attributes = {"openinference.span.kind": _KINDS.get(kind), "user.id": user, "session.id": session}
        self._attributes: dict[str, Any] = {name: value for name, value in attributes.items() if value is not None}
        self._attributes |= {f"rondo.tag.{tag}": value for tag, value in (tags or {}).items()}
        self._context: AbstractContextManager[Span] | None = None
        self._span: Span | None = None

    def __enter__(self) -> step:
        from opentelemetry import trace

        tracer = trace.get_tracer("rondo.trace")
        self._context = tracer.start_as_current_span(self._name, attributes=self._attributes)
        self._span = self._context.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        context, self._context = self._context, None
        return context.__exit__(kind, error, trace) if context is not None else None

    def __call__(self, function: F) -> F:
        if inspect.isgeneratorfunction(function):
            return _spanned(self, function)  # type: ignore[return-value]
        if inspect.isasyncgenfunction(function):
            return _spanned_async(self, function)  # type: ignore[return-value]
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def waited(*args: Any, **more: Any) -> Any:
                with self._anew() as this:
                    this._keep_given(function, args, more)
                    return this._kept(await function(*args, **more))

            return waited  # type: ignore[return-value]

        @functools.wraps(function)
        def called(*args: Any, **more: Any) -> Any:
            with self._anew() as this:
                this._keep_given(function, args, more)
                return this._kept(function(*args, **more))

        return called  # type: ignore[return-value]

    def given(self, value: Any) -> None:
        """Tell what the step works on: a text, or anything that JSON has."""
        self.tell("input.value", value)

    def gave(self, value: Any) -> None:
        """Tell what came of it."""
        self.tell("output.value", value)

    def tell(self, name: str, value: Any) -> None:
        """Any further attribute."""
        if self._span is not None:
            known = isinstance(value, str | bool | int | float)
            self._span.set_attribute(name, value if known else json.dumps(value, ensure_ascii=False, default=str))

    def _keeps(self) -> bool:
        return self._keep and self._span is not None and self._span.is_recording()

    def _keep_given(self, function: Callable[..., Any], args: tuple[Any, ...], more: Mapping[str, Any]) -> None:
        if self._keeps() and (given := kept.arguments(function, args, more)) is not None:
            self.given(given)

    def _kept(self, result: T) -> T:
        """The result, which is kept where it should be. None tells nothing."""
        if self._keeps() and result is not None:
            self.gave(kept.as_text(result))
        return result

    @contextmanager
    def _lasting(
        self, function: Callable[..., Any], args: tuple[Any, ...], more: Mapping[str, Any]
    ) -> Iterator[tuple[_Resumed, _Told]]:
        """A span that is current only inside what this gives, as often as that is entered; and who is told of each
        value that the function yields."""
        from opentelemetry import trace

        this = self._anew()
        span = this._span = trace.get_tracer("rondo.trace").start_span(self._name, attributes=self._attributes)
        this._keep_given(function, args, more)
        yielded = kept.Yielded()

        def told(value: Any) -> None:
            if this._keeps():
                yielded.add(value)

        try:
            yield lambda: trace.use_span(span, record_exception=False, set_status_on_exception=False), told
        except Exception:
            with trace.use_span(span):  # which marks it as failed
                raise
        finally:
            if yielded.number:
                this._kept(yielded)
            span.end()

    def _anew(self) -> step:
        again = type(self).__new__(type(self))
        again._name, again._attributes, again._keep = self._name, self._attributes, self._keep
        again._context = again._span = None
        return again


_Resumed = Callable[[], AbstractContextManager[Any]]
_Told = Callable[[Any], None]


def _spanned(within: step, function: Callable[..., Generator[Any, Any, Any]]) -> Callable[..., Any]:
    """The generator function; its body runs under the step's span, and whoever reads it does not."""

    @functools.wraps(function)
    def spanned(*args: Any, **more: Any) -> Generator[Any, Any, Any]:
        with within._lasting(function, args, more) as (resumed, told):
            made = function(*args, **more)
            go_on, given = made.send, None
            while True:
                try:
                    with resumed():
                        item = go_on(given)
                except StopIteration as end:
                    return end.value
                told(item)
                try:
                    go_on, given = made.send, (yield item)
                except GeneratorExit:
                    with resumed():
                        made.close()
                    raise
                except BaseException as error:  # the body may handle what its reader throws
                    go_on, given = made.throw, error

    return spanned


def _spanned_async(within: step, function: Callable[..., AsyncGenerator[Any, Any]]) -> Callable[..., Any]:
    """The same of an async generator."""

    @functools.wraps(function)
    async def spanned(*args: Any, **more: Any) -> AsyncGenerator[Any, Any]:
        with within._lasting(function, args, more) as (resumed, told):
            made = function(*args, **more)
            go_on, given = made.asend, None
            while True:
                try:
                    with resumed():
                        item = await go_on(given)
                except StopAsyncIteration:
                    return
                told(item)
                try:
                    go_on, given = made.asend, (yield item)
                except GeneratorExit:
                    with resumed():
                        await made.aclose()
                    raise
                except BaseException as error:
                    go_on, given = made.athrow, error

    return spanned


class call(step):  # noqa: N801 - as `step`
    """A call of a model that does not go through the gateway.

    with trace.call("gpt-4o", provider="openai", messages=messages) as asked:
        reply = client.chat.completions.create(...)
        asked.said(reply.choices[0].message.content, input_tokens=9, output_tokens=12)
    """

    def __init__(
        self,
        model: str,
        *,
        provider: str,
        messages: Sequence[Mapping[str, Any]] = (),
        user: str | None = None,
        session: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"chat {model}", user=user, session=session, tags=tags)
        parts = [{"role": m.get("role"), "parts": [{"type": "text", "content": m.get("content")}]} for m in messages]
        self._attributes |= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
        }
        if parts:
            self._attributes["gen_ai.input.messages"] = json.dumps(parts, ensure_ascii=False, default=str)

    def said(self, text: str, *, input_tokens: int | None = None, output_tokens: int | None = None) -> None:
        """Tell what the model answered, and how many tokens it counted."""
        self.tell("gen_ai.output.messages", [{"role": "assistant", "parts": [{"type": "text", "content": text}]}])
        for name, tokens in (("input", input_tokens), ("output", output_tokens)):
            if tokens is not None:
                self.tell(f"gen_ai.usage.{name}_tokens", tokens)


def _inheritance() -> Any:
    """A processor that gives each span the user, session and app of the one above it, where it names none."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import SpanProcessor

    class Inheritance(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            above = getattr(trace.get_current_span(parent_context), "attributes", None) or {}
            own = span.attributes or {}
            for name in _INHERITED:
                if name in above and name not in own:
                    span.set_attribute(name, above[name])

    return Inheritance()
