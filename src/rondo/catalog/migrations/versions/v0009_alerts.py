"""Alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alerts",
        *_texts("id", "project", "app", "rule", "on", "fingerprint", "severity"),
        sa.Column("sequence", sa.Integer(), nullable=False),
        *_texts("progress", "seen", "worst"),
        *[sa.Column(name, sa.Text()) for name in ("release", "acknowledged")],
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        *[sa.Column(name, sa.BigInteger()) for name in ("fired_at", "ended_at")],
        sa.Column("looked_at", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        *[sa.Column(name, sa.Text()) for name in ("told_kind", "resolved_by")],
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_alerts_project"),
    )
    op.create_index("ix_alerts_project_began_at", "alerts", ["project", "began_at"])
    op.create_index("ix_alerts_project_fingerprint_ended_at", "alerts", ["project", "fingerprint", "ended_at"])
    is_open = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_alerts_open",
        "alerts",
        ["project", "fingerprint"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_table(
        "alert_events",
        sa.Column("alert", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        *_texts("actor", "kind", "sentence"),
        sa.Column("value", sa.Text()),
        sa.PrimaryKeyConstraint("alert", "sequence", name="pk_alert_events"),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_alert_events_project"),
        sa.ForeignKeyConstraint(["alert"], ["alerts.id"], name="fk_alert_events_alert"),
    )
    _silences()
    _notices()


def _silences() -> None:
    op.create_table(
        "alert_silences",
        *_texts("id", "project"),
        *[sa.Column(name, sa.Text()) for name in ("app", "rule", "severity")],
        *_texts("reason", "created_by"),
        *[sa.Column(name, sa.BigInteger(), nullable=False) for name in ("created_at", "until")],
        sa.PrimaryKeyConstraint("id", name="pk_alert_silences"),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_alert_silences_project"),
    )
    op.create_index("ix_alert_silences_project_until", "alert_silences", ["project", "until"])


def _notices() -> None:
    op.create_table(
        "alert_notices",
        *_texts("id", "project"),
        sa.Column("order", sa.BigInteger(), nullable=False),
        *_texts("app", "channel"),
        sa.Column("alert", sa.Text()),
        *_texts("kind", "payload"),
        *[sa.Column(name, sa.BigInteger(), nullable=False) for name in ("created_at", "due_at")],
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_alert_notices"),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_alert_notices_project"),
    )
    op.create_index("ix_alert_notices_project_order", "alert_notices", ["project", "order"], unique=True)
    op.create_index("ix_alert_notices_project_status_order", "alert_notices", ["project", "status", "order"])
    op.create_index("ix_alert_notices_project_alert", "alert_notices", ["project", "alert"])


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def downgrade() -> None:
    for table in ("alert_notices", "alert_silences", "alert_events", "alerts"):
        op.drop_table(table)
