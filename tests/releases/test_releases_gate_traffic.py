"""No release takes traffic without passing evidence on its own hash: on a real catalog, with everything on record."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from msgspec import structs
from sqlalchemy import delete, update

from releases.gate_house import GATE, SUITE, TERMS, add_dataset, add_release, add_run, hash_of, set_terms
from releases.gate_makers import comparison, estimate, metric, target
from rondo.catalog.engine import Catalog, open_catalog
from rondo.catalog.schema_evals import eval_runs
from rondo.errors import Forbidden, GateClosed, InvalidRequest
from rondo.evals.evidence import TargetReport
from rondo.evals.goals import Goal
from rondo.evals.judges.declared import of_manifest
from rondo.evals.judges.version import version_of
from rondo.governance import audit, projects
from rondo.governance.model import AuditEntry
from rondo.releases import gate_store, gate_view, store, traffic
from rondo.releases.gate import decide
from rondo.releases.gate_model import KeptDecision, Weighed
from rondo.releases.gate_passage import ExceptionAsked
from rondo.releases.state import Traffic

MISSED = target(metric(estimate=estimate(0.7)))


@pytest.fixture
def house(catalog: Catalog) -> Catalog:
    """Releases 1 to 3 of `bot`, behind a gate on the dataset's first version; 1 serves."""
    projects.create(catalog, "p", actor="tests")
    add_dataset(catalog)
    with catalog.begin() as connection:
        for _ in range(3):
            add_release(connection)
    return catalog


def now(catalog: Catalog) -> Traffic:
    with catalog.read() as connection:
        change = store.current_traffic(connection, "p", "bot")
    assert change is not None
    return change.traffic


def entries(catalog: Catalog, action: str) -> list[AuditEntry]:
    with catalog.read() as connection:
        audit.verify(connection, "p")
        return [entry for entry in audit.entries(connection, "p") if entry.action == action]


def kept(catalog: Catalog, number: int) -> list[KeptDecision]:
    with catalog.read() as connection:
        return gate_store.decisions(connection, "p", "bot", store.get_release(connection, "p", "bot", number).hash)


def promote(catalog: Catalog, number: int, **more: object) -> Traffic:
    return traffic.promote(catalog, "p", "bot", number, **{"actor": "anna", **more}).traffic  # type: ignore[arg-type]


def test_the_first_release_serves_at_once_and_the_audit_says_so(house: Catalog) -> None:
    assert now(house).stable == 1
    (entry,) = entries(house, "traffic.release")
    assert "first release serves without evidence" in entry.details["gate"]
    assert kept(house, 1) == []


def test_without_evidence_nothing_moves_and_the_refusal_is_kept(house: Catalog) -> None:
    with pytest.raises(GateClosed, match="'answers' has not been run on bot#2") as refused:
        promote(house, 2)
    assert refused.value.param == "release"
    assert "rondo eval answers --target 2 --against production" in str(refused.value)
    assert now(house).stable == 1
    (row,) = kept(house, 2)
    assert (row.kind, row.verdict, row.created_by) == ("decision", "inconclusive", "anna")
    (entry,) = entries(house, "gate.refuse")
    assert (entry.subject, entry.actor, entry.details["decision"]) == ("release:bot#2", "anna", row.id)
    assert entry.details["missing"][0].startswith("answers: The suite 'answers' has not been run")


def test_good_evidence_lets_it_through_and_is_kept_so_that_the_decision_can_be_made_again(house: Catalog) -> None:
    run = add_run(house, 2)
    assert promote(house, 2).stable == 2
    (row,) = kept(house, 2)
    assert (row.kind, row.verdict) == ("decision", "pass")
    weighed = msgspec.convert(row.report, Weighed)
    assert decide(weighed.candidate, weighed.terms, weighed.evidence) == weighed.decision
    assert weighed.decision.release.hash == row.hash == hash_of(house, 2)
    assert weighed.candidate.stable is not None
    assert weighed.candidate.stable.hash == hash_of(house, 1)
    assert [each.id for each in weighed.evidence.runs] == [run]
    (entry,) = entries(house, "traffic.promote")
    assert entry.details["gate"] == {"2": {"decision": row.id, "kind": "decision", "verdict": "pass"}}


