"""Whatever a client sends and whatever a vendor answers: no 500, no hang, no secret told, one record for each call.

The gateway is real, and so are its journal and the vendor's socket. RONDO_TEST_FUZZ_EXAMPLES raises how much is tried.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asked import CITY, PNG, Asked, Call, Image, Json, Result, Tool
from fuzzing import FUZZED, HEADERS, Overheard, answers, bodies
from gateway_house import KEY, House
from providers.vendors import SECRETS, VENDORS, Said, streamed
from rondo.errors import RondoError
from rondo.gateway.doors import WIRES
from rondo.gateway.endpoint import Gateway
from rondo.gateway.retry import Tries
from rondo.gateway.wire import parse_answer, parse_embeddings
from rondo.governance.admit import digest
from rondo.governance.model import Grant
from rondo.guards.build import build
from rondo.journal.replay import Reader
from rondo.providers.registry import Providers
from rondo.records import Call as Record
from rondo.records import Kind, Position
from scripted_upstream import EMBEDDINGS, ScriptedUpstream, Talk, whole
from wire_clients import CLIENTS

HIDDEN = [KEY.encode(), *(value.encode() for value in SECRETS.values() if "=" not in value)]
STATUSES = {200, 400, 401, 403, 404, 408, 409, 413, 422, 429, 499, 502, 503, 504}
SAID = Said(
    "Hello.", thinking="Hm.", signature="c2ln", calls=(("call_1", "weather", {"city": "Zug"}),), stop="tool_calls"
)


GUARDS: list[Json] = [
    {"check": "pii", "on": ["input", "output"], "action": "redact", "pseudonyms": True},
    {"check": "secrets", "on": ["input", "output"], "action": "flag"},
]


class Reply:
    """What came back, and the calls that were recorded meanwhile."""

    def __init__(self, sent: list[Any], records: list[Record]) -> None:
        self.status: int = sent[0]["status"]
        self.headers = dict(sent[0]["headers"])
        self.body = b"".join(part.get("body", b"") for part in sent[1:])
        self.records = records
        self.ended = not sent[-1].get("more_body", False)

    @property
    def streamed(self) -> bool:
        kind: bytes = self.headers[b"content-type"]
        return kind.startswith(b"text/event-stream")


class Fuzzed:
    """A gateway on a loop of its own, for tests that are no coroutines."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.upstream = ScriptedUpstream()
        self._run(self.upstream.start())
        self.house = self._run(self._open(folder))
        self.log: list[logging.LogRecord] = []
        self._reader, self._read = Reader(folder), Position(0, 0, 0)
        self.refresh()

    async def _open(self, folder: Path) -> House:
        house = House(folder, self.upstream)
        house.providers = Providers(house.connections, secret=SECRETS.get)
        made = {
            name: house.model(name, **{**v.spec, "provider": name, "timeout_s": 2.0}) for name, v in VENDORS.items()
        }
        house.app("bot", made["anthropic"], made["openai"])
        guards = build(GUARDS, hand_over="A colleague takes over.", project="p", secret=lambda: b"k" * 32)
        for name, model in made.items():
            house.app(f"guarded-{name}", model, guards=guards, models=made)
        grant = Grant(project="p", key_id="k", name="k", kind="secret")  # the house's own key has its secret for a name
        house.gateway.plan = msgspec.structs.replace(house.gateway.plan, grants={digest(KEY): grant})
        return house

    def refresh(self) -> None:
        """A gateway without memory of what failed before."""
        old = self.house.gateway
        tries = Tries(breaker_failures=1_000_000, breaker_open_s=0.0)
        self.house.gateway = Gateway(old.plan, self.house.journal, max_body_bytes=1 << 20, tries=tries)

    def play(self, play: Any) -> None:
        self.upstream.plays = dict.fromkeys(["", *(v.spec["model"] for v in VENDORS.values())], play)

    def send(self, path: str, body: bytes, headers: Any = (), *, method: str = "POST", query: bytes = b"") -> Reply:
        sent: list[Any] = []

        async def visit() -> None:
            incoming: asyncio.Queue[Any] = asyncio.Queue()
            incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})

            async def send(message: Any) -> None:
                sent.append(message)

            known = [(b"authorization", b"Bearer " + KEY.encode()), *headers]
            scope = {"type": "http", "method": method, "path": path, "headers": known, "query_string": query}
            async with asyncio.timeout(30):
                await self.house.gateway(scope, incoming.get, send)

        self.log.clear()
        self._run(visit())
        batch = self._reader.read(self._read)
        self._read = batch.end
        payloads = [entry.payload for entry in batch.entries if entry.kind == Kind.CALL]
        reply = Reply(sent, [msgspec.json.decode(payload, type=Record) for payload in payloads])
        self._check(reply, payloads)
        return reply

    def _check(self, reply: Reply, payloads: list[bytes]) -> None:
        assert reply.status in STATUSES, (reply.status, reply.body)
        assert reply.ended
        told = b"\n".join([reply.body, repr(reply.headers).encode(), *payloads])
        assert not [secret for secret in HIDDEN if secret in told]
        assert all(record.error_code != "internal_error" for record in reply.records)
        logged = [record.getMessage() + (record.exc_text or "") for record in self.log]
        assert not [record for record in self.log if record.levelno >= logging.ERROR], logged
        assert not [secret for secret in HIDDEN if secret in "\n".join(logged).encode("utf-8", "replace")]

    def _run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        self._run(self.house.close())
        self._run(self.upstream.stop())
        self.loop.close()


