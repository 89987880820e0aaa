"""Versions: immutable, named by content; appended to, split, compared, exported."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from dataset_files import example, imported
from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.datasets import browsing, comparing, exporting, splitting, store
from rondo.datasets.division import parse_ratios
from rondo.datasets.fields import Columns
from rondo.datasets.importing import ImportOptions
from rondo.datasets.languages import with_languages
from rondo.datasets.model import DatasetVersion, Example, Split, parse_label, parse_version, version_hash
from rondo.datasets.versions import Division, save_version
from rondo.errors import Conflict, CorruptData, InvalidRequest, NotFound
from rondo.governance import audit, projects

WORDS = ["".join(random.Random(number).choices("abcdefghij", k=6)) for number in range(200)]


def saved(catalog: Catalog, *examples: Example, dataset: str = "d", project: str = "p", **more: Any) -> DatasetVersion:
    return save_version(catalog, project, dataset, examples, note="", actor="test", **more)


def all_of(catalog: Catalog, version: DatasetVersion) -> list[Example]:
    with catalog.read() as connection:
        return store.examples_of(connection, version.project, version.dataset, version.hash)


@pytest.fixture
def both(catalog: Catalog) -> Catalog:
    """The project `p`, on each database."""
    projects.create(catalog, "p", actor="test")
    return catalog


def test_what_was_saved_is_what_is_read(both: Catalog) -> None:
    first = example("a\0b ü 😀", expected={"x": [1, None]}, split="train", tags={"t": "v"})
    second = example("b", must_pass=True)
    version = saved(both, first, second)
    assert (version.number, version.examples, version.parent) == (1, 2, None)
    assert version.hash == version_hash([first, second])
    assert all_of(both, version) == [first, second]
    with both.read() as connection:
        assert store.get_version(connection, "p", "d") == version
        assert store.get_version(connection, "p", "d", 1) == version
        assert store.get_version(connection, "p", "d", version.hash[:8]) == version
        assert store.members_of(connection, "p", "d", version.hash) == [(first.id, "train"), (second.id, None)]
        assert store.get_example(connection, "p", second.id) == second
        written = audit.entries(connection, "p", limit=1)
        assert [(each.action, each.subject) for each in written] == [("dataset.version", "dataset:d@1")]


def test_the_same_content_is_the_same_version(both: Catalog) -> None:
    one, two = example("a"), example("b")
    first = saved(both, one, two)
    second = saved(both, one)
    assert (second.number, second.parent) == (2, first.hash)
    assert saved(both, one, one, two) == first
    assert saved(both, two, one).number == 3
    assert saved(both, structs.replace(one, split="test")).number == 4
    with both.read() as connection:
        assert [each.number for each in store.list_versions(connection, "p", "d")] == [4, 3, 2, 1]
        assert [each.number for each in store.list_versions(connection, "p", "d", before=3, limit=1)] == [2]
        assert [each.number for each in store.list_datasets(connection, "p")] == [4]


def test_projects_see_their_own(both: Catalog) -> None:
    projects.create(both, "q", actor="test")
    mine = saved(both, example("a"))
    with both.read() as connection:
        assert store.list_datasets(connection, "q") == []
        with pytest.raises(NotFound):
            store.get_version(connection, "q", "d")
        with pytest.raises(NotFound):
            store.members_of(connection, "q", "d", mine.hash)
        with pytest.raises(NotFound):
            store.get_example(connection, "q", example("a").id)
    theirs = saved(both, example("a"), project="q")
    assert (theirs.hash, theirs.number) == (mine.hash, 1)


def test_what_is_not_there_is_named(both: Catalog) -> None:
    with both.read() as connection, pytest.raises(NotFound, match="datasets import"):
        store.list_versions(connection, "p", "d")
    saved(both, example("a"), dataset="questions")
    with both.read() as connection:
        with pytest.raises(NotFound, match="questions"):
            store.get_version(connection, "p", "question")
        for version in (2, 0, -1, 2**40, "abc", "ffffffff", "%", "______"):
            with pytest.raises(NotFound, match="the newest is 1"):
                store.get_version(connection, "p", "questions", version)


def test_a_version_between_is_a_conflict(both: Catalog) -> None:
    first = saved(both, example("a"))
    saved(both, example("b"))
    with pytest.raises(Conflict):
        saved(both, example("c"), parent=first.hash)


def test_thousands_of_examples(both: Catalog) -> None:
    examples = [example(f"{number}", expected=number) for number in range(2_500)]
    version = saved(both, *examples)
    assert all_of(both, version) == examples


def test_nothing_is_kept_where_something_is_wrong(shelf: Catalog) -> None:
    for wrong in ([], [example("a"), Example(messages=[{"role": "user", "content": "x"}], expected=float("nan"))]):
        with pytest.raises(InvalidRequest):
            saved(shelf, *wrong)
    with pytest.raises(InvalidRequest, match="name"):
        saved(shelf, example("a"), dataset="Not A Name")
    with pytest.raises(NotFound):
        saved(shelf, example("a"), project="nobody")
    with shelf.read() as connection:
        assert store.list_datasets(connection, "p") == []


def test_an_example_that_is_gone_is_corruption(shelf: Catalog) -> None:
    version = saved(shelf, example("a"))
    from sqlalchemy import text

    with shelf.begin() as connection:
        connection.execute(text("DELETE FROM examples"))
    with pytest.raises(CorruptData):
        all_of(shelf, version)


def test_import_append_and_replace(shelf: Catalog, tmp_path: Path) -> None:
    first = imported(shelf, tmp_path, "x.jsonl", [{"question": "a"}, {"question": "b"}])
    assert (first.created, first.version.examples, first.newest) == (True, 2, 1)
    again = imported(shelf, tmp_path, "y.jsonl", [{"question": "a"}, {"question": "b"}])
    assert (again.created, again.version.hash) == (False, first.version.hash)
    more = imported(shelf, tmp_path, "x.jsonl", [{"question": "b"}, {"question": "c"}], append=True)
    assert [each.question for each in all_of(shelf, more.version)] == ["a", "b", "c"]
    assert more.version.report["duplicates"]["identical_merged"] == 1
    assert more.version.report["source"]["appended_to"] == "d@1"
    replaced = imported(shelf, tmp_path, "x.jsonl", [{"question": "z"}])
    assert replaced.version.examples == 1
    old = imported(shelf, tmp_path, "x.jsonl", [{"question": "a"}, {"question": "b"}])
    assert (old.created, old.version.number, old.newest) == (False, 1, 3)


def test_bad_rows_stop_an_import_or_are_skipped(shelf: Catalog, tmp_path: Path) -> None:
    rows = '{"question": "a"}\n{"x": 1}\nnonsense\n{"question": "b"}\n'
    with pytest.raises(InvalidRequest, match=r"^2 rows cannot be taken: line 2: .*; line 3, column \d+: .*--skip-bad"):
        imported(shelf, tmp_path, "x.jsonl", rows)
    with shelf.read() as connection:
        assert store.list_datasets(connection, "p") == []
    done = imported(shelf, tmp_path, "x.jsonl", rows, skip_bad=True)
    assert done.version.examples == 2
    assert done.version.report["source"]["skipped"] == 2
    assert len(done.version.report["source"]["problems"]) == 2
    with pytest.raises(InvalidRequest, match="20 or more rows"):
        imported(shelf, tmp_path, "x.jsonl", "nonsense\n" * 500)
    with pytest.raises(InvalidRequest, match="line 1"):
        imported(shelf, tmp_path, "x.jsonl", [{"question": "x" * (2 << 20)}])
    with pytest.raises(InvalidRequest, match="no examples"):
        imported(shelf, tmp_path, "x.csv", "question,expected\n")


def test_splits_of_a_file_are_kept_and_their_leaks_are_told(shelf: Catalog, tmp_path: Path) -> None:
    rows = [
        {"question": "How do I return my electric bike?", "split": "train"},
        {"question": "how do i return my electric bike", "split": "test"},
        {"question": "Where are you?", "split": "test", "group": "g"},
        {"question": "Who are you really?", "split": "train", "group": "g"},
    ]
    report = imported(shelf, tmp_path, "x.jsonl", rows).version.report
    assert report["splits"] == {"train": 2, "test": 2}
    assert report["leaks"] == {"near_duplicates": 1, "groups": 1}
    assert report["duplicates"]["near"]["clusters"] == 1


def test_a_split_leaks_nothing_and_is_repeatable(shelf: Catalog, tmp_path: Path) -> None:
    questions = [f"Is part number {n} still in stock at {'depot' * (n % 3)} {n * 7919}?" for n in range(60)]
    rows = [
        {"question": each + mark, "topic": "ab"[place % 2]} for place, each in enumerate(questions) for mark in "!?"
    ]
    first = imported(shelf, tmp_path, "x.jsonl", rows)
    divide = Division(stratify="topic", seed=5)
    done = splitting.split_version(shelf, "p", "d", None, divide, actor="test")
    assert done.report["leaks"] == {"near_duplicates": 0, "groups": 0}
    assert done.parent == first.version.hash
    assert splitting.split_version(shelf, "p", "d", 1, divide, actor="test").hash == done.hash
    assert done.report["division"]["seed"] == 5
    with pytest.raises(InvalidRequest, match="topic, expected, hand_over"):
        splitting.split_version(shelf, "p", "d", None, Division(stratify="colour"), actor="test")
    with pytest.raises(InvalidRequest, match="colour"):
        splitting.split_version(shelf, "p", "d", None, Division(group_by="colour"), actor="test")


def test_groups_by_a_tag_stay_together(shelf: Catalog, tmp_path: Path) -> None:
    words = "returns repairs depots sizing gifts theft trade warranty batteries invoices".split()
    rows = [{"question": f"{word} {place} {'xyz' * place}", "customer": word} for word in words for place in range(6)]
    imported(shelf, tmp_path, "x.jsonl", rows, columns=Columns(tags=["customer"]))
    done = splitting.split_version(shelf, "p", "d", None, Division(group_by="customer"), actor="test")
    of: dict[str, set[Split | None]] = {}
    for each in all_of(shelf, done):
        of.setdefault(each.tags["customer"], set()).add(each.split)
    assert all(len(found) == 1 for found in of.values())
    assert done.report["splits"]["test"] >= 6


def test_tests_go_to_test_and_take_their_likes_along(shelf: Catalog) -> None:
    questions = [" ".join(random.Random(number).sample(WORDS, 8)) for number in range(40)]
    plain = [example(question) for question in questions]
    version = save_version(shelf, "p", "d", plain, note="", actor="t", divide=Division())
    trained = next(each for each in all_of(shelf, version) if each.split == "train")
    test = example(trained.question.upper(), must_pass=True, expected="x")
    done = save_version(
        shelf, "p", "d", [*all_of(shelf, version), test], note="", actor="t", divide=Division(afresh=False)
    )
    after = {each.id: each.split for each in all_of(shelf, done)}
    assert after[test.id] == after[trained.id] == "test"
    stayed = [each for each in all_of(shelf, version) if each.id != trained.id]
    assert all(after[each.id] == each.split for each in stayed)


def test_appended_examples_join_their_likes_without_moving_the_others(shelf: Catalog, tmp_path: Path) -> None:
    rows = [{"question": " ".join(random.Random(number).sample(WORDS, 8))} for number in range(60)]
    before = imported(shelf, tmp_path, "x.jsonl", rows, divide=Division()).version
    old = {each.id: each.split for each in all_of(shelf, before)}
    likes = [{"question": row["question"] + "!", "expected": "x"} for row in rows[:20]]
    after = imported(shelf, tmp_path, "y.jsonl", likes, append=True).version
    now = all_of(shelf, after)
    assert all(each.split == old[each.id] for each in now if each.id in old)
    assert after.report["leaks"] == {"near_duplicates": 0, "groups": 0}
    assert None not in {each.split for each in now}


def test_the_report(shelf: Catalog, tmp_path: Path) -> None:
    rows = [
        {"question": "Call me at +49 171 2345678", "expected": "yes", "topic": "a"},
        {"question": "call me at +49 171 2345678!", "expected": "no", "topic": "b"},
        {"question": "Wie kann ich mein Fahrrad zurückgeben, wenn es mir nicht gefällt?", "topic": "a"},
        {"question": "x" * 30_000, "hand_over": True},
    ]
    report = imported(shelf, tmp_path, "x.jsonl", rows).version.report
    assert report["duplicates"]["same_input"] == 1
    assert report["conflicts"]["inputs"] == 1
    assert {each["expected"] for each in report["conflicts"]["shown"][0]["examples"]} == {"yes", "no"}
    assert report["personal"] == {"found": {"phone": 2}, "examples": 2, "replaced": False}
    assert report["empty"] == {"input": 0, "expected": 1}
    assert report["long"]["examples"] == 1
    assert report["tags"]["topic"]["values"] == {"a": 2, "b": 1}
    assert report["length"]["input"]["most"] == 30_000
    assert report["came_from"] == {"file": 4}


def test_languages_are_told_when_asked_for_and_kept(both: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("py3langid")
    asked = ["Wie kann ich mein Fahrrad zurückgeben?", "How can I return the bike that I bought?", " "]
    version = saved(both, *(example(question) for question in asked))
    assert "languages" not in version.report
    told = with_languages(both, version)
    assert told.report["languages"] == {"of": 2, "found": {"de": 1, "en": 1}}
    assert told.report == {**version.report, "languages": told.report["languages"]}
    monkeypatch.setattr("rondo.rules.spoken.language_of", None)
    with both.read() as connection:
        assert with_languages(both, store.get_version(connection, "p", "d")) == told


def test_languages_of_many_are_told_of_a_sample(shelf: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("rondo.rules.spoken.is_installed", lambda: True)

    def language_of(text: str) -> str:
        told.append(text)
        return "en"

    monkeypatch.setattr("rondo.rules.spoken.language_of", language_of)
    version = saved(shelf, *(example(f"What is {number}?") for number in range(1_200)))
    assert with_languages(shelf, version).report["languages"] == {"of": 500, "found": {"en": 500}}
    assert len(set(told)) == 500
    firsts = sum(int(text[8:-1]) < 600 for text in told)
    assert 180 < firsts < 320, "the sample is of all of them"


def test_the_report_says_when_languages_cannot_be_told(
    shelf: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = saved(shelf, example("How can I return the bike that I bought?"))
    with monkeypatch.context() as without:
        without.setattr("rondo.rules.spoken.is_installed", lambda: False)
        assert with_languages(shelf, version).report["languages"] is None
    monkeypatch.setattr("rondo.rules.spoken.is_installed", lambda: True)
    monkeypatch.setattr("rondo.rules.spoken.language_of", lambda text: "en")
    assert with_languages(shelf, version).report["languages"] == {"of": 1, "found": {"en": 1}}, "it was not kept"
    monkeypatch.setattr("rondo.rules.spoken.is_installed", lambda: False)
    with pytest.raises(InvalidRequest, match=r"rondo\[language\]"):
        imported(shelf, tmp_path, "x.jsonl", [{"question": "a"}], tag_language=True)


def test_languages_become_tags(shelf: Catalog, tmp_path: Path) -> None:
    rows = [
        {"question": "Wie kann ich mein Fahrrad zurückgeben?"},
        {"question": "How can I return the bike that I bought?"},
    ]
    found = all_of(shelf, imported(shelf, tmp_path, "x.jsonl", rows, tag_language=True).version)
    assert [each.tags["language"] for each in found] == ["de", "en"]


def test_scrubbing_takes_out_what_it_finds(shelf: Catalog, tmp_path: Path) -> None:
    row = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "I am zoe@example.com"}]}],
        "expected": {"mail": "zoe@example.com"},
        "context": [{"text": "zoe@example.com"}],
        "metadata": {"key": "sk-ant-" + "a1B2c3D4" * 5},
        "tags": {"who": "zoe@example.com"},
        "group": "zoe@example.com",
    }
    version = imported(shelf, tmp_path, "x.jsonl", [row], scrub=True).version
    (found,) = all_of(shelf, version)
    assert "zoe" not in json.dumps(found.messages) + json.dumps(
        [found.expected, found.context, found.tags, found.group]
    )
    assert found.question == "I am [EMAIL]"
    assert found.metadata == {"key": "[ANTHROPIC]"}
    assert version.report["personal"] == {"found": {"email": 5, "anthropic": 1}, "examples": 1, "replaced": True}
    kept = imported(shelf, tmp_path, "x.jsonl", [row], dataset="kept").version
    assert "zoe" in all_of(shelf, kept)[0].question


def test_duplicates_are_left_out_on_request(shelf: Catalog, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"question": "How do I return my electric bike within a month?"},
        {"question": "how do i return my electric bike, within a month"},
        {"question": "How do I return my electric bikes within a month?"},
        {"question": "Another thing"},
    ]
    same = imported(shelf, tmp_path, "x.jsonl", rows, dataset="same", deduplicate="same").version
    near = imported(shelf, tmp_path, "x.jsonl", rows, dataset="near", deduplicate="near").version
    assert (same.examples, near.examples) == (3, 2)
    assert near.report["duplicates"]["dropped"] == 2
    rows[1]["must_pass"] = True
    assert imported(shelf, tmp_path, "x.jsonl", rows, dataset="kept", deduplicate="same").version.examples == 4


def test_diff(shelf: Catalog, tmp_path: Path) -> None:
    before = [
        {"id": 1, "question": "Is it open on Sundays in the summer?", "expected": "yes", "split": "train"},
        {"question": "How long may I keep the bike that I rent?", "expected": "a month", "split": "train"},
        {"question": "Gone?", "split": "test"},
        {"question": "Stays?", "split": "test"},
        {"question": "Moves?", "split": "test"},
    ]
    after = [
        {"id": 1, "question": "Something else entirely", "expected": "yes", "split": "train"},
        {"question": "How long may I keep the bike which I rent?", "expected": "two months", "split": "train"},
        {"question": "New?", "split": "test"},
        {"question": "Stays?", "split": "test"},
        {"question": "Moves?", "split": "train"},
    ]
    imported(shelf, tmp_path, "x.jsonl", before)
    imported(shelf, tmp_path, "x.jsonl", after)
    with shelf.read() as connection:
        found = comparing.compare(connection, "p", "d", None, None).difference
        back = comparing.compare(connection, "p", "d", 2, 1).difference
    assert found.counts == {"added": 1, "removed": 1, "changed": 2, "moved": 1}
    assert (found.same, found.moves) == (1, {"test → train": 1})
    assert [each.question for each in found.added + found.removed] == ["New?", "Gone?"]
    by_id, by_likeness = found.changed
    assert set(by_id.fields) == {"messages"}
    assert by_likeness.fields["expected"] == ("a month", "two months")
    assert back.counts == {"added": 1, "removed": 1, "changed": 2, "moved": 1}


def test_pages_of_examples(shelf: Catalog) -> None:
    numbered = [example(f"question {n}", tags={"n": str(n % 3)}, split="test" if n < 4 else "train") for n in range(10)]
    odd = example("Ünïque", must_pass=True, metadata={"deep": [{"er": "needle"}]})
    version = saved(shelf, *numbered, odd)

    def page(**more: Any) -> browsing.ExamplePage:
        limit, after = more.pop("limit", 50), more.pop("after", 0)
        with shelf.read() as connection:
            return browsing.page_of(
                connection, "p", "d", version.number, wanted=browsing.Wanted(**more), limit=limit, after=after
            )

    seen, after = [], 0
    while True:
        some = page(limit=3, after=after)
        seen += [each.id for each in some.items]
        if some.after is None:
            break
        after = some.after
    assert seen == [each.id for each in all_of(shelf, version)]
    assert [each.question for each in page(text="ünïq").items] == ["Ünïque"]
    assert [each.question for each in page(text="NEEDLE").items] == ["Ünïque"]
    assert len(page(split="test").items) == 4
    assert len(page(tag=("n", "1")).items) == 3
    assert len(page(tag=("n", None)).items) == 10
    assert len(page(must_pass=True).items) == 1
    some = page(split="train", tag=("n", "0"), limit=1)
    rest = page(split="train", tag=("n", "0"), limit=5, after=some.after)
    assert [each.question for each in [*some.items, *rest.items]] == ["question 6", "question 9"]
    with pytest.raises(InvalidRequest, match="limit"):
        page(limit=0)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
EXPECTED = (
    st.none()
    | TEXTS.filter(bool)
    | st.lists(TEXTS, min_size=2, max_size=3)
    | st.dictionaries(TEXTS, st.integers(), max_size=2)
)
EXAMPLES = st.builds(
    lambda question, **fields: example(question or "x", **fields),
    TEXTS,
    expected=EXPECTED,
    hand_over=st.none() | st.booleans(),
    must_pass=st.booleans(),
    split=st.sampled_from([None, "train", "test"]),
    tags=st.dictionaries(TEXTS, TEXTS, max_size=2),
    group=st.none() | TEXTS.filter(bool),
    metadata=st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=2),
    sources=st.lists(TEXTS, max_size=2),
    follow_ups=st.lists(TEXTS, max_size=2),
)


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
@given(examples=st.lists(EXAMPLES, min_size=1, max_size=5))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_our_own_formats_come_back_as_the_same_version(
    shelf: Catalog, tmp_path: Path, format: Any, examples: list[Example]
) -> None:
    version = saved(shelf, *examples)
    target = tmp_path / f"out.{format}"
    exporting.export_version(shelf, "p", "d", version.number, target, format=format)
    back = imported(shelf, tmp_path, f"in.{format}", target.read_bytes(), dataset=f"back-{format}")
    assert back.version.hash == version.hash


def test_exports_of_a_split_and_of_what_a_format_has_no_place_for(shelf: Catalog, tmp_path: Path) -> None:
    saved(shelf, example("a", expected="x", split="train"), example("b", hand_over=True, split="test"))
    target = tmp_path / "out"
    assert exporting.export_version(shelf, "p", "d", None, target, split="test") == 1
    with pytest.raises(InvalidRequest, match="1 of 2 examples do not say"):
        exporting.export_version(shelf, "p", "d", None, target, format="openai-chat")
    assert not target.exists()
    assert exporting.export_version(shelf, "p", "d", None, target, format="openai-evals", answered_only=True) == 1
    with pytest.raises(InvalidRequest, match="validation"):
        exporting.export_version(shelf, "p", "d", None, target, split="validation")
    for format in ("promptfoo", "label-studio"):
        assert exporting.export_version(shelf, "p", "d", None, target, format=format) == 2
        assert json.loads(target.read_bytes())


def test_labels() -> None:
    assert parse_label("questions") == ("questions", None)
    assert parse_label("questions@3") == ("questions", 3)
    assert parse_label("questions@latest") == ("questions", None)
    assert parse_label("questions@7210b5ba7d3d") == ("questions", "7210b5ba7d3d")
    assert parse_version("0123456789") == "0123456789"
    assert parse_ratios([1, 1]) == (0.5, 0.0, 0.5)
    assert ImportOptions().deduplicate == "none"
    assert clock.now_us()