@pytest.mark.parametrize(
    "report", [MISSED, target(metric(comparison=comparison("worse"))), target(must_pass_failed=["e"])]
)
def test_bad_evidence_keeps_it_out(house: Catalog, report: object) -> None:
    add_run(house, 2, report=report)  # type: ignore[arg-type]
    with pytest.raises(GateClosed, match=r"bot#2 may not take traffic \(fail\)"):
        promote(house, 2)
    assert now(house).stable == 1


def test_evidence_of_another_release_is_none(house: Catalog) -> None:
    add_run(house, 3)
    with pytest.raises(GateClosed, match="has not been run on bot#2"):
        promote(house, 2)


def test_a_split_needs_evidence_for_each_candidate_and_writes_all_or_nothing(house: Catalog) -> None:
    add_run(house, 2)
    with pytest.raises(GateClosed, match="bot#3"):
        traffic.split(house, "p", "bot", {2: 5, 3: 5}, actor="anna")
    assert now(house).arms == ()
    assert traffic.split(house, "p", "bot", {2: 5}, actor="anna").traffic.arms[0].share_bp == 500


def test_more_traffic_needs_evidence_again_and_less_does_not(house: Catalog) -> None:
    run = add_run(house, 2)
    traffic.split(house, "p", "bot", {2: 20}, actor="anna")
    with house.begin() as connection:
        connection.execute(delete(eval_runs).where(eval_runs.c.id == run))
    with pytest.raises(GateClosed, match="has not been run"):
        traffic.split(house, "p", "bot", {2: 30}, actor="anna")
    with pytest.raises(GateClosed):
        promote(house, 2)
    assert traffic.split(house, "p", "bot", {2: 10}, actor="anna").traffic.arms[0].share_bp == 1_000
    assert promote(house, 1).arms == ()  # the split ends: what served gets it all back


def test_going_back_is_always_free(house: Catalog) -> None:
    run = add_run(house, 2)
    promote(house, 2)
    with house.begin() as connection:
        connection.execute(delete(eval_runs).where(eval_runs.c.id == run))
    assert traffic.rollback(house, "p", "bot", actor="anna").traffic.stable == 1
    assert traffic.rollback(house, "p", "bot", to=2, actor="anna").traffic.stable == 2


def test_copies_that_nobody_sees_need_no_evidence(house: Catalog) -> None:
    shadowed = traffic.shadow(house, "p", "bot", {"2": 10}, actor="anna").traffic
    assert shadowed.shadows[0].release == 2


def test_a_newer_version_of_the_dataset_makes_evidence_stale(house: Catalog) -> None:
    add_run(house, 2)
    with house.read() as connection:
        assert gate_view.of_number(connection, "p", "bot", 2).decision.verdict == "pass"
    add_dataset(house, 2)
    with pytest.raises(GateClosed, match=r"another version of the dataset \(d1\) than questions@2 is now"):
        promote(house, 2)


def test_a_pinned_version_of_a_dataset_stays_evidence(house: Catalog) -> None:
    pinned = structs.replace(GATE, suites={"answers": {**SUITE, "dataset": "questions@1"}})
    with house.begin() as connection:
        set_terms(connection, structs.replace(TERMS, gate=pinned))
    add_run(house, 2)
    add_dataset(house, 2)
    assert promote(house, 2).stable == 2


def test_a_suite_that_changed_makes_evidence_stale(house: Catalog) -> None:
    add_run(house, 2)
    with house.begin() as connection:
        changed = structs.replace(GATE, suites={"answers": {**SUITE, "repeats": 3}})
        set_terms(connection, structs.replace(TERMS, gate=changed))
    with pytest.raises(GateClosed, match="the suite or its judges have changed since"):
        promote(house, 2)


def test_a_run_that_has_lost_its_report_is_no_evidence(house: Catalog) -> None:
    run = add_run(house, 2)
    for broken in (None, {"run": run}):
        with house.begin() as connection:
            connection.execute(update(eval_runs).where(eval_runs.c.id == run).values(report=broken))
        with pytest.raises(GateClosed, match="its report is gone"):
            promote(house, 2)


def test_runs_that_have_not_finished_are_no_evidence(house: Catalog) -> None:
    add_run(house, 2, status="running", done=7, report=None)
    with pytest.raises(GateClosed, match="it is running, 7 of 100 done"):
        promote(house, 2)


