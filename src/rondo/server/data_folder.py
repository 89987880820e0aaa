"""The data folder: one server at a time, its address for the commands, its admin key.

DIR/lock            held (flock) by the running server
DIR/server.json     where it answers
DIR/admin.key       the first admin key, mode 600
DIR/session.key     signs console sessions, mode 600
DIR/pseudonym.key   makes pseudonyms, mode 600 (unless RONDO_PSEUDONYM_KEY has it)
DIR/catalog.db      what exists, who may (unless RONDO_CATALOG_URL names another database)
DIR/records.duckdb  what happened
DIR/journal/        what happened and is not yet in the record store
DIR/knowledge/      index versions, each a directory named by its hash
DIR/files/          what batches read, and their results
DIR/settings/       rondo.toml as it was when the server last started with a right one
DIR/jobs.db         which batches are under way
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Any

from rondo.catalog.engine import sqlite_url
from rondo.errors import Conflict, CorruptData, Unavailable
from rondo.settings.project import FILE


class DataFolder:
    """Paths in the folder, and its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.knowledge = self.path / "knowledge"
        self.journal = self.path / "journal"
        self.catalog = self.path / "catalog.db"
        self.records = self.path / "records.duckdb"
        self.files = self.path / "files"
        self.settings = self.path / "settings"
        self.jobs = self.path / "jobs.db"
        self.control_socket = self.path / "control.sock"
        self._admin_key = self.path / "admin.key"
        self._server = self.path / "server.json"
        self._lock: int | None = None

    def lock(self) -> None:
        """Take the folder for this process. Raises Conflict where another server has it, Unavailable where it cannot
        be written."""
        os.umask(0o077)  # whatever is written from here on is private, also by libraries
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Unavailable(
                f"The data folder {self.path} cannot be used: {error.strerror}.",
                remedy="Check its permissions and free space, or choose another folder with --data.",
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            running = self.running()
            who = f"process {running['pid']} at {running['url']}" if running else "another process"
            raise Conflict(
                f"The data folder {self.path} is in use by {who}.",
                remedy="Stop that server, or choose another folder with --data.",
            ) from None
        self._lock = lock

    def unlock(self) -> None:
        """Let go of the folder."""
        self._server.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def require_catalog(self, url: str) -> None:
        """Raises Conflict where this folder has served from another catalog than the one in `url`.

        An empty catalog would get a new admin key, in place of the one that still opens the other.
        """
        if url == sqlite_url(self.catalog) and self._admin_key.exists() and not self.catalog.exists():
            raise Conflict(
                f"The catalog of {self.path} is not in the folder.",
                remedy="Set RONDO_CATALOG_URL as the server has it; or delete admin.key to begin a new catalog.",
            )

    def running(self) -> dict[str, Any] | None:
        """`{"url", "pid"}` of the server that said it runs here, if any."""
        try:
            found: dict[str, Any] = json.loads(self._server.read_text())
        except (OSError, ValueError):
            return None
        return found

    def announce(self, url: str) -> None:
        """Tell commands where this server answers."""
        self._write_private(self._server, json.dumps({"url": url, "pid": os.getpid()}))

    def keep_admin_key(self, secret: str) -> None:
        self._write_private(self._admin_key, secret + "\n")

    def keep_settings(self, text: str) -> None:
        """Keep the text of a right `rondo.toml`."""
        self.settings.mkdir(mode=0o700, exist_ok=True)
        self._write_private(self.settings / FILE, text)

    def has_settings(self) -> bool:
        return (self.settings / FILE).exists()

    def session_key(self) -> bytes:
        """32 random bytes, the same ones from the first start on. Raises CorruptData where the file holds others."""
        return self._kept_key("session.key", 32, "Delete it; everybody signs in to the console again.")

    def pseudonym_key(self) -> bytes:
        """32 random bytes, the same ones from their first use on. Raises CorruptData where the file holds others."""
        return self._kept_key("pseudonym.key", 32, "Restore it: tokens in earlier records cannot be read without it.")

    def source(self) -> str:
        """A name of the records in this folder: the same for all its processes, and for no other folder."""
        return sha256(self.session_key()).hexdigest()[:16]

    def _kept_key(self, name: str, size: int, remedy: str) -> bytes:
        path = self.path / name
        if not path.exists():
            self._write_private(path, secrets.token_hex(size))
        text = path.read_text(encoding="latin-1").strip()
        if re.fullmatch(f"[0-9a-f]{{{2 * size}}}", text) is None:
            raise CorruptData(f"{path} is not what was written.", remedy=remedy)
        return bytes.fromhex(text)

    def _write_private(self, path: Path, text: str) -> None:
        """Whole or not at all, and never readable by others, not even for a moment."""
        temporary = path.with_suffix(".new")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
