"""Datasets: imported, listed, shown, split, compared, exported; and failures that become tests."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any, get_args

from msgspec import Struct, field, structs
from starlette.background import BackgroundTask
from starlette.responses import FileResponse

from rondo.api.door import Asked, Door
from rondo.control import Connection
from rondo.datasets import browsing, calls, comparing, exporting, failures, importing, regressions, splitting, store
from rondo.datasets.division import RATIOS, parse_ratios
from rondo.datasets.fields import Columns
from rondo.datasets.formats.names import EXPORT_FORMATS, FORMATS, ExportFormat
from rondo.datasets.formats.read import Source
from rondo.datasets.importing import Imported, ImportOptions
from rondo.datasets.intake import Deduplicate
from rondo.datasets.languages import with_languages
from rondo.datasets.model import SPLITS, DatasetVersion, Split, parse_version
from rondo.datasets.versions import Division
from rondo.errors import InvalidRequest, TooLarge
from rondo.governance.model import Role
from rondo.traces import filter as call_filter
from rondo.traces.filter import parse_choice

MAX_UPLOAD = 512 << 20
"""Bytes of a file to import."""

_MOST_DIFFERENCES = 1_000
_DEDUPLICATE: tuple[Deduplicate, ...] = get_args(Deduplicate)
_LISTED = ("tag", "variable")
_COLUMNS = tuple(name for name in Columns.__struct_fields__ if name not in ("tags", "variables"))


class CallsBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which calls become examples: `filters` are those of `GET /api/calls`."""

    filters: dict[str, str] = {}
    limit: int = 10_000
    answers_are_right: bool = False
    append: bool = False
    scrub: bool = True
    deduplicate: Deduplicate = "same"
    tag_language: bool = False
    divide: str | None = None
    seed: int = 0
    note: str = ""


class SplitBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """How to split; `version` is the newest where none is given."""

    ratios: list[float] = field(default_factory=lambda: list(RATIOS))
    seed: int = 0
    stratify: str | None = None
    group_by: str | None = None
    version: str | None = None


class ExampleBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """The call, and what should have been answered."""

    trace_id: str
    expectation: failures.Expectation
    scrub: bool = True


async def list_datasets(asked: Asked) -> dict[str, Any]:
    """The newest version of each dataset, without its report."""
    found = await asked.control.read(lambda connection: store.list_datasets(connection, asked.project))
    return {"datasets": [_summary(version) for version in found]}


async def list_versions(asked: Asked) -> dict[str, Any]:
    """The versions of a dataset, newest first, without their reports; `before` is a number."""
    limit = asked.query_number("limit", 100, most=1_000)
    before = asked.query_number("before", 2**31 - 1, most=2**31 - 1)
    found = await asked.control.read(
        lambda connection: store.list_versions(
            connection, asked.project, asked.path("name"), limit=limit, before=before
        )
    )
    return {"versions": [_summary(version) for version in found]}


async def show(asked: Asked) -> DatasetVersion:
    """One version with its quality report: by number, by hash, or `latest`."""
    version = parse_version(asked.path("version"))
    found = await asked.control.read(
        lambda connection: store.get_version(connection, asked.project, asked.path("name"), version)
    )
    return await asyncio.to_thread(with_languages, asked.control.catalog, found)


async def list_examples(asked: Asked) -> browsing.ExamplePage:
    """A page of a version's examples: `text`, `split`, `tag` (KEY or KEY=VALUE) and `must_pass` choose them."""
    must_pass, tag = asked.query("must_pass"), asked.query("tag")
    name, equals, value = (tag or "").partition("=")
    wanted = browsing.Wanted(
        text=asked.query("text"),
        split=split_of(asked.query("split")),
        tag=(name, value if equals else None) if tag else None,
        must_pass=None if must_pass is None else parse_choice("must_pass", must_pass),
    )
    version = parse_version(asked.path("version"))
    limit = asked.query_number("limit", 50, most=browsing.MOST_SHOWN)
    after = asked.query_number("after", 0, least=0, most=2**31)
    return await asked.control.read(
        lambda connection: browsing.page_of(
            connection, asked.project, asked.path("name"), version, wanted=wanted, after=after, limit=limit
        )
    )


async def diff(asked: Asked) -> comparing.Compared:
    """What differs between the versions `from` and `to`; by default, what the newest one changed."""
    before, after = parse_version(asked.query("from")), parse_version(asked.query("to"))
    limit = asked.query_number("limit", 100, most=_MOST_DIFFERENCES)
    return await asked.control.read(
        lambda connection: comparing.compare(connection, asked.project, asked.path("name"), before, after, limit=limit)
    )


