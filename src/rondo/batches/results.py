"""What came of a batch's requests: two growing files of JSON lines, and which requests stand in them.

A result is in its file before the next request of that place begins; a process that dies leaves whole lines, and at
most one torn one, which is cut off when the files are opened again. A result's id holds the number of its line in the
input, so what has been answered is known from the results alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Literal

import msgspec
from msgspec import Raw, Struct

from rondo.batches.folder import sync_folder
from rondo.gateway.reading import UNREADABLE

Kind = Literal["output", "error"]
Unasked = Literal["batch_expired", "batch_cancelled"]

_UNASKED: dict[Unasked, str] = {
    "batch_expired": "This request could not be executed before the completion window expired.",
    "batch_cancelled": "This request was not executed because the batch was cancelled.",
}


class _Error(Struct):
    code: str


class _Told(Struct):
    id: str
    error: _Error | None = None


_told = msgspec.json.Decoder(_Told)
_encode = msgspec.json.Encoder().encode


class Results:
    """The two files of one batch. All but `sync` is quick enough for the event loop."""

    def __init__(self, batch_id: str, growing: dict[Kind, Path], final: dict[Kind, Path]) -> None:
        """Opens what is there. Raises OSError."""
        self._prefix = f"batch_req_{batch_id.removeprefix('batch_')}_"
        self._growing = growing
        self._final = final
        self._done: set[int] = set()
        self.counts: dict[Kind, int] = {"output": 0, "error": 0}
        self.unasked: Unasked | None = None
        """Why some requests have never been asked, if so."""
        self._files: dict[Kind, IO[bytes]] = {}
        try:
            for kind in growing:
                self._files[kind] = self._open(kind)
        except BaseException:
            self.close()
            raise

    def has(self, number: int) -> bool:
        """Whether the request in this line has its result."""
        return number in self._done

    def answered(self, number: int, custom_id: str, *, status: int, trace_id: str | None, body: bytes) -> None:
        """Keep what the gateway said. Raises OSError."""
        if b"\n" in body or b"\r" in body:
            body = msgspec.json.format(body, indent=-1)
        response = {"status_code": status, "request_id": trace_id, "body": Raw(body)}
        self._write("output" if status < 300 else "error", number, custom_id, response, None)

    def not_asked(self, number: int, custom_id: str, why: Unasked) -> None:
        """Keep that this request was never asked. Raises OSError."""
        self.unasked = why
        self._write("error", number, custom_id, None, {"code": why, "message": _UNASKED[why]})

    def sync(self) -> None:
        """What has been written outlives a power cut. Raises OSError."""
        for file in self._files.values():
            os.fsync(file.fileno())

    def finish(self) -> dict[Kind, int]:
        """Give the files their names; the sizes of those that hold anything. May be done twice. Raises OSError."""
        self.sync()
        sizes: dict[Kind, int] = {}
        for kind, final in self._final.items():
            growing = self._growing[kind]
            if not self.counts[kind]:
                growing.unlink(missing_ok=True)
                continue
            if growing.exists():
                growing.replace(final)
            sizes[kind] = final.stat().st_size
        sync_folder(self._growing["output"].parent)
        return sizes

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _write(self, kind: Kind, number: int, custom_id: str, response: object, error: object) -> None:
        line = {"id": f"{self._prefix}{number}", "custom_id": custom_id, "response": response, "error": error}
        _append(self._files[kind], _encode(line) + b"\n")
        self._note(kind, number)

    def _note(self, kind: Kind, number: int) -> None:
        self._done.add(number)
        self.counts[kind] += 1

    def _open(self, kind: Kind) -> IO[bytes]:
        path = self._final[kind] if self._final[kind].exists() else self._growing[kind]
        file: IO[bytes] = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)
        whole = 0
        with path.open("rb") as lines:
            for line in lines:
                number = self._number(line) if line.endswith(b"\n") else None
                if number is None:
                    break
                whole += len(line)
                self._note(kind, number)
        file.truncate(whole)
        file.seek(whole)
        return file

    def _number(self, line: bytes) -> int | None:
        """Which request a result is of; None where the line is torn."""
        try:
            told = _told.decode(line)
            number = int(told.id.removeprefix(self._prefix))
        except (*UNREADABLE, ValueError):
            return None
        if told.error is not None:
            self.unasked = next((why for why in _UNASKED if why == told.error.code), self.unasked)
        return number


def _append(file: IO[bytes], line: bytes) -> None:
    """The whole line or none of it. Raises OSError."""
    began, written = file.tell(), 0
    try:
        while written < len(line):
            written += file.write(line[written:])
    except OSError:
        file.truncate(began)
        file.seek(began)
        raise
