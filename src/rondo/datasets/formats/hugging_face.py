"""A Hugging Face dataset folder in a zip: files by split, as on the hub, or what `save_to_disk` wrote.

On the hub, the card (README.md) may name each split's files; else a split is a word in a file's path. `save_to_disk`
writes Arrow files, for which pyarrow is needed. Members of the zip are written under names of our own: theirs are only
looked at. Sizes are counted as bytes come out, whatever the zip says of itself.
"""

from __future__ import annotations

import fnmatch
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import yaml

from rondo.datasets.fields import Unfit, split_of
from rondo.datasets.formats.names import DATA, DESCRIPTIONS
from rondo.datasets.formats.rows import Problem, Row, Rows
from rondo.datasets.model import Split
from rondo.errors import InvalidRequest, TooLarge

_MOST_FILES = 2_000
_MOST_BYTES = 2 << 30
_PIECE = 1 << 20
_WORDS = re.compile(r"[^a-z0-9]+")


class Part(msgspec.Struct, frozen=True):
    """A file of data, unpacked; `name` is its path in the folder."""

    path: Path
    name: str
    split: Split | None


def unpack(archive: Path, into: Path, *, config: str | None = None) -> list[Part]:
    """The files of data of a zipped folder, by name. Raises InvalidRequest, TooLarge."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = _members(zipped)
            chosen = _chosen(zipped, members, config)
            budget = _Budget()
            return [
                Part(_unpacked(zipped, members[name], into / f"{number}{_suffix(name)}", budget), name, split)
                for number, (name, split) in enumerate(sorted(chosen.items()))
            ]
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise InvalidRequest(f"The zip cannot be read: {error}.", param="file") from None


def arrow_rows(path: Path) -> Rows:
    """The rows of an Arrow file (stream or file format). Raises InvalidRequest where pyarrow is missing."""
    if find_spec("pyarrow") is None:
        raise InvalidRequest(
            "Arrow files need pyarrow, which is not installed here.",
            remedy="pip install 'rondo[datasets]' on the server, or save the dataset as Parquet (`to_parquet`).",
            param="file",
        )
    return _arrow_rows(path)


def _arrow_rows(path: Path) -> Iterator[Row | Problem]:
    import pyarrow as pa
    from pyarrow import ipc

    number = 0
    try:
        with pa.memory_map(str(path)) as source:
            is_file = source.read(6) == b"ARROW1"
            source.seek(0)
            opened = ipc.open_file(source) if is_file else ipc.open_stream(source)
            batches = map(opened.get_batch, range(opened.num_record_batches)) if is_file else iter(opened)
            for batch in batches:
                batch.validate(full=True)  # offsets that lead out of their buffers would crash us
                for fields in batch.to_pylist():
                    number += 1
                    yield _row(number, fields)
    except (pa.ArrowException, OSError) as error:
        yield Problem(f"The Arrow file cannot be read: {str(error).splitlines()[0]:.200}.", line=number + 1)


def _row(number: int, fields: Mapping[str, Any]) -> Row | Problem:
    from rondo.store.tables import plain_value

    row: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            row[name] = plain_value(value)
        except ValueError as error:
            return Problem(f"{name!r:.80} holds {error}.", line=number, param=name)
    return Row(number, row)


class _Budget:
    """How much may still be unpacked."""

    def __init__(self) -> None:
        self._left = _MOST_BYTES

    def take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TooLarge(
                f"The folder has more than {_MOST_BYTES >> 30} GB.", remedy="Send fewer of its files.", param="file"
            )


def _members(zipped: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The files in the zip by their path, without a folder that holds them all."""
    found = {
        info.filename.replace("\\", "/").lstrip("/"): info
        for info in zipped.infolist()
        if not info.is_dir() and not _is_hidden(info.filename)
    }
    if len(found) > _MOST_FILES:
        raise TooLarge(f"The zip has {len(found):,} files, more than {_MOST_FILES:,}.", param="file")
    tops = {name.partition("/")[0] for name in found}
    if len(tops) == 1 and all("/" in name for name in found):
        (top,) = tops
        known = top.lower() in ("data", "train", "test", "validation")
        found = found if known else {name.removeprefix(f"{top}/"): info for name, info in found.items()}
    return found


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") and part != ".." for part in PurePosixPath(name).parts)


