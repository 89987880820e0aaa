"""The verbs of files: take one in, list, show, delete, find its bytes."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

from rondo import clock
from rondo.batches import access, store
from rondo.batches.folder import FileFolder, NewFile
from rondo.batches.model import StoredFile
from rondo.catalog.engine import Catalog
from rondo.catalog.text import check_text
from rondo.errors import Conflict, InvalidRequest, NotFound, TooLarge, Unavailable
from rondo.governance import audit
from rondo.governance.model import Grant

MOST_LISTED = 10_000
_LONGEST_NAME = 255


class Files:
    """The files of all projects whose bytes are in this data folder; the catalog also knows those of others."""

    def __init__(self, catalog: Catalog, folder: FileFolder, *, max_bytes: int) -> None:
        self._catalog = catalog
        self._folder = folder
        self.max_bytes = max_bytes

    def begin(self, grant: Grant) -> Upload:
        """A file that is coming in. Raises Forbidden, Unavailable."""
        access.only_of(grant)
        return Upload(self, grant)

    def open_new(self, project: str) -> NewFile:
        return self._folder.new_file(self._folder.path(project, "new"))

    async def page(
        self, grant: Grant, *, purpose: str | None, after: str | None, oldest_first: bool, limit: int
    ) -> tuple[list[StoredFile], bool]:
        """A page of files, and whether there are more. Raises NotFound for an unknown `after`."""

        def read() -> list[StoredFile]:
            with self._catalog.read() as connection:
                last = None if after is None else store.get_file(connection, grant.project, after)
                if after is not None:
                    access.may_see(grant, last, f"file {after!r}")
                return store.list_files(
                    connection,
                    grant.project,
                    key_id=access.only_of(grant),
                    purpose=purpose,
                    after=last,
                    oldest_first=oldest_first,
                    limit=limit + 1,
                )

        found = await asyncio.to_thread(read)
        return found[:limit], len(found) > limit

    async def get(self, grant: Grant, file_id: str) -> StoredFile:
        """Raises NotFound."""

        def read() -> StoredFile:
            with self._catalog.read() as connection:
                found = store.get_file(connection, grant.project, file_id)
            access.may_see(grant, found, f"file {file_id!r}")
            assert found is not None
            return found

        return await asyncio.to_thread(read)

    async def content(self, grant: Grant, file_id: str) -> tuple[StoredFile, Path]:
        """A file, and where its bytes are. Raises NotFound."""
        file = await self.get(grant, file_id)
        await asyncio.to_thread(self.require_here, file)
        return file, self._folder.path(file.project, file.id)

    def require_here(self, file: StoredFile) -> None:
        """Raises NotFound where the bytes are not in this data folder."""
        if file.folder != self._folder.id() or not self._folder.path(file.project, file.id).exists():
            raise NotFound(
                f"The bytes of {file.id} are not in this server's data folder.",
                remedy="Ask the server that took the file in, or send the file again.",
            )

    async def delete(self, grant: Grant, file_id: str) -> None:
        """Raises NotFound, Forbidden, and Conflict while a batch reads it."""

        def change() -> StoredFile:
            with self._catalog.begin() as connection:
                found = store.get_file(connection, grant.project, file_id)
                access.may_see(grant, found, f"file {file_id!r}")
                assert found is not None
                access.may_change(grant, found)
                if store.is_read_by_a_batch(connection, grant.project, file_id):
                    raise Conflict(f"A batch reads {file_id}.", remedy="Wait for its end, or cancel it.")
                store.delete_file(connection, grant.project, file_id)
                details = {"filename": found.filename, "bytes": found.bytes}
                audit.record(connection, grant.project, grant.name, "file.delete", f"file:{file_id}", details)
                return found

        file = await asyncio.to_thread(change)
        if file.folder == await asyncio.to_thread(self._folder.id):
            await asyncio.to_thread(self._folder.path(file.project, file.id).unlink, missing_ok=True)

    def keep(self, grant: Grant, new: NewFile, *, filename: str, purpose: str) -> StoredFile:
        """A file that has come in whole. Raises InvalidRequest."""
        if purpose != "batch":
            raise InvalidRequest(
                f"`purpose` must be batch, not {purpose!r:.50}.", remedy="Files are for batches.", param="purpose"
            )
        file = StoredFile(
            id=f"file-{secrets.token_hex(12)}",
            project=grant.project,
            folder=self._folder.id(),
            key_id=grant.key_id,
            purpose=purpose,
            filename=check_text(filename, param="filename", longest=_LONGEST_NAME, required=True),
            bytes=new.size,
            created_at=clock.now_us(),
        )
        path = self._folder.path(file.project, file.id)
        new.keep_as(path)
        try:
            with self._catalog.begin() as connection:
                store.insert_file(connection, file)
                details = {"filename": file.filename, "bytes": file.bytes}
                audit.record(connection, grant.project, grant.name, "file.create", f"file:{file.id}", details)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return file


class Upload:
    """A file on its way in: write its parts, then keep it. What is not kept is gone when it is closed."""

    def __init__(self, files: Files, grant: Grant) -> None:
        self._files = files
        self._grant = grant
        self._new: NewFile | None = None

    async def write(self, data: bytes) -> None:
        """Raises TooLarge, Unavailable."""
        await asyncio.to_thread(self._write, data)

    async def keep(self, *, filename: str, purpose: str) -> StoredFile:
        """Raises InvalidRequest, Unavailable."""
        await self.write(b"")  # an empty file is one too
        assert self._new is not None
        try:
            return await asyncio.to_thread(self._files.keep, self._grant, self._new, filename=filename, purpose=purpose)
        except OSError as error:
            raise _unwritable(error) from None

    async def close(self) -> None:
        if self._new is not None:
            await asyncio.to_thread(self._new.discard)

    def _write(self, data: bytes) -> None:
        try:
            if self._new is None:
                self._new = self._files.open_new(self._grant.project)
            if self._new.size + len(data) > self._files.max_bytes:
                raise TooLarge(
                    f"The file is larger than {self._files.max_bytes >> 20} MB.",
                    remedy="Send it in parts, or raise `batches.max_file_mb`.",
                    param="file",
                )
            self._new.write(data)
        except OSError as error:
            raise _unwritable(error) from None


def _unwritable(error: OSError) -> Unavailable:
    return Unavailable(
        f"The file cannot be kept: {error.strerror}.", remedy="Check the data folder's free space and permissions."
    )
