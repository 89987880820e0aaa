"""A gate as doors show it: the decision about a release or a draft as of now, and what was decided before."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, structs
from sqlalchemy import Connection

from rondo.errors import InvalidRequest
from rondo.releases import drafts, gate_failed, gate_store, gate_terms, store
from rondo.releases.gate_evidence import weigh
from rondo.releases.gate_model import Decision, FailedExample, KeptDecision, Named, Terms, Weighed
from rondo.releases.state import standing

MOST_SHOWN = 20


class KeptLine(Struct, frozen=True, kw_only=True):
    """A decision that was kept, without all that it was decided by."""

    id: str
    kind: str
    verdict: str
    reason: str
    created_by: str
    created_at: int


class GateView(Struct, frozen=True, kw_only=True):
    """`decision` is made anew; `kept`, newest first, are those by which traffic moved, or did not. `failed` are the
    first examples that were failed."""

    decision: Decision
    kept: list[KeptLine]
    failed: list[FailedExample] = []

    @property
    def exceptions(self) -> list[KeptLine]:
        return [line for line in self.kept if line.kind == "exception"]


class GateSummary(Struct, frozen=True, kw_only=True):
    """An app's gate in a line or two. `suites` is None where no gate is declared.

    `waiting` is its newest release, where that has no traffic, with what its gate says. `exception` is how the stable
    release came by its traffic, where it lacked the evidence; `excepted` the same of candidates of a split, by number.
    """

    suites: list[str] | None
    waiting: int | None = None
    verdict: str | None = None
    sentence: str | None = None
    exception: KeptLine | None = None
    excepted: dict[int, KeptLine] = {}


def of_number(connection: Connection, project: str, app: str, number: int) -> GateView:
    """Of a release. Raises NotFound."""
    return _view(connection, project, weigh_release(connection, project, app, number))


def of_hash(connection: Connection, project: str, app: str, start: str, terms: Terms | None = None) -> GateView:
    """Of a release or a draft by its hash, of which the first digits are enough. Raises NotFound, InvalidRequest."""
    store.get_app(connection, project, app)
    found = {*store.hashes_like(connection, project, app, start), *drafts.hashes_like(connection, project, app, start)}
    if len(found) > 1 or len(start) < 8:
        raise InvalidRequest(f"{start!r:.80} names no single release.", remedy="Give more digits.", param="hash")
    hash_ = found.pop() if found else start
    release = store.find_release(connection, project, app, hash_)
    if release is not None:
        named, manifest = Named(hash=hash_, number=release.number), release.manifest
    else:
        named, manifest = Named(hash=hash_), drafts.get(connection, project, app, hash_).manifest
    return _view(connection, project, weigh(connection, project, app, named, manifest, terms=terms))


def summary(connection: Connection, project: str, app: str) -> GateSummary:
    """Raises NotFound."""
    gate = gate_terms.of_app(store.get_app(connection, project, app).settings).gate
    if gate is None:
        return GateSummary(suites=None)
    change = store.current_traffic(connection, project, app)
    newest = store.list_releases(connection, project, app, limit=1)
    if change is None or change.traffic.stable is None or not newest:
        return GateSummary(suites=list(gate.suites))
    stable = change.traffic.stable
    excepted = _excepted(connection, project, app, [stable, *(arm.release for arm in change.traffic.arms)])
    found = GateSummary(suites=list(gate.suites), exception=excepted.pop(stable, None), excepted=excepted)
    number = newest[0].number
    if standing(change.traffic, number) in ("stable", "candidate"):
        return found
    decision = weigh_release(connection, project, app, number).decision
    return structs.replace(found, waiting=number, verdict=decision.verdict, sentence=decision.why)


def _excepted(connection: Connection, project: str, app: str, numbers: Iterable[int]) -> dict[int, KeptLine]:
    """The exceptions by which these releases have their traffic, of those that have it by one."""
    found = {}
    for number in numbers:
        said = let_through(connection, project, app, store.get_release(connection, project, app, number).hash)
        if said is not None and said.kind == "exception":
            found[number] = said
    return found


def let_through(connection: Connection, project: str, app: str, hash_: str) -> KeptLine | None:
    """The decision, or the exception, by which a release last took traffic; None where it needed neither."""
    kept = gate_store.decisions(connection, project, app, hash_, limit=MOST_SHOWN)
    return next((_line(each) for each in kept if each.kind == "exception" or each.verdict == "pass"), None)


def weigh_release(connection: Connection, project: str, app: str, number: int) -> Weighed:
    """Raises NotFound."""
    release = store.get_release(connection, project, app, number)
    return weigh(connection, project, app, Named(hash=release.hash, number=number), release.manifest)


def _view(connection: Connection, project: str, found: Weighed) -> GateView:
    decision = found.decision
    kept = gate_store.decisions(connection, project, decision.app, decision.release.hash, limit=MOST_SHOWN)
    failed = gate_failed.first(connection, project, decision)
    return GateView(decision=decision, kept=[_line(each) for each in kept], failed=failed)


def _line(kept: KeptDecision) -> KeptLine:
    return KeptLine(**{name: getattr(kept, name) for name in KeptLine.__struct_fields__})
