"""Which model a prediction job scored with, which revisions stand, and what models were judged by."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TIME = sa.DateTime(timezone=True)
_OF_REVISION = ("pipeline", "dataset", "revision")

_datasets = sa.table(
    "datasets",
    *(sa.column(name, sa.String) for name in _OF_REVISION),
    sa.column("options", sa.JSON),
    sa.column("used_at", _TIME),
    sa.column("standing_at", _TIME),
)
_jobs = sa.table("jobs", *(sa.column(name, sa.String) for name in ("name", "kind", "status", "model", *_OF_REVISION)))
_models = sa.table(
    "models",
    *(sa.column(name, sa.String) for name in ("name", "stage", *_OF_REVISION)),
    sa.column("metrics", sa.JSON),
    sa.column("judged_by_time", sa.Boolean),
)


def upgrade() -> None:
    """Add the columns, and fill in what the rows that there are can tell."""
    op.add_column("datasets", sa.Column("standing_at", _TIME))
    op.add_column("jobs", sa.Column("model", sa.String(63)))
    op.add_column("models", sa.Column("judged_by_time", sa.Boolean))
    connection = op.get_bind()
    # Which options were for one run alone, nobody has noted: all revisions count as standing.
    connection.execute(sa.update(_datasets).values(standing_at=_datasets.c.used_at))
    _name_models(connection)
    _tell_judged_by_time(connection)


def downgrade() -> None:
    """Remove them."""
    op.drop_column("models", "judged_by_time")
    op.drop_column("jobs", "model")
    op.drop_column("datasets", "standing_at")


def _name_models(connection: sa.Connection) -> None:
    """The one model that a revision had; of several, nobody has noted which, and none is guessed."""
    trained = sa.select(_jobs).where(_jobs.c.kind == "training", _jobs.c.status == "Completed")
    models: dict[tuple[str, ...], list[str]] = {}
    for job in connection.execute(trained).mappings():
        models.setdefault(tuple(job[name] for name in _OF_REVISION), []).append(job["name"])
    for key, names in models.items():
        if len(names) == 1:
            same = [_jobs.c[name] == value for name, value in zip(_OF_REVISION, key, strict=True)]
            predictions = sa.update(_jobs).where(*same, _jobs.c.kind != "training")
            connection.execute(predictions.values(model=names[0]))


def _tell_judged_by_time(connection: sa.Connection) -> None:
    split = {
        tuple(row[name] for name in _OF_REVISION): (row["options"] or {}).get("split", {}).get("strategy", "time")
        for row in connection.execute(sa.select(_datasets)).mappings()
    }
    for model in connection.execute(sa.select(_models)).mappings().all():
        if model["metrics"] or model["stage"] != "candidate":
            by_time = split.get(tuple(model[name] for name in _OF_REVISION), "time") == "time"
            connection.execute(sa.update(_models).where(_models.c.name == model["name"]).values(judged_by_time=by_time))
