"""The lake's IO manager: Parquet (zstd) in and out of the storage, put in place, with metadata people look at.

dagster-polars has an IO manager too; importing it loads pandas and nearly doubles the start of every sensor and run
process, and it writes straight to the final name. This one leaves the bytes to `Storage` and so is as short.
"""

import dagster as dg
import polars as pl

from optiflow.errors import UserError
from resources.catalog import Catalog
from resources.failures import told_plainly
from resources.revision import pinned
from resources.storage import Storage

PREVIEW_ROWS = 5


class LakeIOManager(dg.ConfigurableIOManager):
    """Files a table under `lake/<pipeline>/<asset>/<dataset>/<revision>.parquet`; hands out lazy frames.

    An asset partitioned otherwise (`fred/observations`, by series) is filed under its partition key.
    """

    storage: dg.ResourceDependency[Storage]
    catalog: dg.ResourceDependency[Catalog]

    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame | pl.LazyFrame) -> None:
        """Put the table in place, then describe what lies there."""
        with told_plainly(context.step_context.dagster_run.tags, context.step_context.previous_attempt_count):
            key = self._key(context, context.step_context.instance)
            self.storage.write_parquet(key, obj)
            context.add_output_metadata(table_metadata(self.storage, key, obj))

    def load_input(self, context: dg.InputContext) -> pl.LazyFrame:
        """The table as a lazy frame; a failure that names the asset to materialize if there is none."""
        upstream = context.upstream_output
        assert upstream is not None
        with told_plainly(context.step_context.dagster_run.tags, context.step_context.previous_attempt_count):
            key = self._key(context, context.instance)
            try:
                return self.storage.scan_parquet(key)
            except FileNotFoundError as error:
                asset = context.asset_key.to_user_string()
                where = self.storage.uri_for(key)
                raise UserError(f"There is no table of {asset} at {where}: materialize {asset} first.") from error

    def _key(self, context: dg.OutputContext | dg.InputContext, instance: dg.DagsterInstance) -> str:
        partition = context.asset_partition_keys[0] if context.has_asset_partitions else "all"
        group, name = context.asset_key.path[-2:]
        if group == "fred":
            return f"lake/fred/{name}/{partition}.parquet"
        record = pinned(instance, context.step_context.run_id, self.catalog, group, partition)
        return record.key(name)


def table_metadata(storage: Storage, key: str, table: pl.DataFrame | pl.LazyFrame) -> dict[str, dg.MetadataValue]:
    """Row count, byte size, address, schema and a preview of five rows of a table as it was written to the lake.

    The table itself is asked and not the file, which would be read back, from S3 even over the network.
    """
    asked = table.lazy()
    preview = asked.head(PREVIEW_ROWS).collect()
    rows = asked.select(pl.len()).collect().item()  # asked together, both would wait for all columns of all rows
    columns = [dg.TableColumn(name, str(dtype)) for name, dtype in preview.schema.items()]
    records = [dg.TableRecord({k: _cell(v) for k, v in row.items()}) for row in preview.iter_rows(named=True)]
    schema = dg.TableSchema(columns)
    return {
        "dagster/partition_row_count": dg.MetadataValue.int(rows),
        "dagster/column_schema": dg.MetadataValue.table_schema(schema),
        "bytes": dg.MetadataValue.int(storage.size(key)),
        "dagster/uri": dg.MetadataValue.text(storage.uri_for(key)),
        "preview": dg.MetadataValue.table(records, schema=schema),
    }


def _cell(value: object) -> str | int | float | bool | None:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
