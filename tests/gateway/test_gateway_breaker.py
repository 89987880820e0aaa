"""The circuit breaker against its specification: whatever happens in whatever order, it opens and closes as it says."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rondo.gateway.breaker import Breaker

OPEN_S = 15.0


def opened(limit: int = 2) -> Breaker:
    breaker = Breaker(limit, OPEN_S)
    for _ in range(limit):
        ticket = breaker.begin(0.0)
        assert ticket is not None
        breaker.failed(ticket, 0.0, what="500")
    return breaker


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    breaker = Breaker(3, OPEN_S)
    for _ in range(2):
        breaker.failed(breaker.begin(0.0) or 0, 0.0)
    breaker.succeeded(breaker.begin(0.0) or 0)
    for at in range(3):
        assert breaker.state(0.0) == "closed", at
        breaker.failed(breaker.begin(0.0) or 0, 0.0, what="503")
    assert (breaker.state(0.0), breaker.failures, breaker.last) == ("open", 3, "503")
    assert breaker.begin(14.9) is None
    assert breaker.wait_s(5.0) == 10.0


def test_one_probe_goes_through_and_closes_it() -> None:
    breaker = opened()
    assert breaker.state(15.0) == "half_open"
    probe = breaker.begin(15.0)
    assert probe is not None
    assert breaker.begin(15.0) is None
    assert not breaker.passes(99.0)
    breaker.answered(probe)
    assert breaker.state(15.0) == "closed"
    assert breaker.begin(15.0) is not None


def test_a_probe_that_fails_opens_it_again() -> None:
    breaker = opened()
    probe = breaker.begin(20.0)
    assert probe is not None
    breaker.failed(probe, 21.0)
    assert breaker.state(35.9) == "open"
    assert breaker.begin(36.0) is not None


def test_a_probe_that_says_nothing_makes_room_for_the_next() -> None:
    breaker = opened()
    probe = breaker.begin(15.0)
    assert probe is not None
    breaker.forgotten(probe)
    assert breaker.state(15.0) == "half_open"
    assert breaker.begin(15.0) is not None


def test_a_provider_that_asks_for_rest_gets_it_at_once() -> None:
    breaker = Breaker(5, OPEN_S)
    breaker.failed(breaker.begin(0.0) or 0, 0.0, rest_s=120.0)
    assert breaker.begin(119.0) is None
    assert breaker.begin(120.0) is not None


def test_a_probe_after_a_rest_opens_it_again_however_few_failures_there_were() -> None:
    breaker = Breaker(5, OPEN_S)
    breaker.failed(breaker.begin(0.0) or 0, 0.0, rest_s=40.0)
    probe = breaker.begin(40.0)
    assert probe is not None
    breaker.failed(probe, 40.0)
    assert (breaker.state(54.9), breaker.failures) == ("open", 2)


def test_calls_from_before_it_opened_neither_close_nor_keep_it_open() -> None:
    breaker = Breaker(1, OPEN_S)
    early, late = breaker.begin(0.0), breaker.begin(0.0)
    assert early is not None
    assert late is not None
    breaker.failed(early, 0.0)
    breaker.succeeded(late)
    assert breaker.state(1.0) == "open"
    breaker.failed(late, 14.0)
    assert breaker.begin(15.0) is not None


def test_a_stream_that_breaks_off_counts_although_it_began() -> None:
    breaker = Breaker(2, OPEN_S)
    for _ in range(2):
        ticket = breaker.begin(0.0)
        assert ticket is not None
        breaker.answered(ticket)
        breaker.failed(ticket, 0.0)
    assert breaker.state(0.0) == "open"


class Against(RuleBasedStateMachine):
    """A breaker and a plain model of it, given the same events."""

    @initialize(limit=st.integers(1, 4))
    def begin(self, limit: int) -> None:
        self.breaker = Breaker(limit, OPEN_S)
        self.limit = limit
        self.now = 0.0
        self.row = 0
        self.open_until: float | None = None
        self.probe: int | None = None
        self.calls: dict[int, tuple[int, int]] = {}  # ours: number -> (its ticket, how often it had opened by then)
        self.opened = 0
        self.number = 0

    def _open(self, until: float) -> None:
        self.open_until, self.probe = until, None
        self.opened += 1

    def _take(self, which: int) -> tuple[int, int, bool]:
        number = sorted(self.calls)[which % len(self.calls)]
        ticket, opened_then = self.calls.pop(number)
        return number, ticket, opened_then == self.opened

    @rule()
    def call(self) -> None:
        may = self.open_until is None or (self.now >= self.open_until and self.probe is None)
        assert self.breaker.passes(self.now) == may
        ticket = self.breaker.begin(self.now)
        assert (ticket is not None) == may
        if ticket is not None:
            self.number += 1
            self.calls[self.number] = (ticket, self.opened)
            if self.open_until is not None:
                self.probe = self.number

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 50))
    def succeed(self, which: int) -> None:
        _, ticket, counts = self._take(which)
        self.breaker.succeeded(ticket)
        if counts:
            self.row, self.open_until, self.probe = 0, None, None

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 50), rest_s=st.sampled_from([0.0, 0.0, 40.0]))
    def fail(self, which: int, rest_s: float) -> None:
        _, ticket, counts = self._take(which)
        self.breaker.failed(ticket, self.now, rest_s=rest_s)
        if counts:
            self.row += 1
            if self.open_until is not None or self.row >= self.limit:
                self._open(self.now + max(rest_s, OPEN_S))
            elif rest_s:
                self._open(self.now + rest_s)

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 50))
    def forget(self, which: int) -> None:
        number, ticket, _ = self._take(which)
        self.breaker.forgotten(ticket)
        if number == self.probe:
            self.probe = None

    @rule(seconds=st.sampled_from([0.5, 7.0, 15.0, 50.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def they_agree(self) -> None:
        if not hasattr(self, "breaker"):
            return
        assert self.breaker.failures == self.row
        if self.open_until is None:
            assert self.breaker.state(self.now) == "closed"
        else:
            assert self.breaker.state(self.now) == ("open" if self.now < self.open_until else "half_open")
            assert self.breaker.wait_s(self.now) == max(0.0, self.open_until - self.now)


TestAgainstItsSpecification = Against.TestCase
TestAgainstItsSpecification.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
