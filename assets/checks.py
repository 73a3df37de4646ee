"""Asset checks: what must hold between the tables of a chain, proved on what was written.

What belongs here: which facts are checked when, and what a fault leads to. What does not: counting faults
(`optiflow.table_checks`).
"""

import warnings
from collections.abc import Callable, Iterator

import dagster as dg
import polars as pl

from assets.chain import Chain
from optiflow.fred.enrichment import future_violations, values_by_day
from optiflow.report.model import report_from_json
from optiflow.table_checks import (
    Faults,
    balance_faults,
    counted,
    counts,
    filled_faults,
    split_faults,
    time_overlap,
    upload_faults,
)
from resources.catalog import Catalog
from resources.catalog.records import DatasetRecord
from resources.revision import pinned
from resources.storage import Storage

PARTITION_TAG = "dagster/partition"
SHOWN_VIOLATIONS = 5

# Without partitions of their own checks cannot be executed from the UI: no run would know its dataset.
warnings.filterwarnings("ignore", "Specifying a partitions_def on an AssetCheckSpec", dg.PreviewWarning)


def chain_checks(chain: Chain) -> list[dg.AssetChecksDefinition]:
    """Every check of one pipeline. Those that guard the numbers stop the run; a weak model only warns."""

    def guards(asset: str, reads: tuple[str, ...] = ()) -> Callable[..., dg.AssetChecksDefinition]:
        return dg.asset_check(
            asset=chain.key(asset),
            additional_deps=[chain.key(name) for name in reads],
            blocking=True,
            partitions_def=chain.partitions,
        )

    def record_of(context: dg.AssetCheckExecutionContext, catalog: Catalog) -> DatasetRecord:
        dataset = context.run.tags[PARTITION_TAG]
        return pinned(context.instance, context.run.run_id, catalog, chain.pipeline.name, dataset)

    @guards("upload")
    def schema(context: dg.AssetCheckExecutionContext, storage: Storage, catalog: Catalog) -> dg.AssetCheckResult:
        """Dates are dates, targets are finite numbers, row numbers are unique, none of them is missing."""
        record = record_of(context, catalog)
        table = storage.scan_parquet(record.key("upload"))
        faults = counted(upload_faults(table, record.options.target, str(record.options.date_column)))
        if chain.pipeline.may_lack_target:
            del faults["missing_targets"]
        return _none(faults)

    # Two checks in one pass over the largest table.
    @dg.multi_asset_check(
        name=f"{chain.pipeline.name}__enriched_checks", specs=_specs_of_enriched(chain), can_subset=True
    )
    def of_enriched(
        context: dg.AssetCheckExecutionContext, storage: Storage, catalog: Catalog
    ) -> Iterator[dg.AssetCheckResult]:
        record = record_of(context, catalog)
        uploaded, rejected, enriched, series = _tables(storage, record, "upload", "rejected", "enriched", "series")
        published = series.collect()
        day = str(record.options.date_column)
        queries = [balance_faults(uploaded, rejected, enriched), values_by_day(enriched, published, day)]
        balance, seen = pl.collect_all(queries, engine="streaming")
        wrong = future_violations(seen, published)
        shown = dg.MetadataValue.md(f"```\n{wrong.head(SHOWN_VIOLATIONS)}\n```")
        metadata = {"wrong_values": wrong.height, "examples": shown}
        results = {
            "row_balance": _none(counts(balance), "row_balance"),
            "no_future_value": dg.AssetCheckResult(
                check_name="no_future_value", passed=wrong.is_empty(), metadata=metadata
            ),
        }
        yield from (results[key.name] for key in context.selected_asset_check_keys)

    @guards("actuals", ("enriched", "train", "test"))
    def split_disjoint(
        context: dg.AssetCheckExecutionContext, storage: Storage, catalog: Catalog
    ) -> dg.AssetCheckResult:
        """Every row is in exactly one set, the target is kept from the test rows, and time runs forward."""
        record = record_of(context, catalog)
        enriched, train, test, actuals = _tables(storage, record, "enriched", "train", "test", "actuals")
        kept_back = [name for name in (record.options.target, *chain.pipeline.hidden) if name is not None]
        unit = chain.pipeline.filled_unit
        faults = [split_faults(enriched, train, test, actuals, kept_back, filled=bool(unit))]
        if unit:
            faults.append(filled_faults(enriched, train, test, actuals, unit))
        if record.options.split.strategy == "time":
            older = chain.pipeline.must_be_older(train)
            faults.append(time_overlap(older, test, str(record.options.date_column)))
        return _none(counted(*faults))

    @dg.asset_check(asset=chain.key(chain.pipeline.report), partitions_def=chain.partitions)
    def skill_above_baseline(
        context: dg.AssetCheckExecutionContext, storage: Storage, catalog: Catalog
    ) -> dg.AssetCheckResult:
        """The model's error is below that of the best naive baseline."""
        key = record_of(context, catalog).key(chain.pipeline.report, "/report.json")
        report = report_from_json(storage.read_bytes(key).decode())
        return dg.AssetCheckResult(
            passed=report.skill is not None and report.skill > 0,
            severity=dg.AssetCheckSeverity.WARN,
            description=report.verdict,
            metadata={"skill": report.skill, "baseline": report.best_baseline},
        )

    guarding = [schema, of_enriched, split_disjoint]
    return [*guarding, skill_above_baseline] if chain.pipeline.has_actuals else guarding


def _tables(storage: Storage, record: DatasetRecord, *assets: str) -> list[pl.LazyFrame]:
    return [storage.scan_parquet(record.key(asset)) for asset in assets]


def _none(faults: Faults, name: str | None = None) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(check_name=name, passed=not any(faults.values()), metadata=dict(faults))


def _specs_of_enriched(chain: Chain) -> list[dg.AssetCheckSpec]:
    def spec(name: str, description: str, reads: tuple[str, ...] = ()) -> dg.AssetCheckSpec:
        return dg.AssetCheckSpec(
            name,
            asset=chain.key("enriched"),
            description=description,
            additional_deps=[chain.key(asset) for asset in reads],
            blocking=True,
            partitions_def=chain.partitions,
        )

    return [
        spec(
            "row_balance",
            "Enrichment neither loses a row nor makes one up, and no row is both accepted and rejected.",
            ("upload",),
        ),
        spec("no_future_value", "Every FRED value is the newest one that was published by the row's date."),
    ]
