"""The state machine of alerts: when it fires, when it is over, who is told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from rondo.monitoring.alerts.model import Acknowledged, Level, Progress, Rule
from rondo.monitoring.alerts.state import LONGEST_S, after, due, level_of, resolves_after_s

RULE = Rule(name="r", app="bot", on="goal", lasting_s=60, repeat_s=3_600)
looks = st.lists(st.tuples(st.sampled_from(["bad", "good", "clear", "no_data"]), st.floats(0, 200)), max_size=60)


def run(levels: list[tuple[Level, float]], rule: Rule = RULE, flaps: int = 0) -> Progress | None:
    progress = None
    for level, passed_s in levels:
        progress = after(progress, level, passed_s, rule, flaps=flaps)
    return progress


def look(level: Level, passed_s: float = 15, times: int = 1) -> list[tuple[Level, float]]:
    return [(level, passed_s)] * times


def status(*levels: tuple[Level, float], rule: Rule = RULE) -> str | None:
    found = run(list(levels), rule)
    return found.status if found else None


def test_it_fires_only_when_it_has_been_bad_for_long_enough() -> None:
    assert status(("bad", 0)) == "pending"
    assert status(("bad", 0), ("bad", 15), ("bad", 15)) == "pending"
    assert status(("bad", 0), *look("bad", 15, 4)) == "firing"
    assert status(("bad", 0), rule=structs.replace(RULE, lasting_s=0)) == "firing"


def test_a_good_look_takes_a_pending_one_away() -> None:
    assert status(("bad", 0), ("bad", 45), ("good", 15)) is None
    assert status(("good", 15)) is None


def test_a_value_on_the_bound_keeps_one_alert_open() -> None:
    fired: list[tuple[Level, float]] = [("bad", 0), ("bad", 60)]
    dancing: list[tuple[Level, float]] = [("good", 15), ("bad", 15)] * 50
    assert status(*fired, *dancing) == "firing"
    assert status(*fired, ("clear", 30), ("clear", 30)) == "resolved"
    assert status(*fired, *look("good", 30, 7)) == "firing"
    assert status(*fired, *look("good", 30, 8)) == "resolved"


def test_no_data_is_not_good_and_not_bad() -> None:
    fired: list[tuple[Level, float]] = [("bad", 0), ("bad", 60)]
    found = run([*fired, *look("no_data", 60.0, 100)])
    assert found is not None
    assert found.status == "firing"
    assert found.no_data
    assert status(("bad", 0), ("no_data", 60), ("no_data", 60)) == "pending"
    assert status(("bad", 0), *look("no_data", 60, 60)) is None
    assert status(("no_data", 0), ("no_data", 60)) is None
    assert status(("no_data", 0), ("no_data", 60), rule=structs.replace(RULE, no_data="alert")) == "firing"
    good = structs.replace(RULE, no_data="good")
    assert status(*fired, ("no_data", 60), rule=good) == "resolved"


def test_one_that_comes_back_takes_longer_to_be_over() -> None:
    assert [resolves_after_s(RULE, flaps) for flaps in (0, 1, 2, 30)] == [60, 120, 240, 7_200]
    levels: list[tuple[Level, float]] = [("bad", 0), ("bad", 60), ("clear", 60)]
    assert getattr(run(levels), "status", None) == "resolved"
    assert getattr(run(levels, flaps=1), "status", None) == "firing"


@given(looks)
def test_it_never_fires_before_its_time(levels: list[tuple[Level, float]]) -> None:
    progress, bad_s = None, 0.0
    for level, passed_s in levels:
        before = progress
        progress = after(progress, level, passed_s, RULE)
        if before is None or before.status == "resolved" or level in ("good", "clear"):
            bad_s = 0.0
        elif level == "bad":
            bad_s += min(passed_s, LONGEST_S)
        if progress is not None and progress.status == "firing" and (before is None or before.status != "firing"):
            assert level == "bad"
            assert bad_s >= RULE.lasting_s - 1e-6


@given(looks, st.sampled_from(["bad", "good", "clear", "no_data"]), st.floats(-1e9, 1e9, allow_nan=False))
def test_a_jump_of_the_clock_counts_for_one_look_at_most(
    levels: list[tuple[Level, float]], level: Level, jump: float
) -> None:
    patient = structs.replace(RULE, lasting_s=LONGEST_S * 3)
    before = run(levels, patient)
    if before is None or before.status == "resolved":
        return
    now = after(before, level, jump, patient)
    assert now is None or now.bad_s - before.bad_s <= LONGEST_S + 1e-6
    if now is not None and now.status == "resolved":
        assert max(before.good_s, before.clear_s) > 0


@given(looks)
def test_without_time_nothing_changes_but_what_is_pending_and_good(levels: list[tuple[Level, float]]) -> None:
    before = run(levels)
    if before is not None and before.status == "firing":
        for level in ("bad", "good", "clear", "no_data"):
            now = after(before, level, 0.0, RULE)
            assert now is not None
            assert now.status == "firing"


def told(now: Progress, kind: str | None, excess: float = 1.0, by: Acknowledged | None = None) -> str | None:
    return due(now, told=kind, repeat_s=3_600, excess=excess, acknowledged=by)  # type: ignore[arg-type]


def test_who_is_told_of_what() -> None:
    firing, over = Progress(status="firing"), Progress(status="resolved")
    assert told(Progress(status="pending"), None) is None
    assert told(firing, None) == "firing"
    assert told(firing, "firing") is None
    assert told(structs.replace(firing, told_s=3_600), "firing") == "repeat"
    assert told(over, "firing") == "resolved"
    assert told(over, None) is None, "nobody heard of it, so nobody hears of its end"
    assert told(over, "resolved") is None


def test_an_acknowledged_one_is_told_again_only_where_it_is_worse() -> None:
    firing = Progress(status="firing", told_s=1e9)
    by = Acknowledged(by="ann", at=0, note="", excess=1.0)
    assert told(firing, "firing", 1.4, by) is None
    assert told(firing, "firing", 1.5, by) == "worse"
    assert told(structs.replace(firing, no_data=True), "firing", 9.0, by) is None
    assert told(firing, None, 1.0, by) is None, "taken on while it was silenced, or pending"
    assert told(firing, None, 1.5, by) == "worse"
    small = structs.replace(by, excess=0.01)
    assert told(firing, "firing", 0.05, small) is None
    assert told(firing, "firing", 0.12, small) == "worse"


def test_levels_leave_room_between_bad_and_clear() -> None:
    assert level_of(2_100, 2_000, above=True)[0] == "bad"
    assert level_of(1_950, 2_000, above=True)[0] == "good"
    assert level_of(1_900, 2_000, above=True)[0] == "clear"
    assert level_of(0.80, 0.85, above=False, span=0.15)[0] == "bad"
    assert level_of(0.853, 0.85, above=False, span=0.15)[0] == "good"
    assert level_of(0.86, 0.85, above=False, span=0.15)[0] == "clear"
    assert level_of(0.0, 0.0, above=True)[0] == "clear"
    assert level_of(0.1, 0.0, above=True) == ("bad", 0.1)
    assert level_of(1.0, 1.0, above=False, span=0.0)[0] == "clear"
