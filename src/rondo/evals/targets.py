"""Who is asked in a run: a release, a draft, or bare models; looked up by whoever knows releases, passed in from above.

A target is named by a word: `production` (the stable release), a release's number, the first characters of a hash
(of a release or a draft), or `model:NAME`, where NAME is a model of the project or `provider/model`.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from rondo.evals.judges.model import Judge
from rondo.evals.model import Target
from rondo.gateway.evaluated import Served

MOST_TARGETS = 20
"""Of one run."""

RULE_BASED = "extractive"
"""The provider without a model: the baseline that every model has to beat."""


class Subject(Struct, frozen=True):
    """A target, ready to be asked. `identity` is a hash of all that decides its answers; `judges` are a release's."""

    target: Target
    served: Served
    identity: str
    judges: dict[str, Judge] = {}


class Subjects(Protocol):
    """Everything that can be evaluated. Both read the catalog: call them off the event loop."""

    def resolve(self, project: str, app: str, word: str) -> Target:
        """What the word names. Raises NotFound, InvalidRequest."""
        ...

    def subject(self, project: str, target: Target) -> Subject:
        """Raises NotFound where it is gone, and what keeps it from being served."""
        ...

    def model(self, project: str, name: str, beside: Subject | None) -> Subject:
        """A model by its name, for judges and played users: one of the target's own, else one of the project's.

        Raises NotFound.
        """
        ...
