"""Agreement with people, against numbers worked out by hand; and what keeps a judge from counting."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from judge_makers import ACCURACY, Model, better, judge, material_of
from rondo.errors import UpstreamTimeout
from rondo.evals.judges.calibrate import verdicts
from rondo.evals.judges.labels import Labelled, checked, parse
from rondo.evals.judges.measure import measure
from rondo.evals.judges.model import Criterion, Judge
from rondo.evals.judges.report import Measured, shortfall
from rondo.evals.model import Scored

RUBRIC = judge(criteria=[ACCURACY], least_labels=4)


def labelled(one: Judge, *lines: dict[str, Any]) -> list[Labelled]:
    return checked(
        one, parse(json.dumps({"question": "?", "answer": str(at), **line}) for at, line in enumerate(lines))
    )


def scored(one: Judge, people: Sequence[int], said: Sequence[int | None]) -> Measured:
    """A judge with one aspect, against one person."""
    aspect = one.aspects[0]
    lines: list[dict[str, Any]]
    if one.kind == "yes_no":
        lines = [{"verdict": bool(word)} for word in people]
        values = [None if word is None else float(word) for word in said]
    else:
        lines = [{"scores": {aspect: word}} for word in people]
        values = [None if word is None else ACCURACY.share(word) for word in said]
    scores = [{aspect: Scored(value=value, error=None if value is not None else "garbage")} for value in values]
    return measure(one, labelled(one, *lines), scores, source="labels")


def test_kappa_of_yes_and_no_by_hand() -> None:
    """20 both yes, 15 both no, 5 and 10 apart: observed 0.7, by chance 0.5, kappa 0.4 (the example of Wikipedia)."""
    people = [1] * 20 + [1] * 5 + [0] * 10 + [0] * 15
    said = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    found = scored(judge("yes_no"), people, said)
    aspect = found.aspects[0]
    assert aspect.exact == pytest.approx(0.7)
    assert aspect.kappa.value == pytest.approx(0.4)
    assert aspect.kappa.low is not None
    assert aspect.kappa.high is not None
    assert aspect.kappa.low < 0.4 < aspect.kappa.high
    assert aspect.words == ["no", "yes"]
    assert aspect.confusion == [[15, 10], [5, 20]]
    assert aspect.lean.value == pytest.approx(0.1)
    assert found.kappa == pytest.approx(0.4)


def test_quadratic_kappa_by_hand() -> None:
    """1-(observed/expected) with squared distances: observed 0+0+1+4 over 4; expected from the margins."""
    found = scored(RUBRIC, [1, 5, 3, 4], [1, 5, 4, 2])
    people, said = [1, 5, 3, 4], [1, 5, 4, 2]
    observed = sum((one - other) ** 2 for one, other in zip(people, said, strict=True)) / 4
    expected = sum((one - other) ** 2 for one in people for other in said) / 16
    aspect = found.aspects[0]
    assert aspect.weights == "quadratic"
    assert aspect.kappa.value == pytest.approx(1 - observed / expected)
    assert aspect.confusion[2] == [0, 0, 0, 1, 0], "people in rows: a 3 that the judge called 4"
    assert aspect.pairs[2] == (0.75, 0.5)
    assert (aspect.metric, aspect.words) == ("quality", ["1", "2", "3", "4", "5"])


def test_failures_and_split_people_are_counted_and_are_no_agreement() -> None:
    found = scored(RUBRIC, [1, 5, 3, 4, 2], [1, 5, 3, 4, None])
    aspect = found.aspects[0]
    assert (aspect.compared, aspect.failed, found.errors) == (4, 1, {"garbage": 1})
    assert aspect.kappa.value == pytest.approx(1.0)
    one = judge("yes_no")
    line = {"question": "?", "answer": "!"}
    said = [json.dumps({**line, "verdict": word, "annotator": word}) for word in ("yes", "no")]
    split = measure(one, checked(one, parse(said)), [{"quality": Scored(value=1.0)}], source="labels")
    assert (split.aspects[0].compared, split.aspects[0].undecided) == (0, 1)
    assert split.aspects[0].kappa.value is None
    assert split.kappa is None


def test_people_among_themselves_are_the_ceiling() -> None:
    lines = [
        json.dumps({"question": "?", "answer": str(at), "scores": {"accuracy": score}, "annotator": who})
        for at, scores in enumerate([(1, 1), (5, 5), (3, 3)])
        for who, score in zip("ab", scores, strict=True)
    ]
    said = [{"accuracy": Scored(value=value)} for value in (0.0, 1.0, 0.5)]
    found = measure(RUBRIC, checked(RUBRIC, parse(lines)), said, source="labels")
    assert found.aspects[0].annotated == 3
    assert found.aspects[0].people_alpha.value == pytest.approx(1.0)


def test_a_judge_that_is_kinder_to_long_answers_than_people_shows() -> None:
    one = RUBRIC
    lines = [{"answer": "x" * (at + 1), "scores": {"accuracy": 3}} for at in range(12)]
    said = [{"accuracy": Scored(value=min(1.0, at / 11))} for at in range(12)]
    found = measure(one, labelled(one, *lines), said, source="labels")
    assert found.aspects[0].length.value == pytest.approx(1.0)
    fair = [{"accuracy": Scored(value=0.5)} for _ in range(12)]
    assert measure(one, labelled(one, *lines), fair, source="labels").aspects[0].length.value is None


def test_wide_scales_are_counted_in_tenths() -> None:
    wide = Criterion(name="accuracy", question="?", lowest=0, highest=100)
    one = judge(criteria=[wide])
    lines = [{"scores": {"accuracy": score}} for score in (0, 100, 52, 48)]
    said = [{"accuracy": Scored(value=value)} for value in (0.0, 1.0, 0.5, 0.5)]
    aspect = measure(one, labelled(one, *lines), said, source="labels").aspects[0]
    assert aspect.words == ["0", "10", "20", "30", "40", "50", "60", "70", "80", "90", "100"]
    assert aspect.exact == 1.0
    assert aspect.lean.value == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("people", "said", "words"),
    [
        ([1, 5, 3], [1, 5, 3], "3 answers of at least 4"),
        ([1, 5, 3, 4], [1, 5, None, None], "2 answers of at least 4"),
        ([4, 4, 4, 4], [4, 4, 4, 4], "cannot be told"),
        ([1, 2, 4, 5], [5, 4, 2, 1], "below 0.6"),
        ([1, 5, 3, 4], [1, 5, 3, 4], None),
    ],
)
def test_what_keeps_a_judge_from_counting(people: list[int], said: Sequence[int | None], words: str | None) -> None:
    one = replace(RUBRIC, mark=0.6)
    found = shortfall(one, scored(one, people, said))
    assert found is None if words is None else words in str(found)
    if words == "below 0.6":
        assert shortfall(RUBRIC, scored(RUBRIC, people, said)) is None, "without a mark, only labels are needed"


def test_a_judge_is_as_good_as_what_it_is_worst_at() -> None:
    one = replace(judge(), mark=0.6, least_labels=4)
    lines = [{"scores": {"accuracy": low, "clarity": high}} for low, high in ((1, 0), (5, 10), (2, 3), (4, 6))]
    said = [
        {"accuracy": Scored(value=ACCURACY.share(low)), "clarity": Scored(value=high / 10), "": Scored(value=0.5)}
        for low, high in ((1, 10), (5, 0), (2, 6), (4, 3))
    ]
    found = measure(one, labelled(one, *lines), said, source="labels")
    assert found.aspects[0].kappa.value == pytest.approx(1.0)
    assert found.kappa == found.aspects[1].kappa.value
    assert "clarity" in str(shortfall(one, found))


def sided(place: str) -> Model:
    return Model([better(place)])


async def test_a_judge_with_a_favourite_place_shows_it() -> None:
    one = judge("pairwise")
    lines = [{"other": f"other {at}", "better": ("answer", "other")[at % 2]} for at in range(10)]
    given = labelled(one, *lines)
    found = measure(one, given, await verdicts(one, given, sided("1"), at_once=3), source="labels")
    assert found.position is not None
    assert (found.position.asked, found.position.consistent.value) == (10, 0.0)
    assert found.position.preference.value == pytest.approx(1.0)
    assert found.aspects[0].confusion[1] == [0, 0, 0], "nobody said tie but the judge"
    assert [row[1] for row in found.aspects[0].confusion] == [5, 0, 5]


async def test_a_fair_judge_agrees() -> None:
    one = judge("pairwise", least_labels=4, mark=0.9)
    pairs = [("good", "bad", "answer"), ("bad", "good", "other"), ("bad", "bad", "tie"), ("good", "bad", "answer")]
    lines = [
        {"answer": f"{mine} {at}", "other": f"{theirs} {at}", "better": who}
        for at, (mine, theirs, who) in enumerate(pairs)
    ]

    def reply(request: Mapping[str, Any]) -> str:
        shown = material_of(request)
        first, second = shown.split("<answer_1 ")[1].split("</answer_1")[0], shown.split("<answer_2 ")[1]
        places = ["good" in first, "good" in second.split("</answer_2")[0]]
        return better("tie" if places[0] == places[1] else "1" if places[0] else "2")

    given = labelled(one, *lines)
    found = measure(one, given, await verdicts(one, given, Model(reply), at_once=2), source="labels")
    assert found.aspects[0].kappa.value == pytest.approx(1.0)
    assert found.position is not None
    assert found.position.preference.value == pytest.approx(0.0)
    assert shortfall(one, found) is None


async def test_verdicts_come_in_the_order_of_the_labels_and_failures_stay_failures() -> None:
    one = judge(criteria=[ACCURACY])
    lines = [{"scores": {"accuracy": 3}} for _ in range(6)]

    def reply(request: Mapping[str, Any]) -> Any:
        text = material_of(request).split("<answer ")[1].split("\n")[1]
        if text == "4":
            return UpstreamTimeout("Too slow.")
        return json.dumps({"accuracy": {"reason": "", "score": min(5, int(text) + 1)}})

    given = labelled(one, *lines)
    said = await verdicts(one, given, Model(reply), at_once=4)
    assert [scores["accuracy"].value for scores in said] == [0.0, 0.25, 0.5, 0.75, None, 1.0]
    found = measure(one, given, said, source="labels")
    assert found.errors == {"upstream_timeout": 1}
    assert found.cost_usd == pytest.approx(0.05)


def test_it_is_kept_and_read_again() -> None:
    import msgspec

    found = scored(RUBRIC, [1, 5, 3, 4], [1, 5, 4, 2])
    kept = json.loads(json.dumps(msgspec.to_builtins(found), allow_nan=False))
    assert Measured.of(kept) == found
    assert Measured.of(kept).without_pairs().aspects[0].pairs == []
    assert all(math.isfinite(value) for pair in found.aspects[0].pairs for value in pair)
