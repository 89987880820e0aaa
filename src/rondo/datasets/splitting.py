"""The verb `split`: the examples of a version, divided, as the next version."""

from __future__ import annotations

from typing import Any

from rondo.catalog.engine import Catalog
from rondo.datasets import store
from rondo.datasets.model import DatasetVersion
from rondo.datasets.versions import Division, save_version
from rondo.errors import InvalidRequest


def split_version(
    catalog: Catalog, project: str, dataset: str, version: int | str | None, divide: Division, *, actor: str
) -> DatasetVersion:
    """Divide a version's examples (the newest's by default); the same division gives the same version.

    The report's `division` tells what was asked, its `splits` what came of it: what must stay together can keep the
    ratios from being met. Raises NotFound, InvalidRequest where no example has the tag.
    """
    with catalog.read() as connection:
        found = store.get_version(connection, project, dataset, version)
        members = store.members_of(connection, project, dataset, found.hash)
        tags = found.report.get("tags", {})
        for name, param in ((divide.stratify, "stratify"), (divide.group_by, "group_by")):
            known = [*tags, *(("expected", "hand_over") if param == "stratify" else ())]
            if name is not None and name not in known:
                raise InvalidRequest(
                    f"No example has the tag {name!r:.60}.",
                    remedy=f"There are: {', '.join(known) or 'none'}.",
                    param=param,
                )
        return save_version(
            catalog,
            project,
            dataset,
            store.read_examples(connection, project, members),
            note=_note(found, divide),
            actor=actor,
            report={"division": _told(divide), "source": {"format": "split", "file": None, "of": found.label}},
            divide=divide,
        )


def _told(divide: Division) -> dict[str, Any]:
    return {
        "ratios": list(divide.ratios),
        "seed": divide.seed,
        "stratify": divide.stratify,
        "group_by": divide.group_by,
    }


def _note(found: DatasetVersion, divide: Division) -> str:
    ratios = "/".join(f"{share * 100:g}" for share in divide.ratios)
    by = "".join(
        f", {word} {name}" for word, name in (("by", divide.stratify), ("grouped by", divide.group_by)) if name
    )
    return f"{found.label} split {ratios}{by}, seed {divide.seed}"
