"""A file in a form (multipart/form-data), put where it belongs as it comes in: memory holds a piece of it at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from rondo.batches.files import Upload
from rondo.batches.model import StoredFile
from rondo.errors import InvalidRequest, TooLarge

_PIECE = 1 << 20
_LONGEST_FIELD = 10_000
_MOST_PARTS = 20


class FileForm:
    """Takes the fields of a form, and its one file."""

    def __init__(self, content_type: str, upload: Upload) -> None:
        """Raises InvalidRequest where the request is no such form."""
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise InvalidRequest(
                "The request is no form.", remedy="Send `file` and `purpose` as multipart/form-data.", param="file"
            )
        self._upload = upload
        self._fields: dict[str, bytearray] = {}
        self._filename: str | None = None
        self._parts = 0
        self._header = (bytearray(), bytearray())
        self._disposition = b""
        self._field: bytearray | None = None
        self._piece = bytearray()
        self._is_whole = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._know,
                    "on_part_data": self._take,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise InvalidRequest(f"The form cannot be read: {error}.", param="file") from None

    async def read(self, body: AsyncIterator[bytes]) -> StoredFile:
        """The file, kept. Raises InvalidRequest, TooLarge, Unavailable."""
        try:
            async for data in body:
                self._parser.write(data)
                if len(self._piece) >= _PIECE:
                    await self._put()
        except FormParserError as error:
            raise InvalidRequest(f"The form cannot be read: {error}.", param="file") from None
        except ClientDisconnect:
            self._is_whole = False
        if not self._is_whole:
            raise InvalidRequest("The form ends too early.", remedy="Send it again.", param="file")
        if self._filename is None:
            raise InvalidRequest("`file` is missing.", remedy="Send the file under this name.", param="file")
        await self._put()
        purpose = _text(self._fields.pop("purpose", None), "purpose")
        for name in self._fields:
            raise InvalidRequest(f"`{name:.50}` is not known.", remedy="Send `file` and `purpose`.", param=name[:50])
        return await self._upload.keep(filename=self._filename, purpose=purpose)

    async def _put(self) -> None:
        piece, self._piece = self._piece, bytearray()
        await self._upload.write(bytes(piece))

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise InvalidRequest(f"The form has more than {_MOST_PARTS} parts.", param="file")
        self._disposition = b""

    def _end_header(self) -> None:
        name, value = self._header
        if bytes(name).lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = (bytearray(), bytearray())

    def _know(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = _decoded(options.get(b"name", b""))
        if b"filename" not in options:
            self._field = self._fields.setdefault(name, bytearray())
            return
        if name != "file" or self._filename is not None:
            raise InvalidRequest("The form may hold one file, under the name `file`.", param="file")
        self._field = None
        self._filename = _decoded(options[b"filename"]) or "file"

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._piece += data[start:end]
            return
        self._field += data[start:end]
        if len(self._field) > _LONGEST_FIELD:
            raise TooLarge(f"A field of the form is longer than {_LONGEST_FIELD:,} bytes.")

    def _end(self) -> None:
        self._is_whole = True


def _text(value: bytearray | None, name: str) -> str:
    if value is None:
        raise InvalidRequest(f"`{name}` is missing.", remedy="Files are for batches: send batch.", param=name)
    return _decoded(bytes(value))


def _decoded(value: Any) -> str:
    return bytes(value).decode("utf-8", "replace")
