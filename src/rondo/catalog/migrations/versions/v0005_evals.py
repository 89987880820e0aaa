"""Datasets, drafts, eval runs, judges' calibrations, gate decisions, reviews."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("releases", sa.Column("terms", sa.Text(), nullable=False, server_default="{}"))
    op.create_table(
        "examples",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_examples_project"),
        sa.PrimaryKeyConstraint("project", "id", name="pk_examples"),
    )
    op.create_table(
        "dataset_versions",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text()),
        sa.Column("examples", sa.Integer(), nullable=False),
        sa.Column("members", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_dataset_versions_project"),
        sa.PrimaryKeyConstraint("project", "dataset", "number", name="pk_dataset_versions"),
        sa.UniqueConstraint("project", "dataset", "hash", name="uq_dataset_versions_project_dataset_hash"),
    )
    op.create_table(
        "regressions",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("example", sa.Text(), nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.Text()),
        sa.Column("broke", sa.Integer()),
        sa.Column("broke_hash", sa.Text()),
        sa.Column("fixed", sa.Integer()),
        sa.Column("fixed_hash", sa.Text()),
        sa.Column("fixed_at", sa.BigInteger()),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_regressions_project"),
        sa.PrimaryKeyConstraint("project", "example", name="pk_regressions"),
    )
    op.create_table(
        "drafts",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("prices", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_drafts_project"),
        sa.ForeignKeyConstraint(["project", "app"], ["apps.project", "apps.name"], name="fk_drafts_project_app"),
        sa.PrimaryKeyConstraint("project", "app", "hash", name="pk_drafts"),
    )
    op.create_table(
        "eval_runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("suite_hash", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("dataset_hash", sa.Text(), nullable=False),
        sa.Column("targets", sa.Text(), nullable=False),
        sa.Column("baseline", sa.Integer()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("max_concurrency", sa.Integer(), nullable=False),
        sa.Column("budget_usd", sa.Double()),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("spent_usd", sa.Double(), nullable=False),
        sa.Column("own_scorers", sa.Text(), nullable=False),
        sa.Column("stop_reason", sa.Text()),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("report", sa.Text()),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_eval_runs_project"),
        sa.PrimaryKeyConstraint("id", name="pk_eval_runs"),
    )
    op.create_index("ix_eval_runs_project_app_suite_hash", "eval_runs", ["project", "app", "suite_hash"])
    op.create_index("ix_eval_runs_project_created_at", "eval_runs", ["project", "created_at"])
    op.create_table(
        "eval_results",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("target", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("example", sa.Text(), nullable=False),
        sa.Column("repeat", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("answer_key", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["eval_runs.id"], name="fk_eval_results_run"),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_eval_results_project"),
        sa.PrimaryKeyConstraint("run", "target", "example", "repeat", name="pk_eval_results"),
    )
    op.create_index("ix_eval_results_project_answer_key", "eval_results", ["project", "answer_key"])
    op.create_table(
        "eval_asks",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_eval_asks_project"),
        sa.PrimaryKeyConstraint("project", "key", name="pk_eval_asks"),
    )
    op.create_table(
        "judge_calibrations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("judge", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("kappa", sa.Double()),
        sa.Column("mark", sa.Double()),
        sa.Column("passed", sa.Integer(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_judge_calibrations_project"),
        sa.PrimaryKeyConstraint("id", name="pk_judge_calibrations"),
    )
    op.create_index(
        "ix_judge_calibrations_project_app_judge_created_at",
        "judge_calibrations",
        ["project", "app", "judge", "created_at"],
    )
    op.create_table(
        "gate_decisions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_gate_decisions_project"),
        sa.PrimaryKeyConstraint("id", name="pk_gate_decisions"),
    )
    op.create_index("ix_gate_decisions_project_app_hash", "gate_decisions", ["project", "app", "hash"])
    op.create_table(
        "review_rubrics",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("criteria", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_review_rubrics_project"),
        sa.PrimaryKeyConstraint("project", "hash", name="pk_review_rubrics"),
    )
    op.create_table(
        "review_items",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("app", sa.Text()),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("rubric", sa.Text(), nullable=False),
        sa.Column("reviewers", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_review_items_project"),
        sa.PrimaryKeyConstraint("id", name="pk_review_items"),
        sa.UniqueConstraint("project", "trace_id", name="uq_review_items_project_trace_id"),
    )
    op.create_index("ix_review_items_project_status_created_at", "review_items", ["project", "status", "created_at"])
    op.create_index("ix_review_items_project_status_source_app", "review_items", ["project", "status", "source", "app"])
    op.create_index("ix_review_items_project_created_at", "review_items", ["project", "created_at"])
    op.create_table(
        "review_answers",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("scores", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("expected", sa.Text()),
        sa.Column("adjudicates", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_review_answers_project"),
        sa.ForeignKeyConstraint(["item"], ["review_items.id"], name="fk_review_answers_item"),
        sa.PrimaryKeyConstraint("item", "reviewer", name="pk_review_answers"),
    )


def downgrade() -> None:
    op.drop_column("releases", "terms")
    for name in (
        *("review_answers", "review_items", "review_rubrics"),
        *("gate_decisions", "judge_calibrations", "eval_results", "eval_runs"),
        *("eval_asks", "drafts", "regressions", "dataset_versions", "examples"),
    ):
        op.drop_table(name)