def test_evidence_against_what_no_longer_serves_is_stale(house: Catalog) -> None:
    add_run(house, 2)
    add_run(house, 3)
    promote(house, 2)
    with pytest.raises(GateClosed, match="bot#2 serves now"):
        promote(house, 3)
    add_run(house, 3, against=2)
    traffic.rollback(house, "p", "bot", actor="anna")  # meanwhile someone goes back
    assert promote(house, 3).stable == 3  # by the older run, which was against release 1


def test_a_rollback_makes_evidence_against_the_release_that_is_gone_stale(house: Catalog) -> None:
    add_run(house, 2)
    promote(house, 2)
    add_run(house, 3, against=2)
    traffic.rollback(house, "p", "bot", actor="anna")
    with pytest.raises(GateClosed, match="bot#1 serves now"):
        promote(house, 3)


def test_of_two_promotions_at_once_the_second_is_weighed_against_the_first(catalog_url: str, house: Catalog) -> None:
    add_run(house, 2)
    add_run(house, 3)
    catalogs = [open_catalog(catalog_url) for _ in range(2)]
    start = threading.Barrier(2)

    def run(position: int) -> bool:
        start.wait()
        try:
            promote(catalogs[position], position + 2)
        except GateClosed:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        through = list(pool.map(run, range(2)))
    assert sorted(through) == [False, True]
    assert now(house).stable == through.index(True) + 2
    assert len(entries(house, "gate.refuse")) == 1
    for opened in catalogs:
        opened.close()


def test_an_exception_needs_a_reason_and_stays_on_record(house: Catalog) -> None:
    add_run(house, 2, report=MISSED)
    with pytest.raises(InvalidRequest, match="exception is empty"):
        promote(house, 2, exception=ExceptionAsked(reason="  "))
    assert promote(house, 2, exception=ExceptionAsked(reason="the old one is down")).stable == 2
    (row,) = kept(house, 2)
    assert (row.kind, row.verdict, row.reason, row.created_by) == ("exception", "fail", "the old one is down", "anna")
    (entry,) = entries(house, "gate.exception")
    assert (entry.subject, entry.details["reason"]) == ("release:bot#2", "the old one is down")
    assert entry.details["missing"] == ["answer.correct: 70.0 % [65.0 %, 75.0 %], wanted at least 80.0 %: missed."]
    (moved,) = entries(house, "traffic.promote")
    assert moved.details["gate"]["2"]["kind"] == "exception"
    with house.read() as connection:
        assert gate_view.of_number(connection, "p", "bot", 2).exceptions[0].id == row.id
        exception = gate_view.summary(connection, "p", "bot").exception
        assert exception is not None
        assert (exception.id, exception.reason) == (row.id, "the old one is down")


def test_nobody_excepts_what_they_made_but_an_admin(house: Catalog) -> None:
    before = now(house)
    with pytest.raises(Forbidden, match="dev made bot#2") as refused:
        promote(house, 2, actor="dev", exception=ExceptionAsked(reason="I know it is fine"))
    assert refused.value.param == "exception"
    assert (now(house), kept(house, 2)) == (before, [])
    promote(house, 2, actor="dev", exception=ExceptionAsked(reason="alone tonight", by_admin=True))
    assert kept(house, 2)[0].kind == "exception"


def test_an_exception_that_is_not_needed_is_not_made(house: Catalog) -> None:
    add_run(house, 2)
    promote(house, 2, actor="dev", exception=ExceptionAsked(reason="to be sure"))
    assert [row.kind for row in kept(house, 2)] == ["decision"]
    assert entries(house, "gate.exception") == []


def test_an_exception_holds_for_one_change(house: Catalog) -> None:
    traffic.split(house, "p", "bot", {2: 5}, actor="anna", exception=ExceptionAsked(reason="a look"))
    with pytest.raises(GateClosed):
        traffic.split(house, "p", "bot", {2: 50}, actor="anna")
    with pytest.raises(GateClosed):
        promote(house, 2)


