"""Files and batches."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _big(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "files",
        *_text("id", "project", "folder", "key_id", "purpose", "filename"),
        *_big("bytes", "created_at"),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_files_project"),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
    )
    op.create_index("ix_files_project_created_at", "files", ["project", "created_at"])
    op.create_table(
        "batches",
        *_text("id", "project", "folder", "key_id", "endpoint", "input_file_id", "metadata", "status"),
        *_big("created_at", "expires_at"),
        *_text("errors"),
        *[sa.Column(name, sa.Integer(), nullable=False) for name in ("total", "completed", "failed")],
        *[
            sa.Column(name, sa.BigInteger())
            for name in ("in_progress_at", "cancelling_at", "finalizing_at", "ended_at")
        ],
        *[sa.Column(name, sa.Text()) for name in ("output_file_id", "error_file_id")],
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_batches_project"),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
    )
    op.create_index("ix_batches_project_created_at", "batches", ["project", "created_at"])


def downgrade() -> None:
    op.drop_table("batches")
    op.drop_table("files")
