"""Reading `suites/NAME.toml`. An error names the file, the key and what is allowed, as for `rondo.toml`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from rondo.errors import NotFound, SettingsError
from rondo.settings import own_code
from rondo.settings.evaluating import SuiteSettings
from rondo.settings.project import parse_suite
from rondo.settings.table import IN_WORDS, NAME, nearest

FOLDER = "suites"
_SUFFIX = ".toml"
_OWN = "python"


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


def dataset_name(file: str) -> str:
    """The name of the stored dataset that a file of examples becomes."""
    stem = file.rpartition("/")[2].rpartition(".")[0]
    return re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._") or "examples"


def own_files(suite: SuiteSettings) -> list[tuple[int, str]]:
    """(place, file) of the suite's scorers that are a Python file of the project."""
    named = ((at, getattr(scorer, "file", None)) for at, scorer in enumerate(suite.scorers) if scorer.kind == _OWN)
    return [(at, file) for at, file in named if isinstance(file, str)]


def with_own_files(suite: SuiteSettings, read_file: Callable[[int, str], bytes], find: own_code.Find) -> SuiteSettings:
    """The suite, with the hash of each such file, and of what it imports, beside its name: another file is another
    suite. `find` looks for modules of the project."""
    scorers = list(suite.scorers)
    for at, file in own_files(suite):
        scorers[at] = scorers[at].model_copy(update={"file_hash": own_code.hash_of(file, read_file(at, file), find)})
    return suite.model_copy(update={"scorers": scorers})


def project_file(project: Path, name: str) -> bytes | None:
    """A file of the project folder, if it is there, and inside of it."""
    path = (project / name).resolve()
    try:
        return path.read_bytes() if path.is_relative_to(project.resolve()) and path.is_file() else None
    except OSError:
        return None
