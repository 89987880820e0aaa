"""Who may see and change which files and batches. Pure.

A key sees what it made; one with a role sees all of its project's, and a developer may change them.
"""

from __future__ import annotations

from rondo.batches.model import Batch, StoredFile
from rondo.errors import Forbidden, NotFound
from rondo.governance.admit import require
from rondo.governance.model import Grant, Role


def only_of(grant: Grant) -> str | None:
    """The key whose things alone may be seen; None where all may. Raises Forbidden for a browser's key."""
    if grant.kind != "secret":
        raise Forbidden("This key may only send feedback.", remedy="Use a secret key, on a server of yours.")
    return grant.key_id if grant.role is None else None


def may_see(grant: Grant, thing: StoredFile | Batch | None, name: str) -> StoredFile | Batch:
    """Raises NotFound."""
    only = only_of(grant)
    if thing is None or (only is not None and thing.key_id != only):
        raise NotFound(f"There is no {name:.100} that this key may see.", remedy="List them to see which there are.")
    return thing


def may_change(grant: Grant, thing: StoredFile | Batch) -> None:
    """Raises Forbidden."""
    if thing.key_id != grant.key_id:
        require(grant, Role.DEVELOPER)
