"""All tables of the catalog: what exists, and who may.

Every row belongs to a project. Times are microseconds since the epoch. `prompts`, `knowledge_versions`,
`releases`, `traffic` and `audit_entries` are only ever added to. Whoever changes this file adds a migration: a test
compares the sum of the migrations with it, on both databases.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

from rondo.catalog.text import canonical_json

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Json(TypeDecorator[Any]):
    """A value kept as canonical JSON text, so both databases give back exactly what was hashed."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else canonical_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


def _project(*, primary_key: bool = False) -> Column[str]:
    return Column("project", Text, ForeignKey("projects.name"), primary_key=primary_key, nullable=False)


projects = Table(
    "projects",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
)

# A key's secret is never stored: `hash` is its SHA-256 in hex, `hint` its last four characters.
keys = Table(
    "keys",
    METADATA,
    Column("id", Text, primary_key=True),
    _project(),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),  # secret | feedback
    Column("role", Text),  # viewer | developer | approver | admin; null: may only call the gateway
    Column("apps", Json, nullable=False),  # the apps it may call; [] is all
    Column("hash", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("revoked_at", BigInteger),
    UniqueConstraint("hash"),
    Index(None, "project"),
)

apps = Table(
    "apps",
    METADATA,
    _project(primary_key=True),
    Column("name", Text, primary_key=True),
    Column("settings", Json, nullable=False),  # {use_case, goals, gate, marks}, as of the latest release
    Column("created_at", BigInteger, nullable=False),
)

# Models that clients may call by name. A release holds its own copy of the models on its route.
models = Table(
    "models",
    METADATA,
    _project(primary_key=True),
    Column("name", Text, primary_key=True),
    Column("definition", Json, nullable=False),  # the model's table in rondo.toml, its own price included
    Column("updated_at", BigInteger, nullable=False),
)

