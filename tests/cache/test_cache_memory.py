"""The cache in memory is a dictionary with a bound and an age; a model of it says what must be there."""

from __future__ import annotations

from collections import OrderedDict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from answer_makers import kept
from rondo import clock
from rondo.cache.memory import Memory
from rondo.cache.model import Kept

KEYS = st.sampled_from([b"a", b"b", b"c", b"d"])


def of_size(size: int) -> Kept:
    return kept(completion=b"x" * (size - 600))


class MemoryIsADictionary(RuleBasedStateMachine):
    """Against a plain model: what was put last, is not too old, and was not pushed out by the bound."""

    @initialize()
    def start(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.now = 100.0
        self.patch.setattr(clock, "monotonic", lambda: self.now)
        self.memory = Memory(16_000)
        self.model: OrderedDict[bytes, tuple[Kept, float]] = OrderedDict()

    def teardown(self) -> None:
        self.patch.undo()

    @rule(key=KEYS, size=st.integers(700, 2_500), ttl_s=st.sampled_from([0.0, 1.0, 5.0, 60.0]))
    def put(self, key: bytes, size: int, ttl_s: float) -> None:
        answer = of_size(size)
        self.memory.put(key, answer, ttl_s)
        self.model.pop(key, None)
        if ttl_s > 0 and size <= 2_000:
            self.model[key] = (answer, self.now + ttl_s)
        while sum(each.size for each, _ in self.model.values()) > 16_000:
            self.model.popitem(last=False)

    @rule(key=KEYS)
    def get(self, key: bytes) -> None:
        answer, until = self.model.get(key, (None, 0.0))
        if answer is not None and self.now >= until:
            del self.model[key]
            answer = None
        assert self.memory.get(key) is answer
        if answer is not None:
            self.model.move_to_end(key)

    @rule(seconds=st.sampled_from([0.5, 1.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def bytes_are_counted(self) -> None:
        if hasattr(self, "memory"):
            assert len(self.memory) == len(self.model)
            assert self.memory.bytes == sum(each.size for each, _ in self.model.values()) <= 16_000


TestMemory = MemoryIsADictionary.TestCase
TestMemory.settings = settings(max_examples=60, deadline=None)


def test_the_least_recently_used_goes_first() -> None:
    memory = Memory(16_000)
    for key in b"abcdefgh":
        memory.put(bytes([key]), of_size(2_000), 60)
    assert memory.get(b"a") is not None
    memory.put(b"i", of_size(2_000), 60)
    assert memory.get(b"b") is None
    assert memory.get(b"a") is not None


def test_one_answer_cannot_push_out_all_others() -> None:
    memory = Memory(16_000)
    memory.put(b"a", of_size(700), 60)
    memory.put(b"b", of_size(2_001), 60)
    assert (memory.get(b"a") is not None, memory.get(b"b")) == (True, None)


def test_the_wall_clock_ages_nothing() -> None:
    memory = Memory(16_000)
    with clock.at(1_000_000_000_000_000):
        memory.put(b"a", of_size(700), 60)
    with clock.at(2_000_000_000_000_000):
        assert memory.get(b"a") is not None
