"""Every client's wire before every vendor's: what is asked arrives, and what is answered comes back, by its meaning.

The gateway and its record are real, the vendor is on a real socket and answers in its own language. Clients read with
their SDKs' own types. What a wire or a vendor has no word for is said here, in `expected_*`, and in docs/wires.md.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from asked import PNG, Asked, Call, Heard, Image, Json, Result, Told, Tool, heard_of
from gateway_house import House
from providers.vendors import SECRETS, VENDORS, Said, Vendor, streamed
from rondo.providers.prices import Price
from rondo.providers.registry import Providers
from rondo.records import Call as Record
from scripted_upstream import ScriptedUpstream, whole
from wire_clients import CLIENTS, Client
from wire_vendors import HEARD

PRICE = Price(input=3.0, output=15.0, cache_read=0.3, cache_write=3.75)
TALKERS = {name: client for name, client in CLIENTS.items() if name != "completions"}
WEATHER = ("call_1", "weather", {"city": "Zürich", "days": [1, 2], "deep": {"x": None, "y": 1.5}})
TIME: tuple[str, str, Json] = ("call_2", "time", {})
ANSWERS = {
    "text": Said("Hello, how are you?"),
    "unicode": Said('Grüezi 👋🏽 – „你好“ \u0000 " \\ end'),
    "a tool": Said(calls=(WEATHER,), stop="tool_calls"),
    "text and parallel tools": Said("Let me look.", calls=(WEATHER, TIME), stop="tool_calls"),
    "too long": Said("It goes on and", stop="length"),
    "filtered": Said("I", stop="filter"),
    "stop text": Said("One, two", stop="END"),
    "cached": Said("From the cache.", fresh=3, cached=1000),
    "cache written": Said("Into the cache.", fresh=3, cached=10, written=200),
    "thinking": Said("42", thinking="Six times seven, then.", signature="c2ln", output=9, reasoning=4),
    "thinking and a tool": Said(thinking="The weather, then.", signature="c2ln", calls=(WEATHER,), stop="tool_calls"),
}
USER = ("user", ("What is the weather in Zug?",))
LOOK = Tool("weather"), Tool("time", "Tells the time.", {"type": "object", "properties": {}})
CALLED = ("assistant", (Call("call_1", "weather", {"city": "Zug"}), Call("call_2", "time", {})))
REQUESTS = {
    "system": Asked((USER,), system="Be kind."),
    "turns": Asked((USER, ("assistant", ("Rain.",)), ("user", ("And now?",)))),
    "image": Asked((("user", ("What is this?", Image(PNG), "Be brief.")),)),
    "tools": Asked((USER,), tools=LOOK),
    "a tool must": Asked((USER,), tools=LOOK, choice="required"),
    "this tool must": Asked((USER,), tools=LOOK, choice="=time"),
    "one call at a time": Asked((USER,), tools=LOOK, one_call=True),
    "parallel results": Asked(
        (USER, CALLED, ("user", (Result("call_1", "14 C"), Result("call_2", "noon"), "Well?"))), tools=LOOK
    ),
    "failed tool": Asked(
        (USER, CALLED, ("user", (Result("call_1", "no such city", failed=True), Result("call_2", "noon")))), tools=LOOK
    ),
    "a tool's image": Asked(
        (USER, CALLED, ("user", (Result("call_1", "The map:", image=PNG), Result("call_2", "noon")))), tools=LOOK
    ),
    "schema": Asked((USER,), schema=LOOK[0].schema),
    "limits": Asked((USER,), longest=77, temperature=0.5, top_p=0.25, stop=("END", "STOP")),
    "effort": Asked((USER,), effort="medium"),
}
PLAIN = Asked((("user", ("Hello",)),))


class Table:
    """A gateway whose model is at one vendor, and a client of one wire."""

    def __init__(self, house: House, vendor: Vendor, client: Client) -> None:
        self.house, self.vendor, self.client = house, vendor, client
        house.providers = Providers(house.connections, secret=SECRETS.get)
        self.model = house.model("m", price=PRICE, provider=vendor.name, **vendor.spec).spec.model

    async def send(self, said: Said, body: Json, *, stream: bool) -> httpx2.Response:
        play = (self.vendor.stream if stream else self.vendor.whole)(said)
        self.house.upstream.plays = {"": play, self.model: play}
        more: Json = {"stream": True} if stream else {}
        if stream and self.client.path.endswith("completions"):
            more["stream_options"] = {"include_usage": True}
        return await self.house.post(self.client.path, {"model": "m", **body, **more})

    async def ask(self, said: Said, body: Json, *, stream: bool) -> Json:
        """The answer, put together by the SDK's code."""
        response = await self.send(said, body, stream=stream)
        assert response.status_code == 200, response.text
        return (self.client.streamed if stream else self.client.whole)(response.content)

    @property
    def heard(self) -> Heard:
        return HEARD[self.vendor.name](self.house.upstream.last.json)


