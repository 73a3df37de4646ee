"""What the assets of one pipeline have in common: keys, group, owners, partitions, and the revision they work on.

What belongs here: the frame of the chain. The links are in `tables`, `models` and `results`.
"""

import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg

from assets.code import SPLIT, code_version
from optiflow.artifact import MODEL_ARCHIVE, extract_model
from optiflow.errors import UserError
from optiflow.pipelines.finished import Kept
from optiflow.pipelines.spec import Pipeline
from optiflow.read_limits import LIMITS, ReadLimits
from resources.catalog import Catalog
from resources.catalog.records import DatasetRecord
from resources.jobs.contract import JobKind
from resources.revision import pinned
from resources.storage import Storage

warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)  # it says what is the default anyway
ONE_RUN_A_DATASET = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)


@dataclass(frozen=True)
class Chain:
    """One pipeline's chain: upload → enriched → train, test, actuals → … → report, partitioned by dataset."""

    pipeline: Pipeline
    partitions: dg.DynamicPartitionsDefinition
    owners: Sequence[str] = ()
    limits: ReadLimits = LIMITS

    @property
    def tags(self) -> dict[str, str]:
        """What its assets can be found by."""
        return {"optiflow/pipeline": self.pipeline.name, "optiflow/learner": self.pipeline.algorithm}

    @property
    def scoring_kind(self) -> JobKind:
        """The kind of its prediction jobs: SageMaker scores in batches for its own XGBoost only."""
        return JobKind.TRANSFORM if self.pipeline.learner is None else JobKind.PROCESSING

    @property
    def kinds(self) -> set[str]:
        """What its models are made with, as Dagster's UI shows it."""
        return {self.pipeline.algorithm if self.pipeline.learner is None else "python"}

    def key(self, name: str) -> dg.AssetKey:
        """The key of one of the chain's assets."""
        return dg.AssetKey([self.pipeline.name, name])

    def record(self, context: dg.AssetExecutionContext, catalog: Catalog) -> DatasetRecord:
        """The revision of the dataset that this run works on."""
        return pinned(context.instance, context.run.run_id, catalog, self.pipeline.name, context.partition_key)

    def asset(
        self, name: str, *, code: Sequence[str] = (), job: bool = False, **arguments: Any
    ) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
        """`@dg.asset` with all that the chain's links share; `arguments` are its others.

        `code` and `job` say what makes it besides the pipeline's room, as `code_version` takes them.
        """
        return dg.asset(
            key=self.key(name),
            partitions_def=self.partitions,
            group_name=self.pipeline.name,
            owners=self.owners,
            tags=self.tags,
            code_version=code_version(self.pipeline, *code, job=job),
            backfill_policy=ONE_RUN_A_DATASET,
            **arguments,
        )

    def out(self, name: str, description: str, metadata: Mapping[str, Any] | None = None) -> dg.AssetOut:
        """One table of an asset that makes several."""
        return dg.AssetOut(
            key=self.key(name),
            description=description,
            owners=self.owners,
            tags=self.tags,
            kinds={"polars", "parquet"},
            code_version=code_version(self.pipeline, *SPLIT),
            metadata=metadata,
        )


def model_key(record: DatasetRecord, job: str, file: str) -> str:
    """Where a part of a trained model lies."""
    return f"lake/{record.pipeline}/model/{record.dataset}/{job}/{file}"


def kept_files(storage: Storage, record: DatasetRecord, job: str) -> Kept:
    """Reads what was put beside the model of a training job.

    Raises, when it is called:
        UserError: the file is not there.
    """

    @cache
    def read(file: str) -> str:
        try:
            return storage.read_bytes(model_key(record, job, file)).decode()
        except FileNotFoundError as error:
            raise _no_model(storage, record, job, file) from error

    return read


def check_model(storage: Storage, record: DatasetRecord, job: str) -> None:
    """Make sure that the model of a training job can be scored with.

    Raises:
        UserError: the model was not fetched from its job yet, or was deleted.
    """
    if not storage.exists(model_key(record, job, MODEL_ARCHIVE)):
        raise _no_model(storage, record, job, MODEL_ARCHIVE)


@contextmanager
def model_parts(storage: Storage, record: DatasetRecord, job: str, names: Sequence[str]) -> Iterator[Path]:
    """A folder with files of a training job's model: those that lie beside its archive, else all that is in it.

    Models that an earlier version has put in place have none beside it.

    Raises:
        UserError: the model was not fetched from its job yet, or was deleted.
    """
    check_model(storage, record, job)
    with TemporaryDirectory(prefix="optiflow-") as folder:
        try:
            for name in names:
                with storage.local_copy(model_key(record, job, name)) as part:
                    shutil.copyfile(part, Path(folder, name))
        except FileNotFoundError:
            with storage.local_copy(model_key(record, job, MODEL_ARCHIVE)) as archive:
                extract_model(archive, Path(folder))
        yield Path(folder)


def _no_model(storage: Storage, record: DatasetRecord, job: str, file: str) -> UserError:
    where = storage.uri_for(model_key(record, job, file))
    return UserError(f"There is no {file} of the model {job} at {where}: materialize {record.pipeline}/model first.")


def columns(described: Mapping[str, tuple[str, str]]) -> dict[str, dg.TableSchema]:
    """Column-level metadata of an asset whose columns are known beforehand: name → (type, description)."""
    table = [dg.TableColumn(name, dtype, description) for name, (dtype, description) in described.items()]
    return {"dagster/column_schema": dg.TableSchema(table)}


Sources = Mapping[str, Sequence[tuple[dg.AssetKey, str]]]
"""Column → the asset and column that each of its values is made of."""


def as_they_are(names: Iterable[str], source: dg.AssetKey) -> Sources:
    """Columns that are taken over from an asset under their names."""
    return {name: [(source, name)] for name in names}


def lineage(sources: Sources) -> dict[str, dg.TableColumnLineage]:
    """Where the columns of a table come from, as Dagster's UI shows it."""
    deps = {name: [dg.TableColumnDep(*source) for source in found] for name, found in sources.items()}
    return {"dagster/column_lineage": dg.TableColumnLineage(deps)}