async def import_file(asked: Asked) -> Imported:
    """Make a version of a file, sent as the body: whole or not at all; the same content is the same version.

    `filename`, `format`, `config`, `note`, `append`, `scrub`, `skip_bad`, `deduplicate`, `tag_language`, `divide`
    (ratios), `seed`, `stratify`, `group_by`; and columns by name: `input`, `expected`, `tag` (several), ...
    """
    options = _import_options(asked)
    with tempfile.TemporaryDirectory(prefix="rondo-upload-") as folder:
        path = Path(folder) / "file"
        await _receive(asked, path)
        source = Source(path, (asked.query("filename") or "file").rpartition("/")[2][:255])
        return await asyncio.to_thread(
            importing.import_file,
            asked.control.catalog,
            asked.project,
            asked.path("name"),
            source,
            options,
            actor=asked.actor,
        )


async def import_calls(asked: Asked) -> Imported:
    """Make a version of recorded calls: the newest that match, deduplicated and scrubbed."""
    body = await asked.body(CallsBody)
    divide = None if body.divide is None else Division(ratios=ratios_of(body.divide), seed=body.seed)
    options = ImportOptions(
        note=body.note,
        append=body.append,
        scrub=body.scrub,
        deduplicate=body.deduplicate,
        tag_language=body.tag_language,
        divide=divide,
    )
    return await asyncio.to_thread(
        calls.import_calls,
        asked.control.catalog,
        asked.control.records,
        asked.project,
        asked.path("name"),
        chosen=call_filter.parse_filter(body.filters),
        options=options,
        actor=asked.actor,
        limit=body.limit,
        answers_are_right=body.answers_are_right,
    )


async def split(asked: Asked) -> DatasetVersion:
    """Divide a version into train, validation and test, as the next version; near-duplicates stay together."""
    body = await asked.body(SplitBody)
    divide = Division(ratios=parse_ratios(body.ratios), seed=body.seed, stratify=body.stratify, group_by=body.group_by)
    return await asyncio.to_thread(
        splitting.split_version,
        asked.control.catalog,
        asked.project,
        asked.path("name"),
        parse_version(body.version),
        divide,
        actor=asked.actor,
    )


async def add_example(asked: Asked) -> failures.Added:
    """Make a recorded call a test that must pass, with what should have been answered."""
    body = await asked.body(ExampleBody)
    return await asyncio.to_thread(
        failures.add_call,
        asked.control.catalog,
        asked.control.records,
        asked.project,
        asked.path("name"),
        trace_id=body.trace_id,
        expectation=body.expectation,
        actor=asked.actor,
        clean=body.scrub,
    )


async def export(asked: Asked) -> FileResponse:
    """A version as a file: `format`, `split`; `answered_only` leaves out what a format has no place for."""
    kind = asked.query("format") or "jsonl"
    if kind not in EXPORT_FORMATS:
        raise InvalidRequest(
            f"There is no format {kind!r:.40}.", remedy=f"Use {', '.join(EXPORT_FORMATS)}.", param="format"
        )
    chosen: ExportFormat = kind
    folder = tempfile.TemporaryDirectory(prefix="rondo-export-")
    name, suffix = asked.path("name"), exporting.SUFFIXES[chosen]
    target = Path(folder.name) / f"examples.{suffix}"
    try:
        await asyncio.to_thread(
            exporting.export_version,
            asked.control.catalog,
            asked.project,
            name,
            parse_version(asked.path("version")),
            target,
            format=chosen,
            split=split_of(asked.query("split")),
            answered_only=_flag(asked, "answered_only"),
        )
    except BaseException:
        folder.cleanup()
        raise
    return FileResponse(
        target,
        media_type="application/octet-stream",
        filename=f"{name}.{suffix}",
        background=BackgroundTask(folder.cleanup),
    )


async def list_regressions(asked: Asked) -> dict[str, Any]:
    """Calls that became tests, newest first: which release broke each, and which fixed it. `app`, `dataset`, `open`."""
    limit, open_only = asked.query_number("limit", 100, most=1_000), _flag(asked, "open")

    def read(connection: Connection) -> list[regressions.Regression]:
        return regressions.list_regressions(
            connection,
            asked.project,
            app=asked.query("app"),
            dataset=asked.query("dataset"),
            open_only=open_only,
            limit=limit,
        )

    return {"regressions": await asked.control.read(read)}