@pytest.fixture
async def open_table(tmp_path: Path, upstream: ScriptedUpstream) -> AsyncIterator[Any]:
    house = House(tmp_path / "journal", upstream)
    yield lambda vendor, client: Table(house, VENDORS[vendor], CLIENTS[client])
    await house.close()


def expected_answer(said: Said, vendor: Vendor, client: str) -> Told:
    """What the client is told, with what this vendor does not count and this wire has no place for left out."""
    wire = CLIENTS[client]
    reasoned = said.reasoning if vendor.counts_reasoning else 0
    written = said.written if vendor.counts_writing else 0
    stops_at = said.stop if said.stop not in ("stop", "length", "tool_calls", "filter") else None
    return Told(
        text=said.text,
        thinking="" if client == "completions" else said.thinking,
        signature=said.signature if said.thinking and vendor.signs and wire.tells_signature else "",
        calls=[Call(*call) for call in said.calls],
        stop="stop" if stops_at else {"filter": "content_filter"}.get(said.stop, said.stop),
        stop_text=stops_at if vendor.tells_stop_text and wire.tells_stop_text else None,
        given=said.fresh + said.cached + said.written,
        read=said.cached,
        written=written,
        made=said.output,
        reasoned=reasoned,
    )


def check_record(record: Record, told: Told, *, client: str, stream: bool) -> None:
    """Each token in one bucket, each bucket at its price."""
    fresh, made = told.given - told.read - told.written, told.made - told.reasoned
    buckets = (record.input_tokens, record.cache_read_tokens, record.cache_write_tokens)
    assert buckets == (fresh, told.read, told.written)
    assert (record.output_tokens, record.reasoning_tokens) == (made, told.reasoned)
    cost = fresh * 3.0 + told.read * 0.3 + told.written * 3.75 + told.made * 15.0
    assert record.cost_usd == pytest.approx(cost / 1_000_000)
    assert (record.wire, record.status, record.stream) == (client, 200, stream)
    assert (record.answer, record.finish_reason) == (told.text, told.stop)
    output = json.loads(record.output)
    said = [(call["id"], call["function"]["name"]) for call in output.get("tool_calls") or ()]
    assert said == [(call.id, call.name) for call in told.calls]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("vendor", VENDORS)
async def test_an_answer(open_table: Any, vendor: str, client: str, name: str, stream: bool) -> None:
    said = ANSWERS[name]
    if client == "completions" and said.calls:
        pytest.skip("a text completion has no tools")
    table = open_table(vendor, client)
    answer = await table.ask(said, table.client.ask(PLAIN), stream=stream)
    told = table.client.told(answer)
    assert told == expected_answer(said, table.vendor, client)
    check_record(table.house.call, told, client=client, stream=stream)


def expected_request(asked: Asked, vendor: str, client: str) -> Heard:
    """What the vendor hears, with what it has no word for in the place where it hears it."""
    heard = heard_of(asked)
    items = heard.items
    if vendor in ("openai", "azure"):  # a tool's images follow in a message of the user's; failures are only text
        items = [(role, _plain(item)) for role, item in items]
        images = [Image(item.image) for _, item in heard.items if isinstance(item, Result) and item.image]
        items += [("user", image) for image in images]
    if client == "responses":
        items = [(role, item._replace(failed=False) if isinstance(item, Result) else item) for role, item in items]
        heard = heard._replace(stop=())  # it has no field for them
    return heard._replace(items=items)


def _plain(item: Any) -> Any:
    return item._replace(failed=False, image="") if isinstance(item, Result) else item


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("client", TALKERS)
@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_request(open_table: Any, vendor: str, client: str, name: str) -> None:
    asked = REQUESTS[name]
    if client == "chat" and vendor in ("openai", "azure") and name in ("failed tool", "a tool's image"):
        pytest.skip("words of the dialect inside: a client of OpenAI's has none of them")
    table = open_table(vendor, client)
    if asked.one_call and vendor in ("gemini", "bedrock"):
        await _refused(table, asked, "parallel_tool_calls")
        return
    answer = await table.ask(Said("Good."), table.client.ask(asked), stream=False)
    assert table.client.told(answer).text == "Good."
    assert table.heard == expected_request(asked, vendor, client)
    assert all(secret not in table.house.upstream.last.path for secret in SECRETS.values())


