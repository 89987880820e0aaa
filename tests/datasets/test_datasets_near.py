"""Near-duplicates: what counts as nearly the same, and that clusters leave none apart."""

from __future__ import annotations

import random
import string
from hashlib import blake2b

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.datasets import near

WORDS = ["".join(random.Random(n).choices(string.ascii_lowercase, k=3 + n % 7)) for n in range(400)]


def runs(text: str) -> set[str]:
    text = text.ljust(5)
    return {text[place : place + 5] for place in range(len(text) - 4)}


def overlap(one: str, other: str) -> float:
    return len(runs(one) & runs(other)) / len(runs(one) | runs(other))


def clusters(texts: list[str]) -> list[int]:
    plain = [near.plain(text) for text in texts]
    return near.clusters([blake2b(text.encode()).digest() for text in plain], near.signatures(plain))


def sentence(seed: int, words: int = 15) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def test_case_punctuation_and_spacing_do_not_count() -> None:
    assert clusters(["How do I return a bike?", "how do I  return a bike", "HOW DO I RETURN A BIKE!!"]) == [0, 0, 0]


def test_a_typo_is_nearly_the_same_and_another_question_is_not() -> None:
    questions = [
        "Can I bring my electric bike back within thirty days of delivery?",
        "Can I bring my electric bike back within thirty day of delivery?",
        "Where is the nearest depot that repairs brakes on Saturdays?",
        "How do I cancel my order?",
        "How do I cancel my subscription?",
    ]
    assert clusters(questions) == [0, 0, 2, 3, 4]


def test_scripts_without_spaces_are_compared_too() -> None:
    assert clusters(
        [
            "三十日以内に自転車を返品することはできますか",
            "三十日以内に自転車を返品することはできますか？",
            "修理はどこでできますか",
        ]
    )[:2] == [0, 0]


@given(st.lists(st.text(max_size=60), max_size=30))
def test_every_text_has_a_cluster_that_begins_with_itself_or_before(texts: list[str]) -> None:
    found = clusters(texts)
    assert len(found) == len(texts)
    for place, label in enumerate(found):
        assert label <= place
        assert found[label] == label


@given(st.text(max_size=200), st.text(max_size=200))
def test_the_estimate_is_near_the_overlap(one: str, other: str) -> None:
    signed = near.signatures([one, other])
    exact = overlap(one, other)
    assert abs(float(near.similarity(signed[:1], signed[1:])[0]) - exact) < 0.3  # 6 standard deviations at most


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), min_size=2, max_size=60),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_no_two_that_overlap_much_are_apart(picks: list[tuple[int, int]], draw: random.Random) -> None:
    """Against every pair compared: sentences, and copies of them with a few characters changed."""
    texts = []
    for seed, edits in picks:
        text = list(sentence(seed))
        for _ in range(edits):
            text[draw.randrange(len(text))] = draw.choice(string.ascii_lowercase)
        texts.append("".join(text))
    found = clusters(texts)
    plain = [near.plain(text) for text in texts]
    for one in range(len(texts)):
        for other in range(one):
            if overlap(plain[one], plain[other]) >= 0.8:
                assert found[one] == found[other], (texts[one], texts[other])


def test_unlike_texts_are_apart() -> None:
    texts = [sentence(seed) for seed in range(2_000)]
    assert len(set(clusters(texts))) == 2_000


def test_a_crowd_of_one_wording_is_one_cluster_and_takes_no_quadratic_time() -> None:
    texts = [
        f"What is the price of the spare part with the number {number} in your shop today?" for number in range(5_000)
    ]
    assert len(set(clusters(texts))) < 5


def test_signatures_never_change() -> None:
    """Splits depend on them: this one was computed when the code was written."""
    signed = near.signatures(["how do i return a bike", "x"])
    assert signed.dtype == np.uint32
    assert blake2b(signed.tobytes(), digest_size=8).hexdigest() == "8f9b203632b00ce2"


def test_nothing_at_all() -> None:
    assert clusters([]) == []
    assert near.signatures([]).shape == (0, near.HASHES)
