"""`stock_movements`: unusual transactions among an ERP's stock movements."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import cast

import polars as pl

from optiflow.learners.stock_movements import check_rows
from optiflow.options import DatasetOptions
from optiflow.pipelines.finished import FinishedRun, Kept
from optiflow.pipelines.spec import Completed, Pipeline, Result, ScoringInputs, TrainingInputs
from optiflow.pipelines.stock_movements import findings, headers
from optiflow.report.extras import Download, Extras, Figure, Headline
from optiflow.roles import Role
from optiflow.split import ROW

KEYS = ("item_id", "warehouse_id", "transaction_type", "item_category")
COLUMNS = ("transaction_id", *KEYS, "quantity", "unit_price", "total_amount", "created_at")
TIMES_TOO_MANY = 2.0
"""So many times the expected share flagged among held-out movements is worth a warning."""


class StockMovements(Pipeline):
    """Movements: the newest are held out, the older say what is usual, and all are scored."""

    name = "stock_movements"
    description = "Scores each stock movement for how unusual it is, and says why."
    report = "report"
    algorithm = "stock_movements"
    roles = (
        Role(
            "transaction_id",
            "key",
            ("transaction", "transaction_no", "document", "document_id"),
            False,
            also=headers.IDS,
        ),
        Role("line", "key", required=False, nullable=True, also=headers.LINES),
        Role("item_id", "key", ("item", "sku", "product_id", "article", "stock_code"), also=headers.ITEMS),
        Role(
            "warehouse_id",
            "key",
            ("warehouse", "location", "site", "store"),
            required=False,
            also=headers.WAREHOUSES,
            absent="all",
        ),
        Role("transaction_type", "key", ("type", "movement_type"), required=False, also=headers.TYPES),
        Role("direction", "key", required=False, nullable=True, also=headers.DIRECTIONS),
        Role("quantity", "number", ("qty", "units"), also=headers.QUANTITIES, instead=("quantity_in", "quantity_out")),
        Role("quantity_in", "number", required=False, nullable=True, also=headers.QUANTITIES_IN),
        Role("quantity_out", "number", required=False, nullable=True, also=headers.QUANTITIES_OUT),
        Role("unit_price", "number", ("price", "unit_cost"), required=False, nullable=True, also=headers.PRICES),
        Role(
            "total_amount", "number", ("total", "amount", "value"), required=False, nullable=True, also=headers.TOTALS
        ),
        Role(
            "item_category",
            "key",
            ("category", "item_group"),
            required=False,
            nullable=True,
            also=headers.CATEGORIES,
            absent="all",
        ),
        Role(
            "created_at",
            "date",
            ("created_at_ts", "timestamp", "created", "booked_at", "date"),
            also=headers.DATES,
        ),
        Role("time", "text", required=False, nullable=True, also=headers.TIMES),
        Role("status", "key", required=False, nullable=True, also=headers.STATUSES),
        Role("cancelled", "key", required=False, nullable=True, also=headers.CANCELLATIONS),
    )
    own_options = ("movement_types",)
    row_keys = ("transaction_id", "line", "item_id", "warehouse_id")
    scoring_reads = ("train", "test")
    has_actuals = False
    results = {
        "predictions": Result(
            "Every movement with its score, after what the file says of it.",
            {
                ROW: ("Int64", "Number of the row in the uploaded file, the header being row 1"),
                "date": ("Datetime", "When it was booked"),
                "anomaly_score": ("Float32", "How unusual it is; 1 is the mean of the movements learned from"),
                "cluster_id": ("Int32", "The group of movements that it is nearest to"),
                "is_anomaly": ("Boolean", "Whether the score is above the threshold"),
                "reasons": ("String", "Which of its values are unusual; null unless flagged"),
            },
        )
    }

    def complete(self, rows: pl.DataFrame, options: DatasetOptions) -> Completed:
        """Types, ids, quantities, amounts and times, as far as they follow from what is there; cancelled ones left out."""
        from optiflow.pipelines.stock_movements.completion import complete  # reading an upload imports the pipelines

        return complete(rows, options)

    def faults(self, rows: pl.DataFrame, options: DatasetOptions) -> pl.DataFrame:
        """Unknown types, prices of 0 or below, totals that do not fit, ids that come twice."""
        from optiflow.pipelines.stock_movements.rules import movement_faults  # reading an upload imports the pipelines

        return movement_faults(rows)

    def tidy(self, rows: pl.DataFrame, options: DatasetOptions) -> pl.DataFrame:
        """Types in small letters, times to the microsecond."""
        from optiflow.pipelines.stock_movements.rules import plain_types

        return rows.with_columns(
            transaction_type=plain_types(rows), created_at=pl.col("created_at").cast(pl.Datetime("us"))
        )

    def counts(self, rows: pl.DataFrame, options: DatasetOptions) -> Mapping[str, int]:
        """Items, warehouses, categories, and movements of each type."""
        by_type = dict(rows.group_by("transaction_type").len().sort("transaction_type").iter_rows())
        return {
            "items": rows["item_id"].n_unique(),
            "warehouses": rows["warehouse_id"].n_unique(),
            "categories": rows["item_category"].n_unique(),
            **{f"movements_{kind}": count for kind, count in by_type.items()},
        }

    def training(self, train: pl.DataFrame, options: DatasetOptions) -> TrainingInputs:
        """The older movements; refused where they are too few, which the job would refuse too."""
        check_rows(train.height)
        return TrainingInputs({"train": train.select(ROW, *COLUMNS)})

    def scoring(self, tables: Mapping[str, pl.DataFrame], options: DatasetOptions, kept: Kept) -> ScoringInputs:
        """All movements, in the order of the file."""
        both = pl.concat([tables[name].select(ROW, *COLUMNS) for name in self.scoring_reads])
        return ScoringInputs({"predictions": both.sort(ROW)})

    def extras(self, run: FinishedRun) -> Extras:
        """What to look at first, where it piles up, and whether the threshold still fits the newest movements."""
        scored = self._scored(run)
        expected = 1 - float(run.summary["threshold_quantile"])
        newest = scored.filter("held_out")
        share = int(newest["is_anomaly"].sum()) / max(newest.height, 1)
        flagged = int(scored["is_anomaly"].sum())
        threshold = float(run.summary["metrics"]["threshold"])
        first, last = (cast(datetime, edge) for edge in (newest["created_at"].min(), newest["created_at"].max()))
        warnings, currency = (), run.options.currency or ""
        if share > TIMES_TOO_MANY * expected:
            warnings = (
                f"{share:.1%} of the held-out movements are flagged, {share / expected:.1f} times the {expected:.1%} that the "
                "threshold allows: what is usual has changed since training, or something is wrong. Look at the days with "
                "most flagged movements.",
            )
        return Extras(
            headlines=(
                Headline("Flagged movements", f"{flagged:,} of {scored.height:,} ({flagged / scored.height:.1%})"),
                Headline("Flagged among the newest", f"{int(newest['is_anomaly'].sum()):,} ({share:.2%})"),
                Headline("Expected by the threshold", f"{expected:.2%}"),
            ),
            tables=(
                findings.most_unusual(scored, run.options.unit or "", currency),
                findings.flagged_by(scored, "transaction_type", "Type"),
                findings.flagged_by(scored, "warehouse_id", "Warehouse"),
                findings.busiest_days(scored),
            ),
            figures=(
                Figure(
                    "flagged-over-time",
                    "Flagged movements over time",
                    "Each bar is a day. The movements right of the line, if there is one, were not learned from.",
                    partial(findings.draw_over_time, scored, first if run.options.split.strategy == "time" else None),
                ),
                Figure(
                    "scores",
                    "Scores of all movements",
                    "Both axes grow by factors. Movements right of the line are flagged.",
                    partial(findings.draw_scores, scored, threshold),
                ),
            ),
            metrics={
                "flagged_share": flagged / scored.height,
                "flagged_share_held_out": share,
                "expected_share": expected,
                "threshold": threshold,
            },
            verdict=(
                f"{flagged:,} of {scored.height:,} movements are unusual enough to look at. Of the newest {newest.height:,} "
                f"({first:%Y-%m-%d} to {last:%Y-%m-%d}), which were not learned from, {share:.1%} are flagged; the threshold "
                f"lets {expected:.1%} expect."
            ),
            warnings=warnings,
            actions=tuple(findings.what_to_do(scored, currency)),
            downloads=(
                Download(
                    findings.FLAGGED_FILE,
                    "predictions",
                    "Every flagged movement, with all that the file says of it, and why.",
                    findings.flagged_movements(scored),
                ),
            ),
        )

    @staticmethod
    def _scored(run: FinishedRun) -> pl.DataFrame:
        others = [name for name in run.train.columns if name not in (ROW, *COLUMNS, *run.options.fred_series)]
        told = [name for name in others if name not in (*STOCK_MOVEMENTS.results["predictions"].columns, "held_out")]
        rows = pl.concat(
            [
                run.train.select(ROW, *COLUMNS, *told, held_out=pl.lit(False)),
                run.test.select(ROW, *COLUMNS, *told, held_out=pl.lit(True)),
            ]
        )
        found = run.results["predictions"].drop("date")
        return rows.join(found, on=ROW, how="inner", maintain_order="left")


STOCK_MOVEMENTS = StockMovements()