class _Keep(logging.Handler):
    def __init__(self, into: list[logging.LogRecord]) -> None:
        super().__init__()
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        self._into.append(record)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    made = Fuzzed(tmp_path_factory.mktemp("fuzz") / "journal")
    handler = _Keep(made.log)
    logging.getLogger("rondo").addHandler(handler)
    yield made
    logging.getLogger("rondo").removeHandler(handler)
    made.close()


FULL = Asked(
    (
        ("user", ("Hello", Image(PNG))),
        ("assistant", ("Let me look.", Call("call_1", "weather", {"city": "Zug"}))),
        ("user", (Result("call_1", "14 C"), "Well?")),
    ),
    system="Be kind.",
    tools=(Tool("weather"),),
    choice="required",
    schema=CITY,
    temperature=0.5,
    top_p=0.5,
    stop=("END",),
)
PLAIN = Asked((("user", ("Hello",)),))
MORE: dict[str, Json] = {
    "chat": {
        "metadata": {"a": "b"},
        "user": "u",
        "session": "s",
        "inputs": {"x": 1},
        "models": ["openai", "bot"],
        "n": 1,
        "stream_options": {"include_usage": True},
        "seed": 1,
        "logprobs": True,
    },
    "responses": {
        "metadata": {"a": "b"},
        "previous_response_id": "resp_" + "0" * 32,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "low", "summary": "auto"},
        "store": False,
        "top_logprobs": 1,
        "tools": [{"type": "custom", "name": "c"}],
        "session": "s",
    },
    "messages": {
        "metadata": {"user_id": "u", "a": "b"},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "top_k": 3,
        "service_tier": "auto",
        "cache_control": {"type": "ephemeral"},
        "inputs": {"x": 1},
    },
    "completions": {"echo": True, "suffix": None, "n": 1, "best_of": 1, "logprobs": None, "user": "u"},
}


def valid(client: str) -> list[Json]:
    """Bodies of all kinds, for models of all vendors and for an app."""
    full = CLIENTS[client].ask(PLAIN if client == "completions" else FULL)
    plain = CLIENTS[client].ask(PLAIN)
    made = [{"model": name, **full} for name in (*VENDORS, "bot", "guarded-openai")]
    made += [{"model": name, **plain, **MORE[client]} for name in ("openai", "anthropic", "bot", "guarded-openai")]
    return [*made, {"model": "openai", **plain, "stream": True}, {"model": "bot", **plain, "stream": True}]


async def answer(talk: Talk) -> None:
    """Any vendor's answer, by the address at which it is asked."""
    path, body = talk.heard.path, talk.heard.json
    if "embed" in path.lower():
        await whole(EMBEDDINGS)(talk)
        return
    vendor = next((name for part, name in _VENDORS_BY_PATH.items() if part in path), "openai")
    stream = body.get("stream") is True or "tream" in path.rpartition("/")[2]
    say = VENDORS[vendor].stream if stream else VENDORS[vendor].whole
    await say(Said("Hello."))(talk)


_VENDORS_BY_PATH = {"/messages": "anthropic", "enerateContent": "gemini", "/converse": "bedrock"}


