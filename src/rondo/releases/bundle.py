"""The files of a release: read from a project's folder, carried in a zip, checked on both ends.

A bundle holds `rondo.toml`, the prompt file, the documents of the app's knowledge, and the files that guards,
classifiers and the gate name, nothing else. It stays in memory; nothing is ever unpacked to disk. What comes in a zip
is hostile until checked: sizes are counted as bytes are read, never believed.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from rondo.errors import InvalidRequest, SettingsError
from rondo.knowledge.parse import HTML, MARKDOWN, TEXT, is_asset
from rondo.releases.model import Bundle
from rondo.settings import project as project_settings
from rondo.settings.own_code import Find, modules
from rondo.settings.project import FILE
from rondo.settings.suites import FOLDER as SUITES
from rondo.settings.suites import own_files, project_file
from rondo.settings.tables import ProjectSettings

MAX_BYTES = 200_000_000
MAX_FILES = 20_000
MAX_PATH = 500
EXAMPLES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".yaml", ".yml")
"""How files of examples end."""


_DOCUMENTS = MARKDOWN | HTML | TEXT
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]|^[A-Za-z]:")
_BROKEN_ZIP = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
    *(ValueError, OverflowError, NotImplementedError, RuntimeError),
)
_EPOCH = (1980, 1, 1, 0, 0, 0)


def read_folder(folder: Path, *, more: Sequence[str] = ()) -> Bundle:
    """The bundle of the project in `folder`, with `more` prompt files to be tried in the place of its own.

    Raises SettingsError, with file and key, where something is missing, lies outside of the folder, or is no document
    (pictures, styles and hidden files are passed over); InvalidRequest where it is all too much.
    """
    settings = project_settings.read(folder)
    root = folder.resolve()
    prompt = prompt_path(settings)
    found = {FILE: _inside(root, root / FILE, "app"), prompt: _inside(root, root / prompt, "app.prompt")}
    if not found[prompt].is_file():
        raise _no_prompt(prompt)
    others = [("app.prompt", _relative(path, "app.prompt")) for path in more]
    for key, name in [*named_files(settings), *others]:
        found[name] = _inside(root, root / name, key)
        if not found[name].is_file():
            raise _no_file(name, key)
    for key, name in suite_files(settings, partial(project_file, root)):
        found[name] = _inside(root, root / name, key)
        if not found[name].is_file():
            raise _no_file(name, key)
    for key, source in source_paths(settings):
        top = _inside(root, root / source, key)
        if not top.exists():
            raise SettingsError(
                f"there is no {source or '.'!r}.", file=FILE, param=key, remedy="Create it, or name another one."
            )
        files = [root / source] if top.is_file() else _walk(root, root / source, key, (top,))
        for file in files:
            name = file.relative_to(root).as_posix()
            if name not in found and not is_asset(name):
                found[name] = _document(root, file, name, key)
            if len(found) > MAX_FILES:
                raise _too_many()
    bundle = Bundle(_read(found))
    documents(bundle, settings)
    return bundle


def to_zip(bundle: Bundle) -> bytes:
    """The same bundle always gives the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(bundle.files):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, bundle.files[name], zipfile.ZIP_DEFLATED, 6)
    return buffer.getvalue()


def from_zip(data: bytes) -> Bundle:
    """The bundle in a zip that someone sent. Raises InvalidRequest (`bundle`)."""
    if len(data) > MAX_BYTES:
        raise _too_large()
    if data.count(b"PK\x01\x02") > 2 * MAX_FILES:  # entries begin so; the library reads all of them at once
        raise _too_many()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return Bundle(_unzip(archive))
    except _BROKEN_ZIP as error:
        raise _bad(f"The bundle is not a zip that can be read: {error!s:.200}.", "Send a whole zip file.") from None


def settings_of(bundle: Bundle) -> ProjectSettings:
    """The bundle's `rondo.toml`. Raises SettingsError."""
    if FILE not in bundle.files:
        raise SettingsError("there is no such file in the bundle.", file=FILE, remedy="`rondo init NAME` makes one.")
    return project_settings.parse(_text(bundle, FILE))


def prompt_of(bundle: Bundle, settings: ProjectSettings) -> tuple[str, str]:
    """Path and text of the prompt file. Raises SettingsError."""
    path = prompt_path(settings)
    if path not in bundle.files:
        raise _no_prompt(path)
    return path, _text(bundle, path)