def test_lowered_goals_need_a_person_and_are_told_in_the_decision_and_in_the_audit(house: Catalog) -> None:
    """Its evidence is good by what it is held to; that it is held to less is for an approver to say."""
    low = structs.replace(TERMS, goals=[Goal(metric="answer.correct", at_least=0.5)])
    with house.begin() as connection:
        number = add_release(connection, terms=low).number
    add_run(house, number, report=MISSED)
    with pytest.raises(GateClosed, match=r"at least 0\.8 → at least 0\.5: weaker than bot#1 was held to"):
        promote(house, number)
    promote(house, number, exception=ExceptionAsked(reason="We promised less."))
    told = ["goal answer.correct: at least 0.8 → at least 0.5: weaker"]
    assert msgspec.convert(kept(house, number)[0].report, Weighed).decision.changes == told
    assert entries(house, "traffic.promote")[0].details["gate"][str(number)]["changes"] == told
    with house.begin() as connection:
        after = add_release(connection, terms=low).number
    add_run(house, after, against=number, report=MISSED)
    promote(house, after)  # it is held to what it was before


def test_a_gate_that_was_taken_away_needs_an_exception_once(house: Catalog) -> None:
    with house.begin() as connection:
        free = structs.replace(TERMS, gate=None)
        number = add_release(connection, terms=free).number
    with pytest.raises(GateClosed, match="now none is declared"):
        promote(house, number)
    promote(house, number, exception=ExceptionAsked(reason="we go on without"))
    with house.begin() as connection:
        last = add_release(connection, terms=free).number
    assert promote(house, last).stable == last
    assert kept(house, last) == []


def test_a_summary_says_what_the_newest_release_waits_for(house: Catalog) -> None:
    with house.read() as connection:
        told = gate_view.summary(connection, "p", "bot")
    assert (told.suites, told.waiting, told.verdict, told.exception) == (["answers"], 3, "inconclusive", None)
    add_run(house, 3)
    with house.read() as connection:
        assert gate_view.summary(connection, "p", "bot").verdict == "pass"
    promote(house, 3)
    with house.read() as connection:
        assert gate_view.summary(connection, "p", "bot").waiting is None
    with house.begin() as connection:
        set_terms(connection, structs.replace(TERMS, gate=None))
    with house.read() as connection:
        assert gate_view.summary(connection, "p", "bot").suites is None


def judged(catalog: Catalog, mark: float | None) -> tuple[int, str]:
    """A release with a judge of its own that scores its goal: its number, and the judge's version."""
    judge = {"kind": "yes_no", "model": "m", "question": "Is it right?", "mark": mark}
    with catalog.begin() as connection:
        release = add_release(connection, judges={"quality": judge}, models=[{"name": "m", "provider": "extractive"}])
    return release.number, version_of(of_manifest(release.manifest)["quality"])


def by_judge(version: str) -> TargetReport:
    return target(metric(judge="quality", judge_version=version))


def test_a_judge_that_nobody_has_compared_with_people_keeps_the_gate_shut(house: Catalog) -> None:
    number, version = judged(house, mark=0.6)
    add_run(house, number, report=by_judge(version))
    with pytest.raises(GateClosed, match=r"quality: .* has not been compared with people"):
        promote(house, number)


def test_a_judge_that_has_changed_since_the_run_keeps_the_gate_shut(house: Catalog) -> None:
    number, version = judged(house, mark=None)
    add_run(house, number, report=by_judge("0" * 64))
    with pytest.raises(GateClosed, match="another version of it"):
        promote(house, number)
    add_run(house, number, report=by_judge(version))
    assert promote(house, number).stable == number


def test_another_projects_evidence_is_none(house: Catalog) -> None:
    projects.create(house, "q", actor="tests")
    run = add_run(house, 2)
    with house.begin() as connection:
        connection.execute(update(eval_runs).where(eval_runs.c.id == run).values(project="q"))
    with pytest.raises(GateClosed, match="has not been run"):
        promote(house, 2)


def test_a_gate_is_found_by_the_first_digits_of_a_hash(house: Catalog) -> None:
    add_run(house, 2)
    hash_ = hash_of(house, 2)
    with house.read() as connection:
        assert gate_view.of_hash(connection, "p", "bot", hash_[:12]).decision.release.number == 2
        with pytest.raises(InvalidRequest, match="no single release"):
            gate_view.of_hash(connection, "p", "bot", hash_[:3])
