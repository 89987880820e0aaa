"""The first schema: projects, keys, apps, models, prompts, knowledge, releases, traffic, audit."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _project(table: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("project", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name=f"fk_{table}_project"),
    ]


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _big(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def _int(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.Integer(), nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "projects", *_text("name"), *_big("created_at"), sa.PrimaryKeyConstraint("name", name="pk_projects")
    )
    op.create_table(
        "keys",
        *_text("id"),
        *_project("keys"),
        *_text("name", "kind"),
        sa.Column("role", sa.Text()),
        *_text("apps", "hash", "hint"),
        *_big("created_at"),
        *_text("created_by"),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.UniqueConstraint("hash", name="uq_keys_hash"),
    )
    op.create_index("ix_keys_project", "keys", ["project"])
    op.create_table(
        "apps",
        *_project("apps"),
        *_text("name", "settings"),
        *_big("created_at"),
        sa.PrimaryKeyConstraint("project", "name", name="pk_apps"),
    )
    op.create_table(
        "models",
        *_project("models"),
        *_text("name", "definition"),
        *_big("updated_at"),
        sa.PrimaryKeyConstraint("project", "name", name="pk_models"),
    )
    _create_versions()
    _create_traffic()
    _create_audit()


def _create_versions() -> None:
    op.create_table(
        "prompts",
        *_project("prompts"),
        *_text("name", "version", "source"),
        *_big("created_at"),
        sa.PrimaryKeyConstraint("project", "name", "version", name="pk_prompts"),
    )
    op.create_table(
        "knowledge_versions",
        *_project("knowledge_versions"),
        *_text("name", "version"),
        *_int("documents", "chunks"),
        *_big("bytes", "created_at"),
        sa.PrimaryKeyConstraint("project", "name", "version", name="pk_knowledge_versions"),
    )
    op.create_table(
        "releases",
        *_project("releases"),
        *_text("app"),
        *_int("number"),
        *_text("hash", "manifest", "message", "created_by"),
        *_big("created_at"),
        sa.PrimaryKeyConstraint("project", "app", "number", name="pk_releases"),
        sa.ForeignKeyConstraint(["project", "app"], ["apps.project", "apps.name"], name="fk_releases_project_app"),
        sa.UniqueConstraint("project", "app", "hash", name="uq_releases_project_app_hash"),
    )


def _create_traffic() -> None:
    op.create_table(
        "traffic",
        *_project("traffic"),
        *_text("app"),
        *_int("sequence"),
        *_big("at"),
        *_text("actor", "action", "reason"),
        *_int("stable"),
        *_text("arms", "salt", "history", "served"),
        sa.PrimaryKeyConstraint("project", "app", "sequence", name="pk_traffic"),
        sa.ForeignKeyConstraint(
            ["project", "app", "stable"],
            ["releases.project", "releases.app", "releases.number"],
            name="fk_traffic_project_app_stable",
        ),
    )


def _create_audit() -> None:
    op.create_table(
        "audit_entries",
        *_project("audit_entries"),
        *_big("sequence", "at"),
        *_text("actor", "action", "subject", "details", "previous_hash", "hash"),
        sa.PrimaryKeyConstraint("project", "sequence", name="pk_audit_entries"),
    )
    revision_table = op.create_table(
        "revision",
        *_int("id"),
        *_big("number"),
        sa.PrimaryKeyConstraint("id", name="pk_revision"),
        sa.CheckConstraint("id = 1", name=op.f("ck_revision_one_row")),
    )
    op.bulk_insert(revision_table, [{"id": 1, "number": 0}])


def downgrade() -> None:
    for table in (
        "revision",
        "audit_entries",
        "traffic",
        "releases",
        "knowledge_versions",
        "prompts",
        "models",
        "apps",
        "keys",
        "projects",
    ):
        op.drop_table(table)