def documents(bundle: Bundle, settings: ProjectSettings) -> dict[str, bytes]:
    """The files below the sources of the app's knowledge. Raises SettingsError where a source holds none."""
    others = [*named_files(settings), *suite_files(settings, bundle.files.get)]
    no_documents = {FILE, prompt_path(settings), *(path for _, path in others)}
    found: dict[str, bytes] = {}
    for key, source in source_paths(settings):
        below = {
            name: data
            for name, data in bundle.files.items()
            if name not in no_documents and (not source or name == source or name.startswith(f"{source}/"))
        }
        if not any(not is_asset(name) for name in below):
            raise SettingsError(
                f"there are no documents in {source or '.'!r}.",
                file=FILE,
                param=key,
                remedy=f"Put files there ({', '.join(sorted(_DOCUMENTS))}), or name another source.",
            )
        found |= below
    return found


def prompt_path(settings: ProjectSettings) -> str:
    """Raises SettingsError where it leads out of the project."""
    path = _relative(settings.app.prompt, "app.prompt")
    if not path:
        raise _no_prompt(settings.app.prompt)
    return path


def source_paths(settings: ProjectSettings) -> list[tuple[str, str]]:
    """(key, path) of each source of the app's knowledge; "" is the whole project. Raises SettingsError."""
    name = settings.app.knowledge
    if name is None:
        return []
    keys = [f"knowledge.{name}.sources[{position}]" for position in range(len(settings.knowledge[name].sources))]
    return [(key, _relative(each, key)) for key, each in zip(keys, settings.knowledge[name].sources, strict=True)]


def named_files(settings: ProjectSettings) -> list[tuple[str, str]]:
    """(key, path) of the files that guards, classifiers and the gate are made from. Raises SettingsError."""
    named = [(f"classifiers.{name}.examples", each.examples) for name, each in settings.classifiers.items()]
    named += [
        (f"guards[{at}].words_file", guard.words_file)
        for at, guard in enumerate(settings.guards)
        if guard.words_file is not None
    ]
    named += [
        (f"gate.suites[{at}]", f"{SUITES}/{name}.toml")
        for at, name in enumerate(settings.gate.suites if settings.gate is not None else ())
    ]
    return [(key, _relative(path, key)) for key, path in named]


def suite_files(settings: ProjectSettings, find: Find) -> list[tuple[str, str]]:
    """(key, path) of the files that the gate's suites name: examples, and scorers of the project's own with the modules
    that they import.

    Raises SettingsError for a suite that is wrong.
    """
    found = []
    for name in settings.gate.suites if settings.gate is not None else ():
        path = f"{SUITES}/{name}.toml"
        try:
            suite = project_settings.parse_suite((find(path) or b"").decode(), file=path)
        except UnicodeDecodeError:
            raise SettingsError("is not UTF-8.", file=path, remedy="Save the file as UTF-8.") from None
        if is_example_file(suite.dataset):
            found.append((f"{path}: dataset", _relative(suite.dataset, f"{path}: dataset")))
        for at, file in own_files(suite):
            key = f"{path}: scorers[{at}].file"
            scorer = _relative(file, key)
            found += [(key, each) for each in (scorer, *modules(scorer, find(scorer) or b"", find))]
    return found


def is_example_file(dataset: str) -> bool:
    """Whether a suite's `dataset` is a file of the project, and no name of a stored dataset."""
    return "/" in dataset or PurePosixPath(dataset).suffix in EXAMPLES


def file_of(bundle: Bundle, path: str, key: str) -> bytes:
    """A file that `key` names. Raises SettingsError where the bundle has none."""
    name = _relative(path, key)
    if name not in bundle.files:
        raise _no_file(path, key)
    return bundle.files[name]


def text_of(bundle: Bundle, path: str, key: str) -> str:
    """The same, as text. Raises SettingsError."""
    file_of(bundle, path, key)
    return _text(bundle, _relative(path, key))


def _relative(path: str, key: str) -> str:
    parts = PurePosixPath(path).parts
    if not path.strip() or path.startswith("/") or ".." in parts or _UNSAFE.search(path) or len(path) > MAX_PATH:
        raise SettingsError(
            f"{path!r:.100} is not a path within the project.",
            file=FILE,
            param=key,
            remedy="Write it relative to rondo.toml, with `/` and without `..`.",
        )
    return "/".join(parts)


def _inside(root: Path, path: Path, key: str) -> Path:
    """Where `path` really is. Raises SettingsError where a link leads out of the project, or in a circle."""
    try:
        real = path.resolve()
    except (OSError, RuntimeError):
        real = Path("/")
    if not real.is_relative_to(root):
        name = path.relative_to(root).as_posix()
        raise SettingsError(
            f"{name!r} is a link that leads out of the project.",
            file=FILE,
            param=key,
            remedy="Copy what it points to into the project.",
        )
    return real


