"""The server's own settings: as `rondo.toml` has them, else as they were when it last started.

What serves is in the catalog; of the file, a server needs its own tables alone ([journal], [gateway], [limits], ...).
So it comes up over a half-edited file, with the copy that it keeps of the last one that was right. Its gateway
processes read the copy too: one that is started again has the settings of the others, whatever is being edited.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rondo.errors import SettingsError
from rondo.server.data_folder import DataFolder
from rondo.settings.project import parse, read, read_text


class Settled(NamedTuple):
    """`text` is the file where it is right, `fault` what is wrong with it where the kept copy stands in for it. Both
    are None for a server without a project."""

    text: str | None
    fault: SettingsError | None

    @property
    def told(self) -> str | None:
        """The fault for all who may look: where it is, without what is written there, which might be a secret."""
        if self.fault is None or self.fault.param is None:
            return None if self.fault is None else str(self.fault)
        return f"{self.fault.file}: {self.fault.param}: this value is wrong; the server's log says how."

    def folder(self, data: DataFolder) -> Path | None:
        """Where the `rondo.toml` that holds is; keeps a right one. The data folder must have been locked."""
        if self.text is not None:
            data.keep_settings(self.text)
        return data.settings if self.text is not None or self.fault is not None else None


def settle(data: DataFolder, project: Path | None) -> Settled:
    """Reads the project's file. Raises SettingsError where there is none, or a wrong one and no copy of a right one."""
    if project is None:
        return Settled(None, None)
    file, text = read_text(project)
    try:
        parse(text, file=file)
    except SettingsError as error:
        if not data.has_settings():
            raise
        read(data.settings)
        return Settled(None, error)
    return Settled(text, None)
