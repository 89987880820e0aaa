"""Datasets over the API and the command line: what is sent, who may, and what is printed."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx2
import pytest

from live_server import Live
from rondo.api import datasets as api

ROWS = [
    {"question": "Do you take back bikes?", "expected": "Within 14 days.", "topic": "returns"},
    {"question": "Where is the depot?", "expected": "In Harrowbeck.", "topic": "depots"},
    {"question": "Are you a robot? Write to zoe@example.com", "hand_over": True},
]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


async def upload(live: Live, content: str | bytes = LINES, **params: Any) -> httpx2.Response:
    name, key = params.pop("name", "questions"), params.pop("key", "admin")
    params.setdefault("filename", "questions.jsonl")
    return await live.ask("POST", f"/api/datasets/{name}/versions", content=content, params=params, key=key)


async def test_import_list_show_split_diff_and_export(live: Live) -> None:
    done = (await upload(live, note="first")).json()
    assert (done["created"], done["version"]["number"], done["version"]["examples"]) == (True, 1, 3)
    assert (await upload(live)).json()["created"] is False
    assert [each["dataset"] for each in (await live.get("/api/datasets"))["datasets"]] == ["questions"]
    split = await live.post("/api/datasets/questions/split", {"ratios": [1, 1], "stratify": "topic"})
    assert (split["number"], set(split["report"]["splits"])) == (2, {"train", "test"})
    assert [each["number"] for each in (await live.get("/api/datasets/questions"))["versions"]] == [2, 1]
    shown = await live.get("/api/datasets/questions/versions/latest")
    assert shown["report"]["personal"]["found"] == {"email": 1}
    assert (await live.get(f"/api/datasets/questions/versions/{shown['hash'][:10]}"))["number"] == 2
    page = await live.get("/api/datasets/questions/versions/2/examples", text="robot", tag="", limit=5)
    assert [each["hand_over"] for each in page["items"]] == [True]
    page = await live.get("/api/datasets/questions/versions/2/examples", tag="topic=depots")
    assert len(page["items"]) == 1
    moved = await live.get("/api/datasets/questions/diff")
    assert (moved["before"]["number"], moved["difference"]["counts"]["moved"]) == (1, 3)
    exported = await live.ask("GET", "/api/datasets/questions/versions/1/export", params={"format": "csv"})
    assert exported.headers["content-disposition"] == 'attachment; filename="questions.csv"'
    back = await upload(live, exported.content, name="back", filename="x.csv")
    assert back.json()["version"]["hash"] == done["version"]["hash"]


async def test_columns_and_options_by_name(live: Live) -> None:
    csv = "frage;antwort;art;kunde;mail\nWo?;Hier;x;7;zoe@example.com\n"
    params = {"input": "frage", "expected": "antwort", "tag": ["art", "kunde"], "scrub": "true", "filename": "x.csv"}
    done = (await upload(live, csv, **params)).json()
    (found,) = (await live.get("/api/datasets/questions/versions/latest/examples"))["items"]
    assert (found["expected"], found["tags"]) == ("Hier", {"art": "x", "kunde": "7"})
    assert found["metadata"] == {"mail": "[EMAIL]"}
    assert done["version"]["report"]["source"]["file"] == "x.csv"
    appended = await upload(live, append="true", divide="50/50", seed="3")
    assert appended.json()["version"]["examples"] == 4
    assert "none" not in appended.json()["version"]["report"]["splits"]


@pytest.mark.parametrize(
    ("params", "content", "words"),
    [
        ({"format": "xls"}, LINES, "There is no format 'xls'"),
        ({"deduplicate": "all"}, LINES, "deduplicate"),
        ({"divide": "a/b"}, LINES, "no ratios"),
        ({"scrub": "perhaps"}, LINES, "scrub"),
        ({"seed": "x"}, LINES, "seed"),
        ({"name": "Not%20A%20Name"}, LINES, "valid name"),
        ({"input": "nothing"}, LINES, "no column 'nothing'"),
        ({}, "", "The file is empty"),
        ({}, "{}\n{\n", "line 1"),
        ({"filename": "x.parquet"}, b"PAR1 no", "Parquet"),
        ({"note": "x" * 3_000}, LINES, "note"),
    ],
)
async def test_what_cannot_be_imported_says_why(live: Live, params: dict[str, str], content: Any, words: str) -> None:
    response = await upload(live, content, **params)
    assert response.status_code == 400, response.text
    assert words in response.json()["error"]["message"]
    assert (await live.get("/api/datasets"))["datasets"] == []


async def test_a_file_that_is_too_large(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "MAX_UPLOAD", 100)
    assert (await upload(live)).status_code == 413


@pytest.mark.parametrize(("role", "may"), [("viewer", False), ("developer", True)])
async def test_viewers_read_and_developers_write(live: Live, role: str, may: bool) -> None:
    await upload(live)
    _, secret = await live.key(role, role=role)
    for path in ("", "/questions", "/questions/versions/1", "/questions/versions/1/examples", "/questions/diff"):
        assert (await live.ask("GET", f"/api/datasets{path}", key=secret)).status_code == 200
    assert (await live.ask("GET", "/api/regressions", key=secret)).status_code == 200
    wrote = [
        await upload(live, key=secret),
        await live.ask("POST", "/api/datasets/questions/split", json={}, key=secret),
    ]
    assert [each.status_code for each in wrote] == [200 if may else 403] * 2


async def test_a_call_becomes_a_test(live: Live) -> None:
    answer = await live.chat(messages=[{"role": "user", "content": "Do you take back bikes, zoe@example.com?"}])
    trace = answer.headers["x-rondo-trace-id"]
    await live.drained()
    body = {"trace_id": trace, "expectation": {"contains": ["14 days"]}}
    added = await live.post("/api/datasets/failures/examples", body)
    assert added["created"]
    assert added["example"]["provenance"]["broke"] == "bot#1"
    assert "zoe" not in json.dumps(added["example"]["messages"])
    (broken,) = (await live.get("/api/regressions", dataset="failures", open="true"))["regressions"]
    assert (broken["trace_id"], broken["broke"], broken["fixed"]) == (trace, 1, None)
    done = await live.post("/api/datasets/asked/calls", {"filters": {"app": "bot"}, "limit": 10})
    assert done["version"]["examples"] == 1
    wrongs: list[dict[str, Any]] = [{}, {**body, "expectation": {}}, {**body, "more": 1}, {**body, "trace_id": "x"}]
    for wrong in wrongs:
        assert (await live.ask("POST", "/api/datasets/failures/examples", json=wrong)).status_code == 400
    wrong = {"filters": {"planet": "x"}}
    assert (await live.ask("POST", "/api/datasets/asked/calls", json=wrong)).status_code == 400


async def test_other_projects_are_not_seen(live: Live) -> None:
    from rondo.governance import keys, projects
    from rondo.governance.model import Role

    await upload(live)
    catalog = live.server.control.catalog
    projects.create(catalog, "other", actor="test")
    secret = keys.create(catalog, "other", "x", role=Role.ADMIN, actor="test").secret
    await live.server.control.publish()
    assert (await live.ask("GET", "/api/datasets", key=secret)).json()["datasets"] == []
    for path in ("/questions", "/questions/versions/1", "/questions/versions/1/export"):
        assert (await live.ask("GET", f"/api/datasets{path}", key=secret)).status_code == 404


def test_commands(tmp_path: Path, ask: Any, door: Any) -> None:
    version = {
        "dataset": "questions", "number": 1, "hash": "a" * 64, "parent": None, "examples": 3, "note": "",
        "created_by": "anna", "created_at": 1_763_700_000_000_000,
        "report": {
            "examples": 3, "splits": {"none": 3}, "personal": {"found": {"email": 1}, "replaced": False, "examples": 1},
            "conflicts": {"inputs": 1, "shown": [{"input": "q", "examples": [{"id": "b" * 32, "expected": "x"}]}]},
            "source": {"left_out": {"llm-rubric": 2}, "problems": ["line 2: no"], "format": "promptfoo"},
            "languages": None, "tags": {"topic": {"values": {"a": 3}, "different": 1}},
            "length": {"input": {"least": 1, "most": 9}, "expected": None},
        },
    }  # fmt: skip
    path = tmp_path / "x.jsonl"
    path.write_text(LINES)
    door.answers["POST /api/datasets/questions/versions"] = {"version": version, "created": True, "newest": 1}
    words = ["--tag", "topic", "--tag", "b", "--split", "80/20", "--scrub"]
    done = ask("datasets", "import", "questions", str(path), *words)
    assert done.exit_code == 0, done.output
    assert door.last.url.params.get_list("tag") == ["topic", "b"]
    assert {"divide": "80/20", "scrub": "true", "filename": "x.jsonl"}.items() <= dict(door.last.url.params).items()
    assert door.last.content == LINES.encode()
    for words_ in ("questions@1", "left out: llm-rubric (2)", "skipped: line 2: no", "email 1 (still there)"):
        assert words_ in done.output
    door.answers["GET /api/datasets/questions/versions/latest"] = version
    report = ask("datasets", "show", "questions", "--report")
    assert report.exit_code == 0, report.output
    for part in ("py3langid is not installed", "topic", "one input, different answers"):
        assert part in report.output
    door.answers["POST /api/datasets/asked/calls"] = {"version": version, "created": False, "newest": 4}
    where = ["--where", "app=bot", "--where", "negative=true"]
    done = ask("datasets", "import", "asked", "--calls", *where, "--limit", "5")
    assert door.body == {
        "append": False, "answers_are_right": False, "limit": 5, "tag_language": False, "seed": 0, "note": "",
        "filters": {"app": "bot", "negative": "true"},
    }  # fmt: skip
    assert "This is questions@1 already; the newest is questions@4." in done.output
    assert ask("datasets", "import", "asked").exit_code == 2
    assert ask("datasets", "import", "asked", str(path), "--where", "a=b").exit_code == 2
    assert ask("datasets", "import", "asked", "--calls", "--input", "x").exit_code == 2


def test_a_folder_is_sent_as_a_zip(tmp_path: Path, ask: Any, door: Any) -> None:
    folder = tmp_path / "hub"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "train.jsonl").write_text(LINES)
    (folder / "README.md").write_text("# x")
    (folder / "picture.png").write_bytes(b"x")
    (folder / "link.jsonl").symlink_to("/etc/hostname")
    door.answers["POST /api/datasets/d/versions"] = httpx2.Response(500, json={"error": {"message": "x", "code": "y"}})
    ask("datasets", "import", "d", str(folder))
    with zipfile.ZipFile(io.BytesIO(door.last.content)) as zipped:
        assert sorted(zipped.namelist()) == ["README.md", "data/train.jsonl"]
    assert door.last.url.params["filename"] == "hub.zip"
    (tmp_path / "empty").mkdir()
    refused = ask("datasets", "import", "d", str(tmp_path / "empty"))
    assert "has no files of data" in refused.output


def test_lists_and_differences_are_printed(ask: Any, door: Any) -> None:
    row = {
        "dataset": "questions", "number": 2, "hash": "a" * 64, "examples": 1_234, "note": "n\x1b[31m",
        "created_by": "anna", "created_at": 1_763_700_000_000_000,
    }  # fmt: skip
    door.answers["GET /api/datasets"] = {"datasets": [row]}
    printed = ask("datasets", "list").output
    assert "questions@2" in printed
    assert "1,234" in printed
    assert "\x1b" not in printed
    preview = {"id": "b" * 32, "question": "Why?", "expected": "So.", "split": None}
    door.answers["GET /api/datasets/questions/diff"] = {
        "before": {**row, "number": 1},
        "after": row,
        "difference": {
            "same": 7,
            "counts": {"added": 1, "removed": 0, "changed": 1, "moved": 2},
            "added": [preview],
            "removed": [],
            "changed": [{"before": preview, "after": preview, "fields": {"expected": ["So.", None]}}],
            "moved": [],
            "moves": {"test → train": 2},
        },
    }
    printed = ask("datasets", "diff", "questions", "1", "2").output
    assert (door.query["from"], door.query["to"]) == ("1", "2")
    for words in ("1 added, 1 changed, 2 moved; 7 the same", "+ bbbbbbbbbbbb Why? → So.", "- expected: So.", "2 moved"):
        assert words in printed
    broken = {
        "example": "c" * 32, "app": "bot", "dataset": "d", "broke": 3, "fixed": None, "created_at": 1,
        "created_by": "a", "trace_id": "t",
    }  # fmt: skip
    door.answers["GET /api/regressions"] = {"regressions": [broken]}
    assert "bot#3" in ask("datasets", "regressions", "--open").output
    assert door.query == {"open": "true"}


def test_the_command_add(ask: Any, door: Any) -> None:
    added = {
        "version": {"dataset": "failures", "number": 2},
        "example": {"id": "e" * 32, "provenance": {"broke": "bot#3"}},
        "created": True,
    }
    door.answers["POST /api/datasets/failures/examples"] = added
    said = ["--expected", "x", "--hand-over", "--contains", "a", "--contains", "b", "--tag", "k=v"]
    done = ask("datasets", "add", "failures", "--call", "t", *said)
    assert done.exit_code == 0, done.output
    assert "broken by bot#3" in done.output
    assert door.body["expectation"] == {
        "expected": "x", "hand_over": True, "contains": ["a", "b"], "lacks": [], "sources": [], "tags": {"k": "v"},
        "must_pass": True,
    }  # fmt: skip
    assert ask("datasets", "add", "failures", "--call", "t", "--tag", "kv").exit_code == 2
