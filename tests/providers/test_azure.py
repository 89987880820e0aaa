"""Azure OpenAI: where requests go, with which key, and what comes back untouched."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.asking import Asker, events_of
from providers.vendors import VENDORS, Said, openai_whole
from rondo.errors import SettingsError
from rondo.providers.base import ModelSpec
from rondo.providers.registry import Providers
from rondo.providers.upstream import Upstream
from scripted_upstream import EMBEDDINGS, whole

VERSION = {"api-version": "2024-10-21"}


@pytest.mark.parametrize(
    ("base", "model", "query", "path"),
    [
        ("", "dep", VERSION, "/openai/deployments/dep/chat/completions?api-version=2024-10-21"),
        ("/", "my dep/ä", VERSION, "/openai/deployments/my%20dep%2F%C3%A4/chat/completions?api-version=2024-10-21"),
        ("/openai", "dep", VERSION, "/openai/deployments/dep/chat/completions?api-version=2024-10-21"),
        ("", "dep", {}, "/openai/v1/chat/completions"),
        ("", "dep", {"api-version": "preview"}, "/openai/v1/chat/completions?api-version=preview"),
        ("/openai/v1/", "dep", {}, "/openai/v1/chat/completions"),
        ("/openai/deployments/old", "any", VERSION, "/openai/deployments/old/chat/completions?api-version=2024-10-21"),
    ],
)
async def test_where_it_goes(asker: Asker, base: str, model: str, query: dict[str, str], path: str) -> None:
    root = asker.upstream.url.removesuffix("/v1")
    await asker.send("azure", openai_whole(Said("x")), base_url=root + base, model=model, query=query)
    heard = asker.upstream.last
    assert heard.path == path
    assert heard.headers["api-key"] == "azure-secret"
    assert "authorization" not in heard.headers
    assert heard.json["model"] == model


async def test_embeddings_go_there_too(asker: Asker) -> None:
    root = asker.upstream.url.removesuffix("/v1")
    request = b'{ "model":"dep", "input":"x" }'
    _, _, body = await asker.send("azure", whole(EMBEDDINGS), request, path="/embeddings", base_url=root, query=VERSION)
    assert asker.upstream.last.path == "/openai/deployments/dep/embeddings?api-version=2024-10-21"
    assert (asker.upstream.last.body, body) == (request, EMBEDDINGS)


async def test_another_header_may_carry_the_key(asker: Asker) -> None:
    await asker.send("azure", openai_whole(Said("x")), api_key_header="Ocp-Apim-Subscription-Key")
    assert asker.upstream.last.headers["ocp-apim-subscription-key"] == "azure-secret"
    assert "api-key" not in asker.upstream.last.headers


async def test_annotations_of_the_content_filter_pass(asker: Asker) -> None:
    """The first event of a stream has no choices; it and all others go through."""
    _, _, body = await asker.send("azure", VENDORS["azure"].stream(Said("x")), stream=True)
    events = events_of(body)
    assert events[0]["choices"] == []
    assert events[0]["prompt_filter_results"]
    assert events[1]["choices"][0]["content_filter_results"]


@pytest.mark.parametrize("status", [400, 401, 404, 429, 503])
async def test_errors_pass(asker: Asker, status: int) -> None:
    error = {"error": {"code": "content_filter", "message": "no", "innererror": {"code": "x"}}}
    found, headers, body = await asker.send("azure", whole(error, status, retry_after="9"), stream=True)
    assert (found, headers["retry-after"], json.loads(body)) == (status, "9", error)


@pytest.mark.parametrize(
    ("spec", "param"),
    [
        ({}, "models.m.base_url"),
        ({"base_url": "https://evil.example"}, "models.m.api_key_env"),
        ({"base_url": "https://x.openai.azure.com", "query": VERSION, "model": ""}, "models.m.model"),
        ({"base_url": "https://x.openai.azure.com", "query": VERSION, "model": ".."}, "models.m.model"),
        ({"base_url": "https://x.openai.azure.com", "headers": {"x": "a\r\nb: c"}}, "models.m.headers"),
    ],
)
def test_settings_that_cannot_be(spec: dict[str, Any], param: str) -> None:
    made = ModelSpec(**{"name": "m", "provider": "azure", "model": "dep", **spec})
    with pytest.raises(SettingsError) as caught:
        Providers(Upstream(), secret={"AZURE_OPENAI_API_KEY": "k"}.get).make(made)
    assert caught.value.param == param
