"""Files and batches, as they are kept and as OpenAI's API shows them. Pure.

A batch's two result files are named after it, so that whatever is cut off half-way finds them again.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, structs

ENDPOINTS = ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/embeddings", "/v1/completions")
"""Where the requests of a batch may go."""

Status = Literal["validating", "in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled"]
ENDED: tuple[Status, ...] = ("completed", "failed", "expired", "cancelled")

WINDOW_US = 24 * 3_600 * 1_000_000


class StoredFile(Struct, frozen=True, kw_only=True):
    """A file. `folder` is the data folder that has its bytes."""

    id: str
    project: str
    folder: str
    key_id: str
    purpose: str
    filename: str
    bytes: int
    created_at: int


class Problem(Struct, frozen=True, kw_only=True):
    """Why a batch failed as a whole. `line` counts from 1."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class Batch(Struct, frozen=True, kw_only=True):
    """A batch. `total`, `completed` and `failed` count requests; `ended_at` is when it got its last status."""

    id: str
    project: str
    folder: str
    key_id: str
    endpoint: str
    input_file_id: str
    metadata: dict[str, str]
    status: Status
    created_at: int
    expires_at: int
    errors: list[Problem] = []
    total: int = 0
    completed: int = 0
    failed: int = 0
    in_progress_at: int | None = None
    cancelling_at: int | None = None
    finalizing_at: int | None = None
    ended_at: int | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


def result_file_id(batch_id: str, kind: Literal["output", "error"]) -> str:
    """The id of a batch's result file."""
    return f"file-{batch_id.removeprefix('batch_')}-{kind}"


def shown_file(file: StoredFile) -> dict[str, Any]:
    """A file as OpenAI's API has it; times are in seconds."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": _seconds(file.created_at),
        "expires_at": None,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def shown_batch(batch: Batch) -> dict[str, Any]:
    """A batch as OpenAI's API has it."""
    errors = {"object": "list", "data": [structs.asdict(each) for each in batch.errors]} if batch.errors else None
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "errors": errors,
        "input_file_id": batch.input_file_id,
        "completion_window": "24h",
        "status": batch.status,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "created_at": _seconds(batch.created_at),
        "expires_at": _seconds(batch.expires_at),
        "in_progress_at": _seconds(batch.in_progress_at),
        "finalizing_at": _seconds(batch.finalizing_at),
        "cancelling_at": _seconds(batch.cancelling_at),
        **{f"{ending}_at": _seconds(batch.ended_at) if batch.status == ending else None for ending in ENDED},
        "request_counts": {"total": batch.total, "completed": batch.completed, "failed": batch.failed},
        "metadata": batch.metadata or None,
    }


def _seconds(us: int | None) -> int | None:
    return None if us is None else us // 1_000_000
