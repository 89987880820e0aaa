"""Google's Gemini on its own API: chat completions and embeddings, translated both ways.

The key goes in a header and never into an address, which ends up in logs.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit

import msgspec
from msgspec import Struct

from rondo.errors import InvalidRequest, UpstreamCut
from rondo.providers.access import Secret, access, targets, wrong
from rondo.providers.base import ModelSpec, ProviderRequest, ReadyReply, Reply
from rondo.providers.embeddings_request import EmbeddingsBody, embeddings_answer, read_embeddings_request
from rondo.providers.gemini_answer import EventsFromGemini, from_gemini
from rondo.providers.gemini_request import NAME, to_gemini
from rondo.providers.reading import UNREADABLE, read
from rondo.providers.translated import TranslatedReply, refusal
from rondo.providers.upstream import Upstream

BASE_URL = "https://generativelanguage.googleapis.com/v1beta"
KEY = "GEMINI_API_KEY"
SUMMARY = "Google's Gemini on its own API."
_HOSTS = {KEY: (urlsplit(BASE_URL).hostname or "",)}


class _Detail(Struct, rename="camel"):
    reason: str = ""
    retry_delay: str = ""


class _Error(Struct, frozen=True):
    details: list[_Detail] = []


class _Refusal(Struct):
    error: _Error = _Error()


class _Vector(Struct):
    values: list[float]


class _Counted(Struct, rename="camel"):
    prompt_token_count: int | None = None


class _Embeddings(Struct, rename="camel"):
    embeddings: list[_Vector]
    usage_metadata: _Counted | None = None


_refusal = msgspec.json.Decoder(_Refusal)
_embeddings = msgspec.json.Decoder(_Embeddings)


class Gemini:
    """One model of Gemini's."""

    def __init__(self, spec: ModelSpec, upstream: Upstream, secret: Secret) -> None:
        """Raises SettingsError where there is no model, or where the key may not be sent to its address."""
        self._name, self._model = spec.name, spec.model
        self._resource = _path_of(spec)
        base_url = spec.base_url or BASE_URL
        variable = spec.api_key_env or (KEY if spec.base_url is None else None)
        self._access = access(spec, base_url, variable, own=_HOSTS, secret=secret, header="x-goog-api-key")
        self.missing_key = self._access.missing_key
        address = f"{base_url.rstrip('/')}/{self._resource}"
        self._whole, self._stream, self._embed = targets(
            upstream,
            spec,
            self._access.headers,
            _address(address, "generateContent", spec.query),
            _address(address, "streamGenerateContent", {**spec.query, "alt": "sse"}),
            _address(address, "batchEmbedContents", spec.query),
        )

    async def send(self, request: ProviderRequest) -> Reply:
        """Raises InvalidRequest for what Gemini has no word for."""
        self._access.require_key(self._name)
        if request.path == "/embeddings":
            return await self._send_embeddings(request.body)
        if request.path != "/chat/completions":
            raise InvalidRequest(f"{NAME} has no {request.path}.", param="model", remedy="Ask another model for it.")
        target = self._stream if request.stream else self._whole
        reply = await target.post(to_gemini(request.body, self._model))
        if reply.status != 200:
            return await _refused(reply)
        return TranslatedReply(
            reply,
            whole=lambda body: from_gemini(body, self._model),
            stream=EventsFromGemini(self._model),
            streamed=request.stream,
        )

    async def _send_embeddings(self, body: bytes) -> Reply:
        request = read_embeddings_request(body, NAME)
        reply = await self._embed.post(_to_embeddings(request, self._resource))
        if reply.status != 200:
            return await _refused(reply)
        return ReadyReply([_from_embeddings(await reply.read(), request, self._model)])


def _path_of(spec: ModelSpec) -> str:
    """`models/` and the id, escaped, since a caller may choose it. Raises SettingsError where there is none."""
    kind, slash, name = spec.model.rpartition("/")
    if not name.strip(".") or (slash and kind not in ("models", "tunedModels")):
        raise wrong(spec, "model", f"{spec.model!r} is no model of Gemini's", remedy="Set its id: gemini-3.5-flash.")
    return f"{kind or 'models'}/{quote(name, safe='')}"


def _address(address: str, verb: str, query: dict[str, str]) -> str:
    return f"{address}:{verb}" + (f"?{urlencode(query)}" if query else "")


async def _refused(reply: Reply) -> Reply:
    """An error, with what Gemini says in its body only: when to come again, and that it is the key that is wrong."""
    body = await reply.read()
    status, retry_after = reply.status, None
    try:
        details = read(_refusal, body).error.details
    except UNREADABLE:
        details = []
    for detail in details:
        if detail.retry_delay.endswith("s"):
            retry_after = _seconds(detail.retry_delay[:-1])
        if detail.reason == "API_KEY_INVALID":
            status = 401
    return refusal(reply, status, body, retry_after=retry_after)


def _seconds(text: str) -> int | None:
    """Whole seconds, rounded up."""
    whole, _, rest = text.partition(".")
    if not whole.isascii() or not whole.isdigit() or len(whole) > 9:
        return None
    return int(whole) + (1 if rest.strip("0") else 0)


def _to_embeddings(request: EmbeddingsBody, resource: str) -> bytes:
    options = {"taskType": request.taskType, "title": request.title, "outputDimensionality": request.dimensions}
    given = {name: value for name, value in options.items() if value is not None}
    one = [{"model": resource, "content": {"parts": [{"text": text}]}, **given} for text in request.texts]
    return msgspec.json.encode({"requests": one})


def _from_embeddings(body: bytes, request: EmbeddingsBody, model: str) -> bytes:
    try:
        answer = read(_embeddings, body)
    except UNREADABLE as error:
        raise UpstreamCut(f"Gemini's answer cannot be read: {error}.") from None
    counted = answer.usage_metadata.prompt_token_count if answer.usage_metadata else None
    return embeddings_answer(
        [vector.values for vector in answer.embeddings],
        model=model,
        tokens=counted,
        as_base64=request.encoding_format == "base64",
    )
