"""Readers of the calls know how far they came."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cursors",
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("project", "name")],
        *[sa.Column(name, sa.BigInteger(), nullable=False) for name in ("arrival", "updated_at")],
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_cursors_project"),
        sa.PrimaryKeyConstraint("project", "name", name="pk_cursors"),
    )


def downgrade() -> None:
    op.drop_table("cursors")
