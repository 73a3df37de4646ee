"""Datasets, jobs and models."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "datasets",
        sa.Column("pipeline", sa.String(40), primary_key=True),
        sa.Column("dataset", sa.String(40), primary_key=True),
        sa.Column("revision", sa.String(40), primary_key=True),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("used_at", _TIME, nullable=False, index=True),
    )
    op.create_table(
        "jobs",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("pipeline", sa.String(40), nullable=False),
        sa.Column("dataset", sa.String(40), nullable=False),
        sa.Column("revision", sa.String(40), nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("status", sa.String(20), nullable=False, index=True),
        sa.Column("failure_reason", sa.Text),
        sa.Column("output_uri", sa.Text),
        sa.Column("log_uri", sa.Text),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME),
        sa.Column("used_at", _TIME, nullable=False),
        sa.Column("followed_up_at", _TIME),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Index("ix_jobs_revision", "pipeline", "dataset", "revision", "kind"),
    )
    op.create_table(
        "models",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("pipeline", sa.String(40), nullable=False),
        sa.Column("dataset", sa.String(40), nullable=False),
        sa.Column("revision", sa.String(40), nullable=False),
        sa.Column("artifact_uri", sa.Text, nullable=False),
        sa.Column("stage", sa.String(20), nullable=False),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Index("ix_models_dataset", "pipeline", "dataset", "stage"),
    )


def downgrade() -> None:
    """Remove them."""
    for table in ("models", "jobs", "datasets"):
        op.drop_table(table)