async def _refused(table: Table, asked: Asked, param: str) -> None:
    """Nothing is dropped in silence: the client is told which field, and nobody is asked."""
    response = await table.send(Said("Good."), table.client.ask(asked), stream=True)
    assert response.status_code == 400
    error = response.json()["error"]
    assert param in error["message"]
    assert error["type"] == "invalid_request_error"
    assert table.house.upstream.heard == []
    assert (table.house.call.status, table.house.call.error_code) == (400, "invalid_request")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client", TALKERS)
@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_turn_of_an_agent(open_table: Any, vendor: str, client: str, stream: bool) -> None:
    """An answer goes back as the client has it, with the result of its call: signed thoughts reach who signed them."""
    table = open_table(vendor, client)
    said = Said(thinking="The weather, then.", signature="c2ln", calls=(WEATHER,), stop="tool_calls")
    asked = Asked((USER,), tools=LOOK, effort="medium")
    body = table.client.ask(asked)
    answer = await table.ask(said, body, stream=stream)
    result = table.client.ask(Asked((("user", (Result(WEATHER[0], "14 C"),)),)))[table.client.conversation]
    again = {
        **body,
        table.client.conversation: [*body[table.client.conversation], *table.client.again(answer), *result],
    }
    answer = await table.ask(Said("It is 14 C."), again, stream=stream)
    assert table.client.told(answer).text == "It is 14 C."
    heard = table.heard
    assert heard.items == [("user", USER[1][0]), ("assistant", Call(*WEATHER)), ("user", Result(WEATHER[0], "14 C"))]
    body = json.dumps(table.house.upstream.last.json)
    # Messages has no place for the signature that Gemini puts on a call.
    assert ("c2ln" in body) == (vendor in ("anthropic", "bedrock") or (vendor == "gemini" and client != "messages"))
    if vendor in ("anthropic", "bedrock"):
        assert "The weather, then." in body
        assert heard.thinks


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_field_that_nobody_knows(open_table: Any, vendor: str, client: str) -> None:
    """It arrives, or it is refused by its name; it is never lost on the way."""
    table = open_table(vendor, client)
    body = {**table.client.ask(PLAIN), "new_in_2027": {"x": 1}}
    response = await table.send(Said("Good."), body, stream=False)
    if vendor in ("openai", "azure") and client != "messages":
        assert response.status_code == 200
        assert table.house.upstream.last.json["new_in_2027"] == {"x": 1}
    else:
        assert response.status_code == 400
        assert "`new_in_2027`" in response.json()["error"]["message"]
        assert table.house.upstream.heard == []


async def test_a_conversation_moves_to_another_vendor(open_table: Any) -> None:
    """What Claude said goes on to OpenAI without the words that only Claude's clients have, on every wire."""
    for client in TALKERS:
        table = open_table("anthropic", client)
        said = Said("Let me look.", thinking="Hm.", signature="c2ln", calls=(WEATHER,), stop="tool_calls")
        body = table.client.ask(Asked((USER,), tools=LOOK))
        answer = await table.ask(said, body, stream=True)
        result = table.client.ask(Asked((("user", (Result(WEATHER[0], "14 C"),)),)))[table.client.conversation]
        before = body[table.client.conversation]
        again = {**body, table.client.conversation: [*before, *table.client.again(answer), *result]}
        table = open_table("openai", client)
        await table.ask(Said("It is 14 C."), again, stream=False)
        said_before = ("assistant", ("Let me look.", Call(*WEATHER)))
        assert table.heard.items == heard_of(Asked((USER, said_before, ("user", (Result(WEATHER[0], "14 C"),))))).items
        sent = json.dumps(table.house.upstream.last.json)
        assert not [word for word in ("thinking_blocks", "reasoning_content", "c2ln") if word in sent], client


@pytest.mark.parametrize("client", ["chat", "completions"])
@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_prompt(open_table: Any, vendor: str, client: str) -> None:
    """The wires of OpenAI's with the plain fields that both have."""
    table = open_table(vendor, client)
    asked = PLAIN._replace(longest=77, temperature=0.5, stop=("END",))
    await table.ask(Said("Good."), table.client.ask(asked), stream=True)
    assert table.heard == heard_of(asked)