@pytest.mark.parametrize("client", CLIENTS)
@FUZZED
@given(data=st.data())
def test_requests_of_each_wire(fuzzed: Fuzzed, client: str, data: st.DataObject) -> None:
    fuzzed.play(answer)
    path = CLIENTS[client].path
    body = data.draw(bodies(valid(client)))
    reply = fuzzed.send(path, body, data.draw(HEADERS))
    # What is not looked at here is the provider's to refuse; a response repeats its request, whatever that was.
    check(reply, client, parses=parses(WIRES[path].parse, body), typed=client != "responses")


def parses(parse: Any, body: bytes) -> bool:
    try:
        parse(body)
    except RondoError:
        return False
    return True


def check(reply: Reply, client: str, *, parses: bool, typed: bool = True) -> None:
    """One record for what could be read, none for what could not; an answer or an error in the client's own form."""
    # An earlier response, or an item of one, that is not there is found out before there is a call.
    told = reply.body if client == "responses" and reply.status == 400 else b""
    lost = b" not found" in told or b" refers to " in told
    unrecorded = lost or reply.status in (401, 413)
    assert len(reply.records) == (1 if parses and not unrecorded else 0), (reply.status, reply.body)
    if reply.status == 200 and reply.streamed:
        check_stream(reply.body, client)
    elif reply.status == 200:
        assert json.loads(reply.body)
        if typed:
            CLIENTS[client].whole(reply.body)
    else:
        check_error(json.loads(reply.body), client)
        for record in reply.records:
            assert record.status == reply.status
            assert reply.headers[b"x-rondo-trace-id"] == record.trace_id.encode()


def check_error(error: Json, client: str) -> None:
    if client == "messages":
        assert error.keys() == {"type", "error", "request_id"}
        assert error["error"].keys() == {"type", "message", "details"}
    else:
        assert error.keys() == {"error"}
        assert error["error"].keys() == {"message", "type", "param", "code"}
    assert len(error["error"]["message"]) < 10_000


def check_stream(body: bytes, client: str) -> None:
    """Whole events that can be read, and at the end the mark of a good one or an error."""
    events = [event for event in body.split(b"\n\n") if event and not event.startswith(b":")]
    assert body.endswith(b"\n\n")
    data = [
        event[event.startswith(b"event: ") and event.index(b"\n") + 1 :].removeprefix(b"data: ") for event in events
    ]
    last = data[-1]
    if client == "messages":
        parsed = [json.loads(one) for one in data]
        assert parsed[-1]["type"] in ("message_stop", "error")
    elif client == "responses":
        parsed = [json.loads(one) for one in data]
        assert [one["sequence_number"] for one in parsed] == list(range(len(parsed)))
        assert parsed[-1]["type"] in ("response.completed", "response.incomplete", "response.failed")
    else:
        assert last == b"[DONE]" or "error" in json.loads(last)


OTHERS: dict[str, list[Any]] = {
    "/v1/embeddings": [
        {"model": "openai", "input": ["Hello", "you"], "dimensions": 3, "encoding_format": "float", "user": "u"},
        {"model": "gemini", "input": "Hello", "dimensions": 3, "metadata": {"a": "b"}},
        {"model": "bot", "input": "Hello"},
    ],
    "/v1/apps/bot/answer": [
        {"question": "Hello?"},
        {
            "question": "Hello?",
            "context": ["One.", "Two."],
            "conversation_history": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hi."}],
            "inputs": {"x": "y"},
            "user": "u",
            "session": "s",
            "metadata": {"a": "b"},
        },
    ],
    "/v1/feedback": [
        {"trace_id": "0" * 32, "name": "helpful", "value": True, "comment": "Yes", "user": "u", "id": "1"},
        {"trace_id": "0" * 32, "name": "kind", "value": "good"},
    ],
    "/v1/messages/count_tokens": [{"model": name, **CLIENTS["messages"].ask(FULL)} for name in ("anthropic", "openai")],
}
PARSERS = {"/v1/embeddings": parse_embeddings, "/v1/apps/bot/answer": parse_answer}


@pytest.mark.parametrize("path", OTHERS)
@FUZZED
@given(data=st.data())
def test_requests_of_the_other_doors(fuzzed: Fuzzed, path: str, data: st.DataObject) -> None:
    fuzzed.play(whole({"input_tokens": 12}) if "count" in path else answer)
    body = data.draw(bodies(OTHERS[path]))
    reply = fuzzed.send(path, body, data.draw(HEADERS))
    recorded = path in PARSERS and parses(PARSERS[path], body) and reply.status not in (401, 413)
    assert len(reply.records) == int(recorded), (reply.status, reply.body)
    parsed = json.loads(reply.body)
    if reply.status != 200:
        check_error(parsed, "messages" if "messages" in path else "chat")


