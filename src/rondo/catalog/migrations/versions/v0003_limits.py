"""Limits and budgets."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "limits",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("requests_per_minute", sa.BigInteger()),
        sa.Column("tokens_per_minute", sa.BigInteger()),
        sa.Column("concurrent", sa.BigInteger()),
        sa.Column("nano_per_day", sa.BigInteger()),
        sa.Column("nano_per_month", sa.BigInteger()),
        sa.Column("alert_at", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_limits_project"),
        sa.PrimaryKeyConstraint("project", "scope", name="pk_limits"),
    )


def downgrade() -> None:
    op.drop_table("limits")