FAULTS = {400: "invalid_request_error", 404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error"}


@pytest.mark.parametrize("status", [*FAULTS, 401, 500, 503])
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("vendor", VENDORS)
async def test_an_error(open_table: Any, vendor: str, client: str, status: int) -> None:
    """The client's own form, with the provider's words."""
    table = open_table(vendor, client)
    said = {"error": {"message": "not so", "type": "x", "status": "X"}, "message": "not so"}
    table.house.upstream.plays = {"": whole(said, status), table.model: whole(said, status)}
    more = {"stream": True} if status in (429, 500) else {}
    response = await table.house.post(table.client.path, {"model": "m", **table.client.ask(PLAIN), **more})
    assert response.status_code == (status if status in FAULTS else 502)
    body, record = response.json(), table.house.call
    check_error(body, client, FAULTS.get(status, "api_error"))
    assert response.headers["x-rondo-trace-id"] == record.trace_id
    assert ("not so" in body["error"]["message"]) == (status != 401), "who refuses a key may repeat it"
    assert (record.status, record.error_message) == (response.status_code, body["error"]["message"])


def check_error(body: Json, client: str, kind: str) -> None:
    if client == "messages":
        assert (body["type"], body["error"]["type"]) == ("error", kind)
        assert len(body["request_id"]) == 32
    else:
        assert body["error"].keys() == {"message", "type", "param", "code"}


class _Overhears:
    """Stands for the socket of a play: keeps what is said."""

    def __init__(self) -> None:
        self.data = b""
        self.kind = ""
        self.writer = self

    async def head(self, status: int, content_type: str, *, length: int | None) -> None:
        self.kind = content_type

    async def chunk(self, data: bytes) -> None:
        self.data += data

    def write(self, data: bytes) -> None:
        """The end of the body."""

    async def drain(self) -> None:
        """Nothing waits."""


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_stream_that_breaks_off(open_table: Any, vendor: str, client: str) -> None:
    """What was said comes, then an error in the client's form, and never the mark of a good end."""
    table = open_table(vendor, client)
    overhears: Any = _Overhears()
    await table.vendor.stream(Said("A long story that has no end."))(overhears)
    at = overhears.data.index(b"has no en") + 4
    play = streamed(overhears.data[:at], overhears.kind, then="cut")
    table.house.upstream.plays = {"": play, table.model: play}
    response = await table.house.post(table.client.path, {"model": "m", **table.client.ask(PLAIN), "stream": True})
    assert response.status_code == 200
    text = response.text
    assert "A long" in text
    record = table.house.call
    assert (record.status, record.error_code, record.stream) == (502, "upstream_cut", True)
    assert record.answer.startswith("A long")
    assert "[DONE]" not in text
    assert "message_stop" not in text
    assert "response.completed" not in text
    last = json.loads(text.strip().rpartition("data: ")[2])
    if client == "responses":
        assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
        assert "event: error" in text
    else:
        check_error(last, client, "api_error")


@pytest.mark.parametrize("vendor", ["anthropic", "bedrock", "gemini", "openai"])
async def test_words_of_anthropics_own(open_table: Any, vendor: str) -> None:
    """`thinking` and `cache_control` reach who knows them, and nobody else."""
    table = open_table(vendor, "messages")
    cache = {"type": "ephemeral"}
    body: Json = table.client.ask(Asked((USER,), longest=4096))
    body["thinking"] = {"type": "enabled", "budget_tokens": 2048}
    body["system"] = [{"type": "text", "text": "Be kind.", "cache_control": cache}]
    await table.ask(Said("Good."), body, stream=False)
    sent = table.house.upstream.last.json
    thinking = {
        "anthropic": lambda: sent["thinking"],
        "bedrock": lambda: sent["additionalModelRequestFields"]["thinking"],
        "gemini": lambda: sent["generationConfig"]["thinkingConfig"],
        "openai": lambda: sent.get("thinking"),
    }
    if vendor == "gemini":
        assert thinking[vendor]() == {"includeThoughts": True, "thinkingBudget": 2048}
    else:
        assert thinking[vendor]() == (None if vendor == "openai" else body["thinking"])
    assert ("cache_control" in json.dumps(sent)) == (vendor == "anthropic")
    assert ("cachePoint" in json.dumps(sent)) == (vendor == "bedrock")
    assert "Be kind." in json.dumps(sent)
