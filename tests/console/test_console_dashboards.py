"""The pages of dashboards and costs: what they draw, for whom, and what they say of a wrong address."""

from __future__ import annotations

from typing import Any

import pytest

from console.visiting import Visitors
from live_server import Live
from rondo.console import charts
from rondo.console.cards import columns, lines
from rondo.console.formats import count
from rondo.console.pages.dashboards import _evaluation_card, _goal_card
from rondo.monitoring.dashboards.evaluations import Evaluation, EvaluationSeries
from rondo.monitoring.dashboards.quality import GoalSeries


@pytest.mark.parametrize("path", ["/dashboards", "/dashboards/quality", "/dashboards/resources", "/costs"])
async def test_pages_draw_with_and_without_calls(live: Live, visitors: Visitors, path: str) -> None:
    visitor = await visitors("viewer")
    await live.server.control.watching.resources.look()
    assert "style=" not in await visitor.get(path)
    await live.chat(user="<b>anna</b>", metadata={"channel": "<i>web</i>"})
    await live.drained()
    for query in (
        "?window=1h",
        "?window=30d&app=bot",
        "?since=2d&arm=all",
        "?by=user",
        "?by=tag&instead=openai/gpt-4o",
    ):
        page = await visitor.get(path + query)
        assert "<b>anna" not in page
        assert "<i>web" not in page


def test_an_evaluation_has_a_place_of_its_own_and_what_it_was_compared_with_none() -> None:
    def point(at: int, value: float, **more: Any) -> Evaluation:
        given = {"run": f"run_{at}", "label": "bot#2", "release": 2, "is_baseline": False, "n": 40, **more}
        return Evaluation(at=at, value=value, low=value - 0.1, high=value + 0.1, **given)

    points = [point(10, 0.5), point(900, 0.75), point(900, 0.1, is_baseline=True)]
    series = EvaluationSeries(
        app="bot", suite="answers", metric="correct", unit="share", at_least=0.8, at_most=None, points=points
    )
    card = _evaluation_card(series)
    assert card.plot is not None
    assert [hit.label.split(": ")[-1] for hit in card.plot.hits] == ["50.0 %", "75.0 %"]
    assert card.figure == "75.0 % (65.0 % to 85.0 %)"
    assert "run_900 of bot#2, over 40 examples" in card.note
    assert card.plot.bands[0]
    assert card.link == "/runs/run_900"


def test_a_value_that_stands_alone_is_seen_with_its_interval() -> None:
    alone = charts.plot([[0.5]], ["now"], width=100, height=10, bands=[([0.4], [0.6])])
    assert alone.lines[0].dots == ((50.0, 5.0),)
    assert alone.bands == ("M46.0 4.0 L54.0 4.0 L54.0 6.0 L46.0 6.0 Z",)


def test_a_goal_that_no_call_tells_of_says_who_does() -> None:
    goal = GoalSeries(
        app="bot", metric="correct", at_least=0.8, at_most=None, value=None, met=None, values=[None], lows=[None],
        highs=[None], kept=[None],
    )  # fmt: skip
    assert _goal_card(goal, [0]).note == "Not measured in this time."
    assert _goal_card(goal, [0], is_evaluated=True).note == "No call tells of it; evaluations do, below."


async def test_costs_by_user(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("viewer")
    await live.chat(user="anna")
    await live.drained()
    assert ">anna</a>" in await visitor.get("/costs?by=user")
    assert (await visitor.get("/costs/export?by=user")).startswith("user,calls")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/dashboards?window=9y", "There is no window"),
        ("/dashboards/quality?arm=left", "There is no arm"),
        ("/costs?by=moon", "cannot be told by"),
        ("/costs?by=user&model=m", "not counted per release or model"),
        ("/costs?instead=nobody", "There is no model called"),
    ],
)
async def test_a_wrong_address_is_told(visitors: Visitors, path: str, said: str) -> None:
    assert said in await (await visitors("viewer")).get(path, 400)


@pytest.mark.parametrize(
    ("most", "top"), [(0, 0), (0.9, 1), (1, 1), (1.1, 2), (2.4, 2.5), (26, 50), (51, 100), (1e-9, 1e-9)]
)
def test_scales_end_at_round_numbers(most: float, top: float) -> None:
    assert charts.nice(most) == pytest.approx(top)
    assert charts.nice(float("inf")) == 0


def test_lines_have_gaps_where_nothing_is_known() -> None:
    card = lines("t", [0, 1, 2, 3], {"a": [1, None, 3, 4]}, count, bands=[([0, None, 2, 3], [2, None, 4, 5])], mark=2)
    assert card.plot is not None
    assert card.plot.most == 5
    assert len(card.plot.lines[0].dots) == 1
    assert card.plot.bands[0].count("M") == 2
    assert card.plot.mark == pytest.approx(90)
    assert lines("t", [], {"a": []}, count).is_empty


def test_columns_stand_on_each_other() -> None:
    card = columns("t", [0, 1], {"a": [1, 0], "b": [3, 0]}, count)
    assert card.stacks is not None
    first, second = card.stacks.blocks
    assert first.y + first.height == pytest.approx(150)
    assert second.y + second.height == pytest.approx(first.y)
    assert columns("t", [0], {"a": [0]}, count).is_empty