def _walk(root: Path, folder: Path, key: str, above: tuple[Path, ...]) -> Iterator[Path]:
    """All files below, sorted, hidden ones left out. Links to folders inside the project are followed, once."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError as error:
        where = folder.relative_to(root).as_posix()
        raise SettingsError(f"{where!r} cannot be read: {error.strerror}.", file=FILE, param=key) from None
    for name in names:
        real = _inside(root, folder / name, key)
        if not real.is_dir():
            yield folder / name
        elif real in above:
            where = (folder / name).relative_to(root).as_posix()
            raise SettingsError(
                f"{where!r} is a link to a folder it lies in.", file=FILE, param=key, remedy="Remove the link."
            )
        else:
            yield from _walk(root, folder / name, key, (*above, real))


def _document(root: Path, file: Path, name: str, key: str) -> Path:
    """An index that leaves a document out gives wrong answers, so what cannot be read is an error."""
    real = _inside(root, file, key)
    _check_name(name)
    if not real.is_file():
        raise SettingsError("is not a file that can be read.", file=name, remedy=f"Move it out of {key}.")
    if PurePosixPath(name).suffix.lower() not in _DOCUMENTS:
        raise SettingsError(
            f"this kind of file cannot be read as a document. Allowed: {', '.join(sorted(_DOCUMENTS))}.",
            file=name,
            remedy="Convert it, or move it out of the knowledge's sources.",
        )
    return real


def _read(found: dict[str, Path]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    size = 0
    for name, path in found.items():
        try:
            with path.open("rb") as file:
                files[name] = file.read(MAX_BYTES - size + 1)
        except OSError as error:
            raise SettingsError(
                f"cannot be read: {error.strerror}.", file=name, remedy="Check its permissions."
            ) from None
        size += len(files[name])
        if size > MAX_BYTES:
            raise _too_large()
    return files


def _unzip(archive: zipfile.ZipFile) -> dict[str, bytes]:
    entries = [info for info in archive.infolist() if not info.is_dir()]
    if len(entries) > MAX_FILES:
        raise _too_many()
    files: dict[str, bytes] = {}
    size = 0
    for info in entries:
        _check_name(info.filename)
        if info.filename in files:
            raise _bad(f"The bundle holds {info.filename!r} twice.", "Leave one out.")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise _bad(f"In the bundle, {info.filename!r} is not a regular file.", "Put a copy of the file in.")
        if info.flag_bits & 0x1:
            raise _bad("The bundle is encrypted.", "Send it without a password.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _bad("The bundle is packed in an unusual way.", "Use `stored` or `deflate`.")
        with archive.open(info) as file:
            files[info.filename] = file.read(MAX_BYTES - size + 1)
        size += len(files[info.filename])
        if size > MAX_BYTES:
            raise _too_large()
    return files


def _check_name(name: str) -> None:
    parts = name.split("/")
    if len(name) > MAX_PATH or _UNSAFE.search(name) or any(part in ("", ".", "..") for part in parts):
        raise _bad(
            f"The bundle holds a file with the path {name!r:.100}.",
            f"Paths are relative, use `/`, have no `..` and at most {MAX_PATH} characters.",
        )


def _text(bundle: Bundle, name: str) -> str:
    try:
        return bundle.files[name].decode()
    except UnicodeDecodeError as error:
        line = bundle.files[name].count(b"\n", 0, error.start) + 1
        raise SettingsError(f"line {line} is not UTF-8.", file=name, remedy="Save the file as UTF-8.") from None


def _no_prompt(path: str) -> SettingsError:
    return SettingsError(
        f"there is no file {path!r}.", file=FILE, param="app.prompt", remedy="Create it, or name another file."
    )


def _no_file(path: str, key: str) -> SettingsError:
    return SettingsError(f"there is no file {path!r:.100}.", file=FILE, param=key, remedy="Create it, or name another.")


def _bad(message: str, remedy: str) -> InvalidRequest:
    return InvalidRequest(message, remedy=remedy, param="bundle")


def _too_large() -> InvalidRequest:
    return _bad(f"The bundle is larger than {MAX_BYTES // 1_000_000} MB.", "Leave out documents nobody asks about.")


def _too_many() -> InvalidRequest:
    return _bad(f"The bundle holds more than {MAX_FILES:,} files.", "Join small documents, or leave some out.")
