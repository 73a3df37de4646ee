"""The IO manager with real runs: where tables lie, what downstream gets, what people are shown."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from optiflow.options import merge_options
from resources.adapters import Adapters
from resources.catalog.records import DatasetRecord, revision_of
from resources.lake import LakeIOManager
from resources.revision import REVISION_TAG
from resources.storage import Storage

DATASETS = dg.DynamicPartitionsDefinition(name="datasets")
TABLE = pl.DataFrame({"row": range(2, 12), "day": [date(2024, 1, d) for d in range(1, 11)], "x": [0.5] * 10})
Run = Callable[..., dg.ExecuteInProcessResult]


@dg.asset(key=["orders", "made"], partitions_def=DATASETS)
def made() -> pl.DataFrame:
    return TABLE


@dg.asset(key=["orders", "read"], partitions_def=DATASETS, ins={"made": dg.AssetIn(["orders", "made"])})
def read(context: dg.AssetExecutionContext, made: pl.LazyFrame) -> pl.LazyFrame:
    assert isinstance(made, pl.LazyFrame)
    return made.filter(pl.col("row") > 5)


@dg.asset(key=["fred", "observations"], partitions_def=DATASETS)
def observations() -> pl.DataFrame:
    return TABLE.head(1)


@dg.asset(key=["orders", "broken"], partitions_def=DATASETS)
def broken() -> pl.LazyFrame:
    return TABLE.lazy().with_columns(pl.col("day").cast(pl.String).cast(pl.Int64))


def record(version: str = "1" * 64) -> DatasetRecord:
    options = merge_options({})
    return DatasetRecord(
        "orders", "shop", revision_of(version, options), version, "s.csv", 1, options, datetime.now(UTC)
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """In memory: a run on disk costs a second more."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def run(adapters: Adapters, instance: dg.DagsterInstance) -> Run:
    adapters.catalog.open().put_dataset(record())
    instance.add_dynamic_partitions("datasets", ["shop", "UNRATE"])
    manager = LakeIOManager(storage=adapters.storage, catalog=adapters.catalog)

    def run(*names: str, partition: str = "shop", **arguments) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            [made, read, observations, broken],
            selection=[dg.AssetKey(name.split("/")) for name in names],
            resources={"io_manager": manager},
            instance=instance,
            partition_key=partition,
            **arguments,
        )

    return run


def files(storage: Storage) -> list[str]:
    return sorted(str(path.relative_to(storage.root)) for path in storage.root.rglob("*.parquet"))


def test_tables_lie_under_pipeline_asset_dataset_and_revision(run: Run, adapters: Adapters) -> None:
    run("orders/made", "orders/read")
    revision = record().revision
    assert files(adapters.storage) == [f"lake/orders/{name}/shop/{revision}.parquet" for name in ("made", "read")]
    assert adapters.storage.scan_parquet(record().key("read")).collect().equals(TABLE.filter(pl.col("row") > 5))


def test_a_later_run_reads_what_an_earlier_one_wrote(run: Run, adapters: Adapters) -> None:
    run("orders/made")
    run("orders/read")
    assert adapters.storage.scan_parquet(record().key("read")).collect().height == 6


def test_a_series_is_filed_under_its_id(run: Run, adapters: Adapters) -> None:
    run("fred/observations", partition="UNRATE")
    assert files(adapters.storage) == ["lake/fred/observations/UNRATE.parquet"]


def test_revisions_lie_side_by_side_and_a_run_keeps_to_its_own(run: Run, adapters: Adapters) -> None:
    run("orders/made")
    newer = record("2" * 64)
    adapters.catalog.open().put_dataset(newer)
    run("orders/made", tags={REVISION_TAG: record().revision})
    assert files(adapters.storage) == [record().key("made")]
    run("orders/made")
    assert files(adapters.storage) == sorted([record().key("made"), newer.key("made")])


def test_a_run_without_a_revision_pins_the_one_in_use(run: Run, instance: dg.DagsterInstance) -> None:
    result = run("orders/made")
    stored = instance.get_run_by_id(result.run_id)
    assert stored is not None
    assert stored.tags[REVISION_TAG] == record().revision


def test_rows_size_schema_and_five_rows_are_shown(run: Run, adapters: Adapters) -> None:
    (event,) = run("orders/made").asset_materializations_for_node("orders__made")
    shown = event.metadata
    assert shown["dagster/partition_row_count"].value == 10
    assert shown["bytes"].value == adapters.storage.path(record().key("made")).stat().st_size
    assert shown["dagster/uri"].value == adapters.storage.uri_for(record().key("made"))
    schema = shown["dagster/column_schema"].value
    assert isinstance(schema, dg.TableSchema)
    assert [(c.name, c.type) for c in schema.columns] == [("row", "Int64"), ("day", "Date"), ("x", "Float64")]
    preview = shown["preview"]
    assert isinstance(preview, dg.TableMetadataValue)
    assert [r.data["row"] for r in preview.records] == [2, 3, 4, 5, 6]
    assert preview.records[0].data["day"] == "2024-01-01"


def test_a_table_that_is_not_there_is_an_error_that_says_where(run: Run) -> None:
    with pytest.raises(dg.Failure) as caught:
        run("orders/read")
    said = str(caught.value.description)
    assert said.startswith("There is no table of orders/made at file:///")
    assert said.endswith(f"{record().key('made')}: materialize orders/made first.")
    assert caught.value.allow_retries is False


def test_a_query_that_fails_half_way_leaves_the_old_table(run: Run, adapters: Adapters, tmp_path: Path) -> None:
    adapters.storage.write_parquet(record().key("broken"), TABLE)
    with pytest.raises(pl.exceptions.PolarsError):
        run("orders/broken")
    assert adapters.storage.scan_parquet(record().key("broken")).collect().equals(TABLE)
    assert [p.name for p in adapters.storage.path(record().key("broken")).parent.iterdir()] == [
        f"{record().revision}.parquet"
    ]


def test_a_dataset_that_was_never_uploaded_is_refused(run: Run) -> None:
    with pytest.raises(dg.Failure) as caught:
        run("orders/made", partition="UNRATE")
    assert "There is no dataset 'UNRATE' in orders: materialize orders/upload" in str(caught.value.description)
