"""A reply in another dialect, read as if it were in ours. Errors stay as the provider said them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

from rondo.providers.base import ReadyReply, Reply

_KEPT = ("retry-after", "x-request-id", "x-amzn-requestid")


class TranslatedReply:
    """A good reply: `whole` translates its body, `stream` its parts. Both raise UpstreamError for what they cannot."""

    def __init__(
        self,
        reply: Reply,
        *,
        whole: Callable[[bytes], bytes],
        stream: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]],
        streamed: bool,
    ) -> None:
        self.status = reply.status
        self.headers: Mapping[str, str] = _headers(reply, "text/event-stream" if streamed else "application/json")
        self._reply = reply
        self._whole = whole
        self._stream = stream

    async def read(self) -> bytes:
        return self._whole(await self._reply.read())

    def chunks(self) -> AsyncIterator[bytes]:
        return self._stream(self._reply.chunks())

    def close(self) -> None:
        self._reply.close()


def refusal(reply: Reply, status: int, body: bytes, *, retry_after: int | None = None) -> Reply:
    """A provider's error, read to its end; `status` is its own or what it should have been."""
    reply.close()
    said = ReadyReply([body], status=status, content_type=reply.headers.get("content-type", "application/json"))
    headers = _headers(reply, said.headers["content-type"])
    if retry_after is not None and "retry-after" not in headers:
        headers["retry-after"] = str(retry_after)
    said.headers = headers
    return said


def _headers(reply: Reply, content_type: str) -> dict[str, str]:
    kept = {name: value for name in _KEPT if (value := reply.headers.get(name)) is not None}
    return {**kept, "content-type": content_type}
