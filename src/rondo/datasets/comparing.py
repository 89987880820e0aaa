"""The verb `diff`: what differs between two versions of a dataset."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import Connection

from rondo.datasets import store
from rondo.datasets.diff import Difference, difference, gone_and_new
from rondo.datasets.model import DatasetVersion


class Compared(Struct, frozen=True, kw_only=True):
    """Two versions, and what differs."""

    before: DatasetVersion
    after: DatasetVersion
    difference: Difference


def compare(
    connection: Connection,
    project: str,
    dataset: str,
    before: int | str | None,
    after: int | str | None,
    *,
    limit: int = 100,
) -> Compared:
    """From one version to another; by default the newest and the one it was made from. Raises NotFound."""
    new = store.get_version(connection, project, dataset, after)
    old = store.get_version(connection, project, dataset, new.parent or new.hash if before is None else before)
    members = [store.members_of(connection, project, dataset, version.hash) for version in (old, new)]
    gone, come = gone_and_new(members[0], members[1])
    examples = [list(store.read_examples(connection, project, some)) for some in (gone, come)]
    found = difference(members[0], members[1], examples[0], examples[1], limit=limit)
    return Compared(before=old, after=new, difference=found)
