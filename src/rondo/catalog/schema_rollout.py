"""Tables of rollouts: what each was started with, how far it is, and everything that was decided.

`rollout_events` is only ever added to. Times are microseconds since the epoch.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, Integer, Table, Text

from rondo.catalog.columns import METADATA, Json, project_column

rollouts = Table(
    "rollouts",
    METADATA,
    Column("id", Text, primary_key=True),
    project_column(),
    Column("app", Text, nullable=False),
    Column("release", Integer, nullable=False),  # the candidate
    Column("baseline", Integer, nullable=False),  # the release that was stable when it was made
    Column("sequence", Integer, nullable=False),  # of its last event: who changes it must know it
    Column("terms", Json, nullable=False),  # steps, goals, guards, as they were when it was made
    Column("progress", Json, nullable=False),
    Column("reading", Json),  # what was last read of its calls
    Column("exception", Json),  # {"reason", "by", "by_admin"}: traffic in spite of the gate
    Column("reason", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("began_at", BigInteger),
    Column("ended_at", BigInteger),
    ForeignKeyConstraint(["project", "app", "release"], ["releases.project", "releases.app", "releases.number"]),
    Index(None, "project", "app", "created_at"),
)

# One at a time for each app.
Index(
    "ix_rollouts_active",
    rollouts.c.project,
    rollouts.c.app,
    unique=True,
    sqlite_where=rollouts.c.ended_at.is_(None),
    postgresql_where=rollouts.c.ended_at.is_(None),
)

rollout_events = Table(
    "rollout_events",
    METADATA,
    Column("rollout", Text, primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    project_column(),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("traces", Json, nullable=False),  # calls that show it
    Column("after", Json, nullable=False),  # the progress that it led to
    Column("basis", Json),  # progress before, reading, time: what it was decided by, where nobody said so
    ForeignKeyConstraint(["rollout"], ["rollouts.id"]),
)
