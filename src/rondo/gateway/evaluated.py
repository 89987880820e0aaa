"""A request that an evaluation asks: who answers is pinned, and its run may have a budget of its own.

It goes the way of every request, with the same guards, rules, retrieval and limits, so that what is judged is what is
served. Only the cache of answers is left out, in both directions, and the record's arm is `eval`.
"""

from __future__ import annotations

from msgspec import Struct

from rondo.errors import BudgetExceeded
from rondo.gateway.plan import ServedModel, ServedRelease
from rondo.limits.model import Bound, Limit, Matched, spenders, subject, user_of

Served = ServedRelease | tuple[ServedModel, ...]
"""What answers: a release with all its parts, or models in the order they are tried."""


class Budget:
    """What who evaluates may spend, as one more budget that each of its requests meets.

    The ledger reserves the most that a request can cost before it is sent, and refuses what may not fit.
    """

    def __init__(self, bound: Bound) -> None:
        self._bound = bound
        self._known: dict[tuple[Matched | None, str, str | None, str | None], Matched] = {}

    def refused(self, error: BudgetExceeded) -> bool:
        """Whether it is this budget, and not another limit, that has no room."""
        return error.message.startswith(self._bound.words)

    def beside(self, matched: Matched | None, project: str, key_id: str, user: str | None, app: str | None) -> Matched:
        """This budget with the other limits that the caller meets."""
        asked = matched, key_id, user, app
        found = self._known.get(asked)
        if found is None:
            bounds = (self._bound,) if matched is None else (*matched.bounds, self._bound)
            subjects = spenders(project, key_id, app) if matched is None else matched.subjects
            whose = user_of(project, user) if matched is None else matched.user_subject
            if self._bound.subject not in subjects:  # what the key spends counts for the key as it is
                subjects = *subjects, self._bound.subject
            found = self._known[asked] = Matched(project, bounds, subjects, whose)
        return found


def run_budget(project: str, run: str, nano: int) -> Budget:
    """What a run may still spend, in nano-dollars.

    `run` names these dollars: whoever goes on with a run counts anew, under another name.
    """
    return Budget(Bound(Limit(scope=f"run:{run}", nano_per_month=nano), f"{project}/run:{run}", f"run {run}"))


def day_budget(project: str, key_id: str, nano: int, *, words: str) -> Budget:
    """What may be spent in a day (UTC) under a key's id, in nano-dollars.

    The ledger knows what each key has spent, also after a restart and from other servers, so it is one budget for all.
    """
    limit = Limit(scope=f"key:{key_id}", nano_per_day=nano)
    return Budget(Bound(limit, subject(project, "key", key_id), words))


class Evaluated(Struct, frozen=True):
    """Who is asked, and the budget of who asks."""

    served: Served
    budget: Budget | None = None

    @property
    def release(self) -> ServedRelease | None:
        return self.served if isinstance(self.served, ServedRelease) else None
