"""The OpenAI Python SDK works unchanged with files and batches; and a batch goes on after `kill -9`."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI
from openai.types import Batch

from journeys.running import Running


def request(number: int, *, model: str = "bot", **fields: Any) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": f"question {number}"}], **fields}
    return {"custom_id": f"r-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}


def jsonl(requests: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in requests)


def opened(server: Running) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0, timeout=20)


def begin(client: OpenAI, requests: bytes, **fields: Any) -> Batch:
    file = client.files.create(file=("requests.jsonl", requests), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", **fields
    )


def until(client: OpenAI, batch_id: str, true: Callable[[Batch], bool], *, seconds: float = 20) -> Batch:
    deadline = time.monotonic() + seconds
    while not true(batch := client.batches.retrieve(batch_id)):
        assert time.monotonic() < deadline, batch
        time.sleep(0.05)
    return batch


def ended(batch: Batch) -> bool:
    return batch.status in ("completed", "failed", "expired", "cancelled")


def lines(client: OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    return [json.loads(line) for line in client.files.content(file_id).content.splitlines()]


@pytest.fixture(scope="module")
def client(served: Running) -> Iterator[OpenAI]:
    with opened(served) as sdk:
        yield sdk


def test_a_batch_from_its_file_to_its_results(client: OpenAI, served: Running) -> None:
    requests = [request(1, model="chat"), request(2, model="chat"), request(3, model="nobody"), request(4, stream=True)]
    batch = begin(client, jsonl(requests), metadata={"night": "run"})
    assert batch.status in ("validating", "in_progress")
    assert batch.metadata == {"night": "run"}
    done = until(client, batch.id, ended)
    assert done.status == "completed"
    assert done.request_counts is not None
    assert done.request_counts.model_dump() == {"total": 4, "completed": 2, "failed": 2}
    assert done.completed_at is not None
    assert done.errors is None

    answers = {each["custom_id"]: each for each in lines(client, done.output_file_id)}
    assert {name: each["response"]["status_code"] for name, each in answers.items()} == {"r-1": 200, "r-2": 200}
    assert answers["r-1"]["response"]["body"]["choices"][0]["message"]["content"] == "1 noitseuq"
    assert answers["r-1"]["error"] is None
    failed = {each["custom_id"]: each["response"] for each in lines(client, done.error_file_id)}
    assert {name: each["status_code"] for name, each in failed.items()} == {"r-3": 404, "r-4": 400}
    assert failed["r-4"]["body"]["error"]["param"] == "stream"

    trace = answers["r-1"]["response"]["request_id"]
    deadline = time.monotonic() + 10
    while not (calls := httpx2.get(f"{served.url}/api/calls/{trace}", headers=served.headers).json().get("calls")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert calls[0]["tags"] == {"batch": batch.id, "custom_id": "r-1"}
    assert served.rondo("batches", "show", batch.id)["status"] == "completed"
    assert batch.id in [each["id"] for each in served.rondo("batches", "list")["data"]]


def test_files(client: OpenAI) -> None:
    content = jsonl([request(1)])
    first = client.files.create(file=io.BytesIO(content), purpose="batch")
    second = client.files.create(file=("näxt.jsonl", content), purpose="batch")
    assert (second.filename, second.bytes, second.purpose) == ("näxt.jsonl", len(content), "batch")
    assert client.files.retrieve(second.id) == second
    assert client.files.content(second.id).content == content
    assert [each.id for each in client.files.list(purpose="batch", limit=1)][:2] == [second.id, first.id]  # two pages
    assert client.files.delete(first.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(first.id)
    with pytest.raises(openai.BadRequestError, match="purpose"):
        client.files.create(file=content, purpose="fine-tune")


def test_a_file_that_cannot_be_used_fails_the_batch_and_names_the_lines(client: OpenAI) -> None:
    bad = b'{"custom_id"\n' + jsonl([request(1), request(1), {**request(2), "url": "/v1/embeddings"}])
    failed = until(client, begin(client, bad).id, ended)
    assert failed.status == "failed"
    assert failed.errors is not None
    assert failed.errors.data is not None
    told = [(each.line, each.code) for each in failed.errors.data]
    assert told == [(1, "invalid_json_line"), (3, "duplicate_custom_id"), (4, "invalid_url")]
    assert failed.output_file_id is None


def test_what_is_not_there_or_not_right(client: OpenAI, served: Running) -> None:
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve("batch_none")
    with pytest.raises(openai.BadRequestError, match="file-none"):
        client.batches.create(input_file_id="file-none", endpoint="/v1/embeddings", completion_window="24h")
    with OpenAI(base_url=f"{served.url}/v1", api_key="wrong", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError):
            stranger.files.list()
        with pytest.raises(openai.AuthenticationError):
            stranger.batches.list()
    answer = httpx2.post(f"{served.url}/v1/files", headers=served.headers, content=b"{}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file")


def test_cancel(client: OpenAI) -> None:
    batch = begin(client, jsonl(request(number, model="slow") for number in range(400)))
    until(client, batch.id, lambda each: each.status == "in_progress")
    cancelled = client.batches.cancel(batch.id)
    assert cancelled.status == "cancelling"
    done = until(client, batch.id, ended)
    assert done.status == "cancelled"
    assert done.request_counts is not None
    assert done.request_counts.completed + done.request_counts.failed == 400
    unasked = [each for each in lines(client, done.error_file_id) if each["error"]]
    assert unasked
    assert {each["error"]["code"] for each in unasked} == {"batch_cancelled"}
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(batch.id)
    assert batch.id in [each.id for each in client.batches.list(limit=5)]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=["one process", "workers"])
def test_a_batch_goes_on_after_kill_9(serve: Callable[..., Running], arguments: tuple[str, ...]) -> None:
    total = 60
    server = serve(*arguments)
    with opened(server) as client:
        batch = begin(client, jsonl(request(number, model="slow") for number in range(total)))
        deadline = time.monotonic() + 20
        while not (found := list((server.data / "files").glob("*/*-output.partial"))) or not found[0].stat().st_size:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    server.kill()
    before = [json.loads(line) for line in found[0].read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    assert 0 < len(before) < total
    found[0].write_bytes(found[0].read_bytes() + b'{"id":"batch_req_torn')

    server = serve(*arguments)
    with opened(server) as client:
        done = until(client, batch.id, ended, seconds=40)
        assert (done.status, done.error_file_id) == ("completed", None)
        after = lines(client, done.output_file_id)
    assert sorted(each["custom_id"] for each in after) == sorted(f"r-{number}" for number in range(total))
    assert [each for each in after if each["id"] in {old["id"] for old in before}] == before  # not asked again
    assert server.stop() == 0
