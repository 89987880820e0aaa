"""The pages of judges: whether each counts, and how it agreed with people."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from console.visiting import Visitors
from journeys.running import make_project
from live_server import Live, live_on

JUDGES = """
[models.examiner]
provider = "scripted"
params = { script = ["{question}"] }

[judges.quality]
model = "examiner"
mark = 0.9
least_labels = 4
rubric = "one"

[judges.best]
kind = "pairwise"
model = "examiner"
question = "Which is <b>better</b>?"

[rubrics.one]
criteria = [{ name = "accuracy", question = "Is it true?", anchors = { 1 = "Wrong." } }]
"""


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    async with live_on(make_project(tmp_path / "project", more=JUDGES)) as opened:
        yield opened


def label(said: int, people: int) -> dict[str, Any]:
    answer = json.dumps({"accuracy": {"reason": f"{said}{people}", "score": said}})
    return {"question": "?", "answer": answer, "scores": {"accuracy": people}}


async def test_judges_and_their_agreement(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("viewer")
    page = await visitor.get("/judges")
    for text in ('href="/judges/bot/quality"', "never", "does not count", "examiner"):
        assert text in page
    page = await visitor.get("/judges/bot/quality")
    for text in ("never been calibrated", "rondo judges calibrate quality", "Is it true?", "Wrong.", "0.90"):
        assert text in page
    page = await visitor.get("/judges/bot/best")
    assert "Which is &lt;b&gt;better&lt;/b&gt;?" in page
    labels = [label(score, score) for score in (1, 2, 3, 4, 5)]
    for sent in (labels, [*labels, label(5, 1)]):
        await live.post("/api/judges/quality/calibrations", {"app": "bot", "labels": sent})
    page = await visitor.get("/judges/bot/quality")
    for text in ("Against people", "falls short", "passed", "below 0.9", "People in rows", "<svg", "accuracy"):
        assert text in page
    assert "does not count" in await visitor.get("/judges")


async def test_there_may_be_none(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("viewer")
    await visitor.get("/judges/bot/nobody", 404)
    await visitor.get("/judges/nobody/quality", 404)
