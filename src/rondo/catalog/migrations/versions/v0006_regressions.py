"""A regression is one app's: the same example may have been broken by several."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("regressions") as table:
        table.drop_constraint("pk_regressions", type_="primary")
        table.create_primary_key("pk_regressions", ["project", "app", "example"])


def downgrade() -> None:
    op.execute(
        "DELETE FROM regressions WHERE EXISTS (SELECT 1 FROM regressions AS other WHERE other.project ="
        " regressions.project AND other.example = regressions.example AND other.app < regressions.app)"
    )
    with op.batch_alter_table("regressions") as table:
        table.drop_constraint("pk_regressions", type_="primary")
        table.create_primary_key("pk_regressions", ["project", "example"])
