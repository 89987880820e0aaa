"""Drift reports and runs of patterns."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drift_reports",
        *_columns("id", "project", "app"),
        *_times("since", "until"),
        sa.Column("scheduled", sa.Boolean(), nullable=False),
        *_columns("verdict", "created_by"),
        *_times("created_at"),
        *_columns("report"),
        sa.PrimaryKeyConstraint("id", name="pk_drift_reports"),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_drift_reports_project"),
    )
    op.create_index("ix_drift_reports_project_app_until", "drift_reports", ["project", "app", "until"])
    op.create_table(
        "pattern_runs",
        *_columns("id", "project"),
        sa.Column("app", sa.Text()),
        *_times("since", "until"),
        *_columns("created_by"),
        *_times("created_at"),
        *_columns("report"),
        sa.PrimaryKeyConstraint("id", name="pk_pattern_runs"),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_pattern_runs_project"),
    )
    op.create_index("ix_pattern_runs_project_created_at", "pattern_runs", ["project", "created_at"])


def _columns(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _times(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def downgrade() -> None:
    op.drop_table("pattern_runs")
    op.drop_table("drift_reports")
