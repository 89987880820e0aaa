"""Drift on the schedule: what is due after restarts and jumps of the clock, and what two windows in a row tell."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from drift_makers import questions
from record_makers import after, entry, make_call, make_score
from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import InvalidRequest, NotFound, UpstreamUnreachable
from rondo.governance import projects
from rondo.monitoring.drift import reading, schedule, standing
from rondo.monitoring.drift import store as reports
from rondo.monitoring.drift.asking import Means
from rondo.monitoring.drift.model import Check, Report, Side
from rondo.monitoring.drift.watching import Drift, changed
from rondo.records import Verdict
from rondo.releases import store as releases
from rondo.settings.drift import DriftSettings
from rondo.store.base import RecordStore

DAY = 86_400_000_000
MONDAY = 1_763_942_400_000_000 // DAY * DAY
SETTINGS = {"least_calls": 20, "most_calls": 200}

once = pytest.mark.parametrize(("database_kind", "store"), [("sqlite", "here")], indirect=True)
"""For what does not depend on the kind of catalog and store."""

each = pytest.mark.parametrize(("database_kind", "store"), [("sqlite", "here"), ("postgres", "remote")], indirect=True)
"""Each kind of both, not each pair."""


class Nobody:
    """No model can be asked."""

    def model(self, project: str, name: str, beside: object) -> Any:
        raise NotFound(f"There is no model called {name!r}.")

    async def __call__(self, *asked: object, **more: object) -> Any:
        raise UpstreamUnreachable("Nobody is there.")


@pytest.fixture
def house(catalog: Catalog, store: RecordStore) -> Drift:
    """The app `bot` of the project `p`, with `[drift]`."""
    projects.create(catalog, "p", actor="anna")
    projects.create(catalog, "other", actor="anna")
    with catalog.begin() as connection:
        releases.save_app(connection, "p", "bot", {"drift": SETTINGS}, MONDAY)
        releases.save_app(connection, "p", "quiet", {}, MONDAY)
    return Drift(catalog, store, Means(Nobody(), Nobody()))  # type: ignore[arg-type]


def fill(store: RecordStore, day: int, *, seed: int, new: float = 0.0, count: int = 60, **fields: Any) -> None:
    """Calls on one day, after MONDAY."""
    texts = questions(count, seed=seed, new=new)
    calls = [
        make_call(
            app="bot",
            question=text,
            answer="It is so. " * (1 + at % 7),
            handed_over=at % 9 == 0,
            started_at=MONDAY + day * DAY + at * 60_000_000 + seed,
            **{"user": f"user-{seed}-{at}", **fields},
        )
        for at, text in enumerate(texts)
    ]
    store.insert(f"w{seed}", [entry(call) for call in calls], after(count))


def report_of(drift: Drift, app: str = "bot") -> list[Report]:
    with drift._catalog.read() as connection:
        return reports.listed(connection, "p", app, limit=10)


@each
async def test_windows_come_one_after_the_other_and_two_in_a_row_are_told(
    catalog: Catalog, house: Drift, store: RecordStore
) -> None:
    for day in range(7):
        fill(store, day, seed=day)
    fill(store, 7, seed=20, new=0.6)
    fill(store, 8, seed=21, new=0.6)
    with clock.at(MONDAY + 8 * DAY + schedule.GRACE_US) as advance:
        (first,) = await house.look()
        assert (first.since, first.until) == (MONDAY + 7 * DAY, MONDAY + 8 * DAY)
        assert first.scheduled
        assert first.verdict == "drifted"
        assert {"questions", "topics"} <= {check.name for check in first.drifted}
        assert {"new"} <= {topic.change for topic in first.topics}
        assert await house.look() == []
        with catalog.read() as connection:
            told = {each.part: each for each in standing.newest(connection, "p", "bot")}
            assert 0 < told["questions"].share < 1
            assert "only so far" in told["questions"].sentence
            assert told["questions"].traces
            assert standing.newest(connection, "other", "bot") == []
        advance(DAY)
        (second,) = await house.look()
        assert second.verdict == "drifted"
        with catalog.read() as connection:
            told = {each.part: each for each in standing.newest(connection, "p", "bot")}
            assert told["questions"].share >= 1
            assert "two windows in a row" in told["questions"].sentence
            assert told["length"].share < 1 or "two" in told["length"].sentence
            latest, lasting = standing.latest(connection, "p", "bot")
            assert latest == second
            assert "questions" in lasting


@once
async def test_a_restart_and_a_clock_that_jumps_repeat_nothing(house: Drift, store: RecordStore) -> None:
    fill(store, 1, seed=1)
    with clock.at(MONDAY + 2 * DAY + schedule.GRACE_US) as advance:
        assert len(await house.look()) == 1
        again = Drift(house._catalog, house._records, house._means)
        assert await again.look() == []
        advance(30 * DAY)  # away for a month: one look, not thirty
        assert len(await again.look()) == 1
        assert await again.look() == []
        advance(-29 * DAY)  # set back to Wednesday: that window was never looked at, and the future's does not count
        (late,) = await again.look()
        assert late.until == MONDAY + 3 * DAY
        assert await again.look() == []
        with house._catalog.read() as connection:
            assert standing.newest(connection, "p", "bot") == []


@once
async def test_too_few_calls_are_said_and_one_user_is_one_call(house: Drift, store: RecordStore) -> None:
    fill(store, 0, seed=1)
    fill(store, 1, seed=2, user="chatty")
    with clock.at(MONDAY + 2 * DAY + schedule.GRACE_US):
        (report,) = await house.look()
    assert (report.calls, report.units) == ((60, 60), (60, 1))
    assert report.verdict == "not_enough"
    assert {check.verdict for check in report.checks} == {"not_enough"}
    assert "Too few in the window: 1 users" in " ".join(report.notes)


@once
async def test_somebody_may_look_at_any_time(house: Drift, store: RecordStore) -> None:
    fill(store, 0, seed=1)
    fill(store, 1, seed=2)
    with clock.at(MONDAY + 2 * DAY):
        found = await house.look_now("p", "bot", changes={"window": "24h", "reference": "2d"}, until=None, actor="anna")
        assert (found.verdict, found.created_by, found.scheduled) == ("steady", "anna", False)
        assert [report.id for report in report_of(house)] == [found.id]
        for changes, until, param in (({"window": "soon"}, None, "window"), ({}, MONDAY + 9 * DAY, "until")):
            with pytest.raises(InvalidRequest) as refused:
                await house.look_now("p", "bot", changes=changes, until=until, actor="anna")
            assert refused.value.param == param
        with pytest.raises(NotFound):
            await house.look_now("p", "nobody", changes={}, until=None, actor="anna")
        quiet = await house.look_now("p", "quiet", changes={}, until=None, actor="anna")
        assert (quiet.verdict, quiet.calls) == ("not_enough", (0, 0))


@once
async def test_a_model_that_cannot_be_asked_is_told_and_words_are_compared(house: Drift, store: RecordStore) -> None:
    with house._catalog.begin() as connection:
        settings = {**SETTINGS, "model": "embedder", "names_model": "namer"}
        releases.save_app(connection, "p", "bot", {"drift": settings}, MONDAY)
    fill(store, 0, seed=1)
    fill(store, 1, seed=2)
    with clock.at(MONDAY + 2 * DAY):
        report = await house.look_now("p", "bot", changes={}, until=None, actor="anna")
    assert report.vectors.startswith("words")
    assert "no model called 'embedder'" in " ".join(report.notes)


def test_a_window_is_read_without_values(store: RecordStore) -> None:
    texts = {"a": "Mail me at anna@example.org", "b": "What is [EMAIL]?", "c": "Hello", "d": ""}
    verdict = Verdict(guard="pii", stage="input", action="redact", found={"email": 1})
    calls = [
        make_call(app="bot", question=text, answer="I'm sorry, but I can't.", guards=[verdict] if at == "b" else [])
        for at, text in texts.items()
    ]
    failed = make_call(app="bot", question="no", status=502, error_code="upstream_error")
    shadow = make_call(app="bot", question="copy", arm="shadow")
    score = make_score(calls[2], name="faithfulness", data_type="number", value=0.5)
    store.insert("w", [*(entry(each) for each in (*calls, failed, shadow)), entry(score)], after(7))
    side = reading.read(store, "p", "bot", since=0, until=1 << 60, slice_us=1 << 60, most=100)
    assert (side.calls, side.units) == (5, 5)
    known = {sample.trace_id: sample for sample in side.samples}
    personal = [known[call.trace_id].personal for call in calls[:3]]
    assert personal == [True, True, False]
    assert known[calls[2].trace_id].refused is True
    assert known[failed.trace_id].refused is None
    assert known[failed.trace_id].answer_chars is None
    assert [said.value for said in side.scores["faithfulness"]] == [0.5]
    assert reading.read(store, "other", "bot", since=0, until=1 << 60, slice_us=1, most=100).samples == []


def test_when_it_is_due() -> None:
    settings = DriftSettings(every="6h", window="1d", reference="7d")
    six = DAY // 4
    span = schedule.due(settings, MONDAY + schedule.GRACE_US, None)
    assert span is not None
    assert (span.until, span.since, span.reference_since) == (MONDAY, MONDAY - DAY, MONDAY - 8 * DAY)
    assert schedule.due(settings, MONDAY + six, MONDAY) is None
    assert schedule.due(settings, MONDAY + six + schedule.GRACE_US, MONDAY) is not None
    assert schedule.window_before(MONDAY - DAY, MONDAY) == (MONDAY - 2 * DAY, MONDAY - DAY)
    odd = schedule.ending(DriftSettings(window="2d", reference="7d"), MONDAY)
    assert odd.since - odd.reference_since == 6 * DAY
    assert odd.slice_us == 2 * DAY
    short = schedule.ending(DriftSettings(window="2d", reference="1d"), MONDAY)
    assert (short.since - short.reference_since, short.slice_us) == (DAY, DAY)
    with pytest.raises(InvalidRequest, match="window"):
        changed(settings, {"window": "x"})


@each
async def test_old_reports_are_forgotten(house: Drift, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "KEPT", 2)
    with clock.at(MONDAY) as advance:
        for _ in range(4):
            advance(1_000_000)
            report = await house.look_now("p", "bot", changes={}, until=None, actor="anna")
    assert report_of(house)[0].id == report.id
    assert len(report_of(house)) == 2
    assert structs.asdict(report_of(house)[0]) == structs.asdict(report)


@each
async def test_who_comes_every_day_is_no_drift(house: Drift, store: RecordStore) -> None:
    """Of a day's users most come every day, of a week's users few do: nothing has changed for all that."""
    loyal, once_only = questions(60, seed=1, new=1.0), questions(200, seed=2)
    calls = [
        make_call(app="bot", question=text, answer="yes", user=f"loyal-{at}", started_at=MONDAY + day * DAY + at)
        for day in range(8)
        for at, text in enumerate(loyal)
    ]
    calls += [
        make_call(
            app="bot", question=text, answer="no", user=f"once-{at}", started_at=MONDAY + at % 8 * DAY + 1000 + at
        )
        for at, text in enumerate(once_only)
    ]
    scores = [make_score(call, name="kind", data_type="number", value=float(call.answer == "yes")) for call in calls]
    store.insert("w", [*(entry(call) for call in calls), *(entry(score) for score in scores)], after(len(calls) * 2))
    with clock.at(MONDAY + 8 * DAY):
        report = await house.look_now("p", "bot", changes={}, until=None, actor="anna")
    assert [check.name for check in report.drifted] == []
    assert report.calls == (7 * 60 + 175, 60 + 25)
    before, now = report.units
    assert now == 85
    assert 65 <= before <= 110  # as many as on a day, drawn out of all 235
    kind = next(check for check in report.checks if check.name == "score:kind")
    assert (kind.verdict, kind.units[1]) == ("steady", 85)


@once
async def test_all_users_count_where_none_comes_again(house: Drift, store: RecordStore) -> None:
    for day in range(3):
        fill(store, day, seed=day, count=30)
    with clock.at(MONDAY + 3 * DAY):
        report = await house.look_now("p", "bot", changes={}, until=None, actor="anna")
    assert report.units == (60, 30)


@once
async def test_two_windows_in_a_row_are_found_however_often_it_is_looked_at(house: Drift, catalog: Catalog) -> None:
    """By the hour over windows of three days, the window before is 72 reports ago."""
    check = Check(
        name="length", part="inputs", title="Length", verdict="drifted", units=(50, 50), p=0.001, corrected=0.01
    )
    with catalog.begin() as connection:
        for hour in range(80):
            until = MONDAY + hour * DAY // 24
            reports.save(connection, blank(f"drift_{hour:03}", until, [check]))
    with catalog.read() as connection, clock.at(MONDAY + 4 * DAY):
        assert standing.latest(connection, "p", "bot")[1] == ["length"]
        assert standing.newest(connection, "p", "bot")[0].share >= 1


@once
async def test_a_report_out_of_the_future_is_not_the_newest(house: Drift, catalog: Catalog) -> None:
    with catalog.begin() as connection:
        for name, until in (("drift_now", MONDAY), ("drift_wrong", MONDAY + 900 * DAY)):
            reports.save(connection, blank(name, until, []))
    with catalog.read() as connection, clock.at(MONDAY + DAY):
        newest, _ = standing.latest(connection, "p", "bot")
    assert newest is not None
    assert newest.id == "drift_now"


@once
async def test_one_app_that_fails_keeps_no_other_back(
    house: Drift, catalog: Catalog, store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with catalog.begin() as connection:
        releases.save_app(connection, "p", "able", {"drift": SETTINGS}, MONDAY)
        releases.save_app(connection, "p", "wrong", {"drift": {"least_calls": 500, "most_calls": 100}}, MONDAY)
    fill(store, 0, seed=1)
    tried: list[str] = []

    def broken(store: RecordStore, project: str, app: str, **more: Any) -> Any:
        tried.append(app)
        if app == "bot":
            raise ZeroDivisionError
        return Side(since=0, until=1, calls=0, units=0, samples=[])

    monkeypatch.setattr(reading, "read", broken)
    with clock.at(MONDAY + 2 * DAY + schedule.GRACE_US):
        assert [report.app for report in await house.look()] == ["able"]
        assert await house.look() == []
    assert tried.count("bot") == 1  # a look may cost money: not again at once
    with pytest.raises(InvalidRequest, match="must be at least `least_calls`"):
        await house.look_now("p", "wrong", changes={}, until=None, actor="anna")


def test_a_hand_over_is_no_refusal(store: RecordStore) -> None:
    sorry = "I can't answer that reliably, so I'm passing you to a colleague."
    handed = make_call(app="bot", question="a", answer=sorry, handed_over=True)
    refusing = make_call(app="bot", question="b", answer=sorry, handed_over=False)
    store.insert("w", [entry(handed), entry(refusing)], after(2))
    side = reading.read(store, "p", "bot", since=0, until=1 << 60, slice_us=1 << 60, most=100)
    assert {sample.question: sample.refused for sample in side.samples} == {"a": False, "b": True}


def blank(name: str, until: int, checks: list[Check]) -> Report:
    """A scheduled report over three days."""
    return Report(
        id=name,
        project="p",
        app="bot",
        since=until - 3 * DAY,
        until=until,
        reference_since=until - 10 * DAY,
        scheduled=True,
        created_by="schedule",
        created_at=until,
        verdict="drifted" if checks else "steady",
        calls=(100, 100),
        units=(50, 50),
        vectors="words",
        checks=checks,
        topics=[],
        notes=[],
    )