@FUZZED
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"]) | st.text(max_size=5),
    path=st.sampled_from(
        ["/v1/models/", "/v1/models/../x", "/v1/responses/resp_" + "0" * 32, "/v1/responses/x/input_items", "/v1/"]
    )
    | st.text(max_size=20).map(lambda text: "/v1/" + text)
    | st.text(max_size=20).map(lambda text: f"/v1/apps/{text}/answer"),
    query=st.binary(max_size=20) | st.sampled_from([b"limit=-1", b"limit=%ff&order=x", b"after=" + b"x" * 900]),
    headers=HEADERS,
    body=st.binary(max_size=20),
)
def test_any_address(fuzzed: Fuzzed, method: str, path: str, query: bytes, headers: Any, body: bytes) -> None:
    fuzzed.play(answer)
    reply = fuzzed.send(path, body, headers, method=method, query=query)
    assert reply.records == []
    if reply.body:
        json.loads(reply.body)


HEARD = {
    (vendor.name, stream): Overheard((vendor.stream if stream else vendor.whole)(SAID))
    for vendor in VENDORS.values()
    for stream in (False, True)
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client", CLIENTS)
@FUZZED
@given(data=st.data())
def test_answers_of_each_vendor(fuzzed: Fuzzed, client: str, stream: bool, data: st.DataObject) -> None:
    vendor = data.draw(st.sampled_from(list(VENDORS)))
    said = HEARD[vendor, stream]
    body = data.draw(answers(said))
    kind = data.draw(st.sampled_from([said.kind] * 6 + ["application/json", "text/event-stream", "text/html"]))
    end = data.draw(st.sampled_from(["end", "end", "end", "cut"]))
    size = data.draw(st.sampled_from([0, 0, 7, 100]))
    fuzzed.refresh()
    fuzzed.play(streamed(body, kind, size=size, then=end))
    model = data.draw(st.sampled_from(["", "guarded-"])) + vendor
    asked = {"model": model, **CLIENTS[client].ask(PLAIN), **({"stream": True} if stream else {})}
    reply = fuzzed.send(CLIENTS[client].path, json.dumps(asked).encode())
    assert len(reply.records) == 1
    if client == "chat" and reply.status == 200:  # OpenAI's bytes go through as they came
        assert not stream or reply.body.endswith(b"\n\n")
    else:
        check(reply, client, parses=True)


FAULTY = st.sampled_from(
    [201, 204, 301, 400, 401, 403, 404, 408, 409, 413, 422, 429, 499, 500, 502, 503, 504, 529, 999]
)


OWN = dict(zip(VENDORS, [value for value in SECRETS.values() if "=" not in value], strict=True))


@pytest.mark.parametrize("client", CLIENTS)
@FUZZED
@given(data=st.data())
def test_errors_of_each_vendor(fuzzed: Fuzzed, client: str, data: st.DataObject) -> None:
    """However a vendor words its refusal, and even where it repeats our key."""
    vendor = data.draw(st.sampled_from(list(VENDORS)))
    secrets = OWN[vendor]
    valid_errors = [
        {"error": {"message": f"bad {secrets}", "type": "x", "code": "y", "param": "z"}},
        {"type": "error", "error": {"type": "invalid_request_error", "message": f"bad {secrets}"}},
        {
            "error": {
                "code": 400,
                "message": f"bad {secrets}",
                "status": "INVALID_ARGUMENT",
                "details": [{"@type": "x"}],
            }
        },
        {"message": f"bad {secrets}", "__type": "ValidationException"},
    ]
    body = data.draw(bodies(valid_errors))
    retry = data.draw(st.sampled_from(["", "-1", "0", "1e9", "9" * 20, "Wed, 21 Oct 2015 07:28:00 GMT", "\x80"]))
    fuzzed.refresh()
    fuzzed.play(whole(body, data.draw(FAULTY), retry_after=retry))
    stream = data.draw(st.booleans())
    asked = {"model": vendor, **CLIENTS[client].ask(PLAIN), **({"stream": True} if stream else {})}
    reply = fuzzed.send(CLIENTS[client].path, json.dumps(asked).encode())
    assert len(reply.records) == 1
    assert reply.status != 200
    check_error(json.loads(reply.body), client)
