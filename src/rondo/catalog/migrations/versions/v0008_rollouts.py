"""Rollouts."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("traffic", sa.Column("trial", sa.Text()))
    op.create_table(
        "rollouts",
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("id", "project", "app")],
        *[sa.Column(name, sa.Integer(), nullable=False) for name in ("release", "baseline", "sequence")],
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("terms", "progress")],
        *[sa.Column(name, sa.Text()) for name in ("reading", "exception")],
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        *[sa.Column(name, sa.BigInteger()) for name in ("began_at", "ended_at")],
        sa.PrimaryKeyConstraint("id", name="pk_rollouts"),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_rollouts_project"),
        sa.ForeignKeyConstraint(
            ["project", "app", "release"],
            ["releases.project", "releases.app", "releases.number"],
            name="fk_rollouts_project_app_release",
        ),
    )
    op.create_index("ix_rollouts_project_app_created_at", "rollouts", ["project", "app", "created_at"])
    active = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_rollouts_active",
        "rollouts",
        ["project", "app"],
        unique=True,
        sqlite_where=active,
        postgresql_where=active,
    )
    op.create_table(
        "rollout_events",
        sa.Column("rollout", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("actor", "kind", "sentence", "traces", "after")],
        sa.Column("basis", sa.Text()),
        sa.PrimaryKeyConstraint("rollout", "sequence", name="pk_rollout_events"),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_rollout_events_project"),
        sa.ForeignKeyConstraint(["rollout"], ["rollouts.id"], name="fk_rollout_events_rollout"),
    )


def downgrade() -> None:
    op.drop_table("rollout_events")
    op.drop_table("rollouts")
    op.drop_column("traffic", "trial")
