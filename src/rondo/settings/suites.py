"""Reading `suites/NAME.toml`. An error names the file, the key and what is allowed, as for `rondo.toml`."""

from __future__ import annotations

import re
from pathlib import Path

from rondo.errors import NotFound, SettingsError
from rondo.settings.evaluating import SuiteSettings
from rondo.settings.project import parse_suite
from rondo.settings.table import IN_WORDS, NAME, nearest

FOLDER = "suites"
_SUFFIX = ".toml"


def names(project: Path) -> list[str]:
    """The suites of a project folder, by name."""
    folder = project / FOLDER
    return sorted(path.stem for path in folder.glob(f"*{_SUFFIX}")) if folder.is_dir() else []


def read(project: Path, name: str) -> SuiteSettings:
    """A suite of the project folder. Raises NotFound, and SettingsError for the first wrong key."""
    path = project / FOLDER / f"{name}{_SUFFIX}"
    file = f"{FOLDER}/{path.name}"
    if re.fullmatch(NAME, name) is None:
        raise SettingsError(f"{IN_WORDS[NAME]}.", file=file)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(
            f"There is no suite called {name!r:.100}.{nearest(name, names(project))}",
            remedy=f"A suite is a file {FOLDER}/NAME.toml.",
            param="suite",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot be read: {error}.", file=file) from None
    return parse_suite(text, file=file)
