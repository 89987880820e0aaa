"""Input lines: whatever stands in a file, it is read without fail, and what is wrong is named by its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batches_house import CHAT, line
from rondo.batches.lines import MOST_PROBLEMS, Checked, Requests, Unfit, check, parse_line

GOOD: dict[str, Any] = {"custom_id": "a", "method": "POST", "url": CHAT, "body": {"model": "m"}}


def checked(folder: Path, content: bytes, *, most: int = 100, body: int = 1_000) -> Checked:
    path = folder / "in.jsonl"
    path.write_bytes(content)
    return check(path, CHAT, most_requests=most, max_body_bytes=body)


def told(found: Checked) -> list[tuple[int | None, str]]:
    return [(each.line, each.code) for each in found.problems]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"custom_id": ""}, "invalid_custom_id"),
        ({"custom_id": "x" * 513}, "invalid_custom_id"),
        ({"custom_id": 7}, "invalid_line"),
        ({"method": "GET"}, "invalid_method"),
        ({"url": "/v1/embeddings"}, "invalid_url"),
        ({"url": None}, "invalid_line"),
        ({"body": []}, "invalid_line"),
        ({"body": {}}, "missing_required_parameter"),
        ({"body": {"model": 7}}, "missing_required_parameter"),
        ({"body": {"model": ""}}, "missing_required_parameter"),
    ],
)
def test_what_is_wrong_with_a_line(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(Unfit) as raised:
        parse_line(json.dumps({**GOOD, **fields}).encode(), 1, CHAT)
    assert raised.value.code == code


@pytest.mark.parametrize("name", ["custom_id", "method", "url", "body"])
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(Unfit, match=name) as raised:
        parse_line(json.dumps({key: value for key, value in GOOD.items() if key != name}).encode(), 1, CHAT)
    assert (raised.value.code, raised.value.param) == ("missing_required_parameter", name)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"{", "invalid_json_line"),
        (b"[1]", "invalid_json_line"),
        (b"\xff\xfe", "invalid_encoding"),
        (b'{"custom_id":' + b"[" * 50_000, "invalid_json_line"),
        (json.dumps(GOOD).encode().replace(b'"m"', b'"m","x":' + b"[" * 50_000 + b"]" * 50_000), "invalid_json_line"),
    ],
    ids=["cut", "list", "bytes", "deep", "deep body"],
)
def test_what_is_no_line(data: bytes, code: str) -> None:
    with pytest.raises(Unfit) as raised:
        parse_line(data, 1, CHAT)
    assert raised.value.code == code


def test_the_body_keeps_its_values_as_they_came() -> None:
    data = json.dumps(GOOD).encode().replace(b'{"model": "m"}', b'{"model": "m", "seed": 1e400, "stream": true}')
    request = parse_line(data, 3, CHAT)
    assert request.body == b'{"model":"m","seed":1e400,"stream":true}'
    assert (request.number, request.custom_id, request.streams) == (3, "a", True)
    assert not parse_line(json.dumps({**GOOD, "body": {"model": "m", "stream": False}}).encode(), 1, CHAT).streams


def test_a_whole_file(tmp_path: Path) -> None:
    assert checked(tmp_path, line(1) + b"\n  \r\n" + line(2).rstrip()) == Checked(2, [])
    content = line(1) + b"nonsense\n" + line(1) + b"\n" + line(2)
    assert told(checked(tmp_path, content)) == [(2, "invalid_json_line"), (3, "duplicate_custom_id")]


def test_an_empty_file_and_one_with_too_many(tmp_path: Path) -> None:
    assert told(checked(tmp_path, b"\n\n")) == [(None, "empty_file")]
    many = b"".join(line(number) for number in range(6))
    assert told(checked(tmp_path, many, most=5)) == [(6, "too_many_requests")]
    assert told(checked(tmp_path, many, most=6)) == []


def test_a_line_that_is_too_long_is_not_read_whole(tmp_path: Path) -> None:
    content = line(1) + line(2, stuff="x" * 300_000) + line(3)
    found = checked(tmp_path, content)
    assert told(found) == [(2, "line_too_long")]
    assert found.requests == 3
    assert told(checked(tmp_path, line(1, stuff="x" * 300_000).rstrip())) == [(1, "line_too_long")]


def test_only_so_many_problems_are_told(tmp_path: Path) -> None:
    assert len(checked(tmp_path, b"x\n" * 5_000, most=10_000).problems) == MOST_PROBLEMS


def test_the_requests_come_in_groups(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"\n" + b"".join(line(number) for number in range(450)))
    requests = Requests(path, CHAT, max_body_bytes=1_000)
    groups = []
    while group := requests.next_group():
        groups.append(group)
    requests.close()
    assert [len(group) for group in groups] == [200, 200, 50]
    numbers = [request.number for group in groups for request in group]
    assert numbers == list(range(2, 452))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=60), st.just(line(1).rstrip()), st.just(line(2)[:-9])), max_size=8))
def test_no_file_breaks_it(tmp_path: Path, pieces: list[bytes]) -> None:
    content = b"\n".join(pieces)
    found = checked(tmp_path, content)
    assert found.requests == sum(1 for each in content.split(b"\n") if each.strip())
    assert all(each.line is None or each.line >= 1 for each in found.problems)
    if not found.problems:
        requests = Requests(tmp_path / "in.jsonl", CHAT, max_body_bytes=1_000)
        assert len(requests.next_group()) == found.requests
        requests.close()


_ODD: list[Any] = [
    None,
    True,
    -1,
    1e300,
    "",
    "POST",
    CHAT,
    "\x00",
    "ä",
    [],
    [[1]],
    {},
    {"model": []},
    {"model": "m", "stream": 1},
]


@given(
    st.fixed_dictionaries({}, optional={name: st.sampled_from(_ODD) for name in GOOD}), st.sampled_from(sorted(GOOD))
)
def test_no_object_breaks_it(fields: dict[str, Any], kept: str) -> None:
    data = json.dumps({**fields, kept: GOOD[kept]}).encode()
    try:
        request = parse_line(data, 1, CHAT)
    except Unfit:
        return
    assert json.loads(request.body)["model"]
