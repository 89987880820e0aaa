"""Which limits a request meets, and whose money it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.errors import InvalidRequest
from rondo.limits.model import (
    DAY_US,
    MOST_USD,
    NANO,
    NO_LIMITS,
    Limit,
    LimitTable,
    budget,
    month_start,
    next_day,
    next_month,
    periods_of,
    subject,
    to_nano,
    to_usd,
    user_of,
)


def table(*scopes: str, **limit: Any) -> LimitTable:
    limit = limit or {"requests_per_minute": 1}
    return LimitTable([("p", Limit(scope=scope, **limit)) for scope in scopes], {"key_1": "support-eu"})


def met(limits: LimitTable, **caller: Any) -> list[tuple[str, str]]:
    matched = limits.match(**{"project": "p", "key_id": "key_1", "user": None, "app": None, **caller})
    return [] if matched is None else [(bound.limit.scope, bound.subject) for bound in matched.bounds]


def test_without_limits_nothing_is_met() -> None:
    assert not NO_LIMITS
    assert NO_LIMITS.match("p", "key_1") is None
    assert not met(table("app:bot", "user:*", "key:other"))


def test_every_kind_is_met_together() -> None:
    limits = table("project", "app:bot", "key:key_1", "user:anna")
    assert met(limits, user="anna", app="bot") == [
        ("project", "p/project"),
        ("key:key_1", "p/key:key_1"),
        ("app:bot", "p/app:bot"),
        ("user:anna", "p/user:anna"),
    ]
    assert met(limits) == [("project", "p/project"), ("key:key_1", "p/key:key_1")]


def test_each_counts_for_itself_and_its_own_limit_goes_first() -> None:
    limits = table("key:*", "user:*", "user:anna", "app:*")
    assert met(limits, user="anna", app="bot") == [
        ("key:*", "p/key:key_1"),
        ("app:*", "p/app:bot"),
        ("user:anna", "p/user:anna"),
    ]
    assert met(limits, user="ben") == [("key:*", "p/key:key_1"), ("user:*", "p/user:ben")]
    assert met(limits, user="") == [("key:*", "p/key:key_1")]


def test_a_limit_of_another_project_is_none_of_ours() -> None:
    limits = LimitTable([("other", Limit(scope="project", concurrent=1))])
    assert not met(limits)
    assert limits.projects == ["other"]


def test_money_counts_for_all_even_where_only_one_is_limited() -> None:
    matched = table("key:key_1", nano_per_day=1).match("p", "key_1", "anna", "bot")
    assert matched is not None
    assert matched.subjects == ("p/project", "p/key:key_1", "p/app:bot")
    assert matched.user_subject == "p/user:anna"
    assert matched.has_budget
    assert matched.needs_bound


def test_what_has_to_be_known_of_a_request() -> None:
    assert table("project", concurrent=1).match("p", "k").needs_bound is False  # type: ignore[union-attr]
    assert table("project", tokens_per_minute=1).match("p", "k").needs_bound  # type: ignore[union-attr]
    assert table("user:*", nano_per_day=1).has_user_budget
    assert not table("user:*").has_user_budget
    assert not table("project", nano_per_day=1).has_user_budget


def test_the_budgets_alone_are_met_by_what_is_no_request() -> None:
    limits = LimitTable(
        [
            ("p", Limit(scope="project", concurrent=1, requests_per_minute=1, tokens_per_minute=1, nano_per_day=5)),
            ("p", Limit(scope="key:*", requests_per_minute=1)),
        ]
    )
    matched = limits.match("p", "key_1", "anna", "bot")
    assert matched is not None
    money = matched.money
    assert money is not None
    assert [(bound.limit, bound.subject) for bound in money.bounds] == [
        (Limit(scope="project", nano_per_day=5), "p/project")
    ]
    assert (money.subjects, money.user_subject) == (matched.subjects, matched.user_subject)
    assert money.money is money
    counts = table("project").match("p", "key_1")
    assert counts is not None
    assert counts.money is None


def test_people_read_names_in_place_of_ids() -> None:
    matched = table("key:key_1", "project").match("p", "key_1")
    assert matched is not None
    assert [bound.words for bound in matched.bounds] == ["project", "key support-eu"]


def test_the_same_caller_is_looked_up_once_and_the_memory_is_bounded() -> None:
    limits = table("key:*")
    first = limits.match("p", "k")
    assert limits.match("p", "k") is first
    for number in range(10_001):
        limits.match("p", f"k{number}")
    assert len(limits._known) <= 10_000


def test_a_very_long_user_goes_by_a_hash() -> None:
    assert user_of("p", "x" * 128) == "p/user:" + "x" * 128
    long, longer = user_of("p", "x" * 129), user_of("p", "x" * 1_000_000)
    assert long is not None
    assert longer is not None
    assert len(long) == len(longer) < 100
    assert long != longer
    assert user_of("p", "\ud800" * 200)
    assert user_of("p", "") is None
    assert subject("p", "app", "bot") == "p/app:bot"


@given(st.integers(0, 4_000_000_000_000_000))
def test_days_and_months_are_those_of_the_calendar_in_utc(at: int) -> None:
    moment = datetime.fromtimestamp(at // 1_000_000, UTC)
    assert periods_of(at) == (moment.strftime("d%Y%m%d"), moment.strftime("m%Y%m"))
    assert 0 < next_day(at) - at <= DAY_US
    assert periods_of(next_day(at) - 1)[0] == periods_of(at)[0] != periods_of(next_day(at))[0]
    assert periods_of(month_start(at))[1] == periods_of(at)[1] != periods_of(month_start(at) - 1)[1]
    assert periods_of(next_month(at) - 1)[1] == periods_of(at)[1] != periods_of(next_month(at))[1]


@given(st.integers(0, MOST_USD * NANO))
def test_an_amount_is_the_same_after_a_way_through_dollars(nano: int) -> None:
    """A record keeps dollars; what is rebuilt from it must be what was charged."""
    assert to_nano(to_usd(nano)) == nano


@pytest.mark.parametrize(
    ("usd", "nano"), [(0.0, 0), (-1.0, 0), (float("nan"), 0), (float("inf"), 0), (0.5e-9, 0), (1.5e-9, 2)]
)
def test_costs_are_rounded_half_to_even(usd: float, nano: int) -> None:
    assert to_nano(usd) == nano


def test_budgets_are_exact() -> None:
    assert budget("0.1", param="b") == 100_000_000
    assert budget(0.1, param="b") == 100_000_000
    assert budget(MOST_USD, param="b") == MOST_USD * NANO
    assert budget(0, param="b") == 0


@pytest.mark.parametrize("wrong", [-1, "x", "", float("nan"), float("inf"), MOST_USD + 1, "1e-10", "1e400"])
def test_a_wrong_budget_is_refused_by_name(wrong: Any) -> None:
    with pytest.raises(InvalidRequest, match="usd_per_day"):
        budget(wrong, param="usd_per_day")