def split_of(word: str | None) -> Split | None:
    """The split of this name. Raises InvalidRequest."""
    if word is None:
        return None
    for each in SPLITS:
        if each == word:
            return each
    raise InvalidRequest(f"There is no split {word!r:.40}.", remedy=f"Use {', '.join(SPLITS)}.", param="split")


def ratios_of(words: str) -> tuple[float, float, float]:
    """Ratios as in `70/15/15`. Raises InvalidRequest."""
    try:
        return parse_ratios([float(word) for word in words.split("/")])
    except ValueError:
        raise InvalidRequest(
            f"These are no ratios: {words!r:.60}.", remedy="Write them as 70/15/15.", param="divide"
        ) from None


def _import_options(asked: Asked) -> ImportOptions:
    """Raises InvalidRequest, which names the parameter."""
    kind, deduplicate, divide = asked.query("format"), asked.query("deduplicate") or "none", asked.query("divide")
    if kind is not None and kind not in FORMATS:
        raise InvalidRequest(f"There is no format {kind!r:.40}.", remedy=f"Use {', '.join(FORMATS)}.", param="format")
    if deduplicate not in _DEDUPLICATE:
        raise InvalidRequest(
            f"`deduplicate` is {deduplicate!r:.40}.", remedy=f"Use {', '.join(_DEDUPLICATE)}.", param="deduplicate"
        )
    seed = asked.query_number("seed", 0, least=0, most=2**31)
    asks_division = divide or asked.query("stratify") or asked.query("group_by")
    return ImportOptions(
        format=kind,
        columns=_columns(asked),
        config=asked.query("config"),
        note=asked.query("note") or "",
        append=_flag(asked, "append"),
        scrub=_flag(asked, "scrub"),
        skip_bad=_flag(asked, "skip_bad"),
        tag_language=_flag(asked, "tag_language"),
        deduplicate=deduplicate,
        divide=Division(
            ratios=ratios_of(divide) if divide else RATIOS,
            seed=seed,
            stratify=asked.query("stratify"),
            group_by=asked.query("group_by"),
            afresh=not _flag(asked, "append"),
        )
        if asks_division
        else None,
    )


def _columns(asked: Asked) -> Columns:
    given = asked.request.query_params
    listed = {f"{name}s": [word for word in given.getlist(name) if word] for name in _LISTED}
    single = {name: asked.query(name) for name in _COLUMNS}
    columns = Columns()
    return structs.replace(columns, **single, **listed) if any(listed.values()) or any(single.values()) else columns


def _flag(asked: Asked, name: str) -> bool:
    given = asked.query(name)
    return given is not None and parse_choice(name, given)


async def _receive(asked: Asked, path: Path) -> None:
    """The request's body as a file. Raises TooLarge."""
    size = 0
    with path.open("wb") as file:
        async for piece in asked.request.stream():
            size += len(piece)
            if size > MAX_UPLOAD:
                raise TooLarge(
                    f"The file is larger than {MAX_UPLOAD >> 20} MB.",
                    remedy="Send it in parts, with append.",
                    param="file",
                )
            await asyncio.to_thread(file.write, piece)


def _summary(version: DatasetVersion) -> dict[str, Any]:
    return {name: value for name, value in structs.asdict(version).items() if name not in ("report", "project")}


DOORS = [
    Door("GET", "/api/datasets", Role.VIEWER, list_datasets),
    Door("GET", "/api/datasets/{name}", Role.VIEWER, list_versions),
    Door("POST", "/api/datasets/{name}/versions", Role.DEVELOPER, import_file),
    Door("POST", "/api/datasets/{name}/calls", Role.DEVELOPER, import_calls),
    Door("POST", "/api/datasets/{name}/split", Role.DEVELOPER, split),
    Door("POST", "/api/datasets/{name}/examples", Role.DEVELOPER, add_example),
    Door("GET", "/api/datasets/{name}/diff", Role.VIEWER, diff),
    Door("GET", "/api/datasets/{name}/versions/{version}", Role.VIEWER, show),
    Door("GET", "/api/datasets/{name}/versions/{version}/examples", Role.VIEWER, list_examples),
    Door("GET", "/api/datasets/{name}/versions/{version}/export", Role.VIEWER, export),
    Door("GET", "/api/regressions", Role.VIEWER, list_regressions),
]
