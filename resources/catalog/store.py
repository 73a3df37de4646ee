"""The catalog's queries. Every write is an idempotent upsert; a job's state only moves forward."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import dagster as dg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from optiflow.errors import UserError
from optiflow.options import DatasetOptions
from resources.catalog.database import make_engine
from resources.catalog.records import DatasetRecord, JobRecord, ModelRecord, Stage
from resources.catalog.schema import check_schema, upgrade
from resources.catalog.tables import datasets, jobs, models
from resources.jobs.contract import JobKind, JobState, JobStatus

_STANDING_FIRST = (datasets.c.standing_at.desc().nulls_last(), datasets.c.used_at.desc())
_DATASET = [column for column in datasets.c if column.name != "options"] + [
    # As text: decoded by the driver, one bad row would hide all.
    sa.cast(datasets.c.options, sa.Text).label("options")
]
_ORDER = [JobStatus.PENDING, JobStatus.IN_PROGRESS, JobStatus.STOPPING]


@lru_cache(maxsize=8)
def open_store(url: str) -> "CatalogStore":
    """The store at `url`, whose schema is this program's: SQLite is brought up to date here.

    PostgreSQL is not: its schema is made by whoever may do that (`optiflow db upgrade`), not by the first sensor tick.

    Raises:
        UserError: the URL, the rights or the schema are not as they must be; says what to mend.
        TransientError: the database does not answer.
    """
    engine = make_engine(url)
    if engine.dialect.name == "sqlite":
        upgrade(engine)
    else:
        check_schema(engine)
    return CatalogStore(engine)


class CatalogStore:
    """Queries on one engine. Safe to use from several processes and threads.

    Every method raises `TransientError` while the database does not answer and `UserError` for what can be mended,
    such as a changed password. A write that raised may be repeated as it is, also if it did arrive.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._insert = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[engine.dialect.name]

    def put_dataset(self, record: DatasetRecord) -> None:
        """Record that this revision exists and is the one in use now, and whether it stands.

        One for a single run does not become the standing one, and one that stood before stands no longer: had its options
        not been taken out of the dataset's options file, they would not be this run's alone.
        """
        now = datetime.now(UTC)
        row = _row(record) | {"options": record.options.model_dump(mode="json"), "used_at": now}
        row["standing_at"] = now if row.pop("standing") else None
        # The options are those that the revision is named after; written again, they mend a row that was damaged.
        self._upsert(datasets, row, update=["file_name", "options", "used_at", "standing_at"])

    def dataset(self, pipeline: str, dataset: str, revision: str | None = None) -> DatasetRecord | None:
        """One revision of a dataset; without `revision` the standing one: used last among those that are not for one run.

        Raises:
            UserError: its row cannot be read.
        """
        query = sa.select(*_DATASET).where(datasets.c.pipeline == pipeline, datasets.c.dataset == dataset)
        if revision is not None:
            query = query.where(datasets.c.revision == revision)
        found = self._read(query.order_by(*_STANDING_FIRST).limit(1))
        return _dataset(found[0]) if found else None

    def file_name(self, pipeline: str, dataset: str) -> str | None:
        """The file that a dataset was made from last; None where nothing was."""
        known = self.dataset(pipeline, dataset)
        return known.file_name if known else None

    def datasets(self) -> list[DatasetRecord]:
        """Every revision of every dataset: the standing ones first, of each sort the one used last first.

        A row that cannot be read is named and passed over.
        """
        found: list[DatasetRecord] = []
        for row in self._read(sa.select(*_DATASET).order_by(*_STANDING_FIRST)):
            try:
                found.append(_dataset(row))
            except UserError as error:
                dg.get_dagster_logger("catalog").warning(str(error))
        return found

    def put_job(self, record: JobRecord) -> None:
        """Record a submitted or adopted job; on adoption the run that answers for it, its revision and the round change.

        Another revision with equal rows has the same job, which is then the newer one's.

        A job that was not followed up yet stays in its round, so that a retried run does not double what follows. Nobody
        adopts a job that failed or was stopped: one that is recorded again had vanished or was never taken, and is
        another of its name.
        """
        row = _row(record) | {"used_at": datetime.now(UTC)}
        is_new = jobs.c.status.in_((JobStatus.FAILED, JobStatus.STOPPED))
        again = sa.case((jobs.c.followed_up_at.is_(None) & ~is_new, jobs.c.round), else_=jobs.c.round + 1)
        started_over = {
            column: sa.case((is_new, sa.literal(row[column], jobs.c[column].type)), else_=jobs.c[column])
            for column in ("status", "created_at", "failure_reason", "ended_at")
        }
        self._upsert(
            jobs,
            row,
            update=["run_id", "used_at", "revision", "model"],
            also={"round": again, "followed_up_at": None, **started_over},
        )

    def update_job(self, state: JobState) -> None:
        """Take over what the place says of a job, unless that would move its state back."""
        earlier = _ORDER if state.status.is_final else _ORDER[: _ORDER.index(state.status) + 1]
        values = {
            "status": state.status,
            # PostgreSQL takes no NUL in a text, and a job's last words may hold one.
            "failure_reason": state.failure_reason and state.failure_reason.replace("\0", ""),
            "output_uri": state.output_uri,
            "log_uri": state.log_uri,
            "ended_at": state.ended_at,
        }
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(jobs).where(jobs.c.name == state.name, jobs.c.status.in_(earlier)).values(values)
            )

    def job(self, name: str) -> JobRecord | None:
        """One job."""
        found = self._read(sa.select(jobs).where(jobs.c.name == name))
        return _job(found[0]) if found else None

    def current_job(self, pipeline: str, dataset: str, revision: str, kind: JobKind) -> JobRecord | None:
        """The job of this kind that was submitted or adopted last for a revision."""
        query = sa.select(jobs).where(
            jobs.c.pipeline == pipeline, jobs.c.dataset == dataset, jobs.c.revision == revision, jobs.c.kind == kind
        )
        found = self._read(query.order_by(jobs.c.used_at.desc()).limit(1))
        return _job(found[0]) if found else None

    def failed_tries(self, job: JobRecord) -> int:
        """How many jobs have failed at the work of this one, itself included."""
        query = sa.select(jobs.c.name).where(
            jobs.c.pipeline == job.pipeline,
            jobs.c.dataset == job.dataset,
            jobs.c.revision == job.revision,
            jobs.c.kind == job.kind,
            jobs.c.status == JobStatus.FAILED,
            jobs.c.name != job.name,
        )
        return len(self._read(query)) + 1

    def jobs(self) -> list[JobRecord]:
        """Every job, the newest first."""
        return [_job(row) for row in self._read(sa.select(jobs).order_by(jobs.c.created_at.desc()))]

    def open_jobs(self) -> list[JobRecord]:
        """Jobs that still want something: not in a final state, or ended and not followed up.

        In the order in which they were submitted or adopted last.
        """
        query = sa.select(jobs).where(jobs.c.followed_up_at.is_(None)).order_by(jobs.c.used_at)
        return [_job(row) for row in self._read(query)]

    def replaced_jobs(self) -> set[str]:
        """The open jobs that are not `current_job` of their revision any more, whether or not that one is still open."""
        later = jobs.alias()
        same = (later.c[name] == jobs.c[name] for name in ("pipeline", "dataset", "revision", "kind"))
        is_replaced = sa.exists().where(*same, later.c.used_at > jobs.c.used_at)
        found = self._read(sa.select(jobs.c.name).where(jobs.c.followed_up_at.is_(None), is_replaced))
        return {row["name"] for row in found}

    def mark_followed_up(self, names: Iterable[str]) -> None:
        """Record that a run has taken the jobs' results over; a second time changes nothing."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(jobs)
                .where(jobs.c.name.in_(list(names)), jobs.c.followed_up_at.is_(None))
                .values(followed_up_at=datetime.now(UTC))
            )

    def put_model(self, record: ModelRecord) -> None:
        """Record a model; a second time keeps its stage and metrics."""
        self._upsert(models, _row(record), update=["artifact_uri"])

    def judge_model(self, name: str, metrics: Mapping[str, Any], champion: bool, by_time: bool = True) -> Stage:
        """Store a model's hold-out metrics and its stage; a new champion archives the one before.

        Args:
            name: The model.
            metrics: What the report found.
            champion: Whether the model is better than its baselines.
            by_time: Whether it was judged on the newest rows, under the dataset's standing options. What was judged
                otherwise neither replaces a champion that was judged so nor changes what is known of a model that was.

        Returns:
            The stage that the model now has.

        Raises:
            UserError: the catalog knows no such model.
        """
        with self._engine.begin() as connection:
            row = connection.execute(sa.select(models).where(models.c.name == name)).one_or_none()
            if row is None:
                raise UserError(
                    f"The catalog knows no model {name}: materialize the asset `model` of its dataset first."
                )
            same = (models.c.pipeline == row.pipeline) & (models.c.dataset == row.dataset)
            # Locked in one order, or two models judged at once would not see each other and both be champion.
            # SQLite, which knows no row locks, has let only one in anyway.
            rows = connection.execute(sa.select(models).where(same).order_by(models.c.name).with_for_update()).all()
            known = {other.name: other for other in rows}
            if not by_time and known[name].judged_by_time:
                return known[name].stage
            stands = any(other.stage == "champion" and other.judged_by_time for other in rows)
            stage: Stage = "champion" if champion and (by_time or not stands) else "candidate"
            if stage == "champion":
                connection.execute(
                    sa.update(models)
                    .where(same, models.c.stage == "champion", models.c.name != name)
                    .values(stage="archived")
                )
            connection.execute(
                sa.update(models)
                .where(models.c.name == name)
                .values(stage=stage, metrics=dict(metrics), judged_by_time=by_time)
            )
        return stage

    def champion(self, pipeline: str, dataset: str) -> ModelRecord | None:
        """The dataset's champion, of whichever revision; the newest model need not be it."""
        query = sa.select(models).where(
            models.c.pipeline == pipeline, models.c.dataset == dataset, models.c.stage == "champion"
        )
        found = self._read(query)
        return ModelRecord(**found[0]) if found else None

    def models(self) -> list[ModelRecord]:
        """Every model, the newest first."""
        return [ModelRecord(**row) for row in self._read(sa.select(models).order_by(models.c.created_at.desc()))]

    def remove_dataset(self, pipeline: str, dataset: str) -> None:
        """Take all rows of a dataset away, in every table or in none."""
        with self._engine.begin() as connection:
            for table in (jobs, models, datasets):
                connection.execute(sa.delete(table).where(table.c.pipeline == pipeline, table.c.dataset == dataset))

    def _read(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def _upsert(
        self, table: sa.Table, row: Mapping[str, Any], update: list[str], also: Mapping[str, Any] | None = None
    ) -> None:
        statement = self._insert(table).values(row)
        changes = {column: statement.excluded[column] for column in update} | dict(also or {})
        with self._engine.begin() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=changes)
            )


def _row(record: DatasetRecord | JobRecord | ModelRecord) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _dataset(row: dict[str, Any]) -> DatasetRecord:
    row.pop("used_at")
    row["standing"] = row.pop("standing_at") is not None
    try:
        row["options"] = DatasetOptions.model_validate(json.loads(row["options"]))
    except ValueError as error:
        name = f"{row['pipeline']} {row['dataset']}"
        raise UserError(
            f"The catalog's options of {name}, revision {row['revision']}, cannot be read ({str(error).splitlines()[0]}): "
            f"run the same file with the same options again to mend them (`optiflow run {name}`)."
        ) from error
    return DatasetRecord(**row)


def _job(row: dict[str, Any]) -> JobRecord:
    row.pop("used_at")
    row["kind"], row["status"] = JobKind(row["kind"]), JobStatus(row["status"])
    return JobRecord(**row)