prompts = Table(
    "prompts",
    METADATA,
    _project(primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version", Text, primary_key=True),  # SHA-256 of the parsed prompt
    Column("source", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

knowledge_versions = Table(
    "knowledge_versions",
    METADATA,
    _project(primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version", Text, primary_key=True),  # also the name of the index's directory
    Column("documents", Integer, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

releases = Table(
    "releases",
    METADATA,
    _project(primary_key=True),
    Column("app", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),  # SHA-256 of `manifest`
    Column("manifest", Text, nullable=False),  # the JSON text exactly as hashed
    Column("message", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("terms", Json, nullable=False, server_default="{}"),  # goals and gate as they were when it was made
    ForeignKeyConstraint(["project", "app"], ["apps.project", "apps.name"]),
    UniqueConstraint("project", "app", "hash"),
)

# Which release serves whom. The row with the highest sequence holds now; the rows before it are the history.
traffic = Table(
    "traffic",
    METADATA,
    _project(primary_key=True),
    Column("app", Text, primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),  # release | promote | split | rollback | shadow
    Column("reason", Text, nullable=False),
    Column("stable", Integer, nullable=False),
    Column("arms", Json, nullable=False),  # [{"release", "share_bp", "slots"}], shares in basis points
    Column("salt", Text, nullable=False),
    Column("history", Json, nullable=False),  # stable releases to go back to, the last one first in line
    Column("served", Json, nullable=False),  # all releases that ever had traffic
    Column("shadows", Json, nullable=False, server_default="[]"),  # [{"release" or "model", "share_bp"}]
    ForeignKeyConstraint(["project", "app", "stable"], ["releases.project", "releases.app", "releases.number"]),
)

# How much a project, an app, a key or a user may use; null is as much as it likes.
limits = Table(
    "limits",
    METADATA,
    _project(primary_key=True),
    Column("scope", Text, primary_key=True),  # project | app:NAME | key:ID | user:NAME, or * for each of them
    Column("requests_per_minute", BigInteger),
    Column("tokens_per_minute", BigInteger),
    Column("concurrent", BigInteger),
    Column("nano_per_day", BigInteger),  # nano-dollars: 1e-9 dollars
    Column("nano_per_month", BigInteger),
    Column("alert_at", Json, nullable=False),  # shares of a budget
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", Text, nullable=False),
)

# Files that clients sent, and results of batches. Their bytes are in the data folder that `folder` names.
files = Table(
    "files",
    METADATA,
    Column("id", Text, primary_key=True),
    _project(),
    Column("folder", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("purpose", Text, nullable=False),  # batch | batch_output
    Column("filename", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "project", "created_at"),
)

# Many requests at once, answered when there is time. An input file may be deleted once its batch has ended.
batches = Table(
    "batches",
    METADATA,
    Column("id", Text, primary_key=True),
    _project(),
    Column("folder", Text, nullable=False),
    Column("key_id", Text, nullable=False),  # whose requests they are
    Column("endpoint", Text, nullable=False),
    Column("input_file_id", Text, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("errors", Json, nullable=False),  # [{"code", "message", "line", "param"}]
    Column("total", Integer, nullable=False),
    Column("completed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("in_progress_at", BigInteger),
    Column("cancelling_at", BigInteger),
    Column("finalizing_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("output_file_id", Text),
    Column("error_file_id", Text),
    Index(None, "project", "created_at"),
)

# Examples by the hash of what they say: written once, whichever versions hold them.
examples = Table(
    "examples",
    METADATA,
    _project(primary_key=True),
    Column("id", Text, primary_key=True),
    Column("payload", Text, nullable=False),  # the JSON of a datasets.model.Example, without its split
)

dataset_versions = Table(
    "dataset_versions",
    METADATA,
    _project(primary_key=True),
    Column("dataset", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("parent", Text),
    Column("examples", Integer, nullable=False),
    Column("members", Json, nullable=False),  # [[example id, split or null]], in order
    Column("note", Text, nullable=False),
    Column("report", Json, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("project", "dataset", "hash"),
)

# Calls that became examples: which release broke them, and which one answered them rightly again.
regressions = Table(
    "regressions",
    METADATA,
    _project(primary_key=True),
    Column("example", Text, primary_key=True),
    Column("app", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("trace_id", Text),
    Column("broke", Integer),  # the release's number
    Column("broke_hash", Text),
    Column("fixed", Integer),
    Column("fixed_hash", Text),
    Column("fixed_at", BigInteger),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# What a working tree would be as a release: evaluated before there is one. Its hash is the release's hash.
drafts = Table(
    "drafts",
    METADATA,
    _project(primary_key=True),
    Column("app", Text, primary_key=True),
    Column("hash", Text, primary_key=True),  # SHA-256 of `manifest`
    Column("manifest", Text, nullable=False),  # the JSON text exactly as hashed
    Column("prices", Json, nullable=False),  # own prices of its models, by name: a manifest has none
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["project", "app"], ["apps.project", "apps.name"]),
)

eval_runs = Table(
    "eval_runs",
    METADATA,
    Column("id", Text, primary_key=True),
    _project(),
    Column("app", Text, nullable=False),
    Column("name", Text, nullable=False),  # the suite's
    Column("suite", Json, nullable=False),
    Column("suite_hash", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("dataset_hash", Text, nullable=False),
    Column("targets", Json, nullable=False),
    Column("baseline", Integer),
    Column("status", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("max_concurrency", Integer, nullable=False),
    Column("budget_usd", Double),
    Column("total", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("spent_usd", Double, nullable=False),
    Column("own_scorers", Json, nullable=False),
    Column("stop_reason", Text),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("report", Json),
    Index(None, "project", "created_at"),
    Index(None, "project", "app", "suite_hash"),
)

# `answer_key` is a hash of what was asked of whom: an answer that has been paid for is not asked for again.
eval_results = Table(
    "eval_results",
    METADATA,
    _project(),
    Column("run", Text, ForeignKey("eval_runs.id"), primary_key=True),
    Column("target", Integer, primary_key=True, autoincrement=False),
    Column("example", Text, primary_key=True),
    Column("repeat", Integer, primary_key=True, autoincrement=False),
    Column("answer_key", Text, nullable=False),
    Column("payload", Text, nullable=False),  # the JSON of an evals.model.Result
    Index(None, "project", "answer_key"),
)

# What judges and played users have said in evaluations, by a hash of what they were asked: not asked for again.
eval_asks = Table(
    "eval_asks",
    METADATA,
    _project(primary_key=True),
    Column("key", Text, primary_key=True),
    Column("payload", Text, nullable=False),  # the JSON of an evals.model.Answer
    Column("created_at", BigInteger, nullable=False),
)

# How well a judge agreed with people, each time it was measured. The newest of a judge's version holds.
judge_calibrations = Table(
    "judge_calibrations",
    METADATA,
    Column("id", Text, primary_key=True),
    _project(),
    Column("app", Text, nullable=False),
    Column("judge", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("kappa", Double),
    Column("mark", Double),
    Column("passed", Integer, nullable=False),  # 0 | 1
    Column("report", Json, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "project", "app", "judge", "created_at"),
)

# What a gate decided of a release, with all that it decided by, and exceptions that people made.
gate_decisions = Table(
    "gate_decisions",
    METADATA,
    Column("id", Text, primary_key=True),
    _project(),
    Column("app", Text, nullable=False),
    Column("hash", Text, nullable=False),  # the release's, or a draft's
    Column("kind", Text, nullable=False),  # decision | exception
    Column("verdict", Text, nullable=False),  # pass | fail | inconclusive
    Column("reason", Text, nullable=False),
    Column("report", Json, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "project", "app", "hash"),
)

# Rubrics that items are, or were, reviewed by: one copy of each, not one an item.
review_rubrics = Table(
    "review_rubrics",
    METADATA,
    _project(primary_key=True),
    Column("hash", Text, primary_key=True),  # SHA-256 of `criteria`
    Column("criteria", Json, nullable=False),
)

# Answers that people are to look at, and what each of them said.
review_items = Table(
    "review_items",
    METADATA,
    Column("id", Text, primary_key=True),
    _project(),
    Column("app", Text),
    Column("trace_id", Text, nullable=False),
    Column("source", Text, nullable=False),  # sampled | disputed | thumbs_down | asked
    Column("note", Text, nullable=False),
    Column("rubric", Text, nullable=False),  # the hash of the criteria, as they were
    Column("reviewers", Integer, nullable=False),
    Column("status", Text, nullable=False),  # open | disputed | done | dismissed
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    UniqueConstraint("project", "trace_id"),
    Index(None, "project", "status", "created_at"),
    Index(None, "project", "status", "source", "app"),
    Index(None, "project", "created_at"),
)

review_answers = Table(
    "review_answers",
    METADATA,
    _project(),
    Column("item", Text, ForeignKey("review_items.id"), primary_key=True),
    Column("reviewer", Text, primary_key=True),
    Column("scores", Json, nullable=False),  # {criterion: score}
    Column("comment", Text, nullable=False),
    Column("expected", Text),  # what should have been answered
    Column("adjudicates", Integer, nullable=False),  # 1: settles a dispute
    Column("created_at", BigInteger, nullable=False),
)

# Each entry's hash covers the entry and the hash before it.
audit_entries = Table(
    "audit_entries",
    METADATA,
    _project(primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", Json, nullable=False),
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
)

# One row. Its number grows with every change that alters what is served; gateways watch it.
revision = Table(
    "revision",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
