"""Ask one provider over a real socket, and read what comes back as a client of ours would."""

from __future__ import annotations

import json
from typing import Any

from providers.vendors import SECRETS, VENDORS
from rondo.providers.base import ModelSpec, ProviderRequest
from rondo.providers.registry import Providers
from rondo.providers.upstream import Upstream
from scripted_upstream import Play, ScriptedUpstream

Json = dict[str, Any]
HELLO: list[Json] = [{"role": "user", "content": "Hello"}]


class Asker:
    """Asks a vendor whose upstream plays what it is told."""

    def __init__(self, upstream: ScriptedUpstream) -> None:
        self.upstream = upstream
        self.connections = Upstream(connect_timeout_s=2)

    async def send(
        self,
        vendor: str,
        play: Play,
        request: Json | bytes | None = None,
        *,
        stream: bool = False,
        extended: bool = False,
        secrets: dict[str, str] | None = None,
        path: Any = "/chat/completions",
        **spec: Any,
    ) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) of the reply. Raises what the provider raises."""
        fields = {"name": "m", "provider": vendor, "base_url": self.upstream.url, "timeout_s": 5.0}
        made = ModelSpec(**{**fields, **VENDORS[vendor].spec, **spec})
        provider = Providers(self.connections, secret={**SECRETS, **(secrets or {})}.get).make(made)
        if not isinstance(request, bytes):
            request = json.dumps({"model": made.model, "messages": HELLO, **(request or {})}).encode()
        self.upstream.plays = {"": play, made.model: play}
        reply = await provider.send(ProviderRequest(path=path, body=request, stream=stream, extended=extended))
        try:
            if stream and reply.status == 200:
                body = b"".join([part async for part in reply.chunks()])
            else:
                body = await reply.read()
        finally:
            reply.close()
        return reply.status, {name: reply.headers[name] for name in reply.headers}, body

    async def ask(self, vendor: str, play: Play, request: Json | None = None, *, stream: bool, **more: Any) -> Json:
        """The completion, put together where it was streamed."""
        status, _, body = await self.send(vendor, play, request, stream=stream, **more)
        assert status == 200, body
        return reassembled(body) if stream else json.loads(body)

    @property
    def heard(self) -> Json:
        """What the vendor was sent."""
        body = self.upstream.last.json
        assert isinstance(body, dict)
        return body

    async def close(self) -> None:
        await self.connections.close()


def events_of(body: bytes) -> list[Json]:
    """The events of a stream, which must end with [DONE]; comments are none."""
    assert body.endswith(b"data: [DONE]\n\n"), body[-200:]
    events = [event for event in body.split(b"\n\n")[:-2] if not event.startswith(b":")]
    assert all(event.startswith(b"data: ") for event in events)
    return [json.loads(event[6:]) for event in events]


def reassembled(body: bytes) -> Json:
    """A streamed completion as a whole one: what a client's SDK makes of it."""
    events = events_of(body)
    choices: dict[int, Json] = {}
    for event in events:
        for choice in event["choices"]:
            made = choices.setdefault(choice["index"], {"index": choice["index"], "message": {}})
            _merge(made["message"], choice["delta"])
            for name in choice.keys() - {"index", "delta"}:
                made[name] = choice[name] if choice[name] is not None else made.get(name)
    for made in choices.values():
        for call in made["message"].get("tool_calls", ()):
            del call["index"]
    usage = [event["usage"] for event in events if event.get("usage")]
    model = next(event["model"] for event in events if event["model"])
    return {"model": model, "choices": list(choices.values()), "usage": usage[-1] if usage else None}


def _merge(message: Json, delta: Json) -> None:
    for name, value in delta.items():
        if name == "tool_calls":
            for call in value:
                _merge_call(message.setdefault("tool_calls", []), call)
        elif name == "thinking_blocks":
            message.setdefault(name, []).extend(value)
        elif name != "role" and isinstance(value, str):
            message[name] = message.get(name, "") + value
        else:
            message[name] = value


def _merge_call(calls: list[Json], fragment: Json) -> None:
    assert fragment["index"] <= len(calls), "indices are consecutive"
    if fragment["index"] == len(calls):
        calls.append(fragment)
        return
    calls[fragment["index"]]["function"]["arguments"] += fragment["function"]["arguments"]
