"""The gateway on a plan in memory, a journal on disk and a real upstream. No catalog, no server: it starts at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from rondo.gateway.endpoint import Gateway
from rondo.gateway.plan import Plan, ServedApp, ServedModel, ServedRelease
from rondo.governance.admit import digest
from rondo.governance.model import Grant, KeyKind
from rondo.journal.append import Journal
from rondo.journal.replay import Reader
from rondo.prompts.render import Template
from rondo.prompts.source import parse_prompt
from rondo.providers.base import ModelSpec
from rondo.providers.prices import Price
from rondo.providers.registry import Providers
from rondo.providers.upstream import Upstream
from rondo.records import Call, Kind, Score
from scripted_upstream import ScriptedUpstream

PRICE = Price(input=1.0, output=2.0)
PROMPT = """# system
Be kind.{% for passage in context %} [{{ passage.number }}] {{ passage.text }}{% endfor %}

# user
Q: {{ question }}
"""
SECRETS = {
    "OPENAI_API_KEY": "sk-openai",
    "OTHER_KEY": "sk-other",
    "RONDO_KEY_HOSTS": "OTHER_KEY=127.0.0.1 NOT_THERE_KEY=127.0.0.1",
}
KEY = "rondo_sk_test"
HELLO = [{"role": "user", "content": "hello"}]


class House:
    """A gateway, and what it wrote. The key `KEY` may call everything of the project `p`."""

    def __init__(self, folder: Path, upstream: ScriptedUpstream) -> None:
        self.upstream = upstream
        self.connections = Upstream(connect_timeout_s=2)
        self.providers = Providers(self.connections, secret=SECRETS.get)
        self.folder = folder
        self.journal = Journal(folder, durability="process", segment_bytes=1 << 24, min_free_bytes=1)
        plan = Plan(revision=1, grants={}, apps={}, models={}, direct=lambda provider, model: None)
        self.gateway = Gateway(plan, self.journal, max_body_bytes=1 << 20)
        self.allow(KEY)

    def allow(self, secret: str, *, project: str = "p", kind: KeyKind = "secret", apps: tuple[str, ...] = ()) -> None:
        grant = Grant(project=project, key_id=f"id-{secret}", name=secret, kind=kind, apps=apps)
        self._change(grants={**self.gateway.plan.grants, digest(secret): grant})

    def revoke(self, secret: str) -> None:
        grants = dict(self.gateway.plan.grants)
        del grants[digest(secret)]
        self._change(grants=grants)

    def model(self, name: str, *, project: str = "p", price: Price | None = PRICE, **spec: Any) -> ServedModel:
        """Serve a model; by default at the upstream, by its own name, and tried once."""
        usual = {"provider": "openai", "model": name, "base_url": self.upstream.url, "timeout_s": 5.0, "retries": 0}
        spec = {**usual, **spec}
        made = ModelSpec(name=name, **spec)
        served = ServedModel(made, self.providers.make(made), price, "prices-1")
        self._change(models={**self.gateway.plan.models, (project, name): served})
        return served

    def app(self, name: str, *models: ServedModel, project: str = "p", prompt: str = PROMPT, **more: Any) -> None:
        """Serve an app whose stable release is number 1."""
        parsed = parse_prompt(prompt, file="answer.md")
        fields: dict[str, Any] = {
            "app": name,
            "number": 1,
            "hash": "c0ffee",
            "prompt": "answer",
            "prompt_version": parsed.version,
            "template": Template(parsed),
            "route": models,
            "params": {},
            "knowledge": None,
            "knowledge_version": None,
            "index": None,
            "top_k": 0,
            "hand_over": "A colleague takes over.",
            **more,
        }
        app = ServedApp(name=name, stable=ServedRelease(**fields))
        self._change(apps={**self.gateway.plan.apps, (project, name): app})

    def _change(self, **fields: Any) -> None:
        self.gateway.plan = msgspec.structs.replace(self.gateway.plan, **fields)

    @property
    def client(self) -> httpx2.AsyncClient:
        """Speaks to the gateway in-process; a reply comes whole."""
        transport = httpx2.ASGITransport(self.gateway)
        return httpx2.AsyncClient(transport=transport, base_url="http://r", headers={"authorization": f"Bearer {KEY}"})

    async def post(self, path: str, body: object, *, key: str | None = KEY) -> httpx2.Response:
        """`body` is JSON, or the bytes themselves."""
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        transport = httpx2.ASGITransport(self.gateway)
        async with httpx2.AsyncClient(transport=transport, base_url="http://r", headers=headers) as client:
            return await client.post(path, content=content)

    async def chat(self, model: str, *, key: str | None = KEY, **fields: object) -> httpx2.Response:
        return await self.post("/v1/chat/completions", {"model": model, "messages": HELLO, **fields}, key=key)

    def entries(self, kind: Kind) -> list[bytes]:
        batch = Reader(self.folder).read()
        return [entry.payload for entry in batch.entries if entry.kind == kind]

    @property
    def calls(self) -> list[Call]:
        return [msgspec.json.decode(payload, type=Call) for payload in self.entries(Kind.CALL)]

    @property
    def call(self) -> Call:
        """The one call that was recorded."""
        (call,) = self.calls
        return call

    @property
    def scores(self) -> list[Score]:
        return [msgspec.json.decode(payload, type=Score) for payload in self.entries(Kind.SCORE)]

    async def close(self) -> None:
        await self.connections.close()
        self.journal.close()


class Visitor:
    """A client at the ASGI level: sees each part when it is sent, and can leave at any moment."""

    def __init__(self, house: House, path: str, body: bytes, *, key: str = KEY) -> None:
        self.sent: list[dict[str, Any]] = []
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})
        self._news = asyncio.Condition()
        headers = [(b"authorization", f"Bearer {key}".encode())]
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
        self.task = asyncio.create_task(house.gateway(scope, self._incoming.get, self._send))

    async def _send(self, message: Any) -> None:
        async with self._news:
            self.sent.append(message)
            self._news.notify_all()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    async def until(self, text: bytes) -> None:
        """Wait until `text` has come in."""
        async with asyncio.timeout(5), self._news:
            await self._news.wait_for(lambda: text in self.body)

    def leave(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    """A model provider on a port of this machine."""
    started = ScriptedUpstream()
    await started.start()
    yield started
    await started.stop()


@pytest.fixture
async def house(tmp_path: Path, upstream: ScriptedUpstream) -> AsyncIterator[House]:
    """A gateway whose model `echo` and app `bot` are at the upstream."""
    built = House(tmp_path / "journal", upstream)
    built.app("bot", built.model("echo"))
    yield built
    await built.close()


async def until(true: Any, *, seconds: float = 5.0) -> None:
    """Wait until `true()` is."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)
