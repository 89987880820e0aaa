"""Tables of alerts: each time that something was wrong, what became of it, what is silenced, and who is to be told.

A notice is written in the transaction of the change that it tells of, so that none is lost. Times are microseconds
since the epoch.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, Integer, Table, Text

from rondo.catalog.columns import METADATA, Json, project_column

alerts = Table(
    "alerts",
    METADATA,
    Column("id", Text, primary_key=True),
    project_column(),
    Column("app", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("on", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),  # of app, rule and labels: one is open at a time
    Column("severity", Text, nullable=False),
    Column("sequence", Integer, nullable=False),  # of its last change: who changes it must know it
    Column("progress", Json, nullable=False),
    Column("seen", Json, nullable=False),  # the last look
    Column("worst", Json, nullable=False),
    Column("release", Json),  # the last change of traffic before it began
    Column("acknowledged", Json),
    Column("began_at", BigInteger, nullable=False),
    Column("fired_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("looked_at", BigInteger, nullable=False),
    Column("told", Integer, nullable=False),
    Column("told_kind", Text),
    Column("resolved_by", Text),
    Index(None, "project", "began_at"),
    Index(None, "project", "fingerprint", "ended_at"),
)

Index(
    "ix_alerts_open",
    alerts.c.project,
    alerts.c.fingerprint,
    unique=True,
    sqlite_where=alerts.c.ended_at.is_(None),
    postgresql_where=alerts.c.ended_at.is_(None),
)

alert_events = Table(
    "alert_events",
    METADATA,
    Column("alert", Text, primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    project_column(),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("value", Json),
    ForeignKeyConstraint(["alert"], ["alerts.id"]),
)

alert_silences = Table(
    "alert_silences",
    METADATA,
    Column("id", Text, primary_key=True),
    project_column(),
    Column("app", Text),  # what is NULL matches all
    Column("rule", Text),
    Column("severity", Text),
    Column("reason", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Index(None, "project", "until"),
)

alert_notices = Table(
    "alert_notices",
    METADATA,
    Column("id", Text, primary_key=True),
    project_column(),
    Column("order", BigInteger, nullable=False),  # within a project: a channel gets its notices in this order
    Column("app", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("alert", Text),  # NULL for a test
    Column("kind", Text, nullable=False),
    Column("payload", Json, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),  # also: until when the server that took it has time to send it
    Column("attempts", Integer, nullable=False),
    Column("status", Text, nullable=False),  # waiting, sent, dead
    Column("error", Text),
    Column("ended_at", BigInteger),
    Index(None, "project", "status", "order"),
    Index(None, "project", "alert"),
    Index("ix_alert_notices_project_order", "project", "order", unique=True),
)
