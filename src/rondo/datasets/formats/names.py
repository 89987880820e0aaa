"""The formats' names, and the files of a Hugging Face folder: what commands know of them. Pure."""

from __future__ import annotations

from typing import Literal, get_args

Format = Literal["jsonl", "csv", "parquet", "openai-chat", "openai-evals", "promptfoo", "label-studio", "huggingface"]
FORMATS: tuple[Format, ...] = get_args(Format)

ExportFormat = Literal["jsonl", "csv", "parquet", "openai-chat", "openai-evals", "promptfoo", "label-studio"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)

DATA = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".arrow")
"""Files of data in a folder. Its other files are not sent."""

DESCRIPTIONS = ("README.md", "dataset_dict.json", "state.json", "dataset_info.json", "dataset_infos.json")
"""Files that say which of them are what."""
