"""The bytes of files: DATA/files/<project>/<id>, mode 600. A file gets its name when it is whole.

Results of a batch grow beside them, as <batch>-output.partial and <batch>-error.partial.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from threading import Lock
from types import TracebackType

from rondo.errors import CorruptData

_UPLOAD = ".upload"
_PARTIAL = ".partial"


class FileFolder:
    """The files of one data folder. It has an id, by which the catalog tells it from the folders of other servers."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._life = secrets.token_hex(4)
        """Tells the uploads of this process from those that an earlier one left."""
        self._id: str | None = None
        self._asking = Lock()

    def id(self) -> str:
        """32 hex digits, made when they are first asked for. Raises CorruptData."""
        with self._asking:
            if self._id is None:
                self._id = self._read_id()
            return self._id

    @property
    def is_there(self) -> bool:
        """Whether there has ever been a file."""
        return self._path.exists()

    def path(self, project: str, file_id: str) -> Path:
        return self._path / project / file_id

    def partial(self, project: str, batch_id: str, kind: str) -> Path:
        """Where the results of a batch grow."""
        folder = self._path / project
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / f"{batch_id}-{kind}{_PARTIAL}"

    def new_file(self, target: Path) -> NewFile:
        """A file under a passing name, which is gone unless it is kept."""
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return NewFile(target.with_name(f"{self._life}-{secrets.token_hex(8)}{_UPLOAD}"))

    def sweep(self) -> None:
        """Remove what uploads left that were cut off by the end of an earlier process."""
        for left in self._path.glob(f"**/*{_UPLOAD}"):
            if not left.name.startswith(self._life):
                left.unlink(missing_ok=True)

    def _read_id(self) -> str:
        kept = self._path / "folder.id"
        try:
            found = kept.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = secrets.token_hex(16)
            with self.new_file(kept) as file:
                file.write(found.encode())
                file.keep_as(kept)
        if len(found) != 32:
            raise CorruptData(f"{kept} is not what was written.", remedy="Restore it from a backup.")
        return found


class NewFile:
    """A file that is being written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self.size = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.size += len(data)

    def keep_as(self, target: Path) -> None:
        """From here on it is there, whole, also after a power cut."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._path.replace(target)
        sync_folder(target.parent)

    def discard(self) -> None:
        """Nothing, where it has been kept."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> NewFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlive a power cut."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