def _chosen(
    zipped: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], config: str | None
) -> dict[str, Split | None]:
    """The files to read, with their splits."""
    data = [name for name in members if _suffix(name) in DATA and PurePosixPath(name).name not in DESCRIPTIONS]
    saved = [PurePosixPath(name).parent for name in members if PurePosixPath(name).name == "state.json"]
    if saved:
        return _saved_to_disk(zipped, members, saved)
    by_card = _by_card(zipped, members, data, config)
    if by_card is not None:
        return by_card
    packed = [name for name in members if re.search(r"\.(gz|zst|bz2|xz)$", name)]
    if not data:
        what = f"Unpack {packed[0]!r:.80} first" if packed else f"Send files ending in {', '.join(DATA)}"
        raise InvalidRequest("The folder has no files of data.", remedy=f"{what}.", param="file")
    return {name: _split_in(name) for name in data}


def _saved_to_disk(
    zipped: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], folders: list[PurePosixPath]
) -> dict[str, Split | None]:
    """The Arrow files that each `state.json` names, in their order."""
    chosen: dict[str, Split | None] = {}
    for folder in folders:
        state = _json(zipped, members[str(folder / "state.json")])
        files = state.get("_data_files") if isinstance(state, dict) else None
        for each in files if isinstance(files, list) else []:
            name = str(folder / str(each.get("filename") if isinstance(each, dict) else each))
            if name not in members:
                raise InvalidRequest(f"`state.json` names {name!r:.100}, which is not there.", param="file")
            chosen[name] = _split_in(folder.name)
    if not chosen:
        raise InvalidRequest("`state.json` names no files of data.", param="file")
    return chosen


def _by_card(
    zipped: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], data: list[str], config: str | None
) -> dict[str, Split | None] | None:
    """The files that the dataset's card names; None where it names none. Raises InvalidRequest (which config?)."""
    card = members.get("README.md")
    configs = _front_matter(zipped, card).get("configs") if card is not None else None
    if not isinstance(configs, list) or not all(isinstance(each, dict) for each in configs):
        if config is not None:
            raise InvalidRequest("The folder has no configs.", remedy="Leave --config out.", param="config")
        return None
    names = [_word(each.get("config_name")) for each in configs]
    marked = [name for each, name in zip(configs, names, strict=True) if each.get("default") or name == "default"]
    wanted = config or (names if len(names) == 1 else [*marked, None])[0]
    if wanted not in names:
        raise InvalidRequest(
            f"Which config? There are {', '.join(names[:20])}.", remedy="Name one with --config.", param="config"
        )
    chosen: dict[str, Split | None] = {}
    for split, pattern in _patterns(configs[names.index(wanted)].get("data_files")):
        chosen.update({name: split for name in data if fnmatch.fnmatchcase(name, pattern)})
    return chosen or None


def _patterns(given: Any) -> Iterator[tuple[Split | None, str]]:
    entries = given if isinstance(given, list) else [given]
    for entry in entries:
        if isinstance(entry, str):
            yield _split_in(entry), entry
        elif isinstance(entry, dict):
            paths = entry.get("path")
            for path in paths if isinstance(paths, list) else [paths]:
                if isinstance(path, str):
                    yield _split_in(_word(entry.get("split"))), path


def _word(given: Any) -> str:
    """What should be a word. A card's YAML may hold lists of lists of itself: written out, they would be gigabytes."""
    return given if isinstance(given, str) else ""


def _split_in(name: str) -> Split | None:
    """The split that a path speaks of, from its end: `data/train-00000-of-00001.parquet`."""
    for word in reversed(_WORDS.split(name.lower())):
        try:
            found = split_of(word)
        except Unfit:
            continue
        if found is not None:
            return found
    return None


def _front_matter(zipped: zipfile.ZipFile, card: zipfile.ZipInfo) -> dict[str, Any]:
    text = _small(zipped, card).decode("utf-8", "replace")
    if not text.startswith("---"):
        return {}
    try:
        found = yaml.safe_load(text[3:].partition("\n---")[0])
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _json(zipped: zipfile.ZipFile, member: zipfile.ZipInfo) -> Any:
    try:
        return json.loads(_small(zipped, member))
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{member.filename!r:.100} is not JSON.", param="file") from None


def _small(zipped: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with zipped.open(member) as file:
        return file.read(_PIECE)


def _unpacked(zipped: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, budget: _Budget) -> Path:
    with zipped.open(member) as source, target.open("wb") as file:
        while piece := source.read(_PIECE):
            budget.take(len(piece))
            file.write(piece)
    return target


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
