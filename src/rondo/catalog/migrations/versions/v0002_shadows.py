"""Traffic knows where copies of requests go."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("traffic", sa.Column("shadows", sa.Text(), nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("traffic", "shadows")
