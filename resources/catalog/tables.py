"""The three tables, for SQLite and PostgreSQL alike."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa


class UtcDateTime(sa.TypeDecorator[datetime]):
    """A point in time, always UTC: SQLite forgets time zones, PostgreSQL answers in the session's."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Store in UTC."""
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: Any, dialect: Any) -> datetime | None:
        """Read as UTC."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


metadata = sa.MetaData()

datasets = sa.Table(
    "datasets",
    metadata,
    sa.Column("pipeline", sa.String(40), primary_key=True),
    sa.Column("dataset", sa.String(40), primary_key=True),
    sa.Column("revision", sa.String(40), primary_key=True),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("options", sa.JSON, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("used_at", UtcDateTime, nullable=False, index=True),
    sa.Column("standing_at", UtcDateTime),
)

jobs = sa.Table(
    "jobs",
    metadata,
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
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("used_at", UtcDateTime, nullable=False),
    sa.Column("followed_up_at", UtcDateTime),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("model", sa.String(63)),
    sa.Index("ix_jobs_revision", "pipeline", "dataset", "revision", "kind"),
)

models = sa.Table(
    "models",
    metadata,
    sa.Column("name", sa.String(63), primary_key=True),
    sa.Column("pipeline", sa.String(40), nullable=False),
    sa.Column("dataset", sa.String(40), nullable=False),
    sa.Column("revision", sa.String(40), nullable=False),
    sa.Column("artifact_uri", sa.Text, nullable=False),
    sa.Column("stage", sa.String(20), nullable=False),
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("judged_by_time", sa.Boolean),
    sa.Index("ix_models_dataset", "pipeline", "dataset", "stage"),
)
