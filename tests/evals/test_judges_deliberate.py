"""What judges say: votes put together, garbage and refusals as errors, and no order that decides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from judge_makers import CLARITY, Model, Reply, better, case, judge, material_of, verdict
from rondo.errors import BudgetExceeded, InvalidRequest, UpstreamError, UpstreamTimeout
from rondo.evals.judges.asking import Asking
from rondo.evals.judges.deliberate import deliberate
from rondo.evals.judges.model import Judge
from rondo.evals.model import Answer, Case, Scored

YES, NO = '{"reason": "it is", "verdict": "yes"}', '{"reason": "it is not", "verdict": "no"}'


async def said(one: Judge, model: Model, what: Case | None = None) -> dict[str, Scored]:
    return await deliberate(one, what or case(), Asking(one.name, one.model.name, model))


async def test_a_rubric_gives_shares_of_each_scale_and_their_mean() -> None:
    model = Model([verdict(4, 10)])
    found = await said(judge(), model)
    assert found["accuracy"] == Scored(
        value=0.75, reason="because", details={"score": 4.0, "votes": [4.0], "spread": 0.0}, cost_usd=0.01
    )
    assert found["clarity"].value == 1.0
    assert found[""].value == pytest.approx(0.875)
    assert model.asked == ["examiner"]
    assert model.heard[0]["temperature"] == 0
    schema = model.heard[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["accuracy"]["properties"]["score"]["enum"] == [1, 2, 3, 4, 5]


async def test_the_median_of_the_votes_counts_and_the_spread_is_told() -> None:
    model = Model([verdict(1, 5), verdict(5, 5), verdict(4, 5)])
    found = await said(judge(votes=3), model)
    assert found["accuracy"].details == {"score": 4.0, "votes": [1.0, 5.0, 4.0], "spread": 4.0}
    assert found["accuracy"].cost_usd == pytest.approx(0.03)
    assert "temperature" not in model.heard[0]
    assert [each["metadata"]["vote"] for each in model.heard] == ["1", "2", "3"], "no cache may give a vote twice"


async def test_garbage_gets_one_more_try() -> None:
    model = Model(["Very good!", verdict(5, 5)])
    found = await said(judge(), model)
    assert found["accuracy"].value == 1.0
    assert found["accuracy"].details["repaired"] == 1
    assert found["accuracy"].cost_usd == pytest.approx(0.02)
    again = model.heard[1]["messages"]
    assert again[:2] == model.heard[0]["messages"]
    assert again[2] == {"role": "assistant", "content": "Very good!"}
    assert "no JSON object" in again[3]["content"]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("Very good!", "Very good!"),
        ("", "empty"),
        (Answer(text="", message={"refusal": "I won't."}), "refused: I won't"),
        (Answer(text='{"accuracy": {"rea', finish_reason="length"), "max_tokens"),
    ],
)
async def test_garbage_and_refusals_are_errors_and_never_zero(reply: Reply, words: str) -> None:
    model = Model([reply])
    found = await said(judge(), model)
    for name in ("accuracy", "clarity", ""):
        assert found[name].value is None
        assert found[name].error == "unreadable_verdict"
        assert words in found[name].reason
    assert len(model.heard) == 2
    assert found["accuracy"].details == {"unreadable": 1}


async def test_half_of_the_votes_is_not_enough() -> None:
    found = await said(judge(votes=2), Model([verdict(5, 5), "garbage", "garbage"]))
    assert found["accuracy"].error == "unreadable_verdict"
    found = await said(judge(votes=3), Model([verdict(5, 5), "garbage", "garbage", verdict(3, 5)]))
    assert found["accuracy"].value == pytest.approx(0.75)
    assert found["accuracy"].details["unreadable"] == 1


async def test_a_model_that_cannot_be_asked_is_an_error_and_a_spent_budget_ends_the_run() -> None:
    found = await said(judge(), Model([UpstreamTimeout("Too slow.")]))
    assert (found["accuracy"].value, found["accuracy"].error) == (None, "upstream_timeout")
    with pytest.raises(BudgetExceeded):
        await said(judge(), Model([BudgetExceeded("Nothing left.", retry_after=60)]))


@pytest.mark.parametrize("refusal", [InvalidRequest("no response_format here"), UpstreamError("no", status=400)])
async def test_a_model_without_structured_output_is_asked_without(refusal: Any) -> None:
    def reply(request: Mapping[str, Any]) -> Reply:
        return refusal if "response_format" in request else verdict()

    model, one = Model(reply), judge()
    asking = Asking(one.name, one.model.name, model)
    assert (await deliberate(one, case(), asking))["accuracy"].value == 0.75
    assert (await deliberate(one, case("again"), asking))["accuracy"].value == 0.75
    assert ["response_format" in each for each in model.heard] == [True, False, False]


async def test_another_refusal_is_not_tried_again() -> None:
    model = Model([UpstreamError("down", status=500)])
    assert (await said(judge(), model))["accuracy"].error == "upstream_error"
    assert len(model.heard) == 1


async def test_yes_no_is_the_majority_and_a_split_is_an_error() -> None:
    one = judge("yes_no", votes=3)
    found = (await said(one, Model([YES, NO, YES])))["quality"]
    assert (found.value, found.passed, found.reason) == (1.0, True, "it is")
    assert found.details == {"votes": [1.0, 0.0, 1.0], "spread": 1.0}
    found = (await said(one, Model([NO, NO, YES])))["quality"]
    assert (found.value, found.passed, found.reason) == (0.0, False, "it is not")
    found = (await said(judge("yes_no", votes=2), Model([YES, NO])))["quality"]
    assert (found.value, found.passed, found.error) == (None, None, "votes_are_split")


def favours(wanted: str) -> Model:
    """Prefers the answer with this text, wherever it stands."""

    def reply(request: Mapping[str, Any]) -> str:
        shown = material_of(request)
        one, two = shown.split("<answer_1 ")[1], shown.split("<answer_2 ")[1]
        return better("1" if wanted in one.split("</answer_1")[0] else "2" if wanted in two else "tie")

    return Model(reply)


async def test_pairwise_is_asked_in_both_orders() -> None:
    one = judge("pairwise")
    model = favours("mine")
    found = (await said(one, model, case("mine", other="theirs")))["quality"]
    assert found.value == 1.0
    assert found.details == {"votes": [1.0], "spread": 0.0, "places": [[1, 2]], "inconsistent": 0}
    assert len(model.heard) == 2
    assert (await said(one, favours("theirs"), case("mine", other="theirs")))["quality"].value == 0.0
    assert (await said(one, favours("nothing"), case("mine", other="theirs")))["quality"].value == 0.5


@pytest.mark.parametrize(("replies", "places"), [(("1", "1"), [1, 1]), (("2", "2"), [2, 2]), (("1", "tie"), [1, 0])])
async def test_a_verdict_that_the_order_changes_is_a_tie_and_counted(replies: Any, places: list[int]) -> None:
    model = Model([better(each) for each in replies])
    found = (await said(judge("pairwise"), model, case("a", other="b")))["quality"]
    assert found.value == 0.5
    assert found.details["places"] == [places]
    assert found.details["inconsistent"] == 1


async def test_pairwise_votes_that_contradict_each_other_are_a_tie() -> None:
    win, loss = [better("1"), better("2")], [better("2"), better("1")]
    one = judge("pairwise", votes=3)
    pair = case("a", other="b")
    assert (await said(one, Model([*win, *loss, *win]), pair))["quality"].value == 1.0
    assert (await said(judge("pairwise", votes=2), Model([*win, *loss]), pair))["quality"].value == 0.5


async def test_pairwise_without_a_baseline_says_nothing_and_asks_nobody() -> None:
    model = Model([better("1")])
    found = (await said(judge("pairwise"), model))["quality"]
    assert (found.value, found.error) == (None, None)
    assert "no baseline" in found.reason
    assert not model.heard


async def test_geval_weighs_scores_by_their_probabilities() -> None:
    reply = Answer(text="4", top_logprobs=[{"4": math.log(0.5), "5": math.log(0.5)}])
    model = Model([reply])
    found = (await said(judge("geval"), model))["accuracy"]
    assert found.value == pytest.approx((4.5 - 1) / 4)
    assert found.details["method"] == "probabilities"
    assert found.details["probabilities"]["5"] == pytest.approx(0.5)
    assert model.heard[0]["logprobs"] is True
    assert "Evaluation steps" in model.heard[0]["messages"][0]["content"]


async def test_geval_without_probabilities_is_the_mean_of_the_votes() -> None:
    def reply(request: Mapping[str, Any]) -> Reply:
        if "logprobs" in request:
            return InvalidRequest("`logprobs` is nothing that this model knows.", param="logprobs")
        return "3" if request["metadata"]["vote"] == "1" else "4"

    found = (await said(judge("geval", votes=2), Model(reply)))["accuracy"]
    assert found.value == pytest.approx((3.5 - 1) / 4)
    assert found.details["method"] == "votes"


async def test_geval_asks_about_each_criterion_alone() -> None:
    one = judge("geval", criteria=[*judge("geval").criteria, CLARITY])
    found = await said(one, Model(["5", "10"]))
    assert {name: each.value for name, each in found.items()} == {"accuracy": 1.0, "clarity": 1.0, "": 1.0}
    found = await said(one, Model(["5", "garbage", "garbage"]))
    assert found["accuracy"].value == 1.0
    assert found[""].value is None
    assert "clarity" in found[""].reason
