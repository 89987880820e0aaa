"""The verb `import`: a file becomes a version of a dataset, whole or not at all.

The file is read row by row and never held in memory. Rows that cannot be taken are told by line and column; where that
is asked for, they are left out and counted instead.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from rondo.catalog.engine import Catalog
from rondo.datasets import store
from rondo.datasets.fields import NO_COLUMNS, Columns, Unfit
from rondo.datasets.formats.names import Format
from rondo.datasets.formats.read import Reading, Source
from rondo.datasets.formats.rows import Problem
from rondo.datasets.intake import Deduplicate, Intake
from rondo.datasets.model import DatasetVersion, Example
from rondo.datasets.versions import NEW, Also, Division, check_names, keep
from rondo.errors import InvalidRequest, TooLarge
from rondo.rules import spoken

MOST_PROBLEMS = 20
_TOLD = 5


class ImportOptions(Struct, frozen=True, kw_only=True):
    """How a file is taken in.

    `append` adds to the newest version; without it the file is the new version. `divide` gives splits, afresh or only
    to examples that have none. `skip_bad` leaves out rows that cannot be taken. `config` names one of a Hugging Face
    folder. `tag_language` gives each example the tag `language`.
    """

    format: Format | None = None
    columns: Columns = NO_COLUMNS
    config: str | None = None
    note: str = ""
    append: bool = False
    scrub: bool = False
    skip_bad: bool = False
    tag_language: bool = False
    deduplicate: Deduplicate = "none"
    divide: Division | None = None


class Imported(Struct, frozen=True, kw_only=True):
    """The version, and whether it is a new one: the same content is the same version."""

    version: DatasetVersion
    created: bool
    newest: int


def import_file(
    catalog: Catalog, project: str, dataset: str, source: Source, options: ImportOptions, *, actor: str
) -> Imported:
    """Raises InvalidRequest (with lines and columns), TooLarge, NotFound, Conflict."""
    with tempfile.TemporaryDirectory(prefix="rondo-import-") as folder:
        reading = Reading(source, Path(folder), format=options.format, columns=options.columns, config=options.config)
        return import_examples(
            catalog, project, dataset, reading, options, actor=actor, about=lambda: _about(source, reading)
        )


def import_examples(
    catalog: Catalog,
    project: str,
    dataset: str,
    examples: Iterable[Example | Problem],
    options: ImportOptions,
    *,
    actor: str,
    about: Callable[[], dict[str, Any]],
    also: Also | None = None,
) -> Imported:
    """Take examples in from wherever they come; `about()` tells at the end what is to be in the report's `source`.

    `also` is done in the transaction that keeps the version.
    """
    if options.tag_language and not spoken.is_installed():
        raise InvalidRequest(
            "Languages cannot be told: py3langid is not installed on the server.",
            remedy="pip install 'rondo[language]', or leave the tag out.",
            param="tag_language",
        )
    check_names(dataset, options.note)
    divide = options.divide
    stratify, group_by = (divide.stratify, divide.group_by) if divide else (None, None)
    with Intake(clean=options.scrub, stratify=stratify, group_by=group_by) as taken:
        before = _newest(catalog, project, dataset)
        appends = options.append and before is not None
        if before is not None and appends:
            _take_version(catalog, before, taken)
            if divide is None and any(each.split for each in taken.kept):
                divide = Division(afresh=False)
        skipped = _take(taken, examples, options)
        source = {
            **about(),
            "skipped": len(skipped),
            "problems": [str(problem) for problem in skipped[:MOST_PROBLEMS]],
            "appended_to": before.label if before is not None and appends else None,
        }
        version = keep(
            catalog,
            project,
            dataset,
            taken,
            note=options.note,
            actor=actor,
            parent=(before.hash if before is not None else NEW) if options.append else None,
            report={"source": source},
            divide=divide,
            cleaned=options.scrub,
            deduplicate=options.deduplicate,
            also=also,
        )
    had = before.number if before is not None else 0
    return Imported(version=version, created=version.number > had, newest=max(version.number, had))


def _take(taken: Intake, examples: Iterable[Example | Problem], options: ImportOptions) -> list[Problem]:
    """Take in what can be; what cannot. Raises InvalidRequest, which tells the first problems, unless they may be."""
    problems: list[Problem] = []
    had = len(taken.kept)
    for each in examples:
        problem = each if isinstance(each, Problem) else _taken(taken, each, options)
        if problem is not None:
            problems.append(problem)
            if len(problems) >= MOST_PROBLEMS and not options.skip_bad:
                break
    if problems and (not options.skip_bad or len(taken.kept) == had):
        raise _wrong(problems)
    return problems


def _taken(taken: Intake, example: Example, options: ImportOptions) -> Problem | None:
    line = example.provenance.line
    try:
        taken.add(_with_language(example) if options.tag_language else example)
    except Unfit as unfit:
        return Problem(unfit.message, line=line, param=unfit.param)
    except TooLarge as error:
        if not str(error).startswith("An example"):
            raise
        return Problem(error.message, line=line)
    return None


def _with_language(example: Example) -> Example:
    language = spoken.language_of(example.question) or "unknown"
    return structs.replace(example, tags={"language": language, **example.tags})


def _take_version(catalog: Catalog, version: DatasetVersion, taken: Intake) -> None:
    """Take in a version's examples, which then begin the next one."""
    with catalog.read() as connection:
        members = store.members_of(connection, version.project, version.dataset, version.hash)
        for example in store.read_examples(connection, version.project, members):
            taken.add(example)


def _newest(catalog: Catalog, project: str, dataset: str) -> DatasetVersion | None:
    with catalog.read() as connection:
        return store.find_newest(connection, project, dataset)


def _about(source: Source, reading: Reading) -> dict[str, Any]:
    return {
        "file": source.name,
        "format": reading.format,
        "rows": reading.rows,
        "left_out": dict(reading.left_out.most_common()),
    }


def _wrong(problems: list[Problem]) -> InvalidRequest:
    many = f"{len(problems)}{' or more' if len(problems) >= MOST_PROBLEMS else ''}"
    told = "; ".join(str(problem).rstrip(".") for problem in problems[:_TOLD])
    more = "; ..." if len(problems) > _TOLD else ""
    head = "One row" if len(problems) == 1 else f"{many} rows"
    return InvalidRequest(
        f"{head} cannot be taken: {told}{more}.",
        remedy="Nothing was imported. Correct the file, or leave such rows out with --skip-bad.",
        param=problems[0].param or "file",
    )
