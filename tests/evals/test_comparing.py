"""Comparisons: the grid of prompts and models, selections, examples side by side, and models that are away."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluating_house import Evaluating, answering, example
from rondo.datasets.model import Example
from rondo.errors import InvalidRequest
from rondo.evals.beside import Mark, mark
from rondo.evals.grid import grid
from rondo.evals.model import Answer, Result, Scored, Target
from rondo.evals.selection import About, Selection, checked, over
from rondo.releases import bundle
from scripted_upstream import whole


def target(prompt: str | None, model: str, *, hash: str = "0" * 64, number: int | None = None) -> Target:
    return Target(label=f"bot@{hash[:8]}", app="bot", hash=hash, number=number, prompt=prompt, model=model)


def test_the_baseline_is_the_same_for_every_prompt() -> None:
    made = grid([target("a", "x"), target("b", "x"), target("a", "rules")], [False, False, True])
    assert (made.prompts, made.models) == (["a", "b"], ["x", "rules"])
    assert made.places == {("a", "x"): 0, ("b", "x"): 1, ("a", "rules"): 2, ("b", "rules"): 2}
    assert made.labels == ["a · x", "b · x", "rules"]


def test_one_prompt_needs_no_name() -> None:
    assert grid([target("a", "x"), target("a", "y, z")], [False, False]).labels == ["x", "y, z"]
    assert grid([target("a", "rules")], [True]).places == {("a", "rules"): 0}


def test_no_candidate_hides_another() -> None:
    """Two prompt files may have the same name; a bare model has no prompt, a release the one it was made with."""
    made = grid(
        [target("a", "x", hash="1" * 64), target("a", "x", hash="2" * 64), Target(label="x", model="x")], [False] * 3
    )
    assert sorted(made.places.values()) == [0, 1, 2]
    assert made.labels == ["a · x", "a 22222222 · x", "– · x"]


def test_baselines_without_a_model_do_not_hide_each_other() -> None:
    """Two releases may both answer by rules; a draft may be asked for under two hashes that begin alike."""
    rules = [target("a", "rules", hash="1" * 64), target("b", "rules", hash="2" * 64)]
    made = grid([target("a", "x"), *rules], [False, True, True])
    assert made.places == {("a", "x"): 0, ("a", "rules"): 1, ("a", "rules 22222222"): 2}
    assert made.labels == ["x", "rules", "rules 22222222"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", None]),
            st.sampled_from(["x", "y"]),
            st.sampled_from(["1" * 64, "1" * 8 + "2" * 56, "3" * 64]),
            st.sampled_from([None, 1, 2]),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_every_candidate_has_its_own_place_and_name(
    asked: list[tuple[str | None, str, str, int | None, bool]],
) -> None:
    targets = [target(prompt, model, hash=hash, number=number) for prompt, model, hash, number, _ in asked]
    made = grid(targets, [rules for *_, rules in asked])
    assert set(made.places.values()) == set(range(len(asked)))
    assert len(set(made.labels)) == len(asked)
    assert {prompt for prompt, _ in made.places} == set(made.prompts)


def test_what_is_said_now_is_over_what_was_said_before() -> None:
    kept = Selection(weights={"a": 1, "b": 2}, licences=["mit"], least_context_window=10, about={"m": About()})
    assert over(kept, Selection()) == kept
    said = Selection(weights={"b": 0}, licences=[], requests_per_month=3.0, about={"n": About(licence="mit")})
    assert over(kept, said) == Selection(
        weights={"a": 1, "b": 0},
        licences=[],
        least_context_window=10,
        requests_per_month=3.0,
        about={"m": About(), "n": About(licence="mit")},
    )


@pytest.mark.parametrize(
    ("said", "param"),
    [
        (Selection(weights={"a": -1.0}), "weights.a"),
        (Selection(weights={"a": float("nan")}), "weights.a"),
        (Selection(weights={"a": float("inf")}), "weights.a"),
        (Selection(weights={"aa": 1.0}), "weights.aa"),
        (Selection(least_context_window=-1), "least_context_window"),
        (Selection(requests_per_month=float("nan")), "requests_per_month"),
    ],
)
def test_selections_that_make_no_sense(said: Selection, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        checked(said, ["a", "b"])
    assert caught.value.param == param


GOOD = Answer(text="x")
PASSED = Result(target=0, example="e", repeat=0, answer=GOOD, scores={"s": Scored(value=1.0, passed=True)})
FAILED = Result(target=0, example="e", repeat=1, answer=GOOD, scores={"s": Scored(value=0.0, passed=False)})
SCORED = Result(target=0, example="e", repeat=0, answer=GOOD, scores={"s": Scored(value=0.4)})
UNSCORED = Result(
    target=0,
    example="e",
    repeat=0,
    answer=GOOD,
    scores={"s": Scored(error="boom"), "t": Scored(value=1.0, passed=True)},
)
UNANSWERED = Result(target=0, example="e", repeat=0, error="timeout")


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], "missing"),
        ([PASSED, PASSED], "passed"),
        ([FAILED], "failed"),
        ([PASSED, FAILED], "partly"),
        ([PASSED, UNANSWERED], "partly"),
        ([SCORED], "answered"),
        ([UNSCORED], "error"),
        ([UNANSWERED], "error"),
    ],
)
def test_what_became_of_an_example(results: list[Result], expected: Mark) -> None:
    assert mark(results) == expected


async def drafts(evaluating: Evaluating, *routes: str) -> list[str]:
    archive = bundle.to_zip(bundle.read_folder(evaluating.live.project))
    made = [
        await evaluating.live.ask("POST", "/api/drafts", content=archive, params={"route": route}) for route in routes
    ]
    return [response.json()["hash"] for response in made]


async def matrix(evaluating: Evaluating, run: dict[str, Any], **said: Any) -> dict[str, Any]:
    found: dict[str, Any] = await evaluating.live.post(f"/api/runs/{run['id']}/matrix", said)
    return found


async def test_a_run_keeps_its_selection_and_can_be_weighed_anew(evaluating: Evaluating) -> None:
    evaluating.numbers(4)
    run = await evaluating.run(
        targets=await drafts(evaluating, "poor", "good", "good,poor"),
        goals=[{"metric": "contains", "at_least": 0.5, "weight": 2.0}, {"metric": "errors.rate", "at_most": 0.5}],
        selection={
            "weights": {"errors.rate": 0.0},
            "about": {"good": {"licence": "mit"}},
            "requests_per_month": 1_000.0,
        },
    )
    found = await matrix(evaluating, run)
    assert found["weights"] == {"contains": 1.0}
    labels = [(row["label"], row["rank"]) for row in found["candidates"]]
    assert labels == [("good", 1), ("good, poor", 1), ("poor", 3)]
    assert found["candidates"][0]["models"][0]["licence"] == "mit"
    assert found["candidates"][0]["usd_per_month"] == pytest.approx(0.02)
    anew = await matrix(evaluating, run, weights={"errors.rate": 2.0, "contains": 2.0}, licences=["mit"])
    assert anew["weights"] == {"contains": 0.5, "errors.rate": 0.5}
    assert [row["faults"] for row in anew["candidates"]][1:] == [
        ["poor has no known licence"],
        ["misses the goal contains", "has no known licence"],
    ]


async def test_a_release_has_its_place_in_the_grid(evaluating: Evaluating) -> None:
    """The working tree may be what is in production: it is one candidate, named by what it answers with."""
    evaluating.numbers(2)
    same, other = await drafts(evaluating, "good", "poor")
    run = await evaluating.run(targets=[same, "production", other])
    assert [(each.get("number"), each["prompt"], each["model"]) for each in run["targets"]] == [
        (1, "prompt", "good"),
        (None, "prompt", "poor"),
    ]


async def test_weights_of_unknown_metrics_are_refused_before_anything_is_asked(evaluating: Evaluating) -> None:
    evaluating.numbers(2)
    body = {"app": "bot", "name": "suite", "suite": {"dataset": "questions", "scorers": [{"kind": "contains"}]}}
    response = await evaluating.live.ask("POST", "/api/runs", json={**body, "selection": {"weights": {"contain": 1}}})
    assert response.status_code == 400
    assert "Did you mean 'contains'?" in response.json()["error"]["message"]
    assert evaluating.asked("good") == []
    assert (await evaluating.live.get("/api/runs"))["runs"] == []


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"weights": {"contain": 1}}, "Did you mean 'contains'?"),
        ({"weights": {"contains": -1}}, "from 0 up"),
        ({"weights": {"contains": "much"}}, "weights"),
        ({"wieghts": {}}, "wieghts"),
        ({"least_context_window": -5}, "least_context_window"),
        ({"about": {"good": {"price": 3}}}, "price"),
    ],
)
async def test_bad_selections_are_refused(evaluating: Evaluating, sent: dict[str, Any], words: str) -> None:
    evaluating.numbers(1)
    run = await evaluating.run(targets=["model:good"])
    response = await evaluating.live.ask("POST", f"/api/runs/{run['id']}/matrix", json=sent)
    assert response.status_code == 400
    assert words in response.text


async def test_who_may_look_may_rank_and_an_unfinished_run_has_no_ranking(evaluating: Evaluating) -> None:
    evaluating.numbers(1)
    _, viewer = await evaluating.live.key("viewer", role="viewer")
    run = await evaluating.run(targets=["model:good"])
    assert (await evaluating.live.ask("POST", f"/api/runs/{run['id']}/matrix", json={}, key=viewer)).status_code == 200
    paused = await evaluating.run(targets=["model:unpriced"], suite={"budget_usd": 1.0})
    response = await evaluating.live.ask("POST", f"/api/runs/{paused['id']}/matrix", json={})
    assert (response.status_code, "no report yet" in response.text) == (409, True)
    assert (await evaluating.live.ask("POST", "/api/runs/run_none/matrix", json={})).status_code == 404


async def test_examples_are_paged_without_gap_or_repetition(evaluating: Evaluating) -> None:
    evaluating.upstream.plays["poor"] = answering(lambda question: f"It is {int(question[8:-1]) % 3}.")
    made: list[Example] = [example(number) for number in range(23)]
    evaluating.dataset(*made)
    run = await evaluating.run(targets=["model:poor", "model:good"], suite={"repeats": 2})
    both = {each.id for each in made if each.expected in ("0", "1", "2")}
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        page = await evaluating.live.get(
            f"/api/runs/{run['id']}/examples", differing="true", metric="contains", limit=7, after=after
        )
        found += page["examples"]
        after = page["after"]
        if after is None:
            break
        assert len(page["examples"]) == 7
    ids = [each["example"]["id"] for each in found]
    assert (len(ids), set(ids)) == (20, {each.id for each in made} - both)
    assert all([cell["mark"] for cell in each["cells"]] == ["failed", "passed"] for each in found)
    assert all([cell["value"] for cell in each["cells"]] == [0.0, 1.0] for each in found)
    every = await evaluating.live.get(f"/api/runs/{run['id']}/examples", limit=500)
    assert {each["example"]["id"] for each in every["examples"]} == {each.id for each in made}


async def test_a_target_that_never_answered_makes_no_difference(evaluating: Evaluating) -> None:
    evaluating.numbers(3)
    evaluating.upstream.plays["poor"] = whole({"error": {"message": "no such model"}}, status=404)
    run = await evaluating.run(targets=["model:good", "model:poor"])
    differing = await evaluating.live.get(f"/api/runs/{run['id']}/examples", differing="true")
    assert differing["examples"] == []
    every = await evaluating.live.get(f"/api/runs/{run['id']}/examples")
    assert [[cell["mark"] for cell in each["cells"]] for each in every["examples"]] == [["passed", "error"]] * 3
