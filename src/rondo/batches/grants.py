"""The live grant of a key, by the key's id: a batch knows whose it is, but no secret."""

from __future__ import annotations

from collections.abc import Callable

from rondo.gateway.plan import Plan
from rondo.governance.model import Grant


class LiveGrants:
    """Looked up in the plan that holds now, so that a revoked key is out at once."""

    def __init__(self, plan: Callable[[], Plan]) -> None:
        self._plan = plan
        self._of: Plan | None = None
        self._grants: dict[tuple[str, str], Grant] = {}

    def __call__(self, project: str, key_id: str) -> Grant | None:
        plan = self._plan()
        if plan is not self._of:
            self._grants = {(grant.project, grant.key_id): grant for grant in plan.grants.values()}
            self._of = plan
        return self._grants.get((project, key_id))
