"""Questions of a made-up shop, and calls of them, for tests of drift and patterns. Everything is drawn by seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rondo.monitoring.drift.model import Sample, Side

TOPICS: dict[str, tuple[str, ...]] = {
    "refund": (
        "how do I get a refund for my {thing}",
        "refund of order {number}, please",
        "when does my refund arrive",
    ),
    "parcel": ("where is my parcel {number}", "the parcel with my {thing} is late", "parcel to {city} not delivered"),
    "login": ("I cannot log in with my password", "reset the password of my login", "login password never accepted"),
    "invoice": ("send the invoice of order {number}", "invoice shows the wrong tax", "tax on the invoice for {city}"),
}
NEW = ("is the solar panel waterproof", "how many watts has the solar panel", "solar panel on a balcony in {city}")
_THINGS = "phone laptop kettle lamp camera printer tablet watch".split()
_CITIES = "Berlin Paris Rome Madrid Oslo Vienna Lisbon Dublin".split()


def question(random: np.random.Generator, forms: Sequence[str]) -> str:
    form = forms[int(random.integers(len(forms)))]
    thing, city = _THINGS[random.integers(len(_THINGS))], _CITIES[random.integers(len(_CITIES))]
    return form.format(thing=thing, city=city, number=int(random.integers(1_000, 99_999)))


def questions(count: int, *, seed: int, new: float = 0.0) -> list[str]:
    """Of all topics alike; a share `new` of a topic that there was not."""
    random = np.random.default_rng(seed)
    forms = list(TOPICS.values())
    made = []
    for _ in range(count):
        chosen = NEW if random.random() < new else forms[int(random.integers(len(forms)))]
        made.append(question(random, chosen))
    return made


def side(texts: Sequence[str], *, seed: int = 0, **fields: Any) -> Side:
    """A window of answered calls; `fields` are of all its samples."""
    random = np.random.default_rng(seed + 1_000)
    samples = []
    for at, text in enumerate(texts):
        plain = {
            "answer_chars": int(random.integers(50, 400)),
            "language": "en" if random.random() < 0.95 else "de",
            "personal": bool(random.random() < 0.1),
            "top_score": float(random.normal(5, 1)),
            "handed_over": bool(random.random() < 0.1),
            "refused": bool(random.random() < 0.05),
        }
        samples.append(
            Sample(trace_id=f"{seed:08d}{at:024d}", question=text, question_chars=len(text), **{**plain, **fields})
        )
    return Side(since=0, until=1, calls=len(samples), units=len(samples), samples=samples)
