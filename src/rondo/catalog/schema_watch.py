"""Tables of what goes on by itself: how far readers of the calls have come; what was seen of drift, and patterns."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Table, Text

from rondo.catalog.columns import METADATA, Json, project_column

# What reads the stored calls in the order they arrived (live judging, traces out) and must go on where it stopped.
cursors = Table(
    "cursors",
    METADATA,
    project_column(primary_key=True),
    Column("name", Text, primary_key=True),
    Column("arrival", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

# What was found when an app's drift was looked at; `report` is all of it. The schedule goes on from the newest `until`.
drift_reports = Table(
    "drift_reports",
    METADATA,
    Column("id", Text, primary_key=True),
    project_column(),
    Column("app", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("scheduled", Boolean, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("report", Json, nullable=False),
    Index(None, "project", "app", "until"),
)

# Failing and disliked calls, put together to patterns; `app` NULL: of all apps.
pattern_runs = Table(
    "pattern_runs",
    METADATA,
    Column("id", Text, primary_key=True),
    project_column(),
    Column("app", Text),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("report", Json, nullable=False),
    Index(None, "project", "created_at"),
)
