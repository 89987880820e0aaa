"""The languages of a version: told when a reader of its report first asks, then kept in it.

py3langid takes 0.6 CPU seconds and 75 MB to load, and most versions are made by programs that never read their report.
They are told of at most 500 examples, those with the least ids: ids are hashes, so that is a random sample, and always
the same one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from heapq import nsmallest
from typing import Any

from msgspec import structs

from rondo.catalog.engine import Catalog
from rondo.datasets import store
from rondo.datasets.model import DatasetVersion
from rondo.datasets.quality import input_text
from rondo.rules import spoken

SAMPLE = 500
"""Examples whose language is told."""


def with_languages(catalog: Catalog, version: DatasetVersion) -> DatasetVersion:
    """The version with `languages` in its report: {"of": examples told, "found": {code: count}}, commonest first.

    None in its place where py3langid is not installed. Raises NotFound, CorruptData.
    """
    if version.report.get("languages") is not None:
        return version
    if not spoken.is_installed():
        return structs.replace(version, report={**version.report, "languages": None})
    with catalog.read() as connection:
        members = store.members_of(connection, version.project, version.dataset, version.hash)
        examples = store.read_examples(
            connection, version.project, nsmallest(SAMPLE, members, key=lambda each: each[0])
        )
        texts = [input_text(example) for example in examples]
    told = structs.replace(version, report={**version.report, "languages": _languages(texts)})
    with catalog.begin() as connection:
        store.update_report(connection, told)
    return told


def _languages(texts: Iterable[str]) -> dict[str, Any]:
    found = Counter(spoken.language_of(text) or "unknown" for text in texts if text.strip())
    return {"of": found.total(), "found": dict(found.most_common())}
