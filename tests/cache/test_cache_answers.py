"""Looking up: age, refreshing, and questions that mean the same."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answer_makers import asked, completion, kept
from rondo import clock
from rondo.cache import meaning
from rondo.cache.answers import Answers, Lead
from rondo.cache.meaning import Meanings, Vector
from rondo.cache.model import CachePolicy, Hit, Kept, SemanticPolicy
from rondo.cache.shared import Lock, Shared
from rondo.errors import UpstreamError

SEMANTIC = CachePolicy(ttl_s=60, semantic=SemanticPolicy(model="embed", at_least=0.9))


class Meaning:
    """Embeds questions by a table, and counts."""

    def __init__(self, **vectors: Vector) -> None:
        self.vectors = vectors
        self.asked: list[str] = []

    async def __call__(self, question: str) -> Vector:
        self.asked.append(question)
        if question not in self.vectors:
            raise UpstreamError("The embedding model is away.")
        return self.vectors[question]


@pytest.fixture
def cache() -> Answers:
    return Answers(most_bytes=1 << 20)


async def test_an_answer_has_its_age(cache: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    policy = CachePolicy(ttl_s=10)
    lead = await cache.look(asked("a"), policy)
    assert isinstance(lead, Lead)
    lead.keep(kept())
    now += 9.9
    assert isinstance(await cache.look(asked("a"), policy), Hit)
    now += 0.2
    assert isinstance(await cache.look(asked("a"), policy), Lead)


async def ask(cache: Answers, name: str, question: str, embed: Meaning, *, group: str | None = "g") -> Hit | None:
    """A hit; or None, and the answer is kept then: it says the question."""
    found = await cache.look(asked(name, group=group, question=question), SEMANTIC, embed=embed)
    if isinstance(found, Hit):
        return found
    found.keep(kept(question))
    return None


async def test_questions_that_mean_the_same(cache: Answers) -> None:
    embed = Meaning(hours=[1.0, 0.0], opening=[0.95, 0.1], price=[0.0, 1.0])
    assert await ask(cache, "1", "hours", embed) is None
    hit = await ask(cache, "2", "opening", embed)
    assert hit is not None
    assert hit.found_by == "semantic"
    assert hit.kept.completion == completion("hours")
    assert hit.similarity == pytest.approx(0.95 / math.hypot(0.95, 0.1), abs=1e-4)
    assert await ask(cache, "3", "price", embed) is None
    exact = await ask(cache, "1", "hours", embed)
    assert exact is not None
    assert (exact.found_by, exact.similarity) == ("exact", None)
    assert embed.asked == ["hours", "opening", "price"]  # what is found exactly is not embedded


async def test_another_group_has_other_answers(cache: Answers) -> None:
    """Groups are users, releases, conversations: whatever must be the same."""
    embed = Meaning(hours=[1.0, 0.0])
    assert await ask(cache, "1", "hours", embed, group="user a") is None
    assert await ask(cache, "2", "hours", embed, group="user b") is None
    assert await ask(cache, "3", "hours", embed, group="user a") is not None


async def test_without_a_group_nothing_is_embedded(cache: Answers) -> None:
    embed = Meaning()
    assert await ask(cache, "1", "hours", embed, group=None) is None
    assert embed.asked == []


async def test_an_embedding_model_that_fails_costs_the_hit_only(cache: Answers) -> None:
    embed = Meaning()
    assert await ask(cache, "1", "hours", embed) is None
    assert await ask(cache, "1", "hours", embed) is not None
    assert len(cache.flights) == 0


async def test_an_answer_that_has_gone_is_not_found_by_its_meaning(
    cache: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed = Meaning(hours=[1.0, 0.0], opening=[1.0, 0.0])
    assert await ask(cache, "1", "hours", embed) is None
    cache.memory._drop(asked("1").key)
    assert await ask(cache, "2", "opening", embed) is None
    now = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now + 61)
    assert await ask(cache, "3", "opening", embed) is None


async def test_whoever_leaves_while_it_is_embedded_leaves_the_lead_to_others(cache: Answers) -> None:
    never = asyncio.Event()

    async def embed(question: str) -> Vector:
        await never.wait()
        return []

    request = asked("1", group="g", question="hours")
    first = asyncio.create_task(cache.look(request, SEMANTIC, embed=embed))
    await asyncio.sleep(0)
    second = asyncio.create_task(cache.look(request, SEMANTIC))
    await asyncio.sleep(0)
    first.cancel()
    assert isinstance(await asyncio.wait_for(second, 1), Lead)


async def test_an_answer_that_came_just_before_the_lock_is_found() -> None:
    class Late(Shared):
        """Another process keeps its answer, and lets go of the lock, between our look and our lock."""

        def __init__(self) -> None:
            self.kept = False
            self.unlocked = 0

        async def get(self, key: bytes) -> tuple[Kept, float] | None:
            return (kept("other"), 60.0) if self.kept else None

        async def lock(self, key: bytes, token: bytes) -> Lock:
            self.kept = True
            return Lock.OURS

        async def unlock(self, key: bytes, token: bytes) -> None:
            self.unlocked += 1

        async def close(self) -> None: ...

    shared = Late()
    cache = Answers(most_bytes=1 << 20, shared=shared)
    found = await cache.look(asked("a"), SEMANTIC)
    assert isinstance(found, Hit)
    assert found.kept == kept("other")
    await cache.close()
    assert shared.unlocked == 1
    assert len(cache.flights) == 0


def test_vectors_grow_old(monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    meanings = Meanings(1 << 20)
    meanings.add(b"g", [1.0, 0.0], b"near", 10)
    meanings.add(b"g", [0.9, 0.1], b"less near", 100)
    nearest = meanings.find(b"g", [1.0, 0.0], 0.9)
    now += 50
    next_one = meanings.find(b"g", [1.0, 0.0], 0.9)
    now += 100
    assert nearest is not None
    assert next_one is not None
    assert (nearest[0], next_one[0], meanings.find(b"g", [1.0, 0.0], 0.9)) == (b"near", b"less near", None)


def test_vectors_that_are_none() -> None:
    meanings = Meanings(1 << 20)
    meanings.add(b"g", [1.0, 0.0], b"k", 60)
    for vector in ([], [0.0, 0.0], [math.inf, 1.0], [math.nan, 1.0], [1.0], [1.0] * 9_000, [1e300, 1e300]):
        meanings.add(b"h", vector, b"k", 60)
        assert meanings.find(b"g", vector, -1.0) is None
    assert meanings.find(b"g", [2.0, 0.0], 1.0) == (b"k", 1.0)


def test_a_group_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meaning, "MOST_EACH", 10)
    meanings = Meanings(1 << 20)
    for number in range(25):
        angle = number / 25 * math.pi
        meanings.add(b"g", [math.cos(angle), math.sin(angle)], b"%d" % number, 60)
    assert len(meanings._groups[b"g"].keys) == 10
    angle = 24 / 25 * math.pi
    found = meanings.find(b"g", [math.cos(angle), math.sin(angle)], 0.999)
    assert found is not None
    assert found[0] == b"24"
    assert meanings.find(b"g", [1.0, 0.0], 0.999) is None  # the oldest made room


def test_all_groups_are_bounded() -> None:
    meanings = Meanings(20_000)
    for number in range(100):
        meanings.add(b"%d" % number, [1.0] * 50, b"k", 60)
        assert meanings._bytes == sum(group.size for group in meanings._groups.values()) <= 20_000
    assert meanings.find(b"0", [1.0] * 50, 0.9) is None
    assert meanings.find(b"99", [1.0] * 50, 0.9) is not None


VECTORS = st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3)


@given(st.lists(VECTORS, max_size=12), VECTORS, st.floats(0.1, 1))
def test_the_nearest_is_the_nearest(vectors: list[Vector], question: Vector, at_least: float) -> None:
    """Against cosines worked out one by one."""
    meanings = Meanings(1 << 20)
    kept_vectors = [(b"%d" % at, vector) for at, vector in enumerate(vectors) if math.hypot(*vector) > 1e-3]
    for key, vector in kept_vectors:
        meanings.add(b"g", vector, key, 60)

    def cosine(one: Vector, other: Vector) -> float:
        return sum(a * b for a, b in zip(one, other, strict=True)) / (math.hypot(*one) * math.hypot(*other))

    found = meanings.find(b"g", question, at_least)
    if math.hypot(*question) < 1e-3:
        return
    best = max((cosine(vector, question) for _, vector in kept_vectors), default=-1.0)
    if found is None:
        assert best < at_least + 1e-4
    else:
        assert found[1] == pytest.approx(best, abs=1e-4)
        assert cosine(dict(kept_vectors)[found[0]], question) == pytest.approx(best, abs=1e-4)
        assert best >= at_least - 1e-4
