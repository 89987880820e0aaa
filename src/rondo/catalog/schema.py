"""Tables of the catalog: what is served, what exists, and who may. Those of evaluations are in `schema_evals.py`.

Every row belongs to a project. Times are microseconds since the epoch. `prompts`, `knowledge_versions`,
`releases`, `traffic` and `audit_entries` are only ever added to. Whoever changes this file adds a migration: a test
compares the sum of the migrations with it, on both databases.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)

from rondo.catalog.columns import METADATA, Json, project_column

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
    project_column(),
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
    project_column(primary_key=True),
    Column("name", Text, primary_key=True),
    Column("settings", Json, nullable=False),  # {use_case, goals, gate, marks}, as of the latest release
    Column("created_at", BigInteger, nullable=False),
)

# Models that clients may call by name. A release holds its own copy of the models on its route.
models = Table(
    "models",
    METADATA,
    project_column(primary_key=True),
    Column("name", Text, primary_key=True),
    Column("definition", Json, nullable=False),  # the model's table in rondo.toml, its own price included
    Column("updated_at", BigInteger, nullable=False),
)

prompts = Table(
    "prompts",
    METADATA,
    project_column(primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version", Text, primary_key=True),  # SHA-256 of the parsed prompt
    Column("source", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

knowledge_versions = Table(
    "knowledge_versions",
    METADATA,
    project_column(primary_key=True),
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
    project_column(primary_key=True),
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
    project_column(primary_key=True),
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
    Column("trial", Json),  # {"rollout", "candidate", "baseline", "sticky"} while a rollout moves the traffic
    ForeignKeyConstraint(["project", "app", "stable"], ["releases.project", "releases.app", "releases.number"]),
)

# How much a project, an app, a key or a user may use; null is as much as it likes.
limits = Table(
    "limits",
    METADATA,
    project_column(primary_key=True),
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
    project_column(),
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
    project_column(),
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

# Each entry's hash covers the entry and the hash before it.
audit_entries = Table(
    "audit_entries",
    METADATA,
    project_column(primary_key=True),
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
