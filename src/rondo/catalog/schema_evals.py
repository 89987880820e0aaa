"""Tables of the catalog that evidence is kept in: datasets, evaluation runs, judges, gates, reviews.

As in `schema.py`: every row belongs to a project, times are microseconds, and a change comes with a migration.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)

from rondo.catalog.columns import METADATA, Json, project_column

# Examples by the hash of what they say: written once, whichever versions hold them.
examples = Table(
    "examples",
    METADATA,
    project_column(primary_key=True),
    Column("id", Text, primary_key=True),
    Column("payload", Text, nullable=False),  # the JSON of a datasets.model.Example, without its split
)

dataset_versions = Table(
    "dataset_versions",
    METADATA,
    project_column(primary_key=True),
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
    project_column(primary_key=True),
    Column("app", Text, primary_key=True),
    Column("example", Text, primary_key=True),
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
    project_column(primary_key=True),
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
    project_column(),
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
    project_column(),
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
    project_column(primary_key=True),
    Column("key", Text, primary_key=True),
    Column("payload", Text, nullable=False),  # the JSON of an evals.model.Answer
    Column("created_at", BigInteger, nullable=False),
)

# How well a judge agreed with people, each time it was measured. The newest of a judge's version holds.
judge_calibrations = Table(
    "judge_calibrations",
    METADATA,
    Column("id", Text, primary_key=True),
    project_column(),
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
    project_column(),
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
    project_column(primary_key=True),
    Column("hash", Text, primary_key=True),  # SHA-256 of `criteria`
    Column("criteria", Json, nullable=False),
)

# Answers that people are to look at, and what each of them said.
review_items = Table(
    "review_items",
    METADATA,
    Column("id", Text, primary_key=True),
    project_column(),
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
    project_column(),
    Column("item", Text, ForeignKey("review_items.id"), primary_key=True),
    Column("reviewer", Text, primary_key=True),
    Column("scores", Json, nullable=False),  # {criterion: score}
    Column("comment", Text, nullable=False),
    Column("expected", Text),  # what should have been answered
    Column("adjudicates", Integer, nullable=False),  # 1: settles a dispute
    Column("created_at", BigInteger, nullable=False),
)
