"""Who gets which arm: the same caller the same one, in the shares that were asked for."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rondo.gateway.assign import WHOLE, assign, place

shares = st.lists(st.integers(1, 2_500), max_size=4)


@given(st.text(), st.text())
def test_a_place_is_within_the_whole(salt: str, unit: str) -> None:
    assert 0 <= place(salt, unit) < WHOLE


@given(st.text(), st.text(), shares)
def test_the_same_caller_gets_the_same_arm(salt: str, unit: str, given_shares: list[int]) -> None:
    assert assign(salt, unit, given_shares) == assign(salt, unit, list(given_shares))


@given(st.text(), st.text(), st.integers(1, 9_999))
def test_growing_a_share_keeps_everyone_who_is_in(salt: str, unit: str, share: int) -> None:
    if assign(salt, unit, [share]) == 0:
        assert assign(salt, unit, [share + 1]) == 0


@given(st.text(), st.text())
def test_no_arms_is_the_rest_and_a_whole_arm_is_everyone(salt: str, unit: str) -> None:
    assert assign(salt, unit, []) is None
    assert assign(salt, unit, [WHOLE]) == 0


def test_shares_come_out_as_asked() -> None:
    counts = Counter(assign("salt", f"user-{n}", [1_000, 2_500]) for n in range(20_000))
    assert abs(counts[0] / 20_000 - 0.10) < 0.01
    assert abs(counts[1] / 20_000 - 0.25) < 0.01


def test_a_new_salt_draws_anew() -> None:
    users = [f"user-{n}" for n in range(2_000)]
    both = sum(assign("a", user, [5_000]) == assign("b", user, [5_000]) for user in users)
    assert 0.45 < both / len(users) < 0.55
