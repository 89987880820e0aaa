"""A request for embeddings, read whole, and its answer: for adapters that must translate them. Pure."""

from __future__ import annotations

import base64
from array import array
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from rondo.providers.chat_request import read_request, refused


class EmbeddingsBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """`taskType` and `title` are Gemini's own."""

    model: str = ""
    input: str | list[Any]
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: Any = None
    metadata: Any = None
    taskType: str | None = None  # noqa: N815
    title: str | None = None

    @property
    def texts(self) -> list[str]:
        """Raises InvalidRequest where the input is tokens, which mean nothing to another model."""
        texts = [self.input] if isinstance(self.input, str) else self.input
        if not texts or not all(isinstance(text, str) for text in texts):
            raise refused("input", "it is not one or more texts.", remedy="Send a text, or a list of texts.")
        return texts


_decoder = msgspec.json.Decoder(EmbeddingsBody)


def read_embeddings_request(body: bytes, provider: str) -> EmbeddingsBody:
    """Raises InvalidRequest, which names the field."""
    return read_request(_decoder, body, provider)


def embeddings_answer(vectors: Sequence[Sequence[float]], *, model: str, tokens: int | None, as_base64: bool) -> bytes:
    """A list of embeddings. Without `tokens` there is no `usage`: what it cost is unknown, not zero."""
    data = [
        {"object": "embedding", "index": position, "embedding": _base64(vector) if as_base64 else vector}
        for position, vector in enumerate(vectors)
    ]
    usage = None if tokens is None else {"prompt_tokens": tokens, "total_tokens": tokens}
    return msgspec.json.encode({"object": "list", "data": data, "model": model, "usage": usage})


def _base64(vector: Sequence[float]) -> str:
    """As OpenAI has it: 32-bit floats, little-endian."""
    packed = array("f", vector)
    if array("H", [1]).tobytes()[0] == 0:  # a big-endian machine
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode()
